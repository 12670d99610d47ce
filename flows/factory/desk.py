"""The desk: what a worker does beside its device: judging windows, mastering chapters, filing reports.

It is a thread of the shift. Its work is leased like all other; reports are guarded by a lock of the
database, one worker a production.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from flows.factory.judging import judgement, listen
from flows.factory.patience import patiently
from flows.factory.produce import finish_ready
from flows.factory.studio import Studio
from flows.factory.workers import Pulse
from flows.services import Services
from generation.documents import read_sound, read_tokens
from generation.errors import LecternError
from generation.mastering import NarratedWindow, master_chapter
from generation.narration import LANES, spoken_words, unit_arrays
from generation.rendering import WindowReading
from generation.windows import Window, expected_s
from storage import keys, productions
from storage.enrolment import canonical_digest
from storage.errors import ObjectCorrupt, ObjectMissing
from storage.models import Take
from storage.models import Window as WindowRow
from storage.objects import put_once
from storage.queue import ChapterLease, Judgement, Lease, Mastering, Queue, Refused, WindowLease

if TYPE_CHECKING:
    from flows.factory.shift import Tally

log = logging.getLogger(__name__)

ROUND_S = 0.5
"""How often the desk looks for work of itself."""

MORE_S = 5.0
"""How often it looks whether lanes stand empty."""

JUDGED_AT_ONCE = 8

SPOILED = (LecternError, ObjectMissing, ObjectCorrupt)


class Desk:
    """Works beside the device until it is closed; what goes wrong there is raised by `check`.

    Parameters
    ----------
    services, queue, pulse, tally
        The shift's own.
    more : callable, optional
        Asked for more work when fewer chapters wait than there are lanes.
    phase : callable
        As for `Shift`.
    """

    def __init__(
        self,
        services: Services,
        queue: Queue,
        pulse: Pulse,
        tally: "Tally",
        *,
        more: Callable[[], bool] | None,
        phase: Callable[[str], None],
    ) -> None:
        self.services, self.queue, self.phase = services, queue, phase
        self._pulse, self._tally, self._more = pulse, tally, more
        self._studio = Studio(services)
        self._wake, self._stop, self._idle = (threading.Event() for _ in range(3))
        self._trouble: BaseException | None = None
        self._asked = float("-inf")
        self._thread = threading.Thread(target=self._work_on, name="desk", daemon=True)

    def __enter__(self) -> "Desk":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def busy(self) -> bool:
        """Whether it found something to do when it last looked."""
        return not self._idle.is_set()

    def wake(self) -> None:
        """Have it look for work now."""
        self._idle.clear()
        self._wake.set()

    def close(self) -> None:
        """Have it finish what it is at, and stop."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> None:
        """Raise what ended it, if something did."""
        if self._trouble is not None:
            raise self._trouble

    def _work_on(self) -> None:
        try:
            while not self._stop.is_set():
                if not (self._judge() or self._master() or self._finish() or self._ask()):
                    self._idle.set()
                    self._wake.wait(ROUND_S)
                self._wake.clear()
        except BaseException as error:
            log.exception("the desk ends")
            self._trouble = error

    # Judging ------------------------------------------------------------------------------------

    def _judge(self) -> bool:
        leases = patiently(lambda: self.queue.lease_judging(JUDGED_AT_ONCE))
        if not leases:
            return False
        self._idle.clear()
        self._pulse.hold(leases)
        self.phase("judging")
        judged = [found for lease in leases if (found := self._judged(lease)) is not None]
        self._note_refused(patiently(lambda: self.queue.complete_judgements(judged)))
        self._pulse.drop(leases)
        self._tally.judged += len(judged)
        self._tally.sent_back += sum(found.chosen_take is None for found in judged)
        return True

    def _judged(self, lease: WindowLease) -> Judgement | None:
        try:
            if lease.audio_key is None:
                raise ObjectMissing(f"take {lease.take} of window {lease.id} has no sound any more")
            waveform = read_sound(self._get(lease.audio_key, lease.audio_digest))
            script = self._studio.script(lease)
            units = [unit.index for unit in script.units]
            planned_s = expected_s(units, lease.unit_start, lease.unit_end)
            takes = patiently(lambda: self._takes(lease.id))
            measures = takes[-1].measures
            heard = listen(
                waveform,
                planned_s,
                int(measures.get("forced", 0)),
                bool(measures.get("complete", True)),
            )
            return judgement(lease, heard, takes)
        except SPOILED as error:
            self._give_up(lease, str(error))
            return None

    def _takes(self, window_id: int) -> list[Take]:
        with Session(self.services.engine) as session:
            return list(productions.takes(session, window_id))

    # Mastering ----------------------------------------------------------------------------------

    def _master(self) -> bool:
        leases = patiently(lambda: self.queue.lease_mastering(1))
        if not leases:
            return False
        self._idle.clear()
        self._pulse.hold(leases)
        self.phase("mastering")
        for lease in leases:
            try:
                done = self._mastered(lease)
            except SPOILED as error:
                self._give_up(lease, str(error))
                continue
            self.phase("mastered")
            self._note_refused(patiently(lambda done=done: self.queue.complete_masterings([done])))  # type: ignore[misc]
            self._pulse.drop([lease])
            self._tally.mastered += 1
        return True

    def _mastered(self, lease: ChapterLease) -> Mastering:
        """Master a chapter from its chosen takes, and store its archive and times."""
        production = self._studio.production(lease.production_id)
        chosen = patiently(lambda: self._chosen(lease.id))
        with TemporaryDirectory(prefix="lectern-chapter-") as folder:
            flac = Path(folder) / "chapter.flac"
            done = master_chapter(
                lease.number, lease.title, self._windows(lease, chosen), flac, seed=production.seed
            )
            audio_key, times_key = (
                keys.chapter_part(lease.production_id, lease.number, lease.lease, name)
                for name in ("audio", "times")
            )
            store = self.services.store
            audio = patiently(lambda: put_once(store, audio_key, flac))
        times = patiently(lambda: put_once(store, times_key, done.times_json()))
        content = {
            "narrated": done.content_digest,
            "tokens": [take.tokens_digest for _, take in chosen],
        }
        return Mastering(
            lease,
            audio.key,
            audio.digest,
            times.key,
            times.digest,
            done.duration_s,
            canonical_digest(content),
            done.measures(),
        )

    def _chosen(self, chapter_id: int) -> list[tuple[WindowRow, Take]]:
        with Session(self.services.engine) as session:
            return productions.chosen_takes(session, chapter_id)

    def _windows(
        self, lease: ChapterLease, chosen: list[tuple[WindowRow, Take]]
    ) -> Iterator[NarratedWindow]:
        """Yield a chapter's windows with their words, one at a time."""
        production = self._studio.production(lease.production_id)
        script = self._studio.script(lease)
        for row, take in chosen:
            if take.audio_key is None or take.tokens_key is None:
                raise ObjectMissing(f"take {take.number} of window {row.id} has expired")
            planned = Window(row.number, row.unit_start, row.unit_end, 0.0)
            part = self._studio.part(script, planned, production, lease.number, row.directions)
            tokens = read_tokens(self._get(take.tokens_key, take.tokens_digest))
            units, starts = unit_arrays(part.script)
            reading = WindowReading(units, starts, tokens.tokens, tokens.pointer, 0)
            yield NarratedWindow(
                read_sound(self._get(take.audio_key, take.audio_digest)),
                spoken_words(part.script, part.window, reading),
            )

    # Whole productions --------------------------------------------------------------------------

    def _finish(self) -> bool:
        """Report on productions whose chapters are all mastered."""
        finished = patiently(
            lambda: finish_ready(
                self.services,
                self.queue.worker,
                production_id=self.queue.production_id,
                phase=self._begin,
            )
        )
        self._tally.finished += finished
        return bool(finished)

    def _begin(self, phase: str) -> None:
        self._idle.clear()
        self.phase(phase)

    def _ask(self) -> bool:
        """Ask for more work where lanes stand empty."""
        if self._more is None or time.monotonic() < self._asked + MORE_S:
            return False
        if patiently(self.queue.depth).get("chapter planned", 0) >= LANES:
            self._asked = time.monotonic()
            return False
        found = self._more()
        if not found:
            self._asked = time.monotonic()
        return found

    # Keeping ------------------------------------------------------------------------------------

    def _get(self, key: str, digest: str | None) -> bytes:
        return patiently(lambda: self.services.store.get(key, digest=digest))

    def _note_refused(self, refused: list[Refused]) -> None:
        for one in refused:
            self._tally.lost += 1
            log.warning("a result is thrown away: %s", one.reason)

    def _give_up(self, lease: Lease, trouble: str) -> None:
        log.error("%s", trouble)
        self._tally.troubles.append(trouble)
        patiently(lambda: self.queue.fail(lease, trouble))
        self._pulse.drop([lease])
