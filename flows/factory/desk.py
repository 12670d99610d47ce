"""The desk: what a worker does beside its device: judging windows, mastering chapters, filing reports.

It is a thread of the shift. Its work is leased like all other; reports are guarded by a lock of the
database, one worker a production.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from flows.factory.judging import Depth, judgement, listen, scored
from flows.factory.keeping import SPOILED, Keeping
from flows.factory.patience import patiently
from flows.factory.produce import finish_ready
from flows.factory.studio import PARTS, SPEAKERS_KEPT, Production, Studio
from flows.services import Services
from generation.documents import read_sound, read_tokens
from generation.mastering import MasteredChapter, NarratedWindow, master_chapter
from generation.narration import LANES, spoken_words, unit_arrays
from generation.rates import SAMPLE_RATE_HZ
from generation.rendering import WindowReading
from generation.voices import prompt_sound
from generation.windows import Window, expected_s
from qa.audio import as_audio
from qa.thresholds import Thresholds
from storage import productions
from storage.enrolment import canonical_digest
from storage.errors import ObjectMissing
from storage.models import Take
from storage.models import Window as WindowRow
from storage.objects import Stored
from storage.queue import ChapterLease, Judgement, Mastering, WindowLease

if TYPE_CHECKING:
    from qa.takes import TakeScore

log = logging.getLogger(__name__)

ROUND_S = 0.5
"""How often the desk looks for work of itself."""

MORE_S = 5.0
"""How often it looks whether lanes stand empty."""

JUDGED_AT_ONCE = 4
"""Takes leased at once; each is committed as it is judged."""


class Desk:
    """Works beside the device until it is closed; what goes wrong there is raised by `check`.

    Parameters
    ----------
    services : Services
        Database and object store.
    keeping : Keeping
        The shift's own.
    more : callable, optional
        Asked for more work when fewer chapters wait than there are lanes.
    phase : callable
        As for `Shift`.
    """

    def __init__(
        self,
        services: Services,
        keeping: Keeping,
        *,
        more: Callable[[], bool] | None,
        phase: Callable[[str], None],
    ) -> None:
        self.services, self.queue, self.phase = services, keeping.queue, phase
        self._keeping, self._more = keeping, more
        self._studio = Studio(services)
        self._prompts: OrderedDict[tuple[str, ...], npt.NDArray[np.float32]] = OrderedDict()
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
        self._keeping.pulse.hold(leases)
        self.phase("judging")
        for lease in leases:
            with self._booked("judging_s"):
                found = self._judged(lease)
            if found is None:
                continue
            refused = patiently(partial(self.queue.complete_judgements, [found]))
            self._keeping.done([lease], refused)
            self._keeping.tally.add(judged=1, sent_back=int(found.chosen_take is None))
        return True

    def _judged(self, lease: WindowLease) -> Judgement | None:
        try:
            if lease.audio_key is None:
                raise ObjectMissing(f"take {lease.take} of window {lease.id} has no sound any more")
            waveform = read_sound(self._keeping.get(lease.audio_key, lease.audio_digest))
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
            return judgement(lease, heard, scored(heard, self._score(lease, waveform)), takes)
        except SPOILED as error:
            self._keeping.give_up(lease, str(error))
            return None

    def _score(self, lease: WindowLease, waveform: npt.NDArray[np.float32]) -> "TakeScore | None":
        """Measure words and voice of a take, where its order wants them measured."""
        production = self._studio.production(lease.production_id)
        if production.depth is not Depth.FULL:
            return None
        from qa.takes import score_take  # the recognisers take seconds to import

        window = Window(lease.number, lease.unit_start, lease.unit_end, 0.0)
        part = self._studio.part(
            self._studio.script(lease), window, production, lease.chapter_number, lease.directions
        )
        sound = as_audio(waveform, SAMPLE_RATE_HZ)
        return score_take(sound, part.spoken, self._prompt(production), Thresholds())

    def _prompt(self, production: Production) -> npt.NDArray[np.float32]:
        """Return the embedding of a voice's prompt as it sounds through its codec."""
        digests = production.voice_digests
        if digests not in self._prompts:
            from qa.speaker import embed

            files = {part: self._studio.file(production, part) for part in PARTS}
            sound = as_audio(prompt_sound(production.codec, files), SAMPLE_RATE_HZ)
            self._prompts[digests] = embed(sound)
        while len(self._prompts) > SPEAKERS_KEPT:
            self._prompts.popitem(last=False)
        return self._prompts[digests]

    def _takes(self, window_id: int) -> list[Take]:
        with Session(self.services.engine) as session:
            return list(productions.takes(session, window_id))

    # Mastering ----------------------------------------------------------------------------------

    def _master(self) -> bool:
        leases = patiently(lambda: self.queue.lease_mastering(1))
        if not leases:
            return False
        self._idle.clear()
        self._keeping.pulse.hold(leases)
        self.phase("mastering")
        for lease in leases:
            try:
                with self._booked("mastering_s"):
                    done = self._mastered(lease)
            except SPOILED as error:
                self._keeping.give_up(lease, str(error))
                continue
            self.phase("mastered")
            refused = patiently(partial(self.queue.complete_masterings, [done]))
            self._keeping.done([lease], refused)
            self._keeping.tally.add(mastered=1)
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
            audio = self._keeping.put(lease, "audio", flac)
        times = self._keeping.put(lease, "times", done.times_json())
        return mastering(lease, done, audio, times, chosen)

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
            tokens = read_tokens(self._keeping.get(take.tokens_key, take.tokens_digest))
            units, starts = unit_arrays(part.script)
            reading = WindowReading(units, starts, tokens.tokens, tokens.pointer, 0)
            yield NarratedWindow(
                read_sound(self._keeping.get(take.audio_key, take.audio_digest)),
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
        self._keeping.tally.finished += finished
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

    @contextmanager
    def _booked(self, column: str) -> Iterator[None]:
        """Book what happens inside on a column of the tally."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._keeping.tally.add(**{column: time.monotonic() - began})


def mastering(
    lease: ChapterLease,
    done: MasteredChapter,
    audio: Stored,
    times: Stored,
    chosen: Sequence[tuple[WindowRow, Take]],
) -> Mastering:
    """Return what is committed of a mastered chapter: its stored parts, and the digest of its content."""
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
