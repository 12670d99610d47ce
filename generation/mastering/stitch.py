"""Joins a chapter's windows into one waveform, window by window, and says where each one came to lie.

Two windows meet in a pause by a short equal-power fade, or, where they share a stretch of speech,
in the middle of that stretch (SpeechSSM, arXiv 2412.18603, section 3.4). Only one window is held at
a time, so memory does not grow with the chapter.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generation.mastering.errors import MasteringError
from generation.rates import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]

FADE_SAMPLES = round(0.015 * SAMPLE_RATE_HZ)
"""Length of the equal-power fade at every joint: 15 ms."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window's waveform and how it meets the one before.

    `audio` has shape (samples,), float32 at `SAMPLE_RATE_HZ`. `overlap` counts the samples at its
    start that the window before also speaks; 0 means that the two only meet in a pause.
    """

    audio: Audio
    overlap: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a window lies in its chapter, in samples at `SAMPLE_RATE_HZ`.

    The window's sample `i` is the chapter's sample `start + i`. What the window says is heard from
    it for `first <= i < end`; the rest of a shared stretch is heard from its neighbour.
    """

    start: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """The next samples of the chapter, and the placement of the window they are from."""

    audio: Audio
    placement: Placement


@dataclass(frozen=True, slots=True)
class _Joint:
    """A joint in both windows' samples: the fade starts at `before` in one, at `after` in the other."""

    before: int
    after: int
    shared: int  # samples between the window starts' difference and the earlier window's end
    heard_until: int
    heard_from: int


def stitch(windows: Iterable[Window]) -> Iterator[Piece]:
    """Yield one piece for each window, in order; the pieces' audio end to end is the chapter.

    Parameters
    ----------
    windows : iterable of Window
        In reading order; taken one at a time.

    Raises
    ------
    MasteringError
        A window is not a finite mono float32 waveform, or too short for its joints.
    """
    held: Window | None = None
    audio = np.zeros(
        0, np.float32
    )  # the held window's samples from `begin` on, its first fade done
    start = begin = first = 0
    for index, window in enumerate(windows):
        _check(index, window)
        if held is None:
            held, audio = window, window.audio
            continue
        joint = _joint(index, held, window)
        if joint.before - begin < (FADE_SAMPLES if begin or start else 0):
            raise MasteringError(
                f"window {index - 1} of this chapter lasts {len(held.audio)} samples, too short to be "
                "joined to both its neighbours; plan longer windows"
            )
        yield Piece(audio[: joint.before - begin], Placement(start, first, joint.heard_until))
        fading = audio[joint.before - begin : joint.before - begin + FADE_SAMPLES]
        start += len(held.audio) - joint.shared
        held, begin, first = window, joint.after, joint.heard_from
        audio = _faded_in(fading, window.audio[begin:])
    if held is not None:
        yield Piece(audio, Placement(start, first, len(held.audio)))


def _check(index: int, window: Window) -> None:
    audio = window.audio
    if audio.ndim != 1 or audio.dtype != np.float32 or not np.isfinite(audio).all():
        raise MasteringError(
            f"window {index} of this chapter is no finite mono float32 waveform (shape {audio.shape}, "
            f"{audio.dtype}); render it again"
        )


def _joint(index: int, before: Window, after: Window) -> _Joint:
    shared = after.overlap or FADE_SAMPLES
    if not FADE_SAMPLES <= shared <= min(len(before.audio), len(after.audio)):
        raise MasteringError(
            f"windows {index - 1} and {index} of this chapter cannot share {shared} samples: they last "
            f"{len(before.audio)} and {len(after.audio)}, and a fade takes {FADE_SAMPLES}"
        )
    fade_after = (shared - FADE_SAMPLES) // 2
    fade_before = len(before.audio) - shared + fade_after
    if not after.overlap:
        return _Joint(fade_before, fade_after, shared, len(before.audio), 0)
    middle = FADE_SAMPLES // 2
    return _Joint(fade_before, fade_after, shared, fade_before + middle, fade_after + middle)


def _faded_in(fading: Audio, audio: Audio) -> Audio:
    """Return `audio` with its start mixed with the end of the window before, both at constant power."""
    angle = (np.arange(FADE_SAMPLES, dtype=np.float32) + 0.5) * (np.pi / 2 / FADE_SAMPLES)
    joined = audio.copy()
    joined[:FADE_SAMPLES] = fading * np.cos(angle) + audio[:FADE_SAMPLES] * np.sin(angle)
    return joined
