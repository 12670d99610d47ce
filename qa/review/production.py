"""A production's page: the worst moments, one chapter to listen to, and what was said and decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from qa.book_report import BookReport, ChapterEntry
from qa.review.access import Anyone
from qa.review.desk import Desk, TheDesk
from qa.review.documents import TimedWord, Times
from qa.review.pages import page
from qa.review.reports import Curve, Place, curves_of, is_heard, key_of, moments_of
from storage import listening, productions, reviews
from storage.accounts import Visitor
from storage.errors import NotFound
from storage.listening import Remark, Stretches
from storage.models import Chapter, Take, Window
from storage.review_tables import Role
from storage.reviews import DECIDABLE, Card
from storage.states import ProductionState

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Span:
    """A window of the chapter shown, with its row."""

    id: int
    number: int
    start_s: float
    end_s: float
    state: str
    takes: int


@dataclass(frozen=True, slots=True)
class Listen:
    """The chapter to listen to."""

    number: int
    title: str
    duration_s: float
    audio_digest: str
    paragraphs: list[list[TimedWord]]
    windows: list[Span]
    curves: list[Curve]
    heard: Stretches
    moments: list[Place]
    note_times: list[float]

    @property
    def address(self) -> str:
        """Where its audio and peaks are, below the production's address."""
        return f"chapters/{self.number}"

    @property
    def marks(self) -> dict[str, Any]:
        """What the player draws on the waveform, as JSON."""
        return {
            "windows": [(span.id, span.number, span.start_s, span.end_s) for span in self.windows],
            "moments": [(p.key, p.start_s, p.end_s, p.verdict) for p in self.moments],
            "heard": self.heard,
            "notes": self.note_times,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A chapter in the list of chapters."""

    number: int
    title: str
    duration_s: float
    state: str
    verdict: str | None
    to_hear: int
    heard_share: float


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, as history."""

    reviewer: str
    decision: str
    note: str
    at: Any
    exceptions: list[dict[str, Any]]
    unheard: int


@dataclass(frozen=True, slots=True)
class Seconded:
    """A first approval that waits for a second."""

    reviewer: str
    note: str
    at: Any


@dataclass(frozen=True, slots=True)
class ProductionPage:
    """All that a reviewer needs to decide; what only a reviewer may do is said by `may_decide`.

    Attributes
    ----------
    report_digest, seen_review_id : what a decision must name
    questions : verdict on each question QA asked
    moments : worst first
    unheard : how many of them this account did not hear
    failed : how many QA failed
    stale : whether the report is of an earlier master (a new take is being made)
    listen : the chapter shown; none while there is no audio
    at_s : where to begin
    """

    card: Card
    report_digest: str | None
    questions: dict[str, str]
    content_digest: str | None
    seen_review_id: int | None
    moments: list[Place]
    unheard: int
    failed: int
    stale: bool
    chapters: list[Row]
    listen: Listen | None
    at_s: float
    notes: list[Remark]
    decisions: list[Decided]
    endorsements: list[Seconded]
    four_eyes: bool
    may_listen: bool
    may_decide: bool
    may_redo: bool


@router.get("/productions/{production_id}")
def production_page(request: Request, desk: TheDesk, production_id: int, who: Anyone) -> Response:
    """Show a production with the chapter of its worst moment."""
    return page(request, "production.html", build(desk, who, production_id, None, None))


@router.get("/productions/{production_id}/chapters/{number}")
def chapter_page(
    request: Request, desk: TheDesk, production_id: int, number: int, who: Anyone, at: float = 0.0
) -> Response:
    """Show a production with one of its chapters."""
    return page(request, "production.html", build(desk, who, production_id, number, at))


@router.get("/productions/{production_id}/report")
def report_document(request: Request, desk: TheDesk, production_id: int, who: Anyone) -> Response:
    """Send the report as it was filed."""
    with Session(desk.engine) as session:
        seen(session, who, production_id)
        row = productions.last_report(session, production_id)
    if row is None:
        raise NotFound(f"production {production_id} has no report yet")
    desk.documents.report(row)
    headers = {"ETag": f'"{row.digest}"'}
    return Response(desk.store.get(row.key), media_type="application/json", headers=headers)


def seen(session: Session, who: Visitor, production_id: int) -> Card:
    """Return a production's card; raises NotFound where there is none or it is another publisher's."""
    card = reviews.card(session, production_id)
    hidden = who.role is Role.PUBLISHER and not reviews.is_submitted_by(
        session, production_id, who.account_id
    )
    if card is None or hidden:
        raise NotFound(f"there is no production {production_id} here")
    return card


def places(report: BookReport | None, heard: dict[int, Stretches]) -> list[Place]:
    """Return the moments of a report to hear first, with whether an account heard them."""
    if report is None:
        return []
    titles = {chapter.number: chapter.title for chapter in report.chapters}
    found = []
    for moment in moments_of(report):
        found.append(
            Place(
                key=key_of(moment),
                chapter=moment.chapter,
                chapter_title=titles.get(moment.chapter, ""),
                start_s=moment.start_s,
                end_s=moment.end_s,
                verdict=moment.verdict.value,
                reasons=list(moment.reasons),
                heard=is_heard(moment, heard.get(moment.chapter, [])),
            )
        )
    return found


def build(
    desk: Desk, who: Visitor, production_id: int, number: int | None, at_s: float | None
) -> ProductionPage:
    """Gather a production's page for a visitor.

    Parameters
    ----------
    desk : Desk
        Open services.
    who : Visitor
        For whom.
    production_id : int
        Which production.
    number : int, optional
        The chapter to listen to; that of the worst moment otherwise.
    at_s : float, optional
        Where to begin in it.
    """
    with Session(desk.engine) as session:
        card = seen(session, who, production_id)
        production = productions.get(session, production_id)
        row = productions.last_report(session, production_id)
        report = desk.documents.report(row) if row else None
        heard = listening.heard(session, account_id=who.account_id, production_id=production_id)
        moments = places(report, heard)
        chapters = list(production.chapters)
        mastered = [chapter for chapter in chapters if chapter.audio_digest]
        notes = listening.notes(session, production_id)
        history = reviews.decisions(session, production_id)
        first = reviews.endorsements(session, production_id)
        if number is None and moments:
            number, at_s = moments[0].chapter, max(0.0, moments[0].start_s - 1.0)
        shown = next((c for c in mastered if c.number == number), None)
        if shown is None and number is not None and number not in {c.number for c in chapters}:
            raise NotFound(f"production {production_id} has no chapter {number}")
        shown = shown or (mastered[0] if mastered and number is None else None)
        listen = _listen(session, desk, shown, report, heard, moments, notes) if shown else None
        stale = row is not None and row.content_digest != production.content_digest
        decidable = production.state in DECIDABLE and not stale and who.role is Role.REVIEWER
        redoable = DECIDABLE | {ProductionState.PRODUCING}
        return ProductionPage(
            card=card,
            report_digest=row.digest if row else None,
            questions={q.value: v.value for q, v in report.questions.items()} if report else {},
            content_digest=production.content_digest,
            seen_review_id=history[0][0].id if history else None,
            moments=moments,
            unheard=sum(not place.heard for place in moments),
            failed=sum(place.failed for place in moments),
            stale=stale,
            chapters=[_row(chapter, report, heard, moments) for chapter in chapters],
            listen=listen,
            at_s=at_s or 0.0,
            notes=notes,
            decisions=[
                Decided(
                    review.reviewer,
                    review.decision,
                    review.note,
                    review.decided_at,
                    exception.findings if exception else [],
                    exception.unheard if exception else 0,
                )
                for review, exception in history
            ],
            endorsements=[Seconded(name, one.note, one.endorsed_at) for one, name in first],
            four_eyes=desk.options.four_eyes,
            may_listen=bool(mastered),
            may_decide=decidable,
            may_redo=who.role is Role.REVIEWER and production.state in redoable,
        )


def _row(
    chapter: Chapter,
    report: BookReport | None,
    heard: dict[int, Stretches],
    moments: Sequence[Place],
) -> Row:
    entry = _entry_of(report, chapter.number)
    duration_s = chapter.duration_s or 0.0
    return Row(
        number=chapter.number,
        title=chapter.title,
        duration_s=duration_s,
        state=chapter.state,
        verdict=entry.report.verdict.value if entry else None,
        to_hear=sum(not p.heard for p in moments if p.chapter == chapter.number),
        heard_share=listening.heard_s(heard.get(chapter.number, []), 0.0, duration_s)
        / max(duration_s, 0.001),
    )


def _entry_of(report: BookReport | None, number: int) -> ChapterEntry | None:
    entries = report.chapters if report else []
    return next((entry for entry in entries if entry.number == number), None)


def _listen(
    session: Session,
    desk: Desk,
    chapter: Chapter,
    report: BookReport | None,
    heard: dict[int, Stretches],
    moments: Sequence[Place],
    notes: Sequence[Remark],
) -> Listen:
    assert chapter.audio_digest is not None
    entry = _entry_of(report, chapter.number)
    times = desk.documents.times(chapter)
    words = times.words or (
        [TimedWord(**w.model_dump(exclude={"reference"}), place=w.reference) for w in entry.words]
        if entry
        else []
    )
    return Listen(
        number=chapter.number,
        title=chapter.title,
        duration_s=chapter.duration_s or 0.0,
        audio_digest=chapter.audio_digest,
        paragraphs=_paragraphs(words),
        windows=spans_of(session, chapter, times),
        curves=curves_of(entry) if entry else [],
        heard=heard.get(chapter.number, []),
        moments=[place for place in moments if place.chapter == chapter.number],
        note_times=[n.at_s for n in notes if n.chapter == chapter.number and n.current],
    )


def spans_of(session: Session, chapter: Chapter, times: Times) -> list[Span]:
    """Return the windows of a chapter with their places in its present master."""
    counts = (
        select(Take.window_id, func.count().label("takes"))
        .join(Window, Window.id == Take.window_id)
        .where(Window.chapter_id == chapter.id)
        .group_by(Take.window_id)
        .subquery()
    )
    rows = session.execute(
        select(Window, func.coalesce(counts.c.takes, 0))
        .outerjoin(counts, counts.c.window_id == Window.id)
        .where(Window.chapter_id == chapter.id)
    )
    found = {window.number: (window, takes) for window, takes in rows}
    return [
        Span(window.id, one.number, one.start_s, one.end_s, window.state, takes)
        for one in times.windows
        if one.number in found
        for window, takes in [found[one.number]]
    ]


def _paragraphs(words: Sequence[TimedWord]) -> list[list[TimedWord]]:
    """Group words by the block of the manuscript they stand in."""

    def block(word: TimedWord) -> Any:
        if isinstance(word.place, dict):
            return word.place.get("document"), word.place.get("node")
        return None

    return [list(group) for _, group in groupby(words, block)]
