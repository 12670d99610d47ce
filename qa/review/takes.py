"""Windows: their takes, asking for another one, and comparing two without knowing which is which."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from qa.review.access import Colleague, Fields, Reviewer
from qa.review.desk import Desk, TheDesk
from qa.review.documents import TimedWindow, TimedWord
from qa.review.pages import done, page
from storage import listening, productions, reviews
from storage.accounts import Visitor
from storage.database import transaction
from storage.errors import NotFound, Refused
from storage.models import Chapter, Production, Take, Window
from storage.review_tables import Ballot
from storage.states import ProductionState

router = APIRouter()

DIRECTIONS = 20
"""Most words that one request may direct."""


@dataclass(frozen=True, slots=True)
class TakeRow:
    """A take as its window's page lists it."""

    number: int
    verdict: str | None
    duration_s: float | None
    chosen: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class WindowPage:
    """A window: what it says, how it was read, and what may be asked for."""

    id: int
    number: int
    state: str
    production_id: int
    title: str
    chapter: int
    chapter_title: str
    audio_digest: str | None
    start_s: float | None
    end_s: float | None
    text: str
    directions: dict[str, str]
    takes: list[TakeRow]
    may_redo: bool
    may_compare: bool


@dataclass(frozen=True, slots=True)
class BallotPage:
    """Two takes to compare; which is which is said after the vote."""

    id: int
    window_id: int
    production_id: int
    title: str
    chapter: int
    window: int
    start_s: float
    text: str
    voted: bool
    preferred: str | None
    take_a: int | None
    take_b: int | None
    may_choose: bool


class RedoForm(BaseModel):
    """Another take: of what was heard, said how, and why."""

    model_config = ConfigDict(extra="ignore")

    audio_digest: str
    why: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    say: Annotated[str, StringConstraints(max_length=4000)] = ""

    def directions(self) -> dict[str, str]:
        """Return how words shall be said; raises Refused at a line that is not `word = how`."""
        asked = {}
        for line in filter(None, map(str.strip, self.say.splitlines())):
            word, sign, how = (part.strip() for part in line.partition("="))
            if not (word and sign and how) or len(line) > 200:
                raise Refused(f"“{line[:80]}” is not word = pronunciation")
            asked[word] = how
        if len(asked) > DIRECTIONS:
            raise Refused(f"at most {DIRECTIONS} words at once")
        return asked


class VoteForm(BaseModel):
    """Which of the two was better."""

    model_config = ConfigDict(extra="ignore")

    choice: Literal["a", "b", "alike"]


@router.get("/windows/{window_id}")
def window_page(request: Request, desk: TheDesk, window_id: int, who: Colleague) -> Response:
    """Show a window with its takes."""
    with Session(desk.engine) as session:
        window, chapter, production = _rows(session, window_id)
        takes = productions.takes(session, window_id)
        span, words = _place(desk, chapter, window)
        reviewer = who.role == "reviewer"
        shown = WindowPage(
            id=window.id,
            number=window.number,
            state=window.state,
            production_id=production.id,
            title=production.manuscript.title,
            chapter=chapter.number,
            chapter_title=chapter.title,
            audio_digest=chapter.audio_digest,
            start_s=span.start_s if span else None,
            end_s=span.end_s if span else None,
            text=" ".join(word.text for word in words),
            directions={str(k): str(v) for k, v in window.directions.items()},
            takes=[
                TakeRow(
                    take.number,
                    take.verdict,
                    take.duration_s,
                    take.number == window.chosen_take,
                    take.audio_key is not None,
                )
                for take in takes
            ],
            may_redo=reviewer
            and window.state == "accepted"
            and production.state in reviews.DECIDABLE | {ProductionState.PRODUCING},
            may_compare=reviewer and sum(take.audio_key is not None for take in takes) > 1,
        )
    return page(request, "window.html", shown)


@router.get("/windows/{window_id}/takes/{number}")
def take_audio(desk: TheDesk, window_id: int, number: int, who: Colleague) -> Response:
    """Send a take's sound, at the common level."""
    return _sound(desk, window_id, number)


@router.post("/windows/{window_id}/redo")
def redo(
    request: Request, desk: TheDesk, window_id: int, who: Reviewer, fields: Fields
) -> Response:
    """Ask for another take of a window."""
    form = RedoForm.model_validate(fields)
    directions = form.directions()
    if directions and desk.factory is not None:
        try:
            desk.factory.check_directions(directions)
        except desk.factory.refusals as error:
            raise Refused(str(error)) from error
    why = f"another take: {form.why}" if form.why else "another take was asked for"
    with transaction(desk.engine, actor=who.name, reason=why) as session:
        window = reviews.redo(
            session, window_id, audio_digest=form.audio_digest, directions=directions
        )
        production_id, take = window.production_id, window.take
    said = f"Take {take + 1} of window {window.number + 1} is asked for."
    return done(request, f"/productions/{production_id}", said, take=take, directions=directions)


