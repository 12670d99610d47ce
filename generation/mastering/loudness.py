"""Streaming meters: loudness by ITU-R BS.1770 and EBU R128, level, peak and noise floor.

Each meter takes a waveform block by block and keeps a state of fixed size. The loudness meter keeps
a histogram of block energies instead of the blocks, as libebur128 does, so an hour costs what a
minute does.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from generation.mastering.spec import Levels

Audio = NDArray[np.float32]

ABSOLUTE_GATE_LUFS = -70.0  # BS.1770-4, annex 1
RELATIVE_GATE_LU = -10.0  # the same
LOUDNESS_OFFSET = -0.691  # the same: makes a 997 Hz sine at 0 dBFS read -3.01 LKFS
FLOOR_WINDOW_S = 0.5
SILENCE_DBFS = -144.0  # what is reported for no signal at all

_BIN_LU = 0.05
_LOWEST_LUFS = -130.0
_BINS = 3000  # up to +20 LUFS

TRUE_PEAK_PHASES = np.array(
    [
        [0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875,
         0.1373291015625, 0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250,
         0.0148925781250, -0.0083007812500],
        [-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500,
         0.4650878906250, 0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625,
         0.0330810546875, -0.0189208984375],
    ],
    dtype=np.float32,
)  # fmt: skip
"""Two of the four phases of the interpolator of BS.1770-4, annex 2, table 1; the others are their mirrors."""


def to_db(power: float) -> float:
    """Decibels of a power (mean square), not below `SILENCE_DBFS`."""
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


def k_weighting(rate_hz: int) -> NDArray[np.float64]:
    """Return the K-weighting filter of BS.1770-4 as second-order sections, shape (2, 6).

    The standard tabulates it at 48 kHz; this is the same analogue filter at any rate (De Man,
    "Evaluation of implementations of the EBU R128 loudness measurement", AES 145, 2018).
    """
    k, q = np.tan(np.pi * 1681.974450955533 / rate_hz), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    norm = 1 + k / q + k * k
    shelf = [
        (high + band * k / q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / q + k * k) / norm,
        1,
        2 * (k * k - 1) / norm,
        (1 - k / q + k * k) / norm,
    ]
    k, q = np.tan(np.pi * 38.13547087602444 / rate_hz), 0.5003270373238773
    norm = 1 + k / q + k * k
    highpass = [1, -2, 1, 1, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]
    return np.array([shelf, highpass], dtype=np.float64)


def true_peaks(audio: Audio) -> Audio:
    """Return an upper envelope of the waveform between samples, four times oversampled (BS.1770-4, annex 2).

    Parameters
    ----------
    audio : (samples,)
        With the eleven samples before the wanted ones in front.

    Returns
    -------
    (samples - 11,)
        Entry `i` is the largest magnitude of the four phases around sample `i + 5` or `i + 6`.
    """
    phases = np.concatenate([TRUE_PEAK_PHASES, TRUE_PEAK_PHASES[:, ::-1]])
    peaks = np.zeros(len(audio) - phases.shape[1] + 1, np.float32)
    for phase in phases:
        np.maximum(peaks, np.abs(np.convolve(audio, phase, mode="valid")), out=peaks)
    return peaks


class _Blocks:
    """Cuts a stream into energies of equal blocks of `size` samples."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = np.zeros(0)

    def push(self, samples: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the mean squares of the blocks that `samples` complete."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // self._size * self._size
        self._rest = joined[whole:]
        blocks = joined[:whole].reshape(-1, self._size)
        return np.asarray(np.einsum("ij,ij->i", blocks, blocks) / self._size, dtype=np.float64)


class LoudnessMeter:
    """Integrated loudness of a mono stream (BS.1770-4: overlapping 400 ms blocks, two gates)."""

    def __init__(self, rate_hz: int) -> None:
        self._filter = k_weighting(rate_hz)
        self._state = np.zeros((2, 2))
        self._blocks = _Blocks(rate_hz // 10)
        self._last = np.zeros(0)  # the last three energies of 100 ms
        self._energy = np.zeros(_BINS)
        self._count = np.zeros(_BINS, dtype=np.int64)

    def push(self, audio: Audio) -> None:
        """Take the next samples, shape (samples,)."""
        weighted, self._state = signal.sosfilt(self._filter, audio, zi=self._state)
        steps = np.concatenate([self._last, self._blocks.push(weighted)])
        self._last = steps[-3:]
        if len(steps) < 4:
            return
        energies = np.convolve(steps, np.full(4, 0.25), mode="valid")
        lufs = LOUDNESS_OFFSET + 10 * np.log10(np.maximum(energies, 1e-30))
        bins = np.clip((lufs - _LOWEST_LUFS) / _BIN_LU, 0, _BINS - 1).astype(np.int64)
        self._energy += np.bincount(bins, energies, _BINS)
        self._count += np.bincount(bins, minlength=_BINS)

    def integrated(self, gain_db: float = 0.0) -> float:
        """Return the loudness in LUFS as if the stream had passed a gain; -inf where every block is gated."""
        floor = self._mean(ABSOLUTE_GATE_LUFS - gain_db)
        if floor == -np.inf:
            return -np.inf
        return self._mean(max(ABSOLUTE_GATE_LUFS - gain_db, floor + RELATIVE_GATE_LU)) + gain_db

    def _mean(self, gate_lufs: float) -> float:
        first = max(0, round((gate_lufs - _LOWEST_LUFS) / _BIN_LU))
        count = int(self._count[first:].sum())
        if not count:
            return -np.inf
        return LOUDNESS_OFFSET + 10 * float(np.log10(self._energy[first:].sum() / count))


class LevelMeter:
    """RMS, sample peak, noise floor and loudness of a whole file."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._loudness = LoudnessMeter(rate_hz)
        self._blocks = _Blocks(rate_hz // 10)
        self._steps_a_window = round(FLOOR_WINDOW_S * 10)
        self._last = np.zeros(0)
        self._samples, self._energy, self._peak, self._floor = 0, 0.0, 0.0, np.inf

    def push(self, audio: Audio) -> None:
        """Take the next samples, shape (samples,)."""
        if not len(audio):
            return
        self._loudness.push(audio)
        self._samples += len(audio)
        self._energy += float(np.square(audio, dtype=np.float64).sum())
        self._peak = max(self._peak, float(np.abs(audio).max()))
        steps = np.concatenate([self._last, self._blocks.push(audio)])
        self._last = steps[1 - self._steps_a_window :]
        if len(steps) >= self._steps_a_window:
            ones = np.full(self._steps_a_window, 1 / self._steps_a_window)
            self._floor = min(self._floor, float(np.convolve(steps, ones, mode="valid").min()))

    def levels(self) -> Levels:
        """Return what was measured so far."""
        mean = self._energy / max(1, self._samples)
        return Levels(
            duration_s=self._samples / self._rate_hz,
            rms_dbfs=to_db(mean),
            peak_dbfs=to_db(self._peak**2),
            floor_dbfs=to_db(mean if self._floor == np.inf else max(0.0, self._floor)),
            loudness_lufs=max(SILENCE_DBFS, self._loudness.integrated()),
        )
