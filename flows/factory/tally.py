"""What a shift may do and what it did: its limits, its tally, and the seconds of its device.

The device is several threads: one reads along the lanes, others turn windows into sound beside it. Each has a
`Watch` that books every second of it on one column, so that the columns together are the threads' wall time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flows.operate.metrics import device_seconds
from storage.queue import LEASE_S, MAX_ATTEMPTS

POLL_S = 0.5
"""How often an empty queue is asked again."""

Phase = Callable[[str], None]
"""Told by name what the worker is about to do: reading, rendering, storing, committing, …"""


@dataclass(frozen=True)
class Limits:
    """When a shift ends and how its leases are kept.

    Attributes
    ----------
    until
        `time.monotonic()` after which nothing new is begun; none: no end.
    production_id
        The only production to work on; none: all.
    lease_s, max_attempts
        As `storage.queue.Queue`.
    """

    until: float | None = None
    production_id: int | None = None
    lease_s: float = LEASE_S
    max_attempts: int = MAX_ATTEMPTS

    @property
    def over(self) -> bool:
        """Whether nothing new may be begun."""
        return self.until is not None and time.monotonic() >= self.until


@dataclass
class Tally:
    """What a shift did, and where its device's time went.

    Seconds of the device's threads, of which one reads and `render_threads` render: `reading_s` and
    `rendering_s` they worked; `idle_s` they had or could have had work and waited for database or store;
    `starved_s` there was nothing to lease for them. Seconds of the desk: `judging_s` it listened to takes,
    `mastering_s` it mastered. `wall_s`: of the whole shift.
    """

    read: int = 0
    reread: int = 0
    rendered: int = 0
    lost: int = 0
    audio_s: float = 0.0
    render_threads: int = 0
    reading_s: float = 0.0
    rendering_s: float = 0.0
    idle_s: float = 0.0
    starved_s: float = 0.0
    wall_s: float = 0.0
    judged: int = 0
    judging_s: float = 0.0
    mastering_s: float = 0.0
    sent_back: int = 0
    mastered: int = 0
    finished: list[int] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **amounts: float) -> None:
        """Add to columns, from any thread."""
        with self._lock:
            for column, amount in amounts.items():
                setattr(self, column, getattr(self, column) + amount)

    @property
    def idle_share(self) -> float:
        """Share of the device's threads' time with work to do in which they did none."""
        worked = self.reading_s + self.rendering_s + self.idle_s
        return self.idle_s / worked if worked else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        columns = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**columns, "idle_share": self.idle_share}


class Watch:
    """Books the seconds of one thread on one column of the tally at a time; `idle_s` where none is named."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._column, self._since = tally, "idle_s", time.monotonic()

    @contextmanager
    def on(self, column: str) -> Iterator[None]:
        """Book what happens inside on a column."""
        before = self.turn(column)
        try:
            yield
        finally:
            self.turn(before)

    def turn(self, column: str) -> str:
        """Book on another column from here on; returns the one before."""
        now, before = time.monotonic(), self._column
        device_seconds(before.removesuffix("_s"), now - self._since)
        self._tally.add(**{before: now - self._since})
        self._column, self._since = column, now
        return before
