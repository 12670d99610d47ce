"""Reviewing: what waits, who is at it, and decisions that never overwrite one another.

A decision names the report that was read and the decision that was the last one then; if either is another
one by now, nothing is written and the reviewer is told what happened. All functions take a session of
`storage.database.transaction`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from storage import productions
from storage.errors import NotFound, ReviewOutdated
from storage.models import (
    Chapter,
    Event,
    Json,
    Manuscript,
    Production,
    QaReport,
    Release,
    Review,
    Voice,
    Window,
)
from storage.review_tables import Account, Claim, Endorsement, ReviewException, Submission
from storage.states import ProductionState, ReleaseState, WindowState

CLAIM = text("interval '30 minutes'")
"""How long a claim lasts after the last sign of life."""

DECIDABLE = {ProductionState.AWAITING_REVIEW, ProductionState.APPROVED, ProductionState.REJECTED}
"""States in which a decision can be written."""


@dataclass(frozen=True, slots=True)
class Card:
    """A production as the queue shows it."""

    id: int
    title: str
    authors: list[str]
    voice: str
    state: str
    trouble: str | None
    verdict: str | None
    report_digest: str | None
    since: datetime
    """When it came into its state; of a production that waits: when its report was filed."""
    waiting_s: float
    due_at: datetime | None
    words: int
    duration_s: float
    claimed_by: str | None
    decided_by: str | None
    release_digest: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer decides, and on what.

    Attributes
    ----------
    report_digest : the report that was read
    seen_review_id : the last decision when it was read, none if there was none
    approved : whether it may be published
    note : why; a rejection needs one
    exceptions : findings accepted although they fail
    unheard : how many of the worst moments were not heard, knowingly
    """

    report_digest: str
    seen_review_id: int | None
    approved: bool
    note: str = ""
    exceptions: Sequence[Mapping[str, Any]] = ()
    unheard: int = 0


def cards(session: Session, *, of_account: int | None = None) -> list[Card]:
    """Return the productions, those that wait for a review first, the longest waiting at the top.

    Parameters
    ----------
    session : Session
        Any session.
    of_account : int, optional
        Only those that this account submitted.
    """
    statement = _cards()
    if of_account is not None:
        mine = select(Submission.production_id).where(Submission.account_id == of_account)
        statement = statement.where(Production.id.in_(mine))
    return [Card(*row) for row in session.execute(statement)]


def card(session: Session, production_id: int) -> Card | None:
    """Return one production's card; none where there is no such production."""
    row = session.execute(_cards().where(Production.id == production_id)).one_or_none()
    return Card(*row) if row else None


def is_submitted_by(session: Session, production_id: int, account_id: int) -> bool:
    """Tell whether an account asked for a production."""
    return session.get(Submission, (production_id, account_id)) is not None


def record_submission(session: Session, production_id: int, account_id: int) -> None:
    """Write down that an account asked for a production; asking twice is no error."""
    session.execute(
        upsert(Submission)
        .values(production_id=production_id, account_id=account_id)
        .on_conflict_do_nothing()
    )


def decisions(session: Session, production_id: int) -> list[tuple[Review, ReviewException | None]]:
    """Return all decisions on a production with what they accept, the last one first."""
    rows = session.execute(
        select(Review, ReviewException)
        .outerjoin(ReviewException, ReviewException.review_id == Review.id)
        .where(Review.production_id == production_id)
        .order_by(Review.id.desc())
    )
    return [(review, exception) for review, exception in rows]


def endorsements(session: Session, production_id: int) -> list[tuple[Endorsement, str]]:
    """Return the first approvals that still count, each with the account's name."""
    report = productions.last_report(session, production_id)
    if report is None:
        return []
    rows = session.execute(
        select(Endorsement, Account.name)
        .join(Account, Account.id == Endorsement.account_id)
        .where(
            Endorsement.qa_report_id == report.id,
            Endorsement.after_review_id.is_not_distinct_from(
                _last_review_id(session, production_id)
            ),
        )
        .order_by(Endorsement.id)
    )
    return [(endorsement, name) for endorsement, name in rows]


def claim(session: Session, production_id: int, account_id: int, *, take_over: bool = False) -> str:
    """Claim a production, or keep one's claim alive; returns the name of who has it now.

    Parameters
    ----------
    session : Session
        A transaction.
    production_id, account_id : int
        What, and for whom.
    take_over : bool
        Whether to take it from a colleague whose claim still lasts.
    """
    values = {
        "account_id": account_id,
        "claimed_at": func.now(),
        "until": func.now() + CLAIM,
    }
    held = Claim.until >= func.now(), Claim.account_id != account_id
    session.execute(
        upsert(Claim)
        .values(production_id=production_id, **values)
        .on_conflict_do_update(
            index_elements=["production_id"],
            set_=values,
            where=None if take_over else ~(held[0] & held[1]),
        )
    )
    name = session.scalar(
        select(Account.name)
        .join(Claim, Claim.account_id == Account.id)
        .where(Claim.production_id == production_id)
    )
    assert name is not None
    return name


def unclaim(session: Session, production_id: int, account_id: int) -> None:
    """Give up one's claim."""
    session.execute(
        delete(Claim).where(Claim.production_id == production_id, Claim.account_id == account_id)
    )


