"""Cuts a stretch out of a mastered chapter, with the chapter's own room tone at the cut ends.

Used for chapters too long for one file and for the retail sample. The head and the tail of every archive
are room tone already (see `master.HEAD_S`, `master.TAIL_S`), so the tone at a cut is a copy of it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generation.mastering.files import FLAC, AudioWriter, Tags, gathered, read_audio
from generation.rates import DELIVERY_RATE_HZ

Audio = NDArray[np.float32]

TONE_HEAD_S, TONE_TAIL_S = 0.6, 2.0
"""Room tone set at a cut: inside 0.5-1 s and 1-5 s (ACX), and inside the archive's own head and tail."""

_FADE = round(0.02 * DELIVERY_RATE_HZ)


def excerpt(archive: Path, samples: int, start: int, end: int, out: Path) -> tuple[int, int]:
    """Write the samples `[start, end)` of an archive as one of its own.

    Parameters
    ----------
    archive : Path
        A chapter's archive, of `samples` samples at `DELIVERY_RATE_HZ`.
    samples, start, end : int
        `0 <= start < end <= samples`. Room tone is set before a `start` above 0 and after an `end` below
        `samples`, and fades over 20 ms into the cut.
    out : Path
        Where it goes.

    Returns
    -------
    tuple of int
        What to add to a place in the archive to have it in the excerpt, and the excerpt's length.
    """
    head = _stretch(archive, 0, round(TONE_HEAD_S * DELIVERY_RATE_HZ)) if start else _NOTHING
    tail_from = samples - round(TONE_TAIL_S * DELIVERY_RATE_HZ)
    tail = _stretch(archive, tail_from, samples) if end < samples else _NOTHING
    written = 0
    with AudioWriter(out, FLAC, Tags(), b"") as writer:
        for block in _joined(head, _blocks(archive, start, end), tail):
            writer.write(block)
            written += len(block)
    return max(0, len(head) - _FADE) - start, written


_NOTHING = np.zeros(0, np.float32)
_RISING = (np.arange(_FADE, dtype=np.float32) + 0.5) / _FADE


def _joined(head: Audio, body: Iterator[Audio], tail: Audio) -> Iterator[Audio]:
    """Yield head, body and tail, the ends of the body faded into the tone."""
    held = next(body)
    if len(head):
        held = np.concatenate([head[:-_FADE], _crossed(head[-_FADE:], held)])
    for block in body:
        if len(block) <= _FADE:
            held = np.concatenate([held, block])
            continue
        yield held
        held = block
    if len(tail):
        yield held[:-_FADE]
        held = _crossed(held[-_FADE:], tail)
    yield held


def _crossed(before: Audio, after: Audio) -> Audio:
    """Fade `before`, of the fade's length, into the start of `after`."""
    length = min(_FADE, len(after))
    rising = _RISING[:length]
    mixed = before[:length] * (1 - rising) + after[:length] * rising
    return np.concatenate([mixed, after[length:]])


def _blocks(archive: Path, start: int, end: int) -> Iterator[Audio]:
    place = 0
    for block in gathered(read_audio(archive)):
        first, last = max(start - place, 0), min(end - place, len(block))
        if first < last:
            yield block[first:last]
        place += len(block)
        if place >= end:
            return


def _stretch(archive: Path, start: int, end: int) -> Audio:
    return np.concatenate([_NOTHING, *_blocks(archive, start, end)])
