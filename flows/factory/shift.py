"""A shift: one worker keeps its device's lanes full, and everything it makes is committed as it comes.

This thread reads (`lanes`); threads beside it render what was read (`booth`); judging, mastering and reports
are the desk's; another keeps the leases alive. Whatever ends the process, what was committed stays, and at
most one window a lane is read again.
"""

import time
from collections.abc import Callable

from flows.factory.booth import Booth
from flows.factory.desk import Desk
from flows.factory.keeping import Keeping
from flows.factory.lanes import Lanes
from flows.factory.patience import patiently
from flows.factory.studio import Studio
from flows.factory.tally import POLL_S, Limits, Phase, Tally, Watch
from flows.factory.workers import Pulse, reclaim_from_the_dead, worker_name
from flows.operate.metrics import serve_worker
from flows.services import Services
from storage.queue import Queue


class Shift:
    """One worker's shift on one device.

    Parameters
    ----------
    services : Services
        Database and object store.
    limits : Limits, optional
        When it ends.
    device : str
        The device.
    more : callable, optional
        Asked by the desk for more work when lanes stand empty; returns whether it found any.
    phase : callable, optional
        Told what the worker is about to do, by name.
    """

    def __init__(
        self,
        services: Services,
        limits: Limits | None = None,
        *,
        device: str = "cpu",
        more: Callable[[], bool] | None = None,
        phase: Phase = lambda name: None,
    ) -> None:
        self.services, self.limits = services, limits or Limits()
        studio = Studio(services, device)
        self.queue = Queue(
            services.engine,
            worker_name(),
            lease_s=self.limits.lease_s,
            max_attempts=self.limits.max_attempts,
            production_id=self.limits.production_id,
            profile=studio.profile,
        )
        self.tally = Tally()
        self._more, self._watch = more, Watch(self.tally)
        self._pulse = Pulse(self.queue)
        keeping = Keeping(services.store, self.queue, self._pulse, self.tally)
        self._desk = Desk(services, keeping, more=more, phase=phase)
        self.booth = Booth(keeping, studio, self.limits, self._desk, phase)
        self._lanes = Lanes(
            services, keeping, studio, self.limits, self._watch, phase, read=self._window_read
        )

    def run(self, done: Callable[[], bool] | None = None) -> Tally:
        """Work until the time is up, or `done` says so when there is nothing to do.

        Raises
        ------
        StorageError, OperationalError
            Database or store stay away for longer than a worker waits.
        """
        began = time.monotonic()
        serve_worker(self.services.settings)
        patiently(lambda: reclaim_from_the_dead(self.queue))
        with self._pulse, self._desk, self.booth:
            try:
                self._work(done or self._nothing_left)
            except Exception:
                raise  # leases run out by themselves, and count as attempts: whatever kills workers dies
            except BaseException:  # asked to stop
                self._close()
                self.queue.release(self._pulse.held())
                raise
            self._close()
            patiently(lambda: self.queue.release(self._pulse.held()))
        self._check()
        self.tally.wall_s = time.monotonic() - began
        return self.tally

    def _work(self, done: Callable[[], bool]) -> None:
        while not self.limits.over:
            self._check()
            if self._lanes.read():
                continue
            if done():
                break
            with self._watch.on("starved_s"):
                time.sleep(POLL_S)
            patiently(self.queue.reclaim)
        self._watch.turn("starved_s")

    def _window_read(self) -> None:
        self.booth.wake()
        self._check()

    def _check(self) -> None:
        self._desk.check()
        self.booth.check()

    def _close(self) -> None:
        self.booth.close()
        self._desk.close()

    def _nothing_left(self) -> bool:
        """Whether no production is under way any more (work that waits for another attempt counts)."""
        if patiently(self.queue.depth) or self._desk.busy:
            return False
        return self._more is None or not self._more()
