"""The narrator's base pitch over time, apart from how a passage is told.

The 20th percentile of pitch lies where sentences end and varies least with what is said (Traunmüller and
Eriksson 1995), but it moves with the telling all the same: a lively or loud passage lies higher, and a voice
that creaks falls an octave for single syllables. How wide a span's melody is, how much of it creaks, how loud
and how bright it is hardly change when a voice is shifted as a whole; what they explain of the base pitch,
learned from the recording itself, is taken off it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qa.audio import ANALYSIS_RATE_HZ, Audio, frame_rms, resampled
from qa.pitch import FRAME_S

Floats = NDArray[np.float64]

SPAN_S, STEP_S = 20.0, 1.0
"""Spans over which the base pitch is taken. In the learning half shorter spans, the median and the quartiles
tell 100 shifts of two semitones less well from the narrator's own melody; a finer step tells them better."""

_LEAST_VOICED_S = 3.0
_CREAK = 0.68
"""Of a span's median: frames under it lie an octave too low."""

_USUAL = np.array([0.05, 0.5, 0.7, 1.5, 0.7])
"""By how much a span usually differs in each of its tellings, so that all are weighed alike."""

_PRIOR_SPANS = 2.0
"""Ridge: with so few independent spans half of what the telling seems to explain is believed."""

_OUTLIER, _ROUNDS = 0.6, 5
"""Spans that lie further off (semitones) count less in the fit (Huber 1964)."""


@dataclass(frozen=True, slots=True)
class BasePitch:
    """The narrator's base pitch over time.

    Attributes
    ----------
    centre_s : (span,) middle of each 20 s span
    semitones : (span,) base pitch against the recording's own, without what the telling explains; not
        a number where too little is voiced
    base_hz : the recording's own: median over the spans
    """

    centre_s: Floats
    semitones: Floats
    base_hz: float


def powers(audio: Audio) -> Floats:
    """Mean square of the samples of every frame of the pitch, and of their first difference: (frame, 2)."""
    speech = resampled(audio, ANALYSIS_RATE_HZ).samples
    frame = round(FRAME_S * ANALYSIS_RATE_HZ)
    parts = (frame_rms(x, frame) for x in (speech, np.diff(speech, prepend=speech[:1])))
    return np.asarray(np.stack([part.astype(np.float64) ** 2 for part in parts], axis=1))


def base_pitch(f0_hz: Floats, power: Floats) -> BasePitch:
    """Follow the base pitch.

    Parameters
    ----------
    f0_hz : (frame,) pitch, 0 where unvoiced
    power : (frame, 2) `powers` of the same sound
    """
    n = min(len(f0_hz), len(power))
    span, step = round(SPAN_S / FRAME_S), round(STEP_S / FRAME_S)
    starts = np.arange(0, max(1, n - span + 1), step)
    rows = np.array(
        [_span(f0_hz[s : min(n, s + span)], power[s : min(n, s + span)]) for s in starts]
    )
    base, telling = rows[:, 0], rows[:, 1:]
    known = np.isfinite(base)
    reference = float(np.median(base[known])) if known.any() else float("nan")
    left = base - reference
    if known.any():
        left[known] -= _explained(left[known], telling[known] / _USUAL)
        left -= np.median(left[known])
    centre_s: Floats = (starts.astype(np.float64) + min(span, n) / 2) * FRAME_S
    return BasePitch(centre_s, left, float(2 ** (reference / 12)))


def _span(f0_hz: Floats, power: Floats) -> Floats:
    """Base pitch of a span in semitones, and its telling: creak, both widths, loudness, brightness."""
    voiced = f0_hz > 0
    if voiced.sum() * FRAME_S < _LEAST_VOICED_S:
        return np.full(1 + len(_USUAL), np.nan)
    f0 = f0_hz[voiced]
    creaks = f0 < _CREAK * np.median(f0)
    low, middle, high = np.percentile(12 * np.log2(np.where(creaks, 2 * f0, f0)), [20, 50, 80])
    loud, bright = 10 * np.log10(power[voiced].mean(axis=0) + 1e-12)
    return np.array([low, creaks.mean(), middle - low, high - middle, loud, bright - loud])


def _explained(base: Floats, telling: Floats) -> Floats:
    """What the telling of each span explains of its base pitch: robust ridge regression.

    Each span is explained by those that share no sound with it: a shifted one does not explain itself.
    """
    x = telling - np.median(telling, axis=0)
    squares, products = x[:, :, None] * x[:, None, :], x * base[:, None]
    overlap = round(SPAN_S / STEP_S)
    place = np.arange(len(base))
    first, last = np.maximum(0, place - overlap + 1), np.minimum(len(base), place + overlap)
    explained: Floats = np.zeros(len(base))
    for _ in range(_ROUNDS):
        off = np.abs(base - explained - np.median(base - explained))
        weight = _OUTLIER / np.maximum(off, _OUTLIER)
        normal, sums = (
            _without(weight.reshape(-1, *[1] * (part.ndim - 1)) * part, first, last) / overlap
            for part in (squares, products)
        )
        slopes = np.linalg.solve(normal + _PRIOR_SPANS * np.eye(x.shape[1]), sums[:, :, None])
        explained = np.asarray((x * slopes[:, :, 0]).sum(axis=1), dtype=np.float64)
    return explained


def _without(rows: Floats, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
    """Sum all rows but those from `first` to before `last`, for each place."""
    until = np.concatenate([np.zeros_like(rows[:1]), np.cumsum(rows, axis=0)])
    return np.asarray(until[-1] - until[last] + until[first])
