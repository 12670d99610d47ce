"""Room tone: learns what a recording's quiet parts sound like and makes more of it.

A chapter's head, tail and gaps are filled with this low noise instead of digital silence, which
listeners hear as a dropped line and retailers refuse.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from generation.mastering.loudness import to_db

Audio = NDArray[np.float32]

FRAME = 1024
"""Samples a frame (46 ms at 22.05 kHz): the grain at which quiet and sound are told apart."""

QUIET_SHARE = 0.1
"""The quietest tenth of a reading is taken to be pauses (read prose has 15 to 25 % of them)."""

_BIN_DB = 0.5
_LOWEST_DBFS = -120.0
_BINS = 250
_SILENCE_BIN = 40  # below -100 dBFS there is nothing to learn a spectrum from


class QuietMeter:
    """Frame levels of a stream, with the mean spectrum, first and last frame at each level.

    The state has a fixed size, so thresholds may be chosen after the whole stream has passed.
    """

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._frames = 0
        self._count = np.zeros(_BINS, dtype=np.int64)
        self._energy = np.zeros(_BINS)
        self._spectra = np.zeros((_BINS, FRAME // 2 + 1))
        self._first = np.full(_BINS, np.iinfo(np.int64).max)
        self._last = np.full(_BINS, -1, dtype=np.int64)
        self._window = np.hanning(FRAME).astype(np.float32)

    def push(self, audio: Audio) -> None:
        """Take the next samples, shape (samples,)."""
        joined = np.concatenate([self._rest, audio])
        whole = len(joined) // FRAME * FRAME
        self._rest = joined[whole:]
        frames = joined[:whole].reshape(-1, FRAME)
        if not len(frames):
            return
        energies = np.einsum("ij,ij->i", frames, frames).astype(np.float64) / FRAME
        levels = 10 * np.log10(np.maximum(energies, 1e-15))
        bins = np.clip((levels - _LOWEST_DBFS) / _BIN_DB, 0, _BINS - 1).astype(np.int64)
        places = self._frames + np.arange(len(frames))
        np.add.at(self._spectra, bins, np.abs(np.fft.rfft(frames * self._window)) ** 2)
        np.minimum.at(self._first, bins, places)
        np.maximum.at(self._last, bins, places)
        self._count += np.bincount(bins, minlength=_BINS)
        self._energy += np.bincount(bins, energies, _BINS)
        self._frames += len(frames)

    def floor_dbfs(self) -> float:
        """Return the mean level of the quietest tenth of the frames, in dBFS."""
        last = self._quiet_bins()
        return to_db(float(self._energy[:last].sum() / max(1, self._count[:last].sum())))

    def sound(self, above_dbfs: float) -> tuple[int, int] | None:
        """Return the samples [start, end) between the first and the last frame above a level, if any."""
        low = int(np.clip(np.ceil((above_dbfs - _LOWEST_DBFS) / _BIN_DB), 0, _BINS - 1))
        if not self._count[low:].any():
            return None
        return int(self._first[low:].min()) * FRAME, (int(self._last[low:].max()) + 1) * FRAME

    def spectrum(self) -> NDArray[np.float64]:
        """Return the power spectrum of the quiet parts, shape (FRAME // 2 + 1,).

        Where they are digitally silent there is nothing to learn: then a soft noise falling by 6 dB
        an octave.
        """
        last = self._quiet_bins()
        power = self._spectra[_SILENCE_BIN:last].sum(axis=0)
        if not power.sum() > 0:
            return np.asarray(1 / np.maximum(np.arange(FRAME // 2 + 1), 5.0) ** 2)
        return np.asarray(ndimage.uniform_filter1d(power, 5))

    def _quiet_bins(self) -> int:
        wanted = QUIET_SHARE * self._frames
        return int(np.searchsorted(np.cumsum(self._count), wanted)) + 1


class RoomTone:
    """An endless noise of unit power with a given spectrum; the same seed gives the same noise."""

    def __init__(self, spectrum: NDArray[np.float64], seed: int) -> None:
        taps = np.fft.fftshift(np.fft.irfft(np.sqrt(spectrum))) * np.hanning(FRAME)
        self._taps = (taps / np.sqrt(np.sum(taps**2))).astype(np.float32)
        self._random = np.random.Generator(np.random.Philox(seed))
        self._tail = np.zeros(FRAME - 1, np.float32)
        self.next(FRAME)  # past the filter's own start

    def next(self, samples: int) -> Audio:
        """Return the next samples of the noise, shape (samples,)."""
        white = self._random.standard_normal(samples, dtype=np.float32)
        shaped = signal.oaconvolve(white, self._taps).astype(np.float32)
        shaped = np.concatenate([shaped, np.zeros(max(0, FRAME - 1 - len(shaped)), np.float32)])
        shaped[: FRAME - 1] += self._tail
        self._tail = shaped[samples:]
        return np.asarray(shaped[:samples])
