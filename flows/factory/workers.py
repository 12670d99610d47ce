"""Workers by name, and their pulse: who holds a lease, whether it still lives, and a thread that says so."""

import logging
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from flows.factory.patience import PASSING
from storage.queue import Lease, Queue, Reclaimed

log = logging.getLogger(__name__)

Held = tuple[str, int, int]
"""A lease as held: its stage's kind (`ChapterLease`, `WindowLease`), row and number."""


def worker_name() -> str:
    """Name this process: machine, namespace of process numbers, process, and when it started."""
    return f"{_place()}/{os.getpid()}/{_started(os.getpid())}"


def dead_neighbours(names: Iterable[str]) -> list[str]:
    """Return those of the workers that ran on this machine and live no more."""
    return [name for name in names if name.startswith(f"{_place()}/") and not _lives(name)]


def reclaim_from_the_dead(queue: Queue) -> Reclaimed:
    """Requeue at once what killed processes of this machine had leased, and all leases that ran out."""
    return queue.expire(dead_neighbours(queue.leasing_workers()))


def _place() -> str:
    namespace = "0"
    with suppress(OSError):  # no /proc
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return f"{socket.gethostname()}/{namespace}"


def _started(pid: int) -> str:
    return f"{psutil.Process(pid).create_time():.2f}"


def _lives(name: str) -> bool:
    pid, started = name.split("/")[2:4]
    try:
        return _started(int(pid)) == started
    except (psutil.Error, ValueError):
        return False


class Pulse:
    """Heartbeats for all leases held, from a thread of its own, three in the time that a lease holds."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._held: dict[Held, Lease] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="pulse", daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def hold(self, leases: Iterable[Lease]) -> None:
        """Begin to keep leases alive."""
        with self._lock:
            self._held.update({_held(lease): lease for lease in leases})

    def drop(self, leases: Iterable[Lease]) -> None:
        """Stop keeping leases alive: they are completed, given back or lost."""
        with self._lock:
            for lease in leases:
                self._held.pop(_held(lease), None)

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is still kept: not dropped, and not found lost."""
        return _held(lease) in self._held

    def held(self) -> list[Lease]:
        """Return all leases kept at the moment."""
        with self._lock:
            return list(self._held.values())

    def _beat_on(self) -> None:
        while not self._stop.wait(self._queue.lease_s / 3):
            held = self.held()
            if not held:
                continue
            try:
                self.drop(lost.lease for lost in self._queue.heartbeat(held))
            except PASSING as error:  # the next beat may find the database again
                log.warning("no heartbeat: %s", str(error).partition("\n")[0])


def _held(lease: Lease) -> Held:
    return type(lease).__name__, lease.id, lease.lease
