"""Worker processes for the benchmarks: real shifts that say what they are at, and can be killed at it.

They come from a fork server that has everything imported, so that a worker is at work in a fraction of a
second. A worker writes a line into a pipe before each phase: `thread phase`. The last line that a thread
wrote before the process was killed is what it was killed at.
"""

import logging
import multiprocessing
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import torch
from sqlalchemy.orm import Session

import flows.factory.report  # noqa: F401  (the judges' models take seconds to import: once, in the server)
from flows.factory.nightly import nightly
from flows.factory.publish import TOKEN_S, publish
from flows.factory.shift import Shift
from flows.factory.studio import shipped_weights
from flows.factory.tally import Limits
from flows.services import Services, services
from flows.settings import Settings
from storage import productions
from storage.database import transaction
from storage.states import ProductionState

LEASE_S = 6.0
"""Short, so that what a killed machine held is soon free; dead processes of this machine are seen at once."""

MAX_ATTEMPTS = 100
"""More than one piece of work can be killed at."""

UNFINISHED = (
    ProductionState.SUBMITTED,
    ProductionState.ADMITTED,
    ProductionState.PRODUCING,
    ProductionState.MASTERED,
)
UNPUBLISHED = (
    ProductionState.AWAITING_REVIEW,
    ProductionState.APPROVED,
    ProductionState.PUBLISHING,
)

TAKE_OVER_S = 2 * TOKEN_S
"""How long to wait for a publisher that may have been killed."""


shipped_weights()  # read once in the fork server, and known to every worker


@dataclass
class Worker:
    """A worker process as its parent sees it."""

    name: str
    process: BaseProcess
    pipe: Connection
    at: dict[str, str] = field(default_factory=dict)
    """The last phase of each thread."""
    _rest: bytes = b""

    def follow(self, wanted: str, within_s: float) -> str | None:
        """Wait until a thread begins a phase; returns the thread, or none where the worker ends before."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            for thread, phase in self._read(left_s):
                if phase == wanted:
                    return thread
            if self.ended:
                return None
        return None

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self.process.exitcode is not None

    def end(self) -> None:
        """Wait until it ends by itself; raises RuntimeError where it ended with an error."""
        while not self.ended:
            self._read(0.5)
        if self.process.exitcode:
            raise RuntimeError(
                f"{self.name} ended with {self.process.exitcode}: see its log in the home"
            )

    def kill(self) -> dict[str, str]:
        """Kill it (−9); returns what each of its threads was at."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        while self._read(0.0):
            pass
        return dict(self.at)

    def _read(self, within_s: float) -> list[tuple[str, str]]:
        """Read the phases begun since; waits for one at most so long."""
        ready, _, _ = select.select([self.pipe], [], [], min(within_s, 0.5))
        if not ready:
            return []
        data = os.read(self.pipe.fileno(), 1 << 16)
        if not data:
            self.process.join(0.5)
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        begun = []
        for line in lines:
            thread, _, phase = line.decode().partition(" ")
            self.at[thread] = phase
            begun.append((thread, phase))
        return begun


def start_worker(
    settings: Settings, name: str, *, night_s: float | None = None, publishes: bool = False
) -> Worker:
    """Start a worker: a shift until every production is made, or a night of so many seconds.

    `publishes`: it also approves what awaits review, as a reviewer would, and publishes it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["flows.measure.bench_worker"])
    reading, writing = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(settings, name, writing, night_s, publishes), daemon=True
    )
    process.start()
    writing.close()
    return Worker(name, process, reading)


def all_made(opened: Services) -> bool:
    """Whether no production is unfinished."""
    return not _ids(opened, *UNFINISHED)


def all_published(opened: Services) -> bool:
    """Whether no production is unfinished or unpublished."""
    return not _ids(opened, *UNFINISHED, *UNPUBLISHED)


def _ids(opened: Services, *states: ProductionState) -> list[int]:
    with Session(opened.engine) as session:
        return [one.id for one in productions.in_states(session, *states)]


def _publish_all(opened: Services, phase: Callable[[str], None]) -> None:
    """Approve what awaits review and publish it, taking over from publishers that were killed."""
    for production_id in _ids(opened, ProductionState.AWAITING_REVIEW):
        with transaction(
            opened.engine, actor="reviewer", reason="the benchmark approves"
        ) as session:
            report = productions.last_report(session, production_id)
            assert report is not None  # it awaits review
            productions.decide(
                session,
                production_id,
                report_digest=report.digest,
                approved=True,
                reviewer="reviewer",
            )
    for production_id in _ids(opened, *UNPUBLISHED):
        phase("publishing")
        publish(opened, production_id, wait_s=TAKE_OVER_S)


def _work(
    settings: Settings, name: str, pipe: Connection, night_s: float | None, publishes: bool
) -> None:
    """Be a worker."""
    torch.set_num_threads(1)
    logging.basicConfig(
        filename=settings.folder / f"{name}.log", format="%(asctime)s %(levelname)s %(message)s"
    )
    threading.current_thread().name = "device"
    out = pipe.fileno()

    def phase(what: str) -> None:
        os.write(out, f"{threading.current_thread().name} {what}\n".encode())

    limits = Limits(lease_s=LEASE_S, max_attempts=MAX_ATTEMPTS)
    try:
        with services(settings) as opened:
            phase("started")
            if night_s is None:
                Shift(opened, limits, phase=phase).run(lambda: all_made(opened))
            else:
                closing = datetime.now(UTC) + timedelta(seconds=night_s)
                nightly(opened, closing, limits=limits, phase=phase)
            if publishes:
                _publish_all(opened, phase)
            phase("done")
    except Exception:
        logging.exception("the worker ends")
        raise
