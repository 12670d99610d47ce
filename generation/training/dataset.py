"""Aligned readings as the two language models train on them: units, pointer, tokens and codes.

An `Example` is a contiguous passage; trainings draw crops of it. Crops carry the text encoder's margin of
units on both sides, so that a crop's vectors are those of the whole passage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from generation.rates import FRAMES_PER_TOKEN
from generation.soundstorm.model import FrameText, frame_pointer, place_in_unit
from generation.speechssm.text_encoder import RADIUS

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Example:
    """A passage of T tokens by one speaker.

    `units` (U,), `word_starts` (U,), `pointer` (T,), `tokens` (T,), `codes` (2 T, Q).
    """

    speaker: str
    units: Ints
    word_starts: Ints
    pointer: Ints
    tokens: Ints
    codes: Ints

    def __len__(self) -> int:
        return len(self.tokens)


def save_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write examples as one file, whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(
        [
            {
                "speaker": e.speaker,
                **{
                    name: torch.from_numpy(getattr(e, name)).to(torch.int32)
                    for name in ("units", "word_starts", "pointer", "tokens", "codes")
                },
            }
            for e in examples
        ],
        partial,
    )
    partial.replace(path)


def load_examples(path: Path) -> list[Example]:
    """Read what `save_examples` wrote."""
    return [
        Example(
            row["speaker"],
            *(
                row[name].long().numpy()
                for name in ("units", "word_starts", "pointer", "tokens", "codes")
            ),
        )
        for row in torch.load(path, weights_only=True)
    ]


@dataclass(frozen=True)
class Crop:
    """A stretch of one example: as `Example`, with `pointer` counted from the first of `units`."""

    units: Ints
    word_starts: Ints
    pointer: Ints
    next_pointer: int
    tokens: Ints
    codes: Ints


def crop(example: Example, start: int, length: int) -> Crop:
    """Cut `length` tokens from `start`, with the text encoder's margin of units."""
    stop = start + length
    pointer = example.pointer[start:stop]
    first = max(0, int(pointer[0]) - RADIUS)
    last = min(len(example.units), int(pointer[-1]) + RADIUS + 1)
    following = example.pointer[stop] if stop < len(example) else example.pointer[stop - 1] + 1
    return Crop(
        example.units[first:last],
        example.word_starts[first:last],
        pointer - first,
        int(following) - first,
        example.tokens[start:stop],
        example.codes[start * FRAMES_PER_TOKEN : stop * FRAMES_PER_TOKEN],
    )


class CropSampler:
    """Draws crops of one length, each moment of speech as likely as any other."""

    def __init__(self, examples: Sequence[Example], length: int) -> None:
        self.examples = [e for e in examples if len(e) > length]
        if not self.examples:
            raise ValueError(f"no passage is longer than {length} tokens: make longer ones")
        self.length = length
        weights = np.array([len(e) - length for e in self.examples], np.float64)
        self._share = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> tuple[Example, Crop]:
        """Return a crop and the example it is from."""
        example = self.examples[int(rng.choice(len(self.examples), p=self._share))]
        start = int(rng.integers(len(example) - self.length))
        return example, crop(example, start, self.length)


def pad_units(crops: Sequence[Crop]) -> tuple[Tensor, Tensor]:
    """Stack units and word starts (B, U), padded with 0 to the longest (a multiple of 32)."""
    longest = -(-max(len(c.units) for c in crops) // 32) * 32
    units = torch.zeros(len(crops), longest, dtype=torch.long)
    starts = torch.zeros_like(units)
    for row, c in enumerate(crops):
        units[row, : len(c.units)] = torch.from_numpy(c.units)
        starts[row, : len(c.units)] = torch.from_numpy(c.word_starts)
    return units, starts


def frame_text(crops: Sequence[Crop], prompt_frames: int) -> FrameText:
    """Describe the reading of each frame of equally long crops behind a prompt of so many frames."""
    units, starts = pad_units(crops)
    pointer = frame_pointer(torch.stack([torch.from_numpy(c.pointer) for c in crops]))
    since, until = place_in_unit(pointer)
    front = torch.zeros(len(crops), prompt_frames, dtype=torch.long)
    spoken = torch.ones(len(crops), prompt_frames + pointer.shape[1], dtype=torch.bool)
    spoken[:, :prompt_frames] = False
    return FrameText(
        units,
        starts,
        torch.cat([front, pointer], 1),
        torch.cat([front, since], 1),
        torch.cat([front, until], 1),
        spoken,
    )
