"""The lanes: the device reads chapters along their cursors, and windows again, and commits each as it comes.

As many chapters at once as the engine has lanes; a lane that frees asks the queue for the next one. A
window's tokens and the state after it are stored before its row says that it was read, so what a killed
worker repeats is at most the window each lane was at.
"""

import logging
import time
from collections.abc import Callable, Iterator

from flows.factory.keeping import SPOILED, Keeping
from flows.factory.patience import patiently
from flows.factory.studio import Production, Studio, planned_windows
from flows.factory.tally import POLL_S, Limits, Phase, Watch
from flows.operate.room import shortage
from flows.services import Services
from generation.documents import Tokens, read_snapshot, snapshot_bytes, tokens_bytes
from generation.engine import ChapterJob, Engine, WindowRead
from generation.errors import LecternError
from generation.narration import unit_arrays
from generation.speechssm.reading import Snapshot
from storage import productions
from storage.database import transaction
from storage.queue import ChapterLease, Lease, Reading, Rereading, WindowLease

log = logging.getLogger(__name__)

ROOM_S = 30.0
"""How often the room on the disks is looked at."""


class Lanes:
    """Reads while there is something to read, in the thread of its caller.

    Parameters
    ----------
    services : Services
        Database and object store.
    keeping, studio, limits
        The shift's own.
    watch : Watch
        Of the caller's thread.
    phase : callable
        As for `Shift`.
    read : callable
        Called after each window that was read.
    """

    def __init__(
        self,
        services: Services,
        keeping: Keeping,
        studio: Studio,
        limits: Limits,
        watch: Watch,
        phase: Phase,
        read: Callable[[], None],
    ) -> None:
        self._services, self._keeping, self._studio = services, keeping, studio
        self._limits, self._watch, self._phase, self._told = limits, watch, phase, read
        self._queue, self._pulse = keeping.queue, keeping.pulse
        self._held: dict[str, Lease] = {}
        self._other: ChapterLease | WindowLease | None = None
        self._asked = self._looked = float("-inf")
        self._short = False

    def read(self) -> bool:
        """Read until no lane has work; returns whether any had."""
        first = self._other or self._lease()
        if first is None:
            return False
        self._other = None
        production = self._studio.production(first.production_id)
        engine = self._engine(production, first)
        if engine is None:
            return True
        reading = engine.read(_Jobs(self, production.reader_digest, first))
        try:
            while (read := self._next(reading)) is not None:
                self._commit(engine, read)
                self._told()
            return True
        finally:
            reading.close()
            self._held.clear()

    def _next(self, reading: Iterator[WindowRead]) -> WindowRead | None:
        """Return the next window read; none where no lane has work, or one was given what is spoiled."""
        self._phase("reading")
        try:
            with self._watch.on("reading_s"):
                return next(reading, None)
        except LecternError as error:  # nobody knows which lane's chapter is at fault
            for lease in self._held.values():
                self._keeping.give_up(lease, str(error))
            return None

    def next_job(
        self, reader_digest: str, first: ChapterLease | WindowLease | None
    ) -> ChapterJob | None:
        """Lease work that the engine's SpeechSSM can read; other work ends the reading and comes next."""
        with self._watch.on("idle_s"):
            job = self._job(first) if first is not None else None
            while job is None and self._other is None:
                lease = self._lease()
                if lease is None:
                    return None
                if self._studio.production(lease.production_id).reader_digest != reader_digest:
                    self._other = lease
                    return None
                job = self._job(lease)
            return job

    def _engine(self, production: Production, lease: Lease) -> Engine | None:
        try:
            return self._studio.engine(production)
        except SPOILED as error:
            self._keeping.give_up(lease, str(error), permanent=True)
            return None

    def _lease(self) -> ChapterLease | WindowLease | None:
        """Lease the next chapter or window to be read, at most twice a second where there is none."""
        if self._limits.over or time.monotonic() < self._asked + POLL_S or not self._has_room():
            return None
        leases: list[ChapterLease | WindowLease] = [
            *patiently(lambda: self._queue.lease_rereading(1))
        ]
        leases = leases or [*patiently(lambda: self._queue.lease_reading(1))]
        self._pulse.hold(leases)
        if not leases:
            self._asked = time.monotonic()
            return None
        return leases[0]

    def _has_room(self) -> bool:
        """Whether the disks have room for more work, looked at now and then."""
        now = time.monotonic()
        if now >= self._looked + ROOM_S:
            self._looked, short = now, shortage(self._services.settings)
            self._short = short is not None
            if short is not None:
                log.warning("no more is read: %s", short)
        return not self._short

    # Jobs ---------------------------------------------------------------------------------------

    def _job(self, lease: ChapterLease | WindowLease) -> ChapterJob | None:
        """Make the engine's job of a lease; work that is spoiled is given up, and none returned."""
        try:
            made = (
                self._chapter_job(lease)
                if isinstance(lease, ChapterLease)
                else self._window_job(lease)
            )
        except SPOILED as error:
            self._keeping.give_up(lease, str(error))
            return None
        self._held[made.key] = lease
        return made

    def _chapter_job(self, lease: ChapterLease) -> ChapterJob:
        production = self._studio.production(lease.production_id)
        script = self._studio.script(lease)
        units, starts = unit_arrays(script)
        return ChapterJob(
            key=f"chapter {lease.id}",
            units=units,
            word_starts=starts,
            windows=planned_windows(script, self._spans(lease.id)),
            seed_text=self._studio.seed_text(production, script, lease.number),
            first=lease.cursor,
            snapshot=self._snapshot(lease.snapshot_key, lease.snapshot_digest),
        )

    def _window_job(self, lease: WindowLease) -> ChapterJob:
        production = self._studio.production(lease.production_id)
        script = self._studio.script(lease)
        spans = self._spans(lease.chapter_id)[: lease.number + 1]
        windows = planned_windows(script, spans)
        part = self._studio.part(
            script, windows[-1], production, lease.chapter_number, lease.directions
        )
        units, starts = unit_arrays(part.script)
        return ChapterJob(
            key=f"window {lease.id}",
            units=units,
            word_starts=starts,
            windows=(*windows[:-1], part.window),
            seed_text=self._studio.seed_text(production, script, lease.chapter_number),
            take=lease.take + 1,
            first=lease.number,
            snapshot=self._snapshot(lease.entry_snapshot_key, lease.entry_snapshot_digest),
        )

    def _spans(self, chapter_id: int) -> list[tuple[int, int]]:
        def look_up() -> list[tuple[int, int]]:
            with transaction(
                self._services.engine, actor=self._queue.worker, reason="reads"
            ) as session:
                return productions.window_spans(session, chapter_id)

        return patiently(look_up)

    def _snapshot(self, key: str | None, digest: str | None) -> Snapshot | None:
        return None if key is None else read_snapshot(self._keeping.get(key, digest))

    # Committing ---------------------------------------------------------------------------------

    def _commit(self, engine: Engine, read: WindowRead) -> None:
        """Store and commit a window that was read, and go on with its chapter or let it go."""
        lease = self._held[read.key]
        reading = read.reading
        tokens = Tokens(reading.tokens, reading.pointer, read.forced, read.complete)
        self._phase("storing")
        if isinstance(lease, ChapterLease):
            going_on = self._commit_reading(lease, read, tokens)
            self._keeping.tally.add(read=1)
        else:
            stored = self._keeping.put(lease, "tokens", tokens_bytes(tokens))
            done = Rereading(lease, reading.seed % 2**64, stored.key, stored.digest)
            self._phase("committing")
            refused = patiently(lambda: self._queue.complete_rereadings([done]))
            self._keeping.done([lease], refused)
            going_on = None
            self._keeping.tally.add(reread=1)
        if going_on is None:
            engine.abandon(read.key)
            del self._held[read.key]
        else:
            self._held[read.key] = going_on

    def _commit_reading(
        self, lease: ChapterLease, read: WindowRead, tokens: Tokens
    ) -> ChapterLease | None:
        """Commit the window at a cursor; returns the lease as it goes on, or none."""
        kept = self._keeping.put(lease, f"{lease.cursor}-tokens", tokens_bytes(tokens))
        after = None
        if lease.cursor + 1 < lease.windows:
            after = self._keeping.put(lease, f"{lease.cursor}-snapshot", snapshot_bytes(read.exit))
        done = Reading(
            lease,
            read.reading.seed % 2**64,
            kept.key,
            kept.digest,
            after.key if after else None,
            after.digest if after else None,
        )
        self._phase("committing")
        going_on, refused = patiently(lambda: self._queue.commit_readings([done]))
        if going_on and not self._limits.over and self._pulse.holds(lease):
            return going_on[0]
        self._keeping.done([lease], refused)
        if going_on:
            patiently(lambda: self._queue.release(going_on))
        return None


class _Jobs(Iterator[ChapterJob]):
    """The queue as the engine sees it: empty now, and perhaps not any more before the next step."""

    def __init__(self, lanes: Lanes, reader_digest: str, first: ChapterLease | WindowLease) -> None:
        self._lanes, self._digest = lanes, reader_digest
        self._first: ChapterLease | WindowLease | None = first

    def __next__(self) -> ChapterJob:
        first, self._first = self._first, None
        job = self._lanes.next_job(self._digest, first)
        if job is None:
            raise StopIteration
        return job
