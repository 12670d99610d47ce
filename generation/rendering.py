"""Windows to sound: SoundStorm fills in the codes, the codec decodes them.

Windows are rendered independently, in any order. Each is padded to a bucket of its own length and filled
in a batch of fixed size, so that its sound depends on its own tokens and seed, never on its neighbours.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from generation.codec import Codec
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
    """The fixed 3 s in front of every window: `tokens` (65,) and `codes` (130, Q)."""

    tokens: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.tokens) != PROMPT_TOKENS or len(self.codes) != PROMPT_TOKENS * FRAMES_PER_TOKEN:
            raise ValueError(f"a voice prompt is {PROMPT_TOKENS} tokens, not {len(self.tokens)}")


@dataclass(frozen=True)
class WindowReading:
    """What SpeechSSM read in one window of T tokens.

    `units` and `word_starts` (U,): the chapter's whole script (shared between readings); `tokens` and
    `pointer` (T,), the pointer counted in the chapter's units; `seed` of this take.
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
    """

    def __init__(
        self,
        soundstorm: SoundStorm,
        codec: Codec,
        prompt: VoicePrompt,
        decoding: Decoding | None = None,
        batch: int = 1,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.device = soundstorm.no_text.device
        self.model = packed(soundstorm, FRAMES_AT_ONCE, dtype or inference_dtype(self.device))
        self.codec = codec
        self.prompt = prompt
        self.decoding = decoding or Decoding()
        self.batch = batch

    def render(
        self, readings: Sequence[WindowReading]
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield (index into `readings`, waveform (T * 1024,)), bucket by bucket."""
        for index, codes in self.fill(readings):
            yield index, self.codec.decode(codes, readings[index].seed)

    def fill(
        self, readings: Sequence[WindowReading]
    ) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield (index into `readings`, codes (2 T, Q)), bucket by bucket."""
        buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, reading in enumerate(readings):
            buckets[_bucket(reading)].append(index)
        for shape, members in sorted(buckets.items()):
            for first in range(0, len(members), self.batch):
                some = members[first : first + self.batch]
                codes = self._fill_batch(shape, [readings[i] for i in some]).cpu().numpy()
                for row, index in enumerate(some):
                    front = PROMPT_TOKENS * FRAMES_PER_TOKEN
                    frames = len(readings[index].tokens) * FRAMES_PER_TOKEN
                    yield index, codes[row, front : front + frames]

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
        return fill(self.model, batch, self.decoding)


def _span(reading: WindowReading) -> tuple[int, int]:
    """Find the units a reading's text vectors depend on."""
    first = max(0, int(reading.pointer[0]) - RADIUS)
    return first, min(len(reading.units), int(reading.pointer[-1]) + RADIUS + 1)


def _bucket(reading: WindowReading) -> tuple[int, int]:
    first, last = _span(reading)
    tokens = -(-len(reading.tokens) // BUCKET_TOKENS) * BUCKET_TOKENS
    return tokens, -(-(last - first) // BUCKET_UNITS) * BUCKET_UNITS


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
        F.pad(torch.ones_like(pointer, dtype=torch.bool), sides),
    )
