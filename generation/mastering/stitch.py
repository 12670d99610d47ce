"""Joins a chapter's windows into one waveform, window by window, and says where each one came to lie.

Two windows meet in a pause by a short equal-power fade, or, where they share a stretch of speech,
in the middle of that stretch (SpeechSSM, arXiv 2412.18603, section 3.4). A window that begins after a pause
begins with its first sound at full level; it gets a short lead-in, so that the fade takes nothing of that
sound and it rises as sounds after pauses inside windows do. Only one window is held at a time, so memory
does not grow with the chapter.
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

LEAD_SAMPLES = round(0.04 * SAMPLE_RATE_HZ)
_LEAD_DB = 45.0
"""The lead-in of a window: its first 40 ms mirrored, rising from 45 dB under."""


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
    lead = 0
    audio = np.zeros(
        0, np.float32
    )  # the held window's samples from `begin` on, its first fade done
    start = begin = first = 0
    for index, window in enumerate(windows):
        _check(index, window)
        if held is None:
            held, audio = window, window.audio
            continue
        led = 0 if window.overlap else LEAD_SAMPLES
        window = _led_in(index, window) if led else window
        joint = _joint(index, held, window)
        if joint.before - begin < (FADE_SAMPLES if begin or start else 0):
            raise MasteringError(
                f"window {index - 1} of this chapter lasts {len(held.audio)} samples, too short to be "
                "joined to both its neighbours; plan longer windows"
            )
        yield Piece(
            audio[: joint.before - begin],
            Placement(start + lead, max(0, first - lead), joint.heard_until - lead),
        )
        fading = audio[joint.before - begin : joint.before - begin + FADE_SAMPLES]
        start += len(held.audio) - joint.shared
        held, begin, first, lead = window, joint.after, joint.heard_from, led
        audio = _faded_in(fading, window.audio[begin:])
    if held is not None:
        yield Piece(audio, Placement(start + lead, max(0, first - lead), len(held.audio) - lead))


def _led_in(index: int, window: Window) -> Window:
    """Give a window its lead-in, which it shares with the pause before."""
    if len(window.audio) <= LEAD_SAMPLES:
        raise MasteringError(
            f"window {index} of this chapter lasts {len(window.audio)} samples, too short to be joined"
            f" to its neighbour; plan windows of {LEAD_SAMPLES + 1} samples and more"
        )
    rise = 10 ** (-_LEAD_DB / 20 * np.arange(LEAD_SAMPLES, 0, -1, dtype=np.float32) / LEAD_SAMPLES)
    lead = window.audio[LEAD_SAMPLES:0:-1] * rise
    return Window(np.concatenate([lead, window.audio]).astype(np.float32), LEAD_SAMPLES)


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
