"""The Prefect flows: what the factory does, as runs that an operator sees, starts, schedules and retries.

Each is thin: the work is a plain function of the module of the same name, and PostgreSQL knows what is done.
A task is tried again only where the same call may succeed later: while database or store are away.
A production that waits for review is a row, not a run: it holds no worker.
"""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff
from sqlalchemy.orm import Session

from flows.factory.intake import Submission, Wish, narrator_named, read_wish
from flows.factory.intake import submit as submit_book
from flows.factory.nightly import closing_time
from flows.factory.nightly import nightly as work_a_night
from flows.factory.patience import PASSING
from flows.factory.plan import admit_and_plan
from flows.factory.publish import publish as publish_release
from flows.factory.reconcile import reconcile as take_up
from flows.factory.reconcile import to_publish
from flows.factory.shift import Shift
from flows.factory.studio import default_device
from flows.factory.tally import Limits
from flows.services import Services, services
from flows.settings import Settings
from storage import productions
from storage.states import ProductionState

RETRIES = 3
BACKOFF_S = 20
PUBLISH_WAIT_S = 300.0


def _may_pass(task: Any, task_run: Any, state: Any) -> bool:
    """Whether a failure is one that the same call may be free of later."""
    return isinstance(state.result(raise_on_failure=False), PASSING)


_AGAIN: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "retries": RETRIES,
    "retry_delay_seconds": exponential_backoff(BACKOFF_S),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": _may_pass,
}
"""How tasks are tried again."""


# Intake ---------------------------------------------------------------------------------------------


@flow(name="intake", flow_run_name="intake of {manuscript}")
def intake(
    manuscript: str,
    voice: str = "joe",
    metadata: str | None = None,
    priority: int = 0,
    due_at: datetime | None = None,
    chapters: str = "",
    seed: int = 0,
    lexicon: str | None = None,
) -> int:
    """Enrol a book that lies on this machine and queue its production; returns the production's id."""
    with services(Settings()) as opened:
        wish = read_wish(chapters, seed, Path(lexicon) if lexicon else None, priority, due_at)
        submission = Submission.load(Path(metadata)) if metadata else None
        production_id = enrol_and_queue(opened, Path(manuscript), voice, wish, submission)
        show_productions(opened, [production_id], "intake")
    return production_id


@task(name="enrol and queue", **_AGAIN)
def enrol_and_queue(
    opened: Services, manuscript: Path, voice: str, wish: Wish, submission: Submission | None
) -> int:
    """Enrol manuscript and voice, and submit the order."""
    narrator = narrator_named(opened, voice, "intake")
    return submit_book(opened, manuscript, narrator, wish, submission).id


# One production -------------------------------------------------------------------------------------


@flow(name="produce", flow_run_name="production {production_id}")
def produce(production_id: int) -> str:
    """Make one production now, out of turn, until it awaits review; returns its state."""
    with services(Settings()) as opened:
        name_run(opened, production_id)
        plan_production(opened, production_id)
        make_production(opened, production_id)
        show_productions(opened, [production_id], f"production-{production_id}")
        with Session(opened.engine) as session:
            return productions.get(session, production_id).state


@task(name="plan", **_AGAIN)
def plan_production(opened: Services, production_id: int) -> None:
    """Admit the production and write its scripts and windows."""
    admit_and_plan(opened, production_id, actor="produce")


@task(name="make", **_AGAIN)
def make_production(opened: Services, production_id: int) -> None:
    """Work on this production alone until it is made, failed or stopped."""

    def made() -> bool:
        with Session(opened.engine) as session:
            state = productions.get(session, production_id).state
        return state not in {ProductionState.PRODUCING, ProductionState.MASTERED}

    limits = Limits(production_id=production_id)
    show_shift(Shift(opened, limits, device=default_device()).run(made).as_json())


# Shifts and nights ------------------------------------------------------------------------------------


@flow(name="work", flow_run_name="shift of {for_minutes} minutes")
def work(for_minutes: float | None = None) -> dict[str, Any]:
    """Work one shift on this machine's device; returns its tally."""
    with services(Settings()) as opened:
        return work_shift(opened, for_minutes)


