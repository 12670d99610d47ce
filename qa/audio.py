"""Audio as every measure takes it: float32 mono arrays and a rate.

How files become that, and how long arrays are cut at quiet places so that no measure needs the
whole of a book at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from qa.errors import UnreadableAudioError

Samples = NDArray[np.float32]

ANALYSIS_RATE_HZ = 16_000
"""Rate that Whisper, pocketsphinx, DNSMOS and GE2E were trained at."""

_QUIET_FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class Audio:
    """A mono recording.

    Attributes
    ----------
    samples : (sample,) float32 array, full scale 1.0
    rate_hz : samples per second
    """

    samples: Samples
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


def as_audio(samples: NDArray[np.floating], rate_hz: int) -> Audio:
    """Take an array of samples for measuring.

    Parameters
    ----------
    samples : (sample,) or (sample, channel) array of floats; channels are averaged
    rate_hz : samples per second

    Raises
    ------
    UnreadableAudioError
        If the array is empty, of another shape, or holds values that are not finite.
    """
    array = np.asarray(samples)
    if not np.issubdtype(array.dtype, np.floating):
        raise UnreadableAudioError(
            f"the samples are {array.dtype}; give floating-point samples with full scale 1.0"
        )
    if array.ndim == 2:
        array = array.mean(axis=1)
    if array.ndim != 1 or array.size == 0:
        raise UnreadableAudioError(
            f"expected (sample,) or (sample, channel), got shape {array.shape}"
        )
    mono = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise UnreadableAudioError(
            "the audio holds values that are not finite; decode or render it again"
        )
    return Audio(mono, int(rate_hz))


def read_audio(path: Path | str) -> Audio:
    """Decode the first audio stream of a file to mono at its own rate.

    Raises
    ------
    UnreadableAudioError
        If the file is missing, is no audio file, or holds no samples.
    """
    blocks = list(audio_blocks(path))
    return as_audio(np.concatenate([block.samples for block in blocks]), blocks[0].rate_hz)


def audio_blocks(path: Path | str) -> Iterator[Audio]:
    """Decode as `read_audio`, block by block, with one in memory at a time; at least one.

    Raises
    ------
    UnreadableAudioError
        As `read_audio`; of a file that cannot be decoded half-way, when it comes to that.
    """
    path = Path(path)
    if not path.is_file():
        raise UnreadableAudioError(f"{path}: no such file")
    any_yet = False
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise UnreadableAudioError(f"{path}: holds no audio stream")
            stream = container.streams.audio[0]
            rate_hz = int(stream.rate)
            to_float = av.AudioResampler(format="fltp", rate=rate_hz)
            for packet in chain(container.decode(stream), [None]):
                for frame in to_float.resample(packet):
                    any_yet = True
                    yield Audio(frame.to_ndarray().mean(axis=0, dtype=np.float32), rate_hz)
    except av.FFmpegError as error:
        raise UnreadableAudioError(f"{path}: cannot be decoded as audio ({error})") from error
    if not any_yet:
        raise UnreadableAudioError(f"{path}: holds no samples")


def resampled(audio: Audio, rate_hz: int) -> Audio:
    """Bring a recording to another rate (libsoxr, high quality)."""
    if audio.rate_hz == rate_hz:
        return audio
    samples = soxr.resample(audio.samples, audio.rate_hz, rate_hz, quality="HQ")
    return Audio(samples.astype(np.float32, copy=False), rate_hz)


def frame_rms(samples: Samples, frame: int) -> NDArray[np.float32]:
    """Measure the root mean square of consecutive frames; a shorter last frame is left out."""
    n = len(samples) // frame
    frames = samples[: n * frame].reshape(n, frame)
    rms: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", frames, frames) / frame)
    return rms


def mean_square(samples: Samples) -> float:
    """Take the mean square of a recording, summed in double precision a second or so at a time."""
    parts = (samples[k : k + 65_536] for k in range(0, len(samples), 65_536))
    return sum(float(np.dot(part, part)) for part in parts) / max(1, len(samples))


def quiet_cuts(audio: Audio, shortest_s: float, longest_s: float) -> Iterator[tuple[int, int]]:
    """Cut a recording into stretches between two lengths, each where it is quietest.

    Yields
    ------
    (start, end) sample indices that cover the whole recording in order, without gap or overlap.
    """
    frame = max(1, round(_QUIET_FRAME_S * audio.rate_hz))
    level = frame_rms(audio.samples, frame)
    smooth = np.convolve(level, np.full(15, 1 / 15), mode="same")  # 0.3 s: pauses, not stop gaps
    shortest, longest = int(shortest_s / _QUIET_FRAME_S), int(longest_s / _QUIET_FRAME_S)
    start = 0
    while len(level) - start > longest:
        cut = start + shortest + int(np.argmin(smooth[start + shortest : start + longest]))
        yield start * frame, cut * frame
        start = cut
    yield start * frame, len(audio.samples)