def decide(
    session: Session, production_id: int, account: Account, decision: Decision, *, four_eyes: bool
) -> Review | Endorsement:
    """Write a decision; with `four_eyes` a first approval is an endorsement, the second one the review.

    Raises
    ------
    ReviewOutdated
        Where another decision was written, or the production moved on, since the page was read; or where one
        person would approve twice.
    ApprovalRefused
        Where the report is not the last one, or the content changed since.
    """
    production = productions.lock(session, production_id)
    if production.state not in DECIDABLE:
        raise ReviewOutdated(
            f"production {production_id} is {production.state} by now: there is nothing to decide"
        )
    last_id = _last_review_id(session, production_id)
    if last_id != decision.seen_review_id:
        last = session.get_one(Review, last_id)
        raise ReviewOutdated(
            f"{last.reviewer} {last.decision} this production while you were reading"
            + (f": “{last.note}”" if last.note else "")
        )
    wanted = ProductionState.APPROVED if decision.approved else ProductionState.REJECTED
    if production.state == wanted:
        raise ReviewOutdated(f"production {production_id} is {production.state} already")
    report = productions.last_report(session, production_id)
    first = endorsements(session, production_id)
    if decision.approved and four_eyes and report is not None:
        if any(endorsement.account_id == account.id for endorsement, _ in first):
            raise ReviewOutdated("you approved this already: a second person must approve it now")
        if not first and report.digest == decision.report_digest:
            return _endorse(session, production, report, account, decision)
    review = productions.decide(
        session,
        production_id,
        report_digest=decision.report_digest,
        approved=decision.approved,
        reviewer=account.name,
        note=decision.note,
        four_eyes=four_eyes,
        endorsed_by=first[0][1] if first else None,
    )
    if decision.exceptions or decision.unheard:
        accepted = ReviewException(
            review_id=review.id,
            findings=[dict(finding) for finding in decision.exceptions],
            unheard=decision.unheard,
        )
        session.add(accepted)
    unclaim(session, production_id, account.id)
    session.flush()
    return review


def redo(
    session: Session, window_id: int, *, audio_digest: str, directions: Mapping[str, str]
) -> Window:
    """Ask for another take of a window that was heard in a given master of its chapter.

    Raises
    ------
    NotFound
        Where there is no such window.
    ReviewOutdated
        Where the chapter was mastered again since (the place is perhaps another one now), or another take of
        the window is being made already.
    """
    window = session.get(Window, window_id)
    if window is None:
        raise NotFound(f"there is no window {window_id}")
    productions.lock(session, window.production_id)
    chapter = session.get_one(Chapter, window.chapter_id, populate_existing=True)
    session.refresh(window, with_for_update=True)
    if chapter.audio_digest != audio_digest:
        raise ReviewOutdated("this chapter was mastered again since you heard it: listen again")
    if window.state != WindowState.ACCEPTED:
        raise ReviewOutdated("another take of this window is being made already")
    return productions.redo(session, window_id, directions=dict(directions))


def audit(session: Session, production_id: int, *, limit: int = 500) -> Sequence[Event]:
    """Return what happened to a production, without the work on its windows and chapters, newest first."""
    return session.scalars(
        select(Event)
        .where(
            Event.production_id == production_id,
            Event.subject.not_in(("window", "chapter")),
        )
        .order_by(Event.id.desc())
        .limit(limit)
    ).all()


def _endorse(
    session: Session,
    production: Production,
    report: QaReport,
    account: Account,
    decision: Decision,
) -> Endorsement:
    findings: list[Json] = [dict(finding) for finding in decision.exceptions]
    endorsement = Endorsement(
        production_id=production.id,
        qa_report_id=report.id,
        account_id=account.id,
        after_review_id=decision.seen_review_id,
        note=decision.note,
        exceptions=findings,
    )
    session.add(endorsement)
    unclaim(session, production.id, account.id)
    session.flush()
    return endorsement


def _last_review_id(session: Session, production_id: int) -> int | None:
    return session.scalar(select(func.max(Review.id)).where(Review.production_id == production_id))


def _cards() -> Select[Any]:
    newest = select(func.max(QaReport.id)).where(QaReport.production_id == Production.id)
    report = aliased(QaReport)
    decided = (
        select(Review.reviewer)
        .where(Review.production_id == Production.id)
        .order_by(Review.id.desc())
        .limit(1)
    )
    duration = select(func.coalesce(func.sum(Chapter.duration_s), 0.0)).where(
        Chapter.production_id == Production.id
    )
    released = (
        select(Release.release_digest)
        .where(Release.production_id == Production.id, Release.state == ReleaseState.PUBLISHED)
        .limit(1)
    )
    waits = Production.state == ProductionState.AWAITING_REVIEW
    since = case(
        (waits & report.id.is_not(None), report.filed_at), else_=Production.state_changed_at
    )
    return (
        select(
            Production.id,
            Manuscript.title,
            Manuscript.authors,
            Voice.name,
            Production.state,
            Production.trouble,
            report.verdict,
            report.digest,
            since,
            func.extract("epoch", func.now() - since),
            Production.due_at,
            Production.words,
            duration.scalar_subquery(),
            Account.name,
            decided.scalar_subquery(),
            released.scalar_subquery(),
        )
        .join(Manuscript, Manuscript.id == Production.manuscript_id)
        .join(Voice, Voice.id == Production.voice_id)
        .outerjoin(report, report.id == newest.scalar_subquery())
        .outerjoin(Claim, (Claim.production_id == Production.id) & (Claim.until >= func.now()))
        .outerjoin(Account, Account.id == Claim.account_id)
        .order_by(waits.desc(), since, Production.id)
    )
