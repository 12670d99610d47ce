"""The Prefect flows on a real server: their runs have names and artifacts, and do the work."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from flows.factory.intake import Narrator, Wish, submit
from flows.measure.bench_books import write_book
from flows.services import Services
from storage import productions
from storage.states import ProductionState


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Run one Prefect server for the session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def state(opened: Services, production_id: int) -> str:
    with Session(opened.engine) as session:
        return productions.get(session, production_id).state


def test_flows_make_what_was_submitted_and_show_it(
    prefect_server: None, opened: Services, narrator: Narrator, tmp_path: Path
) -> None:
    from prefect.client.orchestration import get_client

    from flows.factory import prefect_flows

    wish = Wish(questions=("signal",))
    ids = [
        submit(opened, write_book(tmp_path, title, (1,)), narrator, wish, actor="tester").id
        for title in ("The Road", "The Hill")
    ]
    assert prefect_flows.produce(ids[0]) == ProductionState.AWAITING_REVIEW
    night = prefect_flows.nightly("23:59")
    assert night["admitted"] == {ids[1]: "The Hill"}
    assert state(opened, ids[1]) == ProductionState.AWAITING_REVIEW
    assert prefect_flows.work(0.05)["read"] == 0
    assert prefect_flows.reconcile()["to_publish"] == ()
    with get_client(sync_client=True) as client:
        runs = {run.name for run in client.read_flow_runs()}
        artifacts = {artifact.key for artifact in client.read_artifacts()}
    assert {f"The Road (production {ids[0]})", "night until 23:59", "reconciliation"} <= runs
    assert {
        "shift",
        "night-productions",
        "reconciled",
        f"production-{ids[0]}-manuscript",
    } <= artifacts


def test_intake_queues_a_book_and_refuses_what_cannot_be_read(
    prefect_server: None, opened: Services, tmp_path: Path
) -> None:
    from flows.factory import prefect_flows
    from generation.errors import EmptyManuscript

    production_id = prefect_flows.intake(str(write_book(tmp_path, "The Lamp", (1,))), priority=2)
    assert state(opened, production_id) == ProductionState.SUBMITTED
    empty = tmp_path / "empty.md"
    empty.write_text("", "utf-8")
    with pytest.raises(EmptyManuscript):
        prefect_flows.intake(str(empty))
