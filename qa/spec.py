"""To spec? Levels, head, tail and length of a finished file, measured after encoding.

The figures are those that retail audiobook stores publish (ACX audio submission requirements).
"""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from qa.audio import Audio, read_audio
from qa.signal import SILENCE_DBFS, frame_levels, levels, pauses


@dataclass(frozen=True, slots=True)
class Spec:
    """A finished file beside the figures of a store.

    Attributes
    ----------
    rms_dbfs, peak_dbfs : over the whole file
    floor_dbfs : level of the quietest half second
    head_s, tail_s : room tone before the first and after the last word
    digital_black : whether head or tail is digital silence instead of room tone
    duration_s : length
    rate_hz, channels, codec, bit_rate : of the file; 0 and "" for arrays
    """

    rms_dbfs: float
    peak_dbfs: float
    floor_dbfs: float
    head_s: float
    tail_s: float
    digital_black: bool
    duration_s: float
    rate_hz: int
    channels: int
    codec: str
    bit_rate: int


def measure_spec(audio: Audio, path: Path | None = None) -> Spec:
    """Measure a decoded recording; `path` names the file for its rate, channels and codec."""
    whole = levels(audio)
    head_s, tail_s = _head_and_tail(audio)
    edges = _edge_levels(audio, head_s, tail_s)
    channels, codec, bit_rate, rate_hz = _container(path) if path else (0, "", 0, audio.rate_hz)
    return Spec(
        rms_dbfs=whole.rms_dbfs,
        peak_dbfs=whole.peak_dbfs,
        floor_dbfs=_floor_dbfs(audio),
        head_s=head_s,
        tail_s=tail_s,
        digital_black=any(level <= SILENCE_DBFS for level in edges),
        duration_s=audio.duration_s,
        rate_hz=rate_hz,
        channels=channels,
        codec=codec,
        bit_rate=bit_rate,
    )


def measure_file(path: Path) -> Spec:
    """Decode a file and measure it."""
    return measure_spec(read_audio(path), path)


def _head_and_tail(audio: Audio) -> tuple[float, float]:
    """Length of the pauses at both ends."""
    found = pauses(audio)
    head_s = found[0].end_s if found and found[0].start_s <= 0.03 else 0.0
    near_end = audio.duration_s - 0.05
    tail_s = audio.duration_s - found[-1].start_s if found and found[-1].end_s >= near_end else 0.0
    return head_s, tail_s


def _edge_levels(audio: Audio, head_s: float, tail_s: float) -> list[float]:
    edges = []
    if head_s >= 0.1:
        edges.append(levels(audio, 0.0, head_s).rms_dbfs)
    if tail_s >= 0.1:
        edges.append(levels(audio, audio.duration_s - tail_s, audio.duration_s).rms_dbfs)
    return edges


def _floor_dbfs(audio: Audio) -> float:
    """Level of the quietest half second (mean of power over 25 frames)."""
    power = 10 ** (frame_levels(audio) / 10)
    n = min(25, len(power))
    if n == 0:
        return SILENCE_DBFS
    smooth = np.convolve(power, np.full(n, 1 / n), mode="valid")
    return float(10 * np.log10(smooth.min()))


def _container(path: Path) -> tuple[int, str, int, int]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate = int(stream.bit_rate or container.bit_rate or 0)
        return stream.channels, stream.codec_context.name, rate, stream.rate
