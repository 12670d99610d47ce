"""Clicks: impulses that are over at once, told from the noises of the tongue by their width."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from qa.audio import Audio, Samples
from qa.thresholds import Thresholds

Floats = NDArray[np.float64]

_CHUNK_S, _MARGIN_S = 30.0, 0.06
_NEAR_MS, _FAR_MS = 2, 40  # a click is compared with what lies between these on either side of it
_BESIDE_MS = (0.4, 2.0)  # and with what lies right beside it
_WIDTH_AT = 1 / 3  # of its peak
_WIDTH_SAMPLES = 3  # at low rates an impulse cannot be narrower


@dataclass(frozen=True, slots=True)
class Click:
    """An impulse.

    Attributes
    ----------
    at_s : where
    above_db : its peak over the loudest sample from 0.4 to 40 ms before and after it
    width_ms : time that the samples within 2 ms spend over a third of its peak
    ring_db : how much louder it is from 0.4 to 2 ms after the peak than before it
    """

    at_s: float
    above_db: float
    width_ms: float
    ring_db: float


def clicks(audio: Audio, limits: Thresholds) -> list[Click]:
    """Find impulses that stand out from what is around them and are over at once.

    The tongue's own clicks are wider or make the mouth ring for a millisecond or two; plosives are followed
    by their vowel. An impulse that the recording or the processing put in leaves what follows as it was.

    Parameters
    ----------
    audio : the recording
    limits : the least height and the greatest width and ringing of a click
    """
    found: list[Click] = []
    size = max(1, round(audio.rate_hz / 1000))
    for offset, part, first, last in _chunks(audio):
        loud = _peaks(part, size)
        beside = np.maximum(_around(loud, _NEAR_MS, _FAR_MS), 1e-4)
        for k in np.flatnonzero(loud >= beside * 10 ** (limits.click_least_db / 20)).tolist():
            at = _loudest(part, k * size - size, k * size + 2 * size)
            click = _click(part, at, audio.rate_hz, float(beside[k]), offset)
            if not first <= at < last or (found and click.at_s - found[-1].at_s < 0.01):
                continue
            if _is_click(click, audio.rate_hz, limits):
                found.append(click)
    return found


def _is_click(click: Click, rate_hz: int, limits: Thresholds) -> bool:
    most_ms = max(limits.click_most_ms, _WIDTH_SAMPLES / rate_hz * 1000) + 1e-6
    return (
        click.above_db >= limits.click_least_db
        and click.width_ms <= most_ms
        and click.ring_db <= limits.click_ring_most_db
    )


def _click(samples: Samples, at: int, rate_hz: int, beside: float, offset: int) -> Click:
    near, far = (round(ms * rate_hz / 1000) for ms in _BESIDE_MS)
    level = np.abs(samples[max(0, at - far) : at + far + 1])
    middle = min(at, far)
    before = float(level[: max(0, middle - near + 1)].max(initial=1e-4))
    after = float(level[middle + near :].max(initial=1e-4))
    above_db = 20 * np.log10(level[middle] / max(beside, before, after))
    width_ms = np.count_nonzero(level > level[middle] * _WIDTH_AT) / rate_hz * 1000
    ring_db = 20 * np.log10(after / before)
    return Click((offset + at) / rate_hz, float(above_db), float(width_ms), float(ring_db))


def _chunks(audio: Audio) -> Iterator[tuple[int, Samples, int, int]]:
    """Stretches with margins: (first sample, samples, first and last of them to keep)."""
    size, margin = round(_CHUNK_S * audio.rate_hz), round(_MARGIN_S * audio.rate_hz)
    for start in range(0, len(audio.samples), size):
        begin = max(0, start - margin)
        part = audio.samples[begin : start + size + margin]
        yield begin, part, start - begin, min(start + size, len(audio.samples)) - begin


def _peaks(samples: Samples, size: int) -> Floats:
    """Largest amplitude in each bin of `size` samples."""
    n = len(samples) // size
    peaks = np.abs(samples[: n * size]).reshape(n, size).max(axis=1, initial=0.0)
    return np.asarray(peaks, dtype=np.float64)


def _around(values: Floats, near: int, far: int) -> Floats:
    """Largest value between `near` and `far` bins away, on either side."""
    width = far - near + 1
    pad = far + width
    padded = maximum_filter1d(np.pad(values, pad), width)
    centre = np.arange(len(values)) + pad
    shift = near + width // 2
    return np.asarray(np.maximum(padded[centre - shift], padded[centre + shift]))


def _loudest(samples: Samples, first: int, last: int) -> int:
    first = max(0, first)
    return first + int(np.abs(samples[first:last]).argmax())
