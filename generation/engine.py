"""The engine: many chapters read at once on one device, their windows rendered as they come.

Continuous batching: a lane is one chapter being read; a chapter is admitted the moment a lane frees.
Memory is set by the number of lanes, never by the length of a book. There is no database and no clock in
here: a worker hands in chapters and takes out windows, each with the snapshot it was entered with, so that
it can be read again by itself.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from generation.errors import NarrationError
from generation.noise import content_seed
from generation.rates import tokens_to_s
from generation.rendering import Renderer, WindowReading
from generation.speechssm.model import SpeechSSM
from generation.speechssm.reading import Reader, Sampling, Snapshot
from generation.windows import Window

WINDOWS_WAITING = 16
"""Windows read and not yet taken: two rounds of 8 lanes, which tend to end their windows together."""


@dataclass(frozen=True)
class ChapterJob:
    """A chapter to be read, from `first` on.

    `key` names the chapter to the caller. `units` and `word_starts` (U,): its whole script. `seed_text`:
    what the seeds are made from (script and voice digests, the chapter's place): content, never row ids.
    `take` is 1 for a first reading; `snapshot` is what window `first` is entered with (None: the start).
    """

    key: str
    units: npt.NDArray[np.int64]
    word_starts: npt.NDArray[np.int64]
    windows: tuple[Window, ...]
    seed_text: str
    take: int = 1
    first: int = 0
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class WindowRead:
    """One window as read: not yet sound.

    `entry` is the state the window was entered with; `forced` counts advances that had to be forced (each
    a failure); `complete` is False where the reading was given up before its text ended; `exit` is the
    state after it, which is the next window's entry.
    """

    key: str
    window: Window
    take: int
    reading: WindowReading
    entry: Snapshot
    exit: Snapshot
    forced: int
    complete: bool = True


@dataclass(frozen=True)
class WindowSound:
    """One window, rendered: `waveform` (T * 1024,) float32 at 22.05 kHz."""

    read: WindowRead
    waveform: npt.NDArray[np.float32]


@dataclass
class _Lane:
    job: ChapterJob
    units: torch.Tensor
    starts: torch.Tensor
    number: int
    entry: Snapshot = field(repr=False)

    @property
    def window(self) -> Window:
        """The window under way."""
        return self.job.windows[self.number]

    @property
    def seed(self) -> int:
        """Seed of this take of that window."""
        return content_seed(self.job.seed_text, self.window.number, self.job.take)


class Engine:
    """Reads and renders chapters with one voice.

    Parameters
    ----------
    model
        The SpeechSSM.
    renderer
        SoundStorm and codec of the voice.
    lanes
        Chapters read at once, a multiple of 8; part of the numerics profile.
    """

    def __init__(
        self, model: SpeechSSM, renderer: Renderer, lanes: int = 8, sampling: Sampling | None = None
    ) -> None:
        self._model = model.eval()
        self._renderer = renderer
        self._reader = Reader(model, lanes, sampling)
        self._lanes: dict[int, _Lane] = {}
        self._free = list(range(lanes))[::-1]

    def narrate(self, jobs: Iterable[ChapterJob]) -> Iterator[WindowSound]:
        """Read and render every window of every job; windows of a job come in order.

        Reading goes on here while windows are rendered in threads of their own. No more than
        WINDOWS_WAITING are ever between the two, so that memory does not depend on who is faster.

        Raises
        ------
        NarrationError
            A window could not be read to its end.
        """
        batch: list[WindowRead] = []
        rendering: deque[Future[list[WindowSound]]] = deque()
        most = -(-WINDOWS_WAITING // self._renderer.batch)
        pool = ThreadPoolExecutor(self._renderer.threads, thread_name_prefix="render")
        try:
            for read in self.read(jobs):
                _refuse_incomplete(read)
                batch.append(read)
                if len(batch) == self._renderer.batch:
                    rendering.append(pool.submit(self._render, batch))
                    batch = []
                while rendering and (len(rendering) > most or rendering[0].done()):
                    yield from rendering.popleft().result()
            if batch:
                rendering.append(pool.submit(self._render, batch))
            while rendering:
                yield from rendering.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _render(self, reads: list[WindowRead]) -> list[WindowSound]:
        waveforms = dict(self._renderer.render([read.reading for read in reads]))
        return [WindowSound(read, waveforms[index]) for index, read in enumerate(reads)]

    def read(self, jobs: Iterable[ChapterJob]) -> Generator[WindowRead, None, None]:
        """Read every window of every job, as many jobs at once as there are lanes.

        `jobs` is asked for another one before each step while a lane is free, also after it had none: a
        queue that is empty now may fill again. The reading ends when no lane has work left.
        """
        source = iter(jobs)
        try:
            self._fill_lanes(source)
            while self._lanes:
                for lane in self._reader.step():
                    if lane in self._lanes:
                        yield self._finish_window(lane)
                if self._free:
                    self._fill_lanes(source)
        finally:
            for lane in self._lanes:
                self._reader.release(lane)
            self._free = sorted([*self._free, *self._lanes], reverse=True)
            self._lanes.clear()

    def abandon(self, key: str) -> None:
        """Stop reading the job of that key, between two windows of `read`; its lane is free at once."""
        for lane in [n for n, held in self._lanes.items() if held.job.key == key]:
            self._reader.release(lane)
            self._free_lane(lane)

    def _free_lane(self, lane: int) -> None:
        del self._lanes[lane]
        self._free.append(lane)

    def _fill_lanes(self, source: Iterator[ChapterJob]) -> None:
        while self._free and (job := next(source, None)) is not None:
            if job.first >= len(job.windows):
                continue
            lane = self._free.pop()
            self._reader.admit(lane, job.snapshot)
            device = self._model.no_text.device
            units = torch.from_numpy(job.units).to(device)
            starts = torch.from_numpy(job.word_starts).to(device)
            entry = self._reader.snapshot(lane)
            self._lanes[lane] = _Lane(job, units, starts, job.first, entry)
            self._begin(lane)

    def _begin(self, lane: int) -> None:
        held = self._lanes[lane]
        vectors = self._model.text_encoder.encode_span(
            held.units, held.starts, held.window.start, held.window.end
        )
        self._reader.begin_window(lane, vectors, held.seed)

    def _finish_window(self, lane: int) -> WindowRead:
        held = self._lanes[lane]
        job, window = held.job, held.window
        said = self._reader.collect(lane)
        after = self._reader.snapshot(lane)
        reading = WindowReading(
            units=job.units,
            word_starts=job.word_starts,
            tokens=said.tokens.numpy(),
            pointer=said.pointer.numpy() + window.start,
            seed=held.seed,
        )
        done = WindowRead(
            job.key, window, job.take, reading, held.entry, after, said.forced, said.complete
        )
        held.number, held.entry = held.number + 1, after
        if held.number < len(job.windows):
            self._begin(lane)
        else:
            self._free_lane(lane)
        return done


def _refuse_incomplete(read: WindowRead) -> None:
    if not read.complete:
        raise NarrationError(
            f"window {read.window.number} of {read.key} was given up after "
            f"{tokens_to_s(len(read.reading.tokens)):.0f} s, before its text ended: "
            "read it again with another take"
        )
