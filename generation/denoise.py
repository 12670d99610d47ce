"""Gentle noise reduction of recordings, before training and of voice prompts: a Wiener filter with a floor.

The noise spectrum is taken from the quietest frames of a recording (or of several made in one room);
the gain never falls below a floor, so that rooms stay rooms and no musical noise appears.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.signal import istft, stft

Floats = npt.NDArray[np.float32]

_FFT = 1024
_HOP = 256
QUIET_SHARE = 0.1
"""Share of frames, the quietest, that are taken for noise alone."""
FLOOR_DB = -14.0
OVERSUBTRACTION = 1.5
"""Times the noise that is subtracted: quiet frames underestimate its mean."""
_MEMORY = 0.98
"""Weight of the frame before in the a-priori SNR (Ephraim and Malah, 1984, equation 51)."""


def _spectrum(waveform: Floats) -> npt.NDArray[np.complex64]:
    _, _, bins = stft(waveform, nperseg=_FFT, noverlap=_FFT - _HOP)
    return np.asarray(bins, np.complex64)


def noise_spectrum(waveforms: Iterable[Floats]) -> Floats:
    """Mean noise power per bin over the quietest frames of recordings made in one room.

    Parameters
    ----------
    waveforms
        Recordings, each (N,) float32.

    Returns
    -------
    ndarray
        (513,) float32 power.
    """
    quiet = []
    for waveform in waveforms:
        power = np.abs(_spectrum(waveform)) ** 2
        level = power[8:].sum(0)
        # Digital silence (padding) is no room.
        level = np.where(level > 1e-12, level, np.inf)
        count = max(1, int(QUIET_SHARE * power.shape[1]))
        quiet.append(power[:, np.argsort(level)[:count]])
    return np.asarray(np.concatenate(quiet, 1).mean(1), np.float32)


def reduce_noise(waveform: Floats, noise: Floats) -> Floats:
    """Reduce stationary noise by a Wiener filter with a decision-directed a-priori SNR.

    Parameters
    ----------
    waveform
        (N,) float32.
    noise
        (513,) noise power of `noise_spectrum`.

    Returns
    -------
    ndarray
        (N,) float32.
    """
    bins = _spectrum(waveform)
    ratio = np.abs(bins) ** 2 / (OVERSUBTRACTION * noise[:, None] + 1e-14)
    gains = np.empty_like(ratio)
    kept = np.maximum(ratio[:, 0] - 1, 0)
    for t in range(ratio.shape[1]):
        prior = _MEMORY * kept + (1 - _MEMORY) * np.maximum(ratio[:, t] - 1, 0)
        gains[:, t] = prior / (1 + prior)
        kept = gains[:, t] ** 2 * ratio[:, t]
    floor = 10 ** (FLOOR_DB / 20)
    smooth = np.exp(gaussian_filter(np.log(np.maximum(gains, floor)), (1.0, 0.5)))
    _, out = istft(bins * smooth, nperseg=_FFT, noverlap=_FFT - _HOP)
    return np.asarray(out[: len(waveform)], np.float32)
