"""A shift: books go through the queue, failures come back for another take, and nothing is done twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.orm import Session

from flows.factory.intake import Narrator, Wish, submit
from flows.factory.judging import SCORE, Depth
from flows.factory.plan import admit_and_plan, admit_next
from flows.factory.shift import Shift
from flows.factory.studio import stored_book
from flows.factory.tally import Limits, Tally, Watch
from flows.measure.bench_books import write_book
from flows.services import Services
from generation.documents import sound_bytes
from generation.manuscript.book import Book
from generation.rates import SAMPLE_RATE_HZ
from qa.repair import MAX_TAKES
from storage import enrolment, keys, productions
from storage.database import transaction
from storage.errors import StoreUnavailable
from storage.models import Event, Production, Take, Window
from storage.objects import put_once
from storage.queue import Queue, Rendering
from storage.states import ProductionState, WindowState

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


def events(opened: Services, production_id: int) -> list[Event]:
    with Session(opened.engine) as session:
        return list(productions.events(session, production_id))


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


def test_a_silent_take_goes_back_through_the_queue_and_the_best_is_kept(
    opened: Services, narrator: Narrator, tmp_path: Path
) -> None:
    production_id = planned(opened, narrator, tmp_path, (1,))
    reader = Shift(opened, Limits(lease_s=5.0, max_attempts=1))  # nor can silence be mastered
    saboteur = Queue(opened.engine, "saboteur", production_id=production_id)
    silence = sound_bytes(np.zeros(4 * SAMPLE_RATE_HZ, np.float32))

    def sabotage(watch: Watch) -> bool:
        """Render nothing but silence for whatever is ready, in place of the shift."""
        leases = saboteur.lease_rendering(8)
        for lease in leases:
            key = keys.window_part(
                *(lease.production_id, lease.chapter_number, lease.number),
                *(lease.take, lease.lease, "audio"),
            )
            stored = put_once(opened.store, key, silence)
            done = Rendering(lease, stored.key, stored.digest, 4.0, {"forced": 0, "complete": True})
            assert saboteur.complete_renderings([done]) == []
        return bool(leases)

    reader.booth.render = sabotage  # type: ignore[method-assign]
    tally = reader.run()
    (window,) = windows(opened, production_id)
    made = takes(opened, window.id)
    assert [take.verdict for take in made] == ["fail"] * MAX_TAKES
    assert tally.sent_back == tally.reread == MAX_TAKES - 1
    assert len({take.tokens_digest for take in made}) == MAX_TAKES
    assert any("silent" in fault for fault in made[0].measures["faults"])
    assert window.state == WindowState.ACCEPTED
    assert window.trouble is not None
    assert f"of {MAX_TAKES} is the best" in window.trouble
    assert made[-1].measures["decision"]["reason"] == window.trouble
    sent_back = [event for event in events(opened, production_id) if event.to_state == "redo"]
    assert len(sent_back) == MAX_TAKES - 1
    assert all("silent" in event.detail["trouble"] for event in sent_back)
    with Session(opened.engine) as session:
        assert productions.faulty_windows(session, production_id) == 1


def test_words_and_voice_are_measured_where_the_order_wants_it(
    opened: Services, narrator: Narrator, tmp_path: Path
) -> None:
    book = write_book(tmp_path, "The Lamp", (1,))
    wish = replace(WISH, takes_by=Depth.FULL)
    ordered = submit(opened, book, narrator, wish, actor="tester")
    by_signal = submit(opened, book, narrator, WISH, actor="tester")
    assert ordered.id != by_signal.id, "what decides on takes is part of the order"
    admit_and_plan(opened, ordered.id, actor="tester")
    tally = work(opened)
    (window,) = windows(opened, ordered.id)
    made = takes(opened, window.id)
    assert len(made) == MAX_TAKES, "nobody understands an untrained voice"
    assert all(take.measures[SCORE]["words"] > 10 for take in made)
    assert "words differ" in made[0].measures["decision"]["reason"]
    assert made[-1].measures["decision"]["action"] == "keep best"
    assert tally.judging_s > 0
    with Session(opened.engine) as session:
        assert productions.takes_again(session, ordered.id) == MAX_TAKES - 1


def test_a_person_has_a_word_said_otherwise_in_one_window_only(
    opened: Services, narrator: Narrator, tmp_path: Path
) -> None:
    production_id = planned(opened, narrator, tmp_path, (4,))
    work(opened)
    before = windows(opened, production_id)
    assert len(before) >= 2
    first = production(opened, production_id).content_digest
    with transaction(opened.engine, actor="reviewer", reason="sounds wrong") as session:
        productions.redo(session, before[1].id, directions={"the": "thee-AH-thee"})
    tally = work(opened)
    after = windows(opened, production_id)
    assert tally.reread >= 1
    assert tally.read == 0
    assert after[0].chosen_take == before[0].chosen_take
    assert after[1].chosen_take is not None
    assert after[1].chosen_take > (before[1].chosen_take or 0)
    chosen = takes(opened, after[1].id)[after[1].chosen_take]
    assert chosen.duration_s is not None
    remade = production(opened, production_id)
    assert remade.state == ProductionState.AWAITING_REVIEW
    assert remade.content_digest != first


def test_what_cannot_be_planned_fails_and_the_next_book_is_taken(
    opened: Services, narrator: Narrator, tmp_path: Path
) -> None:
    poisoned = write_book(tmp_path, "Poison", (1,), poisoned=True)
    bad = submit(opened, poisoned, narrator, Wish(priority=9, questions=("signal",)))
    good = submit(opened, write_book(tmp_path, "Good", (1,)), narrator, WISH)
    admitted = admit_next(opened, actor="tester")
    assert admitted is not None
    assert admitted.id == good.id
    failed = production(opened, bad.id)
    assert failed.state == ProductionState.FAILED
    assert "correct the text" in (failed.trouble or "")


def test_a_store_that_is_away_while_a_plan_is_made_leaves_no_book_unplanned(
    opened: Services, narrator: Narrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = [write_book(tmp_path, title, (1,)) for title in ("First", "Second")]
    ids = {submit(opened, book, narrator, WISH).id for book in books}
    outages = iter([StoreUnavailable("away"), StoreUnavailable("away")])

    def read(services: Services, manuscript_id: int) -> Book:
        for outage in outages:
            raise outage
        return stored_book(services, manuscript_id)

    monkeypatch.setattr("flows.factory.plan.stored_book", read)
    taken = [admit_next(opened, actor="tester") for _ in books]
    assert {one.id for one in taken if one} == ids
    assert {production(opened, one).state for one in ids} == {ProductionState.PRODUCING}


def test_a_revoked_consent_stops_the_work_under_way(
    opened: Services, narrator: Narrator, tmp_path: Path
) -> None:
    production_id = planned(opened, narrator, tmp_path, (4, 4))

    def revoke(name: str) -> None:
        if name == "rendering":
            enrolment.revoke_consents(
                opened.engine, voice_id=narrator.voice.id, actor="owner", reason="no more"
            )

    shift = Shift(opened, Limits(lease_s=5.0), phase=revoke)
    tally = shift.run()
    stopped = production(opened, production_id)
    assert stopped.state == ProductionState.REFUSED
    assert "revoked" in (stopped.trouble or "")
    assert tally.lost >= 1
    assert not Queue(opened.engine, "looker").depth()
