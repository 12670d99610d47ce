"""Listening: what an account heard of a chapter, its notes, and its blind votes between takes.

What was heard is a set of stretches of one master of a chapter, named by its audio's digest: after another
master nothing of it counts as heard. PostgreSQL's multiranges unite them.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.dialects.postgresql.ranges import MultiRange
from sqlalchemy.orm import Session

from storage import productions
from storage.errors import NotFound, Refused
from storage.models import Chapter, Take, Window
from storage.review_tables import Account, Ballot, Heard, Note

Stretches = list[tuple[float, float]]
"""Seconds `[start, end)`, apart from each other and in order."""

MILLISECONDS = 1000

STRETCHES_AT_ONCE = 200
"""Most stretches that one report of a player may hold."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A note as a page shows it; `current` tells whether it is about the present master."""

    id: int
    chapter: int
    at_s: float
    text: str
    author: str
    written_at: datetime
    current: bool


def mark_heard(
    session: Session, *, account_id: int, chapter: Chapter, stretches: Iterable[tuple[float, float]]
) -> Stretches:
    """Add what was just heard of a mastered chapter; returns all that the account heard of it.

    Parameters
    ----------
    session : Session
        A transaction.
    account_id : int
        Who listened.
    chapter : Chapter
        To what.
    stretches : iterable of (float, float)
        Seconds in the chapter; what lies outside it is cut off.
    """
    assert chapter.audio_digest is not None
    end_ms = round((chapter.duration_s or 0.0) * MILLISECONDS)
    new = []
    for start_s, stop_s in list(stretches)[:STRETCHES_AT_ONCE]:
        start, stop = max(0, round(start_s * MILLISECONDS)), round(stop_s * MILLISECONDS)
        if start < min(stop, end_ms):
            new.append((start, min(stop, end_ms)))
    added = MultiRange(Range(start, stop) for start, stop in sorted(new))
    found = session.scalar(
        upsert(Heard)
        .values(
            account_id=account_id,
            chapter_id=chapter.id,
            audio_digest=chapter.audio_digest,
            stretches=added,
        )
        .on_conflict_do_update(
            index_elements=["account_id", "chapter_id", "audio_digest"],
            set_={"stretches": Heard.stretches + added, "heard_at": func.now()},
        )
        .returning(Heard.stretches)
    )
    return _seconds(found)


def heard(session: Session, *, account_id: int, production_id: int) -> dict[int, Stretches]:
    """Return what an account heard of the present masters of a production, by chapter number."""
    rows = session.execute(
        select(Chapter.number, Heard.stretches)
        .join(
            Heard,
            (Heard.chapter_id == Chapter.id) & (Heard.audio_digest == Chapter.audio_digest),
        )
        .where(Chapter.production_id == production_id, Heard.account_id == account_id)
    )
    return {number: _seconds(stretches) for number, stretches in rows}


def heard_s(stretches: Stretches, start_s: float, end_s: float) -> float:
    """Return how many seconds of a place were heard."""
    return sum(max(0.0, min(end_s, b) - max(start_s, a)) for a, b in stretches)


def add_note(
    session: Session, *, account_id: int, chapter: Chapter, at_s: float, text: str
) -> Note:
    """Write a note about a place in a mastered chapter."""
    if not 0 <= at_s <= (chapter.duration_s or 0.0):
        raise Refused(f"chapter {chapter.number} has no second {at_s:.1f}")
    note = Note(
        production_id=chapter.production_id,
        chapter_id=chapter.id,
        account_id=account_id,
        audio_digest=chapter.audio_digest,
        at_s=at_s,
        text=text,
    )
    session.add(note)
    session.flush()
    return note


def notes(session: Session, production_id: int) -> list[Remark]:
    """Return the notes on a production by place."""
    rows = session.execute(
        select(
            Note.id,
            Chapter.number,
            Note.at_s,
            Note.text,
            Account.name,
            Note.written_at,
            Note.audio_digest.is_not_distinct_from(Chapter.audio_digest),
        )
        .join(Chapter, Chapter.id == Note.chapter_id)
        .join(Account, Account.id == Note.account_id)
        .where(Note.production_id == production_id)
        .order_by(Chapter.number, Note.at_s, Note.id)
    )
    return [Remark(*row) for row in rows]


def comparable_takes(session: Session, window_id: int) -> Sequence[Take]:
    """Return the takes of a window whose sound is still there, first first."""
    return session.scalars(
        select(Take)
        .where(Take.window_id == window_id, Take.audio_key.is_not(None))
        .order_by(Take.number)
    ).all()


def draw_ballot(session: Session, *, account_id: int, window_id: int) -> Ballot:
    """Lay two takes of a window before a listener, the chosen one and the newest other, in random order.

    Raises
    ------
    NotFound
        Where there is no such window.
    Refused
        Where it has fewer than two takes to compare.
    """
    window = session.get(Window, window_id)
    if window is None:
        raise NotFound(f"there is no window {window_id}")
    numbers = [take.number for take in comparable_takes(session, window_id)]
    if len(numbers) < 2:
        raise Refused("this window has one take only: ask for another one, then compare")
    chosen = window.chosen_take if window.chosen_take in numbers else numbers[-1]
    other = max(number for number in numbers if number != chosen)
    first, second = (chosen, other) if secrets.randbits(1) else (other, chosen)
    ballot = Ballot(
        production_id=window.production_id,
        window_id=window_id,
        account_id=account_id,
        take_a=first,
        take_b=second,
    )
    session.add(ballot)
    session.flush()
    return ballot


def vote(session: Session, ballot: Ballot, choice: str) -> Ballot:
    """Give one's vote, `a`, `b` or `alike`; it stands.

    Raises
    ------
    RecordProtected
        Where the vote was given before.
    """
    session.refresh(ballot, with_for_update=True)
    ballot.preferred = {"a": ballot.take_a, "b": ballot.take_b}.get(choice)
    ballot.voted_at = func.now()
    session.flush()
    session.refresh(ballot)
    return ballot


def choose_preferred(session: Session, ballot: Ballot) -> Window:
    """Choose the take that was preferred blind; its chapter is mastered and judged again.

    Raises
    ------
    Refused
        Where there was no vote, none was preferred, or the preferred one is chosen already.
    TransitionRefused
        See `storage.productions.choose_take`.
    """
    if ballot.preferred is None:
        raise Refused("no take was preferred: vote for one, then choose it")
    window = session.get_one(Window, ballot.window_id)
    if window.chosen_take == ballot.preferred:
        raise Refused("the take you preferred is the chosen one already")
    return productions.choose_take(session, window.id, ballot.preferred)


def _seconds(stretches: MultiRange[int] | None) -> Stretches:
    return [
        (one.lower / MILLISECONDS, one.upper / MILLISECONDS)
        for one in stretches or ()
        if one.lower is not None and one.upper is not None
    ]