@router.post("/windows/{window_id}/ballots")
def draw(
    request: Request, desk: TheDesk, window_id: int, who: Reviewer, fields: Fields
) -> Response:
    """Draw lots for two takes of a window."""
    with transaction(desk.engine, actor=who.name, reason="compares takes") as session:
        ballot = listening.draw_ballot(session, account_id=who.account_id, window_id=window_id)
    return done(request, f"/ballots/{ballot.id}", "", id=ballot.id)


@router.get("/ballots/{ballot_id}")
def ballot_page(request: Request, desk: TheDesk, ballot_id: int, who: Reviewer) -> Response:
    """Show two takes to compare, or how the vote went."""
    with Session(desk.engine) as session:
        ballot = _ballot(session, who, ballot_id)
        window, chapter, production = _rows(session, ballot.window_id)
        span, words = _place(desk, chapter, window)
        voted = ballot.voted_at is not None
        sides = {ballot.take_a: "a", ballot.take_b: "b", None: "alike"}
        shown = BallotPage(
            id=ballot.id,
            window_id=window.id,
            production_id=production.id,
            title=production.manuscript.title,
            chapter=chapter.number,
            window=window.number,
            start_s=span.start_s if span else 0.0,
            text=" ".join(word.text for word in words),
            voted=voted,
            preferred=sides[ballot.preferred] if voted else None,
            take_a=ballot.take_a if voted else None,
            take_b=ballot.take_b if voted else None,
            may_choose=ballot.preferred not in (None, window.chosen_take),
        )
    return page(request, "ballot.html", shown)


@router.get("/ballots/{ballot_id}/{side}")
def ballot_audio(desk: TheDesk, ballot_id: int, side: Literal["a", "b"], who: Reviewer) -> Response:
    """Send one of the two sounds."""
    with Session(desk.engine) as session:
        ballot = _ballot(session, who, ballot_id)
    return _sound(desk, ballot.window_id, ballot.take_a if side == "a" else ballot.take_b)


@router.post("/ballots/{ballot_id}/vote")
def vote(
    request: Request, desk: TheDesk, ballot_id: int, who: Reviewer, fields: Fields
) -> Response:
    """Record which of the two was better."""
    form = VoteForm.model_validate(fields)
    with transaction(desk.engine, actor=who.name, reason="compared two takes blind") as session:
        ballot = listening.vote(session, _ballot(session, who, ballot_id), form.choice)
    taken = {"take_a": ballot.take_a, "take_b": ballot.take_b, "preferred": ballot.preferred}
    return done(request, f"/ballots/{ballot_id}", "Your vote is recorded.", **taken)


@router.post("/ballots/{ballot_id}/choose")
def choose(request: Request, desk: TheDesk, ballot_id: int, who: Reviewer, _: Fields) -> Response:
    """Let the vote count: the preferred take is mastered in the place of the one chosen before."""
    why = "the take preferred in a blind comparison is chosen"
    with transaction(desk.engine, actor=who.name, reason=why) as session:
        window = listening.choose_preferred(session, _ballot(session, who, ballot_id))
        production_id, number, take = window.production_id, window.number, window.chosen_take
    said = (
        f"Take {(take or 0) + 1} of window {number + 1} is chosen; the chapter is mastered again."
    )
    return done(request, f"/productions/{production_id}", said, chosen_take=take)


def _rows(session: Session, window_id: int) -> tuple[Window, Chapter, Production]:
    window = session.get(Window, window_id)
    if window is None:
        raise NotFound(f"there is no window {window_id}")
    chapter = session.get_one(Chapter, window.chapter_id)
    return window, chapter, chapter.production


def _place(
    desk: Desk, chapter: Chapter, window: Window
) -> tuple[TimedWindow | None, list[TimedWord]]:
    times = desk.documents.times(chapter) if chapter.audio_digest else None
    span = next((w for w in times.windows if w.number == window.number), None) if times else None
    if times is None or span is None:
        return None, []
    middle = [(word, (word.start_s + word.end_s) / 2) for word in times.words]
    return span, [word for word, at_s in middle if span.start_s <= at_s < span.end_s]


def _ballot(session: Session, who: Visitor, ballot_id: int) -> Ballot:
    ballot = session.get(Ballot, ballot_id)
    if ballot is None or ballot.account_id != who.account_id:
        raise NotFound(f"there is no ballot {ballot_id} of yours")
    return ballot


def _sound(desk: Desk, window_id: int, number: int) -> Response:
    with Session(desk.engine) as session:
        take = session.scalars(
            select(Take).where(Take.window_id == window_id, Take.number == number)
        ).one_or_none()
    if take is None or take.audio_key is None or take.audio_digest is None:
        raise NotFound("the sound of this take is not kept any more")
    path = desk.shelf.levelled(take.audio_key, take.audio_digest)
    return FileResponse(path, media_type="audio/flac", headers={"Cache-Control": "no-store"})
