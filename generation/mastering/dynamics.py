"""The two dynamic stages of the master: an expander for the pauses and a true-peak limiter.

Both look ahead, take a stream block by block, give back exactly as many samples as they were given,
none of them late, and work on whole arrays: no loop over samples.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

from generation.mastering.loudness import true_peaks

Audio = NDArray[np.float32]


class Expander:
    """Turns the pauses of a noisy reading down, gently and never the speech around them.

    Frames below `floor_dbfs` + 10 dB that also have nothing louder up to 60 ms after or 120 ms before
    them are turned down, by `range_db` at the floor itself and by less above it.
    """

    HOP = 128
    HOLD, LOOK = 25, 15  # frames of 5.8 ms; smoothing eats four of each
    KNEE_DB, FULL_DB = (
        10.0,
        3.0,
    )  # above the floor: where turning down begins, and where it is complete
    _SMOOTH = np.hanning(9)[1:-1] / np.hanning(9).sum()
    _BEFORE, _AFTER = (
        HOLD + 5,
        LOOK + 5,
    )  # frames of context: average 1, smoothing 3, interpolation 1

    def __init__(self, floor_dbfs: float, range_db: float) -> None:
        self._floor_dbfs, self._range_db = floor_dbfs, range_db
        self._audio = np.zeros(0, np.float32)
        self._powers = np.zeros(self._BEFORE)
        self._framed = 0  # samples of `_audio` whose frames are in `_powers`

    def push(self, audio: Audio) -> Audio:
        """Take the next samples and return those that are ready, shape (samples,)."""
        self._audio = np.concatenate([self._audio, audio])
        return self._emit(0)

    def finish(self) -> Audio:
        """Return the samples still held."""
        missing = -len(self._audio) % self.HOP
        length = len(self._audio)
        self._audio = np.concatenate([self._audio, np.zeros(missing, np.float32)])
        return self._emit(self._AFTER)[:length]

    def _emit(self, after: int) -> Audio:
        whole = len(self._audio) // self.HOP * self.HOP
        frames = self._audio[self._framed : whole].reshape(-1, self.HOP)
        powers = np.einsum("ij,ij->i", frames, frames).astype(np.float64) / self.HOP
        self._powers = np.concatenate([self._powers, powers, np.zeros(after)])
        self._framed = whole
        count = len(self._powers) - self._BEFORE - self._AFTER
        if count <= 0:
            return np.zeros(0, np.float32)
        gains = self._gains(self._powers)  # one before, `count`, one after
        centres = (np.arange(len(gains)) - 0.5) * self.HOP
        samples = count * self.HOP
        ready = self._audio[:samples] * np.interp(np.arange(samples) + 0.5, centres, gains)
        self._audio, self._framed = self._audio[samples:], self._framed - samples
        self._powers = self._powers[count:]
        return np.asarray(ready, dtype=np.float32)

    def _gains(self, powers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Linear gains of the frames that have all their context, shape (frames - HOLD - LOOK - 8,)."""
        levels = 10 * np.log10(np.convolve(powers, np.full(3, 1 / 3), "valid") + 1e-15)
        loudest = sliding_window_view(levels, self.HOLD + self.LOOK + 1).max(axis=1)
        above = (loudest - self._floor_dbfs - self.FULL_DB) / (self.KNEE_DB - self.FULL_DB)
        down_db = self._range_db * (1 - np.clip(above, 0, 1))
        return np.asarray(10 ** (-np.convolve(down_db, self._SMOOTH, "valid") / 20))


class Limiter:
    """Keeps true peaks under a ceiling, with 5 ms of look-ahead and a release that is linear in decibels.

    The reduction a peak needs is spread over the look-ahead by a sliding maximum and a moving
    average of the same length, so the gain has arrived when the peak does and never steps.
    """

    RELEASE_DB_S = 60.0

    def __init__(self, ceiling_dbtp: float, rate_hz: int) -> None:
        self._ceiling = np.float32(10 ** (ceiling_dbtp / 20))
        self._look = round(0.005 * rate_hz)
        self._fall_db = self.RELEASE_DB_S / rate_hz
        self._delay = self._look + 6
        self._audio = np.zeros(
            self._delay + 5, np.float32
        )  # history: the delay line and the interpolator's
        self._late = self._delay  # samples of delay still to be dropped from the output
        self._peak = np.zeros(1, np.float32)
        self._held_db = 0.0
        self._down_db = np.zeros(2 * self._look)

    def push(self, audio: Audio) -> Audio:
        """Take the next samples and return those that are ready, shape (samples,)."""
        if not len(audio):
            return audio
        line = np.concatenate([self._audio, audio])
        self._audio = line[-len(self._audio) :]
        needed = self._released(self._needed_db(line, len(audio)))
        down = np.concatenate([self._down_db, needed])
        self._down_db = down[-2 * self._look :]
        ready = line[5 : 5 + len(audio)]
        if down.any():
            ready = ready * (10 ** (-self._spread(down) / 20)).astype(np.float32)
        dropped = min(self._late, len(ready))
        self._late -= dropped
        return np.asarray(ready[dropped:])

    def finish(self) -> Audio:
        """Return the samples still held."""
        return self.push(np.zeros(self._delay, np.float32))

    def _needed_db(self, line: Audio, count: int) -> NDArray[np.float64]:
        """Reduction that each of `count` samples needs, six samples late."""
        recent = line[-(count + 11) :]
        between = np.concatenate([self._peak, _loud_true_peaks(recent, self._ceiling)])
        self._peak = between[-1:]
        peaks = np.maximum(np.maximum(between[:-1], between[1:]), np.abs(recent[5:-6]))
        over = np.maximum(peaks / self._ceiling, 1)
        return (
            np.asarray(20 * np.log10(over), dtype=np.float64) if over.max() > 1 else np.zeros(count)
        )

    def _released(self, needed_db: NDArray[np.float64]) -> NDArray[np.float64]:
        """Let the reduction fall at a constant rate: y[n] = max(x[n], y[n-1] - fall), vectorised."""
        if self._held_db == 0 and not needed_db.any():
            return needed_db
        ramp = self._fall_db * np.arange(1, len(needed_db) + 1)
        risen = np.maximum.accumulate(np.maximum(needed_db + ramp, self._held_db))
        released = np.maximum(risen - ramp, 0)
        self._held_db = float(released[-1])
        return np.asarray(released)

    def _spread(self, down_db: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sliding maximum ahead, then a moving average behind, shape (len(down_db) - 2 look,)."""
        size = self._look + 1
        highest = ndimage.maximum_filter1d(down_db, size, origin=-(size // 2))[
            : len(down_db) - self._look
        ]
        sums = np.cumsum(np.concatenate([np.zeros(1), highest]))
        return np.asarray(np.maximum(sums[size:] - sums[:-size], 0) / size)


_PEAK_CHUNK = 2048
_GAIN_BETWEEN = np.float32(
    2.03
)  # no waveform of samples within ±1 passes this between them (sum of taps)


def _loud_true_peaks(audio: Audio, ceiling: np.float32) -> Audio:
    """Return `true_peaks`, but 0 for stretches that cannot reach the ceiling."""
    peaks = np.zeros(len(audio) - 11, np.float32)
    for start in range(0, len(peaks), _PEAK_CHUNK):
        part = audio[start : start + _PEAK_CHUNK + 11]
        if max(part.max(), -part.min()) * _GAIN_BETWEEN > ceiling:
            peaks[start : start + _PEAK_CHUNK] = true_peaks(part)
    return peaks
