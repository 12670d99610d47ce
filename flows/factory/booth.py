"""The booth: threads of a shift that turn windows into sound while its lanes read on.

One thread a core on a CPU, one on a GPU. Each leases windows, renders, stores and commits them by itself,
so that one thread's wait for the disk is another's time to compute. A window's sound depends on its own
tokens and seed alone, so it is the same in whichever thread and order.
"""

import logging
import threading
import time
from functools import partial
from types import TracebackType

from flows.factory.desk import Desk
from flows.factory.keeping import SPOILED, Keeping
from flows.factory.patience import patiently
from flows.factory.studio import Studio
from flows.factory.tally import POLL_S, Limits, Phase, Watch
from generation.documents import Tokens, read_tokens, sound_bytes
from generation.narration import unit_arrays
from generation.noise import content_seed
from generation.rates import samples_to_s
from generation.rendering import WindowReading
from generation.voices import render_threads
from generation.windows import Window
from storage.errors import ObjectMissing
from storage.queue import Rendering, WindowLease

log = logging.getLogger(__name__)


class Booth:
    """Renders beside the lanes until it is closed; what goes wrong there is raised by `check`.

    Parameters
    ----------
    keeping, studio, limits
        The shift's own.
    desk : Desk
        Woken for every window that is there to be judged.
    phase : callable
        As for `Shift`.
    """

    def __init__(
        self, keeping: Keeping, studio: Studio, limits: Limits, desk: Desk, phase: Phase
    ) -> None:
        self._keeping, self._studio, self._limits = keeping, studio, limits
        self._desk, self._phase = desk, phase
        self._stop = threading.Event()
        self._ready = threading.Semaphore(0)
        self._trouble: BaseException | None = None
        threads = render_threads(studio.device)
        keeping.tally.render_threads = threads
        self._threads = [
            threading.Thread(target=self._work_on, name=f"booth-{number}", daemon=True)
            for number in range(1, threads + 1)
        ]

    def __enter__(self) -> "Booth":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wake(self) -> None:
        """Have it look for work now: a window was read."""
        self._ready.release()

    def close(self) -> None:
        """Have each thread finish the windows it is at, and stop."""
        self._stop.set()
        self._ready.release(len(self._threads))
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def check(self) -> None:
        """Raise what ended a thread, if something did."""
        if self._trouble is not None:
            raise self._trouble

    def render(self, watch: Watch) -> bool:
        """Render the windows that are next, as many as fill a batch; returns whether there were any."""
        leases = patiently(lambda: self._keeping.queue.lease_rendering(self._studio.batch))
        self._keeping.pulse.hold(leases)
        for production_id in sorted({lease.production_id for lease in leases}):
            self._render_some([w for w in leases if w.production_id == production_id], watch)
        return bool(leases)

    def _work_on(self) -> None:
        watch = Watch(self._keeping.tally)
        try:
            while not self._stop.is_set() and not self._limits.over:
                if self.render(watch):
                    continue
                with watch.on("starved_s"):
                    self._ready.acquire(timeout=POLL_S)
            watch.turn("starved_s")
        except BaseException as error:
            log.exception("the booth ends")
            self._trouble = error

    def _render_some(self, leases: list[WindowLease], watch: Watch) -> None:
        """Render windows of one production."""
        ready: list[tuple[WindowLease, WindowReading, Tokens]] = []
        for lease in leases:
            try:
                ready.append((lease, *self._reading(lease)))
            except SPOILED as error:
                self._keeping.give_up(lease, str(error))
        if not ready:
            return
        try:
            speaker = self._studio.speaker(self._studio.production(ready[0][0].production_id))
        except SPOILED as error:
            for lease, _, _ in ready:
                self._keeping.give_up(lease, str(error), permanent=True)
            return
        rendering = speaker.renderer.render([reading for _, reading, _ in ready])
        for _ in ready:
            self._phase("rendering")
            began = time.monotonic()
            with watch.on("rendering_s"):
                index, waveform = next(rendering)
            lease, _, tokens = ready[index]
            self._phase("storing")
            stored = self._keeping.put(lease, "audio", sound_bytes(waveform))
            measures = {
                "forced": tokens.forced,
                "complete": tokens.complete,
                "profile": self._studio.profile[:16],
                "render_s": round(time.monotonic() - began, 3),
            }
            done = Rendering(
                lease, stored.key, stored.digest, samples_to_s(len(waveform)), measures
            )
            self._phase("committing")
            refused = patiently(partial(self._keeping.queue.complete_renderings, [done]))
            self._keeping.done([lease], refused)
            self._keeping.tally.add(rendered=1, audio_s=done.duration_s)
            self._desk.wake()

    def _reading(self, lease: WindowLease) -> tuple[WindowReading, Tokens]:
        """Return a leased window as it was read."""
        if lease.tokens_key is None:
            raise ObjectMissing(f"take {lease.take} of window {lease.id} has no tokens any more")
        tokens = read_tokens(self._keeping.get(lease.tokens_key, lease.tokens_digest))
        production = self._studio.production(lease.production_id)
        script = self._studio.script(lease)
        window = Window(lease.number, lease.unit_start, lease.unit_end, 0.0)
        part = self._studio.part(script, window, production, lease.chapter_number, lease.directions)
        units, starts = unit_arrays(part.script)
        text = self._studio.seed_text(production, script, lease.chapter_number)
        seed = content_seed(text, lease.number, lease.take + 1)
        return WindowReading(units, starts, tokens.tokens, tokens.pointer, seed), tokens