@task(name="shift", **_AGAIN)
def work_shift(opened: Services, for_minutes: float | None) -> dict[str, Any]:
    """Keep the lanes full until the time is up or nothing is left."""
    until = None if for_minutes is None else time.monotonic() + 60 * for_minutes
    tally = Shift(opened, Limits(until=until), device=default_device()).run().as_json()
    show_shift(tally)
    show_productions(opened, tally["finished"], "shift")
    return tally


@flow(name="nightly", flow_run_name="night until {until}")
def nightly(until: str | None = None) -> dict[str, Any]:
    """Admit by priority and due date and work until the closing time; returns what the night did."""
    settings = Settings()
    closing = closing_time(until or settings.nightly_until, datetime.now(settings.zone))
    with services(settings) as opened:
        night = work_night(opened, closing)
        publish_approved(opened)
        return night


@task(name="night", **_AGAIN)
def work_night(opened: Services, closing: datetime) -> dict[str, Any]:
    """Admit and work until the night closes or the queue is empty."""
    night = work_a_night(opened, closing, device=default_device()).as_json()
    show_shift(night["shift"])
    show_productions(opened, list(night["admitted"]), "night")
    return night


@flow(name="reconcile", flow_run_name="reconciliation")
def reconcile() -> dict[str, Any]:
    """Take up what was begun and forgotten, and remove what may go; returns what was found."""
    with services(Settings()) as opened:
        found = take_up_forgotten(opened)
        publish_approved(opened)
        return found


@task(name="take up what was forgotten", **_AGAIN)
def take_up_forgotten(opened: Services) -> dict[str, Any]:
    """Reclaim leases, finish plans and reports, publish approvals, expire and sweep."""
    found = take_up(opened).as_json()
    create_table_artifact([found], key="reconciled", description="What reconcile found and did")
    return found


# Publishing -----------------------------------------------------------------------------------------------


@flow(name="publish", flow_run_name="publication of {production_id}")
def publish(production_id: int) -> str:
    """Publish an approved production; returns its release digest."""
    with services(Settings()) as opened:
        name_run(opened, production_id)
        return publish_production(opened, production_id)


def publish_approved(opened: Services) -> None:
    """Publish whatever is approved; one that cannot be published fails its task and no other."""
    for production_id in to_publish(opened):
        publish_production(opened, production_id, return_state=True)


@task(name="publish", **_AGAIN)
def publish_production(opened: Services, production_id: int) -> str:
    """Package, sign and store a release, or take up where another left it."""
    done = publish_release(opened, production_id, wait_s=PUBLISH_WAIT_S)
    create_link_artifact(
        opened.store.url(done.manifest_key),
        link_text=done.digest,
        key=f"production-{production_id}-release",
        description="The release, as published",
    )
    return done.digest


# What an operator sees ----------------------------------------------------------------------------------


def name_run(opened: Services, production_id: int) -> None:
    """Name the run after the book, and link it to the manuscript."""
    with Session(opened.engine) as session:
        production = productions.get(session, production_id)
        title, words, source = (
            production.manuscript.title,
            production.words,
            production.manuscript.source_key,
        )
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=f"{title} (production {production_id})")
    get_run_logger().info("production %d: %s, %d words", production_id, title, words)
    create_link_artifact(
        opened.store.url(source),
        link_text=title,
        key=f"production-{production_id}-manuscript",
        description="The manuscript, as submitted",
    )


def show_shift(tally: dict[str, Any]) -> None:
    """Put a shift's tally on its run."""
    rows = [{"what": name, "value": str(value)} for name, value in tally.items()]
    create_table_artifact(
        rows, key="shift", description="What the shift did, and its device's time"
    )


def show_productions(opened: Services, ids: list[int], key: str) -> None:
    """Put the productions that a run was about on it, as a table."""
    rows = []
    with Session(opened.engine) as session:
        for production_id in ids:
            production = productions.get(session, production_id)
            report = productions.last_report(session, production_id)
            rows.append(
                {
                    "production": production_id,
                    "title": production.manuscript.title,
                    "voice": production.voice.name,
                    "state": production.state,
                    "verdict": report.verdict if report else "",
                    "report": report.digest if report else "",
                    "trouble": production.trouble or "",
                }
            )
    if rows:
        create_table_artifact(rows, key=f"{key}-productions", description="Productions of this run")
