"""The deployments: which flows can be asked for, which run by the clock, and the home's runner of them.

This table is the one place that names them. On embedded defaults `lectern up` starts a runner (this module as
a program) that registers and serves them; for a Prefect server of one's own `infra/prefect.yaml` says the
same, and a test compares the two.
"""

import json
import os
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import psutil

from flows.operate import daemons
from flows.operate.prefect_server import prefect_environment
from flows.settings import Settings, SettingsError
from storage.errors import ServerError

SERVICE = "prefect-runner"
"""Name of the runner's processes and log."""

NAME = "lectern"
"""Name of every deployment: `nightly/lectern` and so on."""

START_S = 300.0
"""How long the runner may take until all deployments are ready."""

POLL_S = 5
"""How often the runner asks for runs that are due."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A flow that can be asked for.

    Attributes
    ----------
    flow
        Its name.
    entrypoint
        `module:function`.
    description
        What it does, for Prefect's pages.
    cron
        Name of the setting that says when it runs by itself; none: only when asked for. Such a run is the
        only one of its flow: while it goes on, the next is cancelled.
    """

    flow: str
    entrypoint: str
    description: str
    cron: str | None = None


DEPLOYMENTS: tuple[Deployment, ...] = (
    Deployment(
        "intake",
        "flows.factory.prefect_flows:intake",
        "Enrols a book that lies on this machine and queues its production.",
    ),
    Deployment(
        "produce",
        "flows.factory.prefect_flows:produce",
        "Makes one production now, out of turn, until it awaits review.",
    ),
    Deployment(
        "work",
        "flows.factory.prefect_flows:work",
        "Works one shift on this machine's device.",
    ),
    Deployment(
        "nightly",
        "flows.factory.prefect_flows:nightly",
        "Admits by priority and due date, and works until the closing time.",
        cron="nightly_cron",
    ),
    Deployment(
        "publish",
        "flows.factory.prefect_flows:publish",
        "Packages, signs and stores an approved production, once, whatever happens.",
    ),
    Deployment(
        "reconcile",
        "flows.factory.prefect_flows:reconcile",
        "Takes up what was begun and forgotten, and removes what may go.",
        cron="reconcile_cron",
    ),
)
"""All deployments."""


def serve(deployments: tuple[Deployment, ...], settings: Settings) -> None:
    """Register deployments and run what is due, until told to end; schedules stay for the next runner."""
    from prefect import serve as serve_prefect
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.deployments.runner import EntrypointType
    from prefect.schedules import Cron

    alone = ConcurrencyLimitConfig(limit=1, collision_strategy="CANCEL_NEW")

    served = []
    for one in deployments:
        module, _, function = one.entrypoint.partition(":")
        flow = getattr(import_module(module), function)
        schedule = (
            Cron(getattr(settings, one.cron), timezone=settings.timezone) if one.cron else None
        )
        served.append(
            flow.to_deployment(
                NAME,
                schedule=schedule,
                description=one.description,
                concurrency_limit=alone if one.cron else None,
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
        )
    _await_server()
    serve_prefect(*served, pause_on_shutdown=False, print_starting_message=False)


def _await_server() -> None:
    """Wait until the Prefect server answers; it may have been started together with us."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"{os.environ['PREFECT_API_URL']}/health"):
            return
        time.sleep(0.2)


def start_runner(
    settings: Settings, command: tuple[str, ...] = ("-m", "flows.factory.deployments")
) -> None:
    """Start the home's runner, unless it runs with the same settings; does not wait until it is ready."""
    wanted = {
        **prefect_environment(settings),
        **settings.environment(),
        "PREFECT_RUNNER_POLL_FREQUENCY": str(POLL_S),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,generation,qa,storage",
    }
    found = daemons.running(settings.folder, SERVICE)
    if found and all(_runs_with(process, wanted) for process in found):
        return
    stop_runner(settings)
    daemons.launch(
        settings.folder, SERVICE, [sys.executable, *command], {**daemons.inherited(), **wanted}
    )


def stop_runner(settings: Settings) -> None:
    """Stop the runner if it runs, and the flow runs that it started; what they committed stays."""
    daemons.stop(settings.folder, SERVICE)


def await_runner(settings: Settings, flows: frozenset[str]) -> None:
    """Wait until the runner serves these flows; raises ServerError where it does not."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if flows <= ready_flows(settings):
            return
        if not daemons.running(settings.folder, SERVICE):
            break
        time.sleep(0.2)
    raise ServerError(
        f"the runner of the deployments did not get ready:"
        f" {daemons.last_words(settings.folder, SERVICE) or 'it said nothing'};"
        f" see {daemons.log_of(settings.folder, SERVICE)}"
    )


def ready_flows(settings: Settings) -> frozenset[str]:
    """Return the names of the flows whose deployments somebody serves, as the Prefect server knows it."""
    environment = prefect_environment(settings)
    try:
        flows = {one["id"]: one["name"] for one in _ask(environment, "flows")}
        found = _ask(environment, "deployments")
    except OSError:
        return frozenset()
    return frozenset(
        flows.get(one["flow_id"], "")
        for one in found
        if one["name"] == NAME and one["status"] == "READY"
    )


def _ask(environment: Mapping[str, str], what: str) -> list[dict[str, Any]]:
    """Return all objects of a kind from the Prefect server."""
    headers = {"Content-Type": "application/json"}
    if sign_in := environment.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(sign_in.encode()).decode('ascii')}"
    address = f"{environment['PREFECT_API_URL']}/{what}/filter"
    request = urllib.request.Request(address, b'{"limit": 200}', headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


def _runs_with(process: psutil.Process, wanted: Mapping[str, str]) -> bool:
    environment = process.environ()
    return all(environment.get(name) == value for name, value in wanted.items())


def main() -> None:
    """Be the runner."""
    from flows.operate.logs import log_to

    try:
        settings = Settings()
    except SettingsError as error:
        sys.exit(f"lectern: {error}")
    log_to(settings)
    serve(DEPLOYMENTS, settings)


if __name__ == "__main__":
    main()
