"""Windows to sound: SoundStorm fills in the codes, the codec decodes them.

Windows are rendered independently, in any order. Each is padded to a bucket of its own length and filled
in a batch of fixed size, so that its sound depends on its own tokens and seed, never on its neighbours.
"""

import ctypes
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from generation.codec import Codec
from generation.codec.timbre import Timbre
from generation.numerics import inference_dtype
from generation.packed import packed
from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS
from generation.soundstorm.decoding import Decoding, WindowBatch, fill
from generation.soundstorm.model import FrameText, SoundStorm, frame_pointer, place_in_unit
from generation.speechssm.text_encoder import RADIUS

BUCKET_TOKENS = 32
"""Windows are padded to a multiple of this many tokens."""
BUCKET_UNITS = 64

FRAMES_AT_ONCE = 1024
"""About what a window and its prompt have; SoundStorm's layers are laid out for it."""


@dataclass(frozen=True)
class VoicePrompt:
    """The fixed 3 s in front of every window: `tokens` (65,) and `codes` (130, Q).

    `timbre`: the step from what is spoken behind these to the voice, where it was measured
    (`generation.tuning`).
    """

    tokens: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]
    timbre: Timbre | None = None

    def __post_init__(self) -> None:
        if len(self.tokens) != PROMPT_TOKENS or len(self.codes) != PROMPT_TOKENS * FRAMES_PER_TOKEN:
            raise ValueError(f"a voice prompt is {PROMPT_TOKENS} tokens, not {len(self.tokens)}")


@dataclass(frozen=True)
class WindowReading:
    """What SpeechSSM read in one window of T tokens.

    `units` and `word_starts` (U,): the chapter's whole script (shared between readings); `tokens` and
    `pointer` (T,), the pointer counted in the chapter's units; `seed` of this take. Speech without text has
    no units, and a pointer of zeros.
    """

    units: npt.NDArray[np.int64]
    word_starts: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int64]
    pointer: npt.NDArray[np.int64]
    seed: int


