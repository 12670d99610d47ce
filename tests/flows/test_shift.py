"""A shift: books go through the queue, failures come back for another take, and nothing is done twice."""

from pathlib import Path

from small_books import write_book
from sqlalchemy.orm import Session

from flows.intake import Narrator, Wish, submit
from flows.plan import admit_and_plan
from flows.services import Services
from flows.shift import Limits, Shift, Tally
from storage import productions
from storage.models import Production, Take, Window
from storage.states import ProductionState

WISH = Wish(questions=("signal",))


def planned(
    opened: Services, narrator: Narrator, folder: Path, chapters: tuple[int, ...] = (2, 1)
) -> int:
    """Submit and plan a small book; returns its production."""
    book = write_book(folder, "The Lamp", chapters)
    production = submit(opened, book, narrator, WISH, actor="tester")
    assert admit_and_plan(opened, production.id, actor="tester").state == ProductionState.PRODUCING
    return production.id


def work(opened: Services) -> Tally:
    return Shift(opened, Limits(lease_s=5.0)).run()


def production(opened: Services, production_id: int) -> Production:
    with Session(opened.engine, expire_on_commit=False) as session:
        found = productions.get(session, production_id)
        _ = found.chapters
        return found


def windows(opened: Services, production_id: int) -> list[Window]:
    with Session(opened.engine) as session:
        return [
            window
            for chapter in productions.get(session, production_id).chapters
            for window, _ in productions.chosen_takes(session, chapter.id)
        ]


def takes(opened: Services, window_id: int) -> list[Take]:
    with Session(opened.engine) as session:
        return list(productions.takes(session, window_id))


def test_a_book_comes_to_await_review(opened: Services, narrator: Narrator, tmp_path: Path) -> None:
    production_id = planned(opened, narrator, tmp_path, (4, 1))
    tally = work(opened)
    made = production(opened, production_id)
    assert made.state == ProductionState.AWAITING_REVIEW
    assert made.content_digest is not None
    assert tally.finished == [production_id]
    assert tally.mastered == 2
    assert tally.read == tally.rendered - tally.reread
    with Session(opened.engine) as session:
        report = productions.last_report(session, production_id)
    assert report is not None
    assert report.content_digest == made.content_digest
    assert opened.store.get(report.key)
    assert tally.reading_s > 0
    assert tally.rendering_s > 0
    # The same order again is the same production, and there is nothing to do.
    again = submit(opened, tmp_path / "the-lamp.md", narrator, WISH, actor="tester")
    assert again.id == production_id
    assert work(opened).rendered == 0
