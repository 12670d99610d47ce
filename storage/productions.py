"""Productions from submission to review: what is asked of them, and every step a person or a flow takes.

Functions take a session of `storage.database.transaction`, so that several steps can be one transaction; the
rules behind them are the database's. The work inside a production (reading, rendering, judging, mastering) is
the queue's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from storage.enrolment import NARRATION, WORLD, canonical_digest
from storage.errors import ApprovalRefused, ConsentRefused, NotFound, TransitionRefused
from storage.models import (
    Chapter,
    Consent,
    Event,
    Manuscript,
    Production,
    QaReport,
    Review,
    Take,
    Voice,
    Window,
)
from storage.queue import STATEMENTS
from storage.states import ChapterState, ProductionState, WindowState


@dataclass(frozen=True, slots=True)
class Order:
    """What a publisher asks for.

    `weights` names the weight files by digest, `model_digest` covers them and the submitter's numerics
    profile;
    `territories` are where the release is meant to go.
    """

    manuscript_id: int
    voice_id: int
    model_digest: str
    settings: Mapping[str, Any]
    weights: Mapping[str, Any]
    seed: int = 0
    territories: tuple[str, ...] = (WORLD,)
    priority: int = 0
    due_at: datetime | None = None
    words: int = 0
    expected_audio_s: float | None = None
    expected_machine_s: float | None = None


@dataclass(frozen=True, slots=True)
class ChapterPlan:
    """A chapter as planned: its script and the unit spans `[start, end)` of its windows, in order."""

    number: int
    title: str
    words: int
    script_key: str
    script_digest: str
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a production is: windows and chapters by state, seconds of audio rendered so far."""

    windows: Mapping[str, int]
    chapters: Mapping[str, int]
    rendered_s: float

    @property
    def done(self) -> float:
        """Share of the windows accepted, 0 to 1."""
        total = sum(self.windows.values())
        return self.windows.get(WindowState.ACCEPTED, 0) / total if total else 0.0


def submit(session: Session, order: Order) -> Production:
    """Queue a production on the voice's best valid consent; the same open order is the same production.

    Raises
    ------
    NotFound
        No such manuscript or voice.
    ConsentRefused
        No consent of the voice, and no text rights, cover it now.
    """
    manuscript = session.get(Manuscript, order.manuscript_id)
    voice = session.get(Voice, order.voice_id)
    if manuscript is None or voice is None:
        raise NotFound(f"no manuscript {order.manuscript_id} or no voice {order.voice_id}")
    digest = canonical_digest(
        {
            "manuscript": manuscript.digest,
            "metadata": manuscript.metadata_digest,
            "voice": voice.digest,
            "settings": dict(order.settings),
            "models": order.model_digest,
            "seed": order.seed,
            "territories": sorted(order.territories),
        }
    )
    there = _open_order(session, digest)
    if there is not None:
        return there
    consent_id = _valid_consent(session, voice, manuscript, list(order.territories))
    session.execute(
        upsert(Production)
        .values(
            manuscript_id=manuscript.id,
            voice_id=voice.id,
            consent_id=consent_id,
            digest=digest,
            settings=dict(order.settings),
            model_digest=order.model_digest,
            weights=dict(order.weights),
            seed=order.seed,
            territories=list(order.territories),
            priority=order.priority,
            due_at=order.due_at,
            words=order.words,
            expected_audio_s=order.expected_audio_s,
            expected_machine_s=order.expected_machine_s,
        )
        .on_conflict_do_nothing(
            index_elements=["digest"],
            index_where=text("state NOT IN ('cancelled', 'refused')"),
        )
    )
    made = _open_order(session, digest)
    assert made is not None
    return made


