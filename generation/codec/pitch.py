"""Pitch: tracked in a waveform by autocorrelation and dynamic programming, and written as one code.

The tracker is Boersma's (Proc. IFA 17, 1993): the autocorrelation of a windowed frame over that of its
window, candidates on a logarithmic grid of lags, and one best path through voiced and unvoiced states.
The code of a codec frame holds its pitch on a fine logarithmic scale and which halves of it are voiced.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from generation.rates import HOP_SAMPLES, SAMPLE_RATE_HZ

Floats = npt.NDArray[np.float32]

PITCH_HOP_SAMPLES = HOP_SAMPLES // 2
"""Samples between pitch estimates: two in each codec frame."""

FLOOR_HZ = 62.0
CEILING_HZ = 520.0

_RATE_HZ = SAMPLE_RATE_HZ // 2
_WINDOW = 3 * int(_RATE_HZ / FLOOR_HZ)
_FFT = 2048
_GRID = 256
# Costs of Boersma (1993), section 3, at a time step of 10 ms.
_VOICING_THRESHOLD = 0.42
_SILENCE_THRESHOLD = 0.02
_OCTAVE_COST = 0.015
_JUMP_COST = 0.35
_VOICING_COST = 0.14
_TIME_STEP_CORRECTION = 0.01 * SAMPLE_RATE_HZ / PITCH_HOP_SAMPLES


@dataclass(frozen=True)
class Pitch:
    """Pitch of a waveform, one value per 256 samples.

    Attributes
    ----------
    f0_hz
        (F,) float32; carried on through unvoiced stretches by interpolation, never zero.
    voiced
        (F,) bool.
    """

    f0_hz: Floats
    voiced: npt.NDArray[np.bool_]

    def warped(self, ratio: float, frames: int) -> "Pitch":
        """Pitch of the same waveform played `ratio` times as fast, at `frames` frames."""
        at = np.minimum(np.arange(frames) * ratio, len(self.f0_hz) - 1)
        f0 = np.interp(at, np.arange(len(self.f0_hz)), self.f0_hz) * ratio
        voiced = self.voiced[np.round(at).astype(int)]
        return Pitch(np.clip(f0, FLOOR_HZ, CEILING_HZ).astype(np.float32), voiced)


def _correlations(waveform: Floats, frames: int) -> tuple[Floats, Floats]:
    """Normalised autocorrelation on the lag grid (F, K), and each frame's peak as a share (F,)."""
    half = soxr.resample(waveform, SAMPLE_RATE_HZ, _RATE_HZ, quality="HQ").astype(np.float32)
    hop = PITCH_HOP_SAMPLES * _RATE_HZ / SAMPLE_RATE_HZ
    starts = np.round(np.arange(frames) * hop).astype(int)
    padded = np.pad(half, (_WINDOW // 2, _WINDOW + int(hop)))
    cut = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[starts]
    cut = cut - cut.mean(1, keepdims=True)
    peaks = np.abs(cut).max(1) / max(1e-6, float(np.abs(half).max(initial=0)))
    window = np.hanning(_WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(cut * window, _FFT, axis=1)) ** 2
    # A spectrum padded with zeros interpolates the autocorrelation by two.
    correlation = np.fft.irfft(np.pad(power, ((0, 0), (0, _FFT // 2))), axis=1)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)
    lags = 2 * _RATE_HZ / _grid_hz()
    low = np.floor(lags).astype(int)
    part = (lags - low).astype(np.float32)
    value = correlation[:, low] * (1 - part) + correlation[:, low + 1] * part
    scale = np.interp(lags / 2, np.arange(_FFT), of_window / of_window[0])
    zero = correlation[:, :1] + 1e-9
    return (value / zero / scale).astype(np.float32), peaks.astype(np.float32)


def _grid_hz() -> npt.NDArray[np.float64]:
    return np.asarray(CEILING_HZ * (FLOOR_HZ / CEILING_HZ) ** (np.arange(_GRID) / (_GRID - 1)))


def _best_path(scores: Floats, unvoiced: Floats) -> npt.NDArray[np.int64]:
    """Best state per frame: -1 unvoiced, else an index of the grid."""
    frames, size = scores.shape
    step = _JUMP_COST * _TIME_STEP_CORRECTION * np.log2(CEILING_HZ / FLOOR_HZ) / (size - 1)
    switch = _VOICING_COST * _TIME_STEP_CORRECTION
    ramp = (step * np.arange(size)).astype(np.float32)
    voiced_best = np.empty_like(scores)
    unvoiced_best = np.empty(frames, np.float32)
    voiced_best[0], unvoiced_best[0] = scores[0], unvoiced[0]
    for t in range(1, frames):
        last = voiced_best[t - 1]
        # max over i of last[i] - step * |i - j|, in two passes.
        rising = np.maximum.accumulate(last + ramp) - ramp
        falling = np.maximum.accumulate((last - ramp)[::-1])[::-1] + ramp
        stay = np.maximum(np.maximum(rising, falling), unvoiced_best[t - 1] - switch)
        voiced_best[t] = scores[t] + stay
        unvoiced_best[t] = unvoiced[t] + max(unvoiced_best[t - 1], last.max() - switch)
    path = np.empty(frames, np.int64)
    best = int(voiced_best[-1].argmax())
    path[-1] = best if voiced_best[-1, best] > unvoiced_best[-1] else -1
    for t in range(frames - 2, -1, -1):
        there = path[t + 1]
        cost = switch if there < 0 else np.abs(ramp - ramp[there])
        arrival = voiced_best[t] - cost
        best = int(arrival.argmax())
        rest = unvoiced_best[t] - (0.0 if there < 0 else switch)
        path[t] = best if arrival[best] > rest else -1
    return path


def _refined(scores: Floats, path: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Pitch (Hz) along a voiced path, by a parabola through the grid's neighbours."""
    rows = np.arange(len(path))
    middle = np.clip(path, 1, _GRID - 2)
    left, here, right = (scores[rows, middle + d] for d in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.where(bend < -1e-6, 0.5 * (left - right) / np.minimum(bend, -1e-6), 0.0)
    at = middle + np.clip(shift, -1, 1)
    return np.asarray(CEILING_HZ * (FLOOR_HZ / CEILING_HZ) ** (at / (_GRID - 1)))


def track_pitch(waveform: Floats) -> Pitch:
    """Track the pitch of speech.

    Parameters
    ----------
    waveform
        (N,) float32 at `SAMPLE_RATE_HZ`.

    Returns
    -------
    Pitch
        ceil(N / 256) values, the first centred on the first sample.
    """
    frames = max(1, -(-len(waveform) // PITCH_HOP_SAMPLES))
    strength, peaks = _correlations(waveform, frames)
    lags = 1 / _grid_hz()
    scores = (strength - _OCTAVE_COST * np.log2(lags * FLOOR_HZ)[None]).astype(np.float32)
    loudness = peaks / (_SILENCE_THRESHOLD / (1 + _VOICING_THRESHOLD))
    unvoiced = (_VOICING_THRESHOLD + np.maximum(0, 2 - loudness)).astype(np.float32)
    path = _best_path(scores, unvoiced)
    voiced = path >= 0
    if not voiced.any():
        return Pitch(np.full(frames, 150.0, np.float32), voiced)
    f0 = _refined(scores, path)
    places = np.flatnonzero(voiced)
    log_f0 = np.interp(np.arange(frames), places, np.log(f0[places]))
    return Pitch(np.exp(log_f0).astype(np.float32), voiced)


PITCH_CODES = 1024
_LEVELS = (PITCH_CODES - 1) // 3
_VOICINGS = ((True, True), (True, False), (False, True))


def pitch_codes(pitch: Pitch) -> npt.NDArray[np.int64]:
    """Write pitch as one code per codec frame.

    Code 0 is unvoiced; the others are 341 levels (a ninth of a semitone each) for each of the three
    ways in which the two halves of a frame can be voiced.

    Parameters
    ----------
    pitch
        An even number F of values.

    Returns
    -------
    ndarray
        (F / 2,) int64 in [0, 1024).
    """
    log_f0 = np.log(pitch.f0_hz).reshape(-1, 2)
    voiced = pitch.voiced.reshape(-1, 2)
    weight = np.where(voiced.any(1, keepdims=True), voiced, 1.0)
    mean = (log_f0 * weight).sum(1) / weight.sum(1)
    share = (mean - np.log(FLOOR_HZ)) / np.log(CEILING_HZ / FLOOR_HZ)
    level = np.clip(np.round(share * (_LEVELS - 1)), 0, _LEVELS - 1).astype(np.int64)
    kind = np.select([voiced.all(1), voiced[:, 0]], [0, 1], 2)
    return np.where(voiced.any(1), 1 + kind * _LEVELS + level, 0)


def pitch_of_codes(codes: npt.NDArray[np.int64]) -> Pitch:
    """Read pitch back from codes.

    Parameters
    ----------
    codes
        (T,) codes of `pitch_codes`.

    Returns
    -------
    Pitch
        2 T values: lines between the voiced frames' centres.
    """
    voiced_frame = codes > 0
    kind, level = np.divmod(np.maximum(codes - 1, 0), _LEVELS)
    voiced = np.array(_VOICINGS)[kind] & voiced_frame[:, None]
    if not voiced_frame.any():
        return Pitch(np.full(2 * len(codes), 150.0, np.float32), voiced.reshape(-1))
    log_f0 = np.log(FLOOR_HZ) + level / (_LEVELS - 1) * np.log(CEILING_HZ / FLOOR_HZ)
    # Where only one half is voiced, the level is that half's.
    centre = 2 * np.arange(len(codes)) + np.array([0.5, 0.0, 1.0])[kind]
    at = np.arange(2 * len(codes))
    track = np.interp(at, centre[voiced_frame], log_f0[voiced_frame])
    return Pitch(np.exp(track).astype(np.float32), voiced.reshape(-1))
