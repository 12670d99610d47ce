"""Melody: fundamental frequency by WORLD, its spread, and how alike two contours are."""

from dataclasses import dataclass

import numpy as np
import pyworld
from numpy.typing import NDArray

from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled

Floats = NDArray[np.float64]

FRAME_S = 0.01
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
"""Range of adult speech; below it is hum, above it are overtones."""

_CHUNK_S, _MARGIN_S = 30.0, 0.5


@dataclass(frozen=True, slots=True)
class Pitch:
    """A pitch contour.

    Attributes
    ----------
    f0_hz : (frame,) one value every `FRAME_S`; 0 where the voice is not voiced
    median_hz : median of the voiced frames, 0 if none is
    spread_semitones : 5th to 95th percentile of the voiced frames
    voiced_share : share of frames that are voiced
    """

    f0_hz: Floats
    median_hz: float
    spread_semitones: float
    voiced_share: float


@dataclass(frozen=True, slots=True)
class ContourComparison:
    """How alike two readings of one text are in melody.

    `correlation` (of semitones) and `distance_semitones` (root mean square after each is centred on
    its own median) over the `common_s` seconds in which both are voiced; not a number when that is
    under half a second.
    """

    correlation: float
    distance_semitones: float
    common_s: float


def pitch(audio: Audio) -> Pitch:
    """Follow the pitch of a recording of any length (DIO refined by StoneMask), 30 s at a time."""
    speech = resampled(audio, ANALYSIS_RATE_HZ).samples
    chunk, margin = int(_CHUNK_S * ANALYSIS_RATE_HZ), int(_MARGIN_S * ANALYSIS_RATE_HZ)
    parts = []
    for start in range(0, len(speech), chunk):
        begin = max(0, start - margin)
        f0 = _f0(speech[begin : start + chunk + margin])
        skip = round((start - begin) / ANALYSIS_RATE_HZ / FRAME_S)
        keep = min(chunk, len(speech) - start) / ANALYSIS_RATE_HZ / FRAME_S
        parts.append(f0[skip : skip + max(1, round(keep))])
    return described(np.concatenate(parts))


def _f0(samples: NDArray[np.float32]) -> Floats:
    wide = samples.astype(np.float64)
    coarse, times = pyworld.dio(
        wide, ANALYSIS_RATE_HZ, f0_floor=LOWEST_HZ, f0_ceil=HIGHEST_HZ, frame_period=FRAME_S * 1000
    )
    refined: Floats = pyworld.stonemask(wide, coarse, times, ANALYSIS_RATE_HZ)
    return refined


def described(f0_hz: Floats) -> Pitch:
    """Describe a contour by its median, its spread and its voiced share."""
    voiced = f0_hz[f0_hz > 0]
    if len(voiced) == 0:
        return Pitch(f0_hz, 0.0, 0.0, 0.0)
    low, high = np.percentile(voiced, [5, 95])
    return Pitch(
        f0_hz,
        float(np.median(voiced)),
        float(12 * np.log2(high / low)),
        len(voiced) / len(f0_hz),
    )


def semitones(f0_hz: Floats, reference_hz: float) -> Floats:
    """Semitones above `reference_hz`; not a number where unvoiced."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(f0_hz > 0, 12 * np.log2(f0_hz / reference_hz), np.nan))


def compare_contours(ours: Pitch, other: Pitch) -> ContourComparison:
    """Compare two readings frame by frame, the longer stretched to the shorter's length."""
    n = min(len(ours.f0_hz), len(other.f0_hz))
    a, b = (_stretched(semitones(p.f0_hz, max(p.median_hz, 1.0)), n) for p in (ours, other))
    both = np.isfinite(a) & np.isfinite(b)
    common_s = float(both.sum() * FRAME_S)
    if common_s < 0.5:
        return ContourComparison(float("nan"), float("nan"), common_s)
    a, b = a[both], b[both]
    correlation = float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else float("nan")
    return ContourComparison(correlation, float(np.sqrt(np.mean((a - b) ** 2))), common_s)


def _stretched(contour: Floats, n: int) -> Floats:
    return np.asarray(contour[np.round(np.linspace(0, len(contour) - 1, n)).astype(int)])
