"""What several mastering tests share: Debian's tools by name, and the lag between two recordings."""

import shutil

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]


def tool(name: str) -> str:
    """Path of ffmpeg or ffprobe; the test fails, and says how to mend it, where it is missing."""
    found = shutil.which(name)
    assert found, f"{name} is missing: apt-get install ffmpeg"
    return found


def lag_samples(reference: Audio, audio: Audio, rate_hz: int, reach_s: float = 0.1) -> float:
    """By how many samples `audio` is later than `reference` (same length), by cross-correlation."""
    reach = round(reach_s * rate_hz)
    size = 1 << int(np.ceil(np.log2(len(reference) + len(audio))))
    product = np.fft.rfft(audio, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(product, size)
    near = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    best = int(np.argmax(near))
    left, here, right = near[best - 1], near[best], near[best + 1]
    return best - reach + 0.5 * float((left - right) / (left - 2 * here + right))
