"""A shift: one worker keeps its device's lanes full, and everything it makes is committed as it comes.

The device reads chapters along their cursors and renders windows in this thread; judging, mastering and
reports are the desk's, a thread beside it; a third keeps the leases alive. Whatever ends the process, what
was committed stays, and at most one window a lane is read again.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from flows.factory.desk import Desk
from flows.factory.patience import patiently
from flows.factory.studio import Production, Studio, planned_windows
from flows.factory.workers import Pulse, reclaim_from_the_dead, worker_name
from flows.operate.metrics import device_seconds, serve_worker
from flows.operate.room import shortage
from flows.services import Services
from generation.documents import (
    Tokens,
    read_snapshot,
    read_tokens,
    snapshot_bytes,
    sound_bytes,
    tokens_bytes,
)
from generation.engine import ChapterJob, Engine, WindowRead
from generation.errors import LecternError
from generation.narration import unit_arrays
from generation.noise import content_seed
from generation.rates import samples_to_s
from generation.rendering import WindowReading
from generation.speechssm.reading import Snapshot
from generation.windows import Window
from storage import keys, productions
from storage.database import transaction
from storage.errors import ObjectCorrupt, ObjectMissing
from storage.objects import Stored, put_once
from storage.queue import (
    LEASE_S,
    MAX_ATTEMPTS,
    ChapterLease,
    Lease,
    Queue,
    Reading,
    Refused,
    Rendering,
    Rereading,
    WindowLease,
)

log = logging.getLogger(__name__)

ROOM_S = 30.0
"""How often the room on the disks is looked at."""

POLL_S = 0.5
"""How often an empty queue is asked again."""

RENDERED_BETWEEN = 8
"""Windows rendered at most before the lanes are read on."""

SPOILED = (LecternError, ObjectMissing, ObjectCorrupt)
"""What is wrong with one piece of work and leaves the rest of the shift unharmed."""

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


@dataclass
class Tally:
    """What a shift did, and where its device's time went.

    Seconds: `reading_s` and `rendering_s` the device worked; `idle_s` it could have worked but waited for
    database or store; `starved_s` there was nothing to lease.
    """

    read: int = 0
    reread: int = 0
    rendered: int = 0
    lost: int = 0
    audio_s: float = 0.0
    reading_s: float = 0.0
    rendering_s: float = 0.0
    idle_s: float = 0.0
    starved_s: float = 0.0
    judged: int = 0
    sent_back: int = 0
    mastered: int = 0
    finished: list[int] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def idle_share(self) -> float:
        """Share of the time with work to do in which the device did none."""
        worked = self.reading_s + self.rendering_s + self.idle_s
        return self.idle_s / worked if worked else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {**asdict(self), "idle_share": self.idle_share}


class Watch:
    """Books the seconds of the device's thread on one column of the tally at a time."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._column, self._since = tally, "idle_s", time.monotonic()

    @contextmanager
    def on(self, column: str) -> Iterator[None]:
        """Book what happens inside on a column."""
        before = self._switch(column)
        try:
            yield
        finally:
            self._switch(before)

    def _switch(self, column: str) -> str:
        now, before = time.monotonic(), self._column
        device_seconds(before.removesuffix("_s"), now - self._since)
        booked = getattr(self._tally, before) + now - self._since
        setattr(self._tally, before, booked)
        self._column, self._since = column, now
        return before


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
        self.services, self.limits, self.phase = services, limits or Limits(), phase
        self.studio = Studio(services, device)
        self.queue = Queue(
            services.engine,
            worker_name(),
            lease_s=self.limits.lease_s,
            max_attempts=self.limits.max_attempts,
            production_id=self.limits.production_id,
            profile=self.studio.profile,
        )
        self.tally = Tally()
        self._more, self._watch = more, Watch(self.tally)
        self._pulse = Pulse(self.queue)
        self._desk = Desk(services, self.queue, self._pulse, self.tally, more=more, phase=phase)
        self._lanes: dict[str, Lease] = {}
        self._other: ChapterLease | WindowLease | None = None
        self._asked = self._looked = float("-inf")
        self._short = False

    def run(self, done: Callable[[], bool] | None = None) -> Tally:
        """Work until the time is up, or `done` says so when there is nothing to do.

        Raises
        ------
        StorageError, OperationalError
            Database or store stay away for longer than a worker waits.
        """
        serve_worker(self.services.settings)
        patiently(lambda: reclaim_from_the_dead(self.queue))
        with self._pulse, self._desk:
            try:
                self._work(done or self._nothing_left)
            except Exception:
                raise  # leases run out by themselves, and count as attempts: whatever kills workers dies
            except BaseException:  # asked to stop
                self._desk.close()
                self.queue.release(self._pulse.held())
                raise
            self._desk.close()
            patiently(lambda: self.queue.release(self._pulse.held()))
        self._desk.check()
        return self.tally

    def _work(self, done: Callable[[], bool]) -> None:
        while not self._over:
            self._desk.check()
            if self._read() or self._render(RENDERED_BETWEEN):
                continue
            if done():
                break
            with self._watch.on("starved_s"):
                time.sleep(POLL_S)
            patiently(self.queue.reclaim)

    @contextmanager
    def leasing(self) -> Iterator[None]:
        """Book the time in which the engine waits for its next job."""
        with self._watch.on("idle_s"):
            yield

    @property
    def _over(self) -> bool:
        return self.limits.until is not None and time.monotonic() >= self.limits.until

    def _nothing_left(self) -> bool:
        """Whether no production is under way any more (work that waits for another attempt counts)."""
        if patiently(self.queue.depth) or self._desk.busy:
            return False
        return self._more is None or not self._more()

    # Reading ------------------------------------------------------------------------------------

    def _read(self) -> bool:
        """Read until no lane has work; returns whether any had."""
        first = self._other or self._lease()
        if first is None:
            return False
        self._other = None
        production = self.studio.production(first.production_id)
        engine = self._engine(production, first)
        if engine is None:
            return True
        reading = engine.read(_Jobs(self, production.reader_digest, first))
        try:
            while True:
                self.phase("reading")
                with self._watch.on("reading_s"):
                    read = next(reading, None)
                if read is None:
                    return True
                self._commit(engine, read)
                self._render(RENDERED_BETWEEN)
                self._desk.check()
        except (
            LecternError
        ) as error:  # a lane was given what it cannot read: its chapter is at fault
            for lease in self._lanes.values():
                self._give_up(lease, str(error))
            return True
        finally:
            reading.close()
            self._lanes.clear()

    def _engine(self, production: Production, lease: Lease) -> Engine | None:
        try:
            return self.studio.engine(production)
        except SPOILED as error:
            self._give_up(lease, str(error), permanent=True)
            return None

    def _lease(self) -> ChapterLease | WindowLease | None:
        """Lease the next chapter or window to be read, at most twice a second where there is none."""
        if self._over or time.monotonic() < self._asked + POLL_S or not self._has_room():
            return None
        leases: list[ChapterLease | WindowLease] = [
            *patiently(lambda: self.queue.lease_rereading(1))
        ]
        leases = leases or [*patiently(lambda: self.queue.lease_reading(1))]
        self._pulse.hold(leases)
        if not leases:
            self._asked = time.monotonic()
            return None
        return leases[0]

    def _has_room(self) -> bool:
        """Whether the disks have room for more work, looked at now and then."""
        now = time.monotonic()
        if now >= self._looked + ROOM_S:
            self._looked, short = now, shortage(self.services.settings)
            self._short = short is not None
            if short is not None:
                log.warning("no more is read: %s", short)
        return not self._short

    def next_job(self, reader_digest: str) -> ChapterJob | None:
        """Lease work that the engine's SpeechSSM can read; other work ends the reading and comes next."""
        while self._other is None:
            lease = self._lease()
            if lease is None:
                return None
            if self.studio.production(lease.production_id).reader_digest != reader_digest:
                self._other = lease
                return None
            job = self.job(lease)
            if job is not None:
                return job
        return None

    def job(self, lease: ChapterLease | WindowLease) -> ChapterJob | None:
        """Make the engine's job of a lease; work that is spoiled is given up, and none returned."""
        try:
            made = (
                self._chapter_job(lease)
                if isinstance(lease, ChapterLease)
                else self._window_job(lease)
            )
        except SPOILED as error:
            self._give_up(lease, str(error))
            return None
        self._lanes[made.key] = lease
        return made

    def _chapter_job(self, lease: ChapterLease) -> ChapterJob:
        production = self.studio.production(lease.production_id)
        script = self.studio.script(lease)
        units, starts = unit_arrays(script)
        return ChapterJob(
            key=f"chapter {lease.id}",
            units=units,
            word_starts=starts,
            windows=planned_windows(script, self._spans(lease.id)),
            seed_text=self.studio.seed_text(production, script, lease.number),
            first=lease.cursor,
            snapshot=self._snapshot(lease.snapshot_key, lease.snapshot_digest),
        )

    def _window_job(self, lease: WindowLease) -> ChapterJob:
        production = self.studio.production(lease.production_id)
        script = self.studio.script(lease)
        spans = self._spans(lease.chapter_id)[: lease.number + 1]
        windows = planned_windows(script, spans)
        part = self.studio.part(
            script, windows[-1], production, lease.chapter_number, lease.directions
        )
        units, starts = unit_arrays(part.script)
        return ChapterJob(
            key=f"window {lease.id}",
            units=units,
            word_starts=starts,
            windows=(*windows[:-1], part.window),
            seed_text=self.studio.seed_text(production, script, lease.chapter_number),
            take=lease.take + 1,
            first=lease.number,
            snapshot=self._snapshot(lease.entry_snapshot_key, lease.entry_snapshot_digest),
        )

    def _spans(self, chapter_id: int) -> list[tuple[int, int]]:
        def look_up() -> list[tuple[int, int]]:
            with transaction(
                self.services.engine, actor=self.queue.worker, reason="reads"
            ) as session:
                return productions.window_spans(session, chapter_id)

        return patiently(look_up)

    def _snapshot(self, key: str | None, digest: str | None) -> Snapshot | None:
        if key is None:
            return None
        return read_snapshot(patiently(lambda: self.services.store.get(key, digest=digest)))

    def _commit(self, engine: Engine, read: WindowRead) -> None:
        """Store and commit a window that was read, and go on with its chapter or let it go."""
        lease = self._lanes[read.key]
        reading = read.reading
        tokens = Tokens(reading.tokens, reading.pointer, read.forced, read.complete)
        self.phase("storing")
        if isinstance(lease, ChapterLease):
            going_on = self._commit_reading(lease, read, tokens)
            self.tally.read += 1
        else:
            stored = self._put(lease, "tokens", tokens_bytes(tokens))
            done = Rereading(lease, reading.seed % 2**64, stored.key, stored.digest)
            self.phase("committing")
            self._note_refused(patiently(lambda: self.queue.complete_rereadings([done])))
            self._pulse.drop([lease])
            going_on = None
            self.tally.reread += 1
        if going_on is None:
            engine.abandon(read.key)
            del self._lanes[read.key]
        else:
            self._lanes[read.key] = going_on

    def _commit_reading(
        self, lease: ChapterLease, read: WindowRead, tokens: Tokens
    ) -> ChapterLease | None:
        """Commit the window at a cursor; returns the lease as it goes on, or none."""
        kept = self._put(lease, f"{lease.cursor}-tokens", tokens_bytes(tokens))
        after = None
        if lease.cursor + 1 < lease.windows:
            after = self._put(lease, f"{lease.cursor}-snapshot", snapshot_bytes(read.exit))
        done = Reading(
            lease,
            read.reading.seed % 2**64,
            kept.key,
            kept.digest,
            after.key if after else None,
            after.digest if after else None,
        )
        self.phase("committing")
        going_on, refused = patiently(lambda: self.queue.commit_readings([done]))
        self._note_refused(refused)
        if going_on and not self._over and self._pulse.holds(lease):
            return going_on[0]
        self._pulse.drop([lease])
        if going_on:
            patiently(lambda: self.queue.release(going_on))
        return None

    # Rendering ----------------------------------------------------------------------------------

    def _render(self, limit: int) -> int:
        """Render windows that are ready, at most so many; returns how many."""
        rendered = 0
        while rendered < limit and not self._over:
            leases = patiently(lambda: self.queue.lease_rendering(self.studio.at_once))
            if not leases:
                break
            self._pulse.hold(leases)
            for production_id in {lease.production_id for lease in leases}:
                self._render_some([w for w in leases if w.production_id == production_id])
            rendered += len(leases)
        return rendered

    def _render_some(self, leases: list[WindowLease]) -> None:
        """Render windows of one production."""
        ready: list[tuple[WindowLease, WindowReading, Tokens]] = []
        for lease in leases:
            try:
                ready.append((lease, *self._reading(lease)))
            except SPOILED as error:
                self._give_up(lease, str(error))
        if not ready:
            return
        try:
            speaker = self.studio.speaker(self.studio.production(ready[0][0].production_id))
        except SPOILED as error:
            for lease, _, _ in ready:
                self._give_up(lease, str(error), permanent=True)
            return
        rendering = speaker.renderer.render([reading for _, reading, _ in ready])
        for _ in ready:
            self.phase("rendering")
            began = time.monotonic()
            with self._watch.on("rendering_s"):
                index, waveform = next(rendering)
            lease, _, tokens = ready[index]
            self.phase("storing")
            stored = self._put(lease, "audio", sound_bytes(waveform))
            measures = {
                "forced": tokens.forced,
                "complete": tokens.complete,
                "profile": self.studio.profile,
                "render_s": round(time.monotonic() - began, 3),
            }
            done = Rendering(
                lease, stored.key, stored.digest, samples_to_s(len(waveform)), measures
            )
            self.phase("committing")
            self._note_refused(patiently(partial(self.queue.complete_renderings, [done])))
            self._pulse.drop([lease])
            self.tally.rendered += 1
            self.tally.audio_s += done.duration_s
            self._desk.wake()

    def _reading(self, lease: WindowLease) -> tuple[WindowReading, Tokens]:
        """Return a leased window as it was read."""
        if lease.tokens_key is None:
            raise ObjectMissing(f"take {lease.take} of window {lease.id} has no tokens any more")
        key, digest = lease.tokens_key, lease.tokens_digest
        tokens = read_tokens(patiently(lambda: self.services.store.get(key, digest=digest)))
        production = self.studio.production(lease.production_id)
        script = self.studio.script(lease)
        window = Window(lease.number, lease.unit_start, lease.unit_end, 0.0)
        part = self.studio.part(script, window, production, lease.chapter_number, lease.directions)
        units, starts = unit_arrays(part.script)
        text = self.studio.seed_text(production, script, lease.chapter_number)
        seed = content_seed(text, lease.number, lease.take + 1)
        return WindowReading(units, starts, tokens.tokens, tokens.pointer, seed), tokens

    # Keeping ------------------------------------------------------------------------------------

    def _put(self, lease: Lease, name: str, data: bytes) -> Stored:
        """Store something made under a lease."""
        if isinstance(lease, ChapterLease):
            key = keys.chapter_part(lease.production_id, lease.number, lease.lease, name)
        else:
            key = keys.window_part(
                lease.production_id,
                lease.chapter_number,
                lease.number,
                lease.take,
                lease.lease,
                name,
            )
        return patiently(lambda: put_once(self.services.store, key, data))

    def _note_refused(self, refused: list[Refused]) -> None:
        for one in refused:
            self.tally.lost += 1
            log.warning("a result is thrown away: %s", one.reason)

    def _give_up(self, lease: Lease, trouble: str, *, permanent: bool = False) -> None:
        log.error("%s", trouble)
        self.tally.troubles.append(trouble)
        patiently(lambda: self.queue.fail(lease, trouble, permanent=permanent))
        self._pulse.drop([lease])


class _Jobs(Iterator[ChapterJob]):
    """The queue as the engine sees it: empty now, and perhaps not any more before the next step."""

    def __init__(self, shift: Shift, reader_digest: str, first: ChapterLease | WindowLease) -> None:
        self._shift, self._digest = shift, reader_digest
        self._first: ChapterLease | WindowLease | None = first

    def __next__(self) -> ChapterJob:
        with self._shift.leasing():
            first, self._first = self._first, None
            job = self._shift.job(first) if first is not None else None
            job = job or self._shift.next_job(self._digest)
        if job is None:
            raise StopIteration
        return job