def admit(session: Session) -> Production | None:
    """Admit the production that is first by priority, waiting time and due date; none if none waits."""
    first = session.scalars(
        select(Production)
        .where(Production.state == ProductionState.SUBMITTED)
        .order_by(Production.rank, Production.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if first is not None:
        _move(session, first, ProductionState.ADMITTED)
    return first


def admit_one(session: Session, production_id: int) -> Production:
    """Admit a given production out of turn; one that is admitted or further stays where it is."""
    production = lock(session, production_id)
    if production.state == ProductionState.SUBMITTED:
        _move(session, production, ProductionState.ADMITTED)
    return production


def put_back(session: Session, production_id: int) -> Production:
    """Put an admitted production back into the queue (the night closes before its plan is made)."""
    return _move(session, lock(session, production_id), ProductionState.SUBMITTED)


def plan(session: Session, production_id: int, chapters: Sequence[ChapterPlan]) -> Production:
    """Write an admitted production's chapters and windows and open them for work.

    Planning again after a kill is no error as long as the plan is the same.

    Raises
    ------
    TransitionRefused
        Where it is not admitted, or another plan was made before.
    """
    if not chapters or any(not chapter.spans for chapter in chapters):
        raise TransitionRefused(
            f"production {production_id} has no chapters, or one without windows: nothing to read"
        )
    production = lock(session, production_id)
    made = session.execute(
        select(Chapter.number, Chapter.script_digest, Chapter.windows)
        .where(Chapter.production_id == production.id)
        .order_by(Chapter.number)
    ).all()
    asked = sorted((c.number, c.script_digest, len(c.spans)) for c in chapters)
    if not made:
        _add_chapters(session, production.id, chapters)
    elif [tuple(row) for row in made] != asked:
        raise TransitionRefused(f"production {production.id} was planned otherwise before")
    if production.state != ProductionState.PRODUCING:
        _move(session, production, ProductionState.PRODUCING)
    return production


def content_digest(session: Session, production_id: int) -> str:
    """Return the digest of a production's canonical unsigned products: metadata and mastered chapters."""
    production = get(session, production_id)
    rows = session.execute(
        select(Chapter.number, Chapter.title, Chapter.content_digest)
        .where(Chapter.production_id == production_id)
        .order_by(Chapter.number)
    )
    return canonical_digest(
        {"order": production.digest, "chapters": [list(row) for row in rows]},
    )


def finish(session: Session, production_id: int) -> Production:
    """Move a production whose chapters are all mastered on to its report; sets its content digest.

    Raises
    ------
    TransitionRefused
        Where a chapter is not mastered, or the production is not being produced.
    """
    production = lock(session, production_id)
    if production.state == ProductionState.PRODUCING:
        production.content_digest = content_digest(session, production_id)
        _move(session, production, ProductionState.MASTERED)
    return production


def file_report(
    session: Session, production_id: int, *, digest: str, key: str, verdict: str
) -> QaReport:
    """File the report on a mastered production and ask for a review; filing it twice is no error."""
    production = lock(session, production_id)
    if production.content_digest is None:
        raise ApprovalRefused(
            f"production {production_id} is {production.state}: nothing to report"
        )
    session.execute(
        upsert(QaReport)
        .values(
            production_id=production_id,
            digest=digest,
            key=key,
            content_digest=production.content_digest,
            verdict=verdict,
        )
        .on_conflict_do_nothing(index_elements=["production_id", "digest"])
    )
    if production.state == ProductionState.MASTERED:
        _move(session, production, ProductionState.AWAITING_REVIEW)
    found = QaReport.production_id == production_id, QaReport.digest == digest
    return session.scalars(select(QaReport).where(*found)).one()


def decide(
    session: Session,
    production_id: int,
    *,
    report_digest: str,
    approved: bool,
    reviewer: str,
    note: str = "",
    four_eyes: bool = False,
    endorsed_by: str | None = None,
) -> Review:
    """Write a person's decision on the production's last report, named by its digest.

    With `four_eyes` an approval counts only where another person, `endorsed_by`, approved the same report
    before (`storage.reviews.decide`); no way of approving goes past this.

    Raises
    ------
    ApprovalRefused
        Where the digest is not the last report's, the content changed since that report, or two people must
        approve and another one did not yet.
    """
    if approved and four_eyes and endorsed_by in (None, reviewer):
        raise ApprovalRefused(
            f"two people must approve production {production_id}: let both do so in `lectern review`,"
            " where they are known by their accounts"
        )
    production = lock(session, production_id)
    last = last_report(session, production_id)
    if last is None or last.digest != report_digest:
        shown = last.digest if last else "none yet"
        raise ApprovalRefused(
            f"report {report_digest} is not the last one of production {production_id} ({shown});"
            " read that one and decide again"
        )
    review = Review(
        production_id=production_id,
        qa_report_id=last.id,
        report_digest=last.digest,
        decision="approved" if approved else "rejected",
        reviewer=reviewer,
        note=note,
    )
    session.add(review)
    session.flush()
    wanted = ProductionState.APPROVED if approved else ProductionState.REJECTED
    if production.state != wanted:
        _move(session, production, wanted)
    return review


def redo(
    session: Session, window_id: int, *, directions: Mapping[str, Any] | None = None
) -> Window:
    """Ask for another take of an accepted window; what was reviewed or approved no longer is.

    Parameters
    ----------
    session : Session
        A transaction that says who asks and why.
    window_id : int
        The window.
    directions : mapping, optional
        How to say words otherwise, added to what was asked before.
    """
    window = session.get(Window, window_id)
    if window is None:
        raise NotFound(f"there is no window {window_id}")
    production = lock(session, window.production_id)
    if production.state != ProductionState.PRODUCING:
        production.profile = None  # any machine may repair it, years later too
        _move(session, production, ProductionState.PRODUCING)
    chapter = session.get(Chapter, window.chapter_id, with_for_update=True, populate_existing=True)
    window = session.get(Window, window_id, with_for_update=True, populate_existing=True)
    assert chapter is not None and window is not None
    window.directions = {**window.directions, **(directions or {})}
    window.take += 1
    window.rank = production.rank
    window.state = WindowState.REDO
    if chapter.state != ChapterState.READ:
        chapter.state = ChapterState.READ
        chapter.rank = None
    session.flush()
    return window


def choose_take(session: Session, window_id: int, number: int) -> Window:
    """Choose another take of an accepted window whose sound is still there; its chapter is mastered again.

    What was reviewed or approved no longer is.

    Raises
    ------
    TransitionRefused
        Where the production is not waiting for a decision or decided, or the take cannot be chosen.
    """
    window = session.get_one(Window, window_id)
    production = lock(session, window.production_id)
    chapter = session.get(Chapter, window.chapter_id, with_for_update=True, populate_existing=True)
    window = session.get_one(Window, window_id, with_for_update=True, populate_existing=True)
    take = session.scalars(
        select(Take).where(Take.window_id == window_id, Take.number == number)
    ).one_or_none()
    assert chapter is not None
    if window.state != WindowState.ACCEPTED or chapter.state != ChapterState.MASTERED:
        raise TransitionRefused(
            "another take of this chapter is being made: choose when it is mastered"
        )
    if take is None or take.audio_key is None or take.tokens_key is None:
        raise TransitionRefused("the sound of this take is not kept any more: ask for another one")
    if production.state != ProductionState.PRODUCING:
        _move(session, production, ProductionState.PRODUCING)
    window.chosen_take = number
    chapter.state = ChapterState.READ
    session.flush()
    chapter.state, chapter.attempts, chapter.rank = ChapterState.ACCEPTED, 0, production.rank
    session.flush()
    return window


def cancel(session: Session, production_id: int) -> Production:
    """Cancel a production; leases on its work are void at once."""
    return _move(session, lock(session, production_id), ProductionState.CANCELLED)


def fail(session: Session, production_id: int, trouble: str) -> Production:
    """Mark a production as failed, with the reason (a manuscript that cannot be planned, say)."""
    production = lock(session, production_id)
    production.trouble = trouble
    return _move(session, production, ProductionState.FAILED)


def retry(session: Session, production_id: int) -> Production:
    """Take up a failed or refused production where it stands, on a consent that is valid now.

    One that is being produced is freed for machines of any numerics profile, where those that began it are
    gone: what they made is kept, and the first that leases its work binds it anew.

    Raises
    ------
    ConsentRefused
        Where there is still no valid consent.
    TransitionRefused
        Where it is neither failed nor refused, nor waits for machines that are gone.
    """
    production = lock(session, production_id)
    if production.state == ProductionState.PRODUCING and production.profile is not None:
        production.profile = None
        session.flush()
        return production
    if production.state not in {ProductionState.FAILED, ProductionState.REFUSED}:
        raise TransitionRefused(
            f"production {production_id} is {production.state}: nothing to retry"
        )
    voice = session.get_one(Voice, production.voice_id)
    manuscript = session.get_one(Manuscript, production.manuscript_id)
    consent_id = _valid_consent(session, voice, manuscript, production.territories)
    for statement in ("revive_windows", "revive_chapters"):
        session.execute(STATEMENTS[statement], {"production_id": production_id})
    planned = session.scalar(
        select(func.count()).select_from(Chapter).where(Chapter.production_id == production_id)
    )
    production.consent_id = consent_id  # with the state, in one statement
    wanted = ProductionState.PRODUCING if planned else ProductionState.SUBMITTED
    return _move(session, production, wanted)


def reprioritise(
    session: Session, production_id: int, *, priority: int, due_at: datetime | None
) -> Production:
    """Change a production's place in the queue, and that of all its waiting work."""
    production = lock(session, production_id)
    production.priority = priority
    production.due_at = due_at
    session.flush()
    session.refresh(production)
    return production


def get(session: Session, production_id: int) -> Production:
    """Return a production; raises NotFound."""
    production = session.get(Production, production_id)
    if production is None:
        raise NotFound(f"there is no production {production_id}")
    return production


def lock(session: Session, production_id: int) -> Production:
    """Return a production as it stands now, locked until the transaction ends; raises NotFound."""
    production = session.get(
        Production, production_id, with_for_update=True, populate_existing=True
    )
    if production is None:
        raise NotFound(f"there is no production {production_id}")
    return production


def in_states(session: Session, *states: ProductionState) -> Sequence[Production]:
    """Return the productions in any of the states, first in the queue first."""
    return session.scalars(
        select(Production)
        .where(Production.state.in_(states))
        .order_by(Production.rank, Production.id)
    ).all()


def forsaken(session: Session, hours: float = 24.0) -> Sequence[int]:
    """Return the ids of productions under way that no machine of their profile has touched for so long."""
    since = func.now() - timedelta(hours=hours)
    leased = (
        select(part.id).where(part.production_id == Production.id, part.leased_by.is_not(None))
        for part in (Chapter, Window)
    )
    made = select(Take.id).where(
        Take.production_id == Production.id, func.greatest(Take.read_at, Take.rendered_at) > since
    )
    return session.scalars(
        select(Production.id)
        .where(
            Production.state == ProductionState.PRODUCING,
            Production.profile.is_not(None),
            Production.state_changed_at < since,
            *(~found.exists() for found in (*leased, made)),
        )
        .order_by(Production.id)
    ).all()


def ready_to_finish(session: Session) -> Sequence[int]:
    """Return the ids of productions whose chapters are all mastered but that are not moved on yet."""
    unfinished = select(Chapter.id).where(
        Chapter.production_id == Production.id, Chapter.state != ChapterState.MASTERED
    )
    return session.scalars(
        select(Production.id)
        .where(Production.state == ProductionState.PRODUCING, ~unfinished.exists())
        .order_by(Production.rank, Production.id)
    ).all()


def progress(session: Session, production_id: int) -> Progress:
    """Return how far a production is."""
    chapters = session.execute(
        select(Chapter.state, func.count())
        .where(Chapter.production_id == production_id)
        .group_by(Chapter.state)
    )
    windows = session.execute(
        select(Window.state, func.count())
        .where(Window.chapter_id.in_(_chapters_of(production_id)))
        .group_by(Window.state)
    )
    rendered_s = session.scalar(
        select(func.sum(Take.duration_s))
        .join(Window, (Window.id == Take.window_id) & (Window.take == Take.number))
        .where(Window.chapter_id.in_(_chapters_of(production_id)))
    )
    return Progress(
        windows={state: count for state, count in windows},
        chapters={state: count for state, count in chapters},
        rendered_s=float(rendered_s or 0.0),
    )


def chosen_takes(session: Session, chapter_id: int) -> list[tuple[Window, Take]]:
    """Return a chapter's windows in order, each with its chosen take, or else the latest."""
    rows = session.execute(
        select(Window, Take)
        .join(
            Take,
            (Take.window_id == Window.id)
            & (Take.number == func.coalesce(Window.chosen_take, Window.take)),
        )
        .where(Window.chapter_id == chapter_id)
        .order_by(Window.number)
    )
    return [(window, take) for window, take in rows]


def window_spans(session: Session, chapter_id: int) -> list[tuple[int, int]]:
    """Return the unit spans `[start, end)` of a chapter's windows, in order."""
    rows = session.execute(
        select(Window.unit_start, Window.unit_end)
        .where(Window.chapter_id == chapter_id)
        .order_by(Window.number)
    )
    return [(start, end) for start, end in rows]


def takes(session: Session, window_id: int) -> Sequence[Take]:
    """Return all takes of a window, first first."""
    return session.scalars(
        select(Take).where(Take.window_id == window_id).order_by(Take.number)
    ).all()


def last_report(session: Session, production_id: int) -> QaReport | None:
    """Return the report filed last, which is the one to decide on; none where none was filed."""
    return session.scalars(
        select(QaReport)
        .where(QaReport.production_id == production_id)
        .order_by(QaReport.id.desc())
        .limit(1)
    ).one_or_none()


def faulty_windows(session: Session, production_id: int) -> int:
    """Count the windows whose chosen take failed its check and was kept as the best there was."""
    return int(
        session.scalar(
            select(func.count())
            .select_from(Window)
            .join(Take, (Take.window_id == Window.id) & (Take.number == Window.chosen_take))
            .where(Window.production_id == production_id, Take.verdict == "fail")
        )
        or 0
    )


def takes_again(session: Session, production_id: int) -> int:
    """Count the takes beyond the first of each window."""
    taken = select(func.count()).select_from(Take).where(Take.production_id == production_id)
    return int(session.scalar(taken.where(Take.number > 0)) or 0)


def events(session: Session, production_id: int) -> Sequence[Event]:
    """Return the audit of a production, oldest first."""
    return session.scalars(
        select(Event).where(Event.production_id == production_id).order_by(Event.id)
    ).all()


def _chapters_of(production_id: int) -> Any:
    return select(Chapter.id).where(Chapter.production_id == production_id)


def _move(session: Session, production: Production, state: ProductionState) -> Production:
    production.state = state
    session.flush()
    session.refresh(production)
    return production


def _open_order(session: Session, digest: str) -> Production | None:
    closed = (ProductionState.CANCELLED, ProductionState.REFUSED)
    return session.scalars(
        select(Production).where(Production.digest == digest, Production.state.not_in(closed))
    ).one_or_none()


def _valid_consent(
    session: Session, voice: Voice, manuscript: Manuscript, territories: list[str]
) -> int:
    """Return the newest consent that covers the work; raises ConsentRefused with the newest one's fault."""
    rows = session.execute(
        select(
            Consent.id,
            func.lectern_refusal(voice.id, Consent.id, manuscript.id, territories, NARRATION),
        )
        .where(Consent.voice_id == voice.id)
        .order_by(Consent.id.desc())
    ).all()
    for consent_id, refusal in rows:
        if refusal is None:
            return int(consent_id)
    why = rows[0][1] if rows else "there is no consent"
    raise ConsentRefused(f"voice '{voice.name}' cannot be used for this: {why}")


def _add_chapters(session: Session, production_id: int, chapters: Sequence[ChapterPlan]) -> None:
    for chapter in sorted(chapters, key=lambda one: one.number):
        chapter_id = session.scalars(
            insert(Chapter)
            .values(
                production_id=production_id,
                number=chapter.number,
                title=chapter.title,
                words=chapter.words,
                script_key=chapter.script_key,
                script_digest=chapter.script_digest,
                windows=len(chapter.spans),
            )
            .returning(Chapter.id)
        ).one()
        session.execute(
            insert(Window),
            [
                {
                    "production_id": production_id,
                    "chapter_id": chapter_id,
                    "number": number,
                    "unit_start": start,
                    "unit_end": end,
                }
                for number, (start, end) in enumerate(chapter.spans)
            ],
        )
    session.flush()