class Renderer:
    """SoundStorm and codec of one voice.

    Parameters
    ----------
    batch
        Windows filled at once. One on a CPU, where a window alone keeps it busy; more on a GPU.
    dtype
        Type SoundStorm is run in; left out, what suits the device (`numerics.inference_dtype`).
    threads
        Windows (batches of them) rendered beside each other on a CPU, each in one thread.
    """

    def __init__(
        self,
        soundstorm: SoundStorm,
        codec: Codec,
        prompt: VoicePrompt,
        decoding: Decoding | None = None,
        batch: int = 1,
        dtype: torch.dtype | None = None,
        threads: int = 1,
    ) -> None:
        self.device = soundstorm.no_text.device
        self.model = packed(soundstorm, FRAMES_AT_ONCE, dtype or inference_dtype(self.device))
        self.codec = codec
        self.prompt = prompt
        self.spoken = codec.tuned(prompt.timbre)
        """The codec as it sounds in this voice."""
        self.decoding = decoding or Decoding()
        self.batch = batch
        self.threads = threads

    def speaking_as(self, prompt: VoicePrompt) -> "Renderer":
        """Return a renderer of the same models that speaks behind another prompt."""
        other = copy(self)
        other.prompt, other.spoken = prompt, self.codec.tuned(prompt.timbre)
        return other

    def render(
        self, readings: Sequence[WindowReading]
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield (index into `readings`, waveform (T * 1024,)), bucket by bucket."""

        def rendered(group: _Group) -> list[npt.NDArray[np.float32]]:
            codes = self._fill_group(group, readings)
            return [
                self.spoken.decode(window, readings[index].seed)
                for index, window in zip(group.members, codes, strict=True)
            ]

        groups = self._groups(readings)
        for group, waveforms in zip(groups, self._side_by_side(rendered, groups), strict=True):
            hand_back_memory()
            yield from zip(group.members, waveforms, strict=True)

    def fill(
        self, readings: Sequence[WindowReading]
    ) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield (index into `readings`, codes (2 T, Q)), bucket by bucket."""
        for group in self._groups(readings):
            yield from zip(group.members, self._fill_group(group, readings), strict=True)

    def _groups(self, readings: Sequence[WindowReading]) -> list["_Group"]:
        """Sort readings into batches of one bucket."""
        buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, reading in enumerate(readings):
            buckets[_bucket(reading)].append(index)
        return [
            _Group(tokens, units, tuple(members[first : first + self.batch]))
            for (tokens, units), members in sorted(buckets.items())
            for first in range(0, len(members), self.batch)
        ]

    def _side_by_side(
        self,
        work: Callable[["_Group"], list[npt.NDArray[np.float32]]],
        groups: Sequence["_Group"],
    ) -> Iterator[list[npt.NDArray[np.float32]]]:
        """Do the work on each group, on as many at once as there are threads; results in order."""
        if self.threads == 1 or len(groups) == 1:
            yield from map(work, groups)
            return
        with ThreadPoolExecutor(self.threads, thread_name_prefix="render") as pool:
            yield from pool.map(work, groups)

    def _fill_group(
        self, group: "_Group", readings: Sequence[WindowReading]
    ) -> list[npt.NDArray[np.int64]]:
        """Codes (2 T, Q) of each member."""
        shape = (group.tokens, group.units)
        codes = self._fill_batch(shape, [readings[i] for i in group.members]).cpu().numpy()
        front = PROMPT_TOKENS * FRAMES_PER_TOKEN
        return [
            codes[row, front : front + len(readings[index].tokens) * FRAMES_PER_TOKEN]
            for row, index in enumerate(group.members)
        ]

    def _fill_batch(self, shape: tuple[int, int], readings: list[WindowReading]) -> Tensor:
        """Fill windows of one bucket; empty rows repeat the first window."""
        tokens, units = shape
        rows = readings + [readings[0]] * (self.batch - len(readings))
        laid = [_lay_out(reading, units, tokens) for reading in rows]
        text = FrameText(*(torch.stack(parts).to(self.device) for parts in zip(*laid, strict=True)))
        semantic = torch.stack(
            [
                F.pad(
                    torch.from_numpy(np.concatenate([self.prompt.tokens, reading.tokens])),
                    (0, tokens - len(reading.tokens)),
                    value=self.model.config.semantic_codes,
                )
                for reading in rows
            ]
        ).to(self.device)
        front = PROMPT_TOKENS * FRAMES_PER_TOKEN
        codes = torch.full(
            (len(rows), front + tokens * FRAMES_PER_TOKEN, self.model.config.levels),
            self.model.mask,
            device=self.device,
        )
        codes[:, :front] = torch.from_numpy(self.prompt.codes).to(self.device)
        frames = [front + len(reading.tokens) * FRAMES_PER_TOKEN for reading in rows]
        batch = WindowBatch(
            text,
            semantic,
            codes,
            front,
            torch.tensor(frames, device=self.device),
            torch.tensor([reading.seed for reading in rows], device=self.device),
        )
        # Without text there is nothing to be guided by, and guidance would cost the same pass twice.
        told = any(len(reading.units) for reading in readings)
        return fill(
            self.model, batch, self.decoding if told else replace(self.decoding, guidance=0.0)
        )


def hand_back_memory() -> None:
    """Give the system back what was freed: glibc keeps it, for every thread apart, and grows by it.

    Microseconds where little is free (13 ms after 50 MB); on other C libraries nothing happens.
    """
    if _TRIM is not None:
        _TRIM(0)


_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)


@dataclass(frozen=True)
class _Group:
    """Windows filled together: the shape they are padded to, and their indices."""

    tokens: int
    units: int
    members: tuple[int, ...]


def _span(reading: WindowReading) -> tuple[int, int]:
    """Find the units a reading's text vectors depend on."""
    first = max(0, int(reading.pointer[0]) - RADIUS)
    return first, min(len(reading.units), int(reading.pointer[-1]) + RADIUS + 1)


def _bucket(reading: WindowReading) -> tuple[int, int]:
    first, last = _span(reading)
    tokens = -(-len(reading.tokens) // BUCKET_TOKENS) * BUCKET_TOKENS
    return tokens, -(-max(1, last - first) // BUCKET_UNITS) * BUCKET_UNITS


def _lay_out(reading: WindowReading, units: int, tokens: int) -> tuple[Tensor, ...]:
    """Return one row of each field of `FrameText`."""
    first, last = _span(reading)
    margin = (0, units - (last - first))
    pointer = frame_pointer(torch.from_numpy(reading.pointer - first))
    since, until = place_in_unit(pointer)
    front = PROMPT_TOKENS * FRAMES_PER_TOKEN
    sides = (front, (tokens - len(reading.tokens)) * FRAMES_PER_TOKEN)
    return (
        F.pad(torch.from_numpy(reading.units[first:last]), margin),
        F.pad(torch.from_numpy(reading.word_starts[first:last]), margin),
        F.pad(pointer, sides),
        F.pad(since, sides),
        F.pad(until, sides),
        F.pad(torch.full_like(pointer, len(reading.units) > 0, dtype=torch.bool), sides),
    )
