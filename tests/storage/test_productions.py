"""Productions: the same order once, the same plan once, reports and decisions on what they name."""

import pytest
import scenarios
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage import productions
from storage.database import transaction
from storage.errors import NotFound, TransitionRefused
from storage.objects import FolderStore
from storage.queue import Queue
from storage.states import ProductionState


def test_the_same_order_is_the_same_production(engine: Engine, store: FolderStore) -> None:
    first = scenarios.producing(engine, store, (2,))
    assert scenarios.submit(engine, store).id == first.id
    assert scenarios.submit(engine, store, seed=1).id != first.id
    with transaction(engine, actor="editor", reason="a wrong file") as session:
        productions.cancel(session, first.id)
    assert scenarios.submit(engine, store).id != first.id


def test_planning_again_is_the_same_plan_or_refused(engine: Engine, store: FolderStore) -> None:
    production = scenarios.producing(engine, store, (3, 2))
    scenarios.plan(engine, store, production.id, (3, 2))
    assert scenarios.count(engine, 'SELECT count(*) FROM "window"') == 5
    with pytest.raises(TransitionRefused, match="planned otherwise"):
        scenarios.plan(engine, store, production.id, (3, 3))
    other = scenarios.submit(engine, store, title="Empty")
    with pytest.raises(TransitionRefused, match="nothing to read"):
        scenarios.plan(engine, store, other.id, (1, 0))


def test_a_production_is_finished_only_with_all_chapters(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.producing(engine, store, (1, 1))
    with pytest.raises(TransitionRefused, match="not mastered"):
        scenarios.finish(engine, [production.id])
    scenarios.work_all(engine, store, Queue(engine, "worker"))
    with Session(engine) as session:
        assert productions.ready_to_finish(session) == [production.id]
        found = productions.progress(session, production.id)
        assert (found.done, found.rendered_s) == (1.0, 40.0)
        assert found.chapters == {"mastered": 2}
    assert scenarios.finish(engine, [production.id]) == scenarios.finish(engine, [production.id])
    with Session(engine) as session:
        assert productions.ready_to_finish(session) == []
        [mastered] = productions.in_states(session, ProductionState.MASTERED)
        assert mastered.id == production.id
        path = [
            e.to_state
            for e in productions.events(session, production.id)
            if e.subject == "production"
        ]
    assert path == ["submitted", "admitted", "producing", "mastered"]


def test_chosen_takes_come_in_order(engine: Engine, store: FolderStore) -> None:
    production = scenarios.producing(engine, store, (3,))
    scenarios.work_all(engine, store, Queue(engine, "worker"))
    [chapter_id] = scenarios.chapter_ids(engine, production.id)
    with Session(engine) as session:
        chosen = productions.chosen_takes(session, chapter_id)
        assert [(w.number, t.number, t.verdict) for w, t in chosen] == [
            (number, 0, "pass") for number in range(3)
        ]
        assert len(productions.takes(session, chosen[0][0].id)) == 1


def test_a_production_put_back_is_admitted_again(engine: Engine, store: FolderStore) -> None:
    production = scenarios.submit(engine, store)
    with transaction(engine, actor="night", reason="the night closes") as session:
        first = productions.admit(session)
        assert first is not None
        assert productions.admit(session) is None
        productions.put_back(session, first.id)
        again = productions.admit(session)
        assert again is not None
        assert again.id == production.id


def test_what_is_not_there_is_said(engine: Engine) -> None:
    with Session(engine) as session, pytest.raises(NotFound, match="no production 7"):
        productions.get(session, 7)
