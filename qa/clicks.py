"""Clicks: impulses that are over at once, told from the noises of the tongue by their width."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from qa.audio import Audio, Samples

Floats = NDArray[np.float64]

_CHUNK_S, _MARGIN_S = 30.0, 0.06
_NEAR_MS, _FAR_MS = 2, 40  # a click is compared with what lies between these on either side of it
_WIDTH_AT = 1 / 3  # of its peak


@dataclass(frozen=True, slots=True)
class Click:
    """An impulse.

    Attributes
    ----------
    at_s : where
    above_db : its peak over the loudest sample from 2 to 40 ms before and after it
    width_ms : time that the samples within 2 ms spend over a third of its peak
    """

    at_s: float
    above_db: float
    width_ms: float


def clicks(audio: Audio, above_db: float, width_ms: float) -> list[Click]:
    """Find impulses that stand out from what is around them and are over at once.

    The tongue's own clicks ring for half a millisecond and more; plosives are followed by their vowel.

    Parameters
    ----------
    audio : the recording
    above_db : least height, see `Click`
    width_ms : greatest width, see `Click`
    """
    found: list[Click] = []
    size = max(1, round(audio.rate_hz / 1000))
    for offset, part, first, last in _chunks(audio):
        loud = _peaks(part, size)
        beside = np.maximum(_around(loud, _NEAR_MS, _FAR_MS), 1e-4)
        for k in np.flatnonzero(loud >= beside * 10 ** (above_db / 20)).tolist():
            at = _loudest(part, k * size - size, k * size + 2 * size)
            width = _width_ms(part, at, audio.rate_hz)
            at_s = (offset + at) / audio.rate_hz
            if (
                not first <= at < last
                or width > width_ms
                or (found and at_s - found[-1].at_s < 0.01)
            ):
                continue
            found.append(Click(at_s, float(20 * np.log10(loud[k] / beside[k])), width))
    return found


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


def _width_ms(samples: Samples, at: int, rate_hz: int) -> float:
    reach = round(0.002 * rate_hz)
    near = np.abs(samples[max(0, at - reach) : at + reach + 1])
    return float(np.count_nonzero(near > near.max() * _WIDTH_AT) / rate_hz * 1000)
