"""Clean signal? Levels, pauses, noise, DC, hum and bandwidth.

Every measure works on the samples at their own rate, half a minute at a time; what counts as a failure is
for `qa.verdicts` to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import percentile_filter
from scipy.signal import welch

from qa.audio import Audio, Samples, frame_rms, mean_square

Floats = NDArray[np.float64]

FRAME_S = 0.02
SILENCE_DBFS = -100.0
"""Level given to digital silence, so that it can be averaged and plotted."""

NOISE_SPAN_S, NOISE_STEP_S = 8.0, 2.0

BAND_HOP_S = 0.016
"""From one frame of `band_powers` to the next."""

_CHUNK_S = 30.0
_PAUSE_BELOW_SPEECH_DB = 32.0
_SHORTEST_PAUSE_S = 0.15
_LOCAL_S, _FINE_S = 3.0, 0.01
_BRIDGE_S = 0.06  # a louder spike this short inside a pause does not end it
_CEILING_BLOCK_S = 4.0
_CEILING_WITHIN, _PCM_STEP = 0.001, 2.0**-15
_FLAT_SAMPLES, _FLAT_SHARE = 2, 0.05  # a round peak is within 0.1 % of its top for 3 % of its width
_QUIETEST_CEILING_DBFS = -40.0  # below it the steps of 16-bit samples make peaks alike
_HUM_MAINS_HZ = (50.0, 60.0)
_HUM_HARMONICS = (1, 2, 3, 4)
_HUM_TOP_HZ = 260


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch without speech."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Hum:
    """The strongest mains line: its level, and how far it stands out from the noise beside it."""

    mains_hz: float
    level_dbfs: float
    above_neighbours_db: float


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of a stretch: speech (95th percentile of 20 ms frames), floor (5th), peak, DC."""

    speech_dbfs: float
    floor_dbfs: float
    peak_dbfs: float
    rms_dbfs: float
    dc_dbfs: float

    @property
    def speech_above_floor_db(self) -> float:
        """How far speech stands above the noise floor."""
        return self.speech_dbfs - self.floor_dbfs


def decibels(amplitude: NDArray[np.floating] | float) -> Floats:
    """Amplitude (full scale 1.0) in dBFS, no lower than `SILENCE_DBFS`."""
    lowest = 10 ** (SILENCE_DBFS / 20)
    return np.asarray(20 * np.log10(np.maximum(np.asarray(amplitude, dtype=np.float64), lowest)))


def frame_levels(audio: Audio) -> Floats:
    """Level of each 20 ms in dBFS: (frame,) array."""
    return decibels(frame_rms(audio.samples, max(1, round(FRAME_S * audio.rate_hz))))


def levels(audio: Audio, start_s: float = 0.0, end_s: float | None = None) -> Levels:
    """Measure the levels of a stretch of a recording (by default the whole)."""
    part = stretch(audio, start_s, audio.duration_s if end_s is None else end_s)
    frames = frame_levels(part)
    if len(frames) == 0:
        frames = np.array([SILENCE_DBFS])
    floor, speech = np.percentile(frames, [5, 95])
    return Levels(
        speech_dbfs=float(speech),
        floor_dbfs=float(floor),
        peak_dbfs=float(decibels(max(float(part.samples.max()), -float(part.samples.min())))),
        rms_dbfs=float(decibels(mean_square(part.samples) ** 0.5)),
        dc_dbfs=float(decibels(abs(float(part.samples.mean(dtype=np.float64))))),
    )


def stretch(audio: Audio, start_s: float, end_s: float) -> Audio:
    """Cut a stretch out of a recording (a view, at least one sample long)."""
    first = min(max(0, round(start_s * audio.rate_hz)), len(audio.samples) - 1)
    last = max(first + 1, round(end_s * audio.rate_hz))
    return Audio(audio.samples[first:last], audio.rate_hz)


def pauses(audio: Audio) -> list[Pause]:
    """Find stretches of at least 0.15 s that hold no speech.

    A frame is silent when it lies 32 dB below the speech level of its surroundings (a minute), or within
    the lower quarter between the noise floor and speech where the room is noisy.
    """
    frames = frame_levels(audio)
    starts, ends = _runs(frames < _silence_thresholds(frames))
    found: list[Pause] = []
    for start, end in zip(starts * FRAME_S, ends * FRAME_S, strict=True):
        if found and start - found[-1].end_s <= _BRIDGE_S + 1e-9:
            found[-1] = Pause(found[-1].start_s, float(end))
        else:
            found.append(Pause(float(start), float(end)))
    return [p for p in found if p.duration_s >= _SHORTEST_PAUSE_S - 1e-9]


def local_pauses(audio: Audio) -> list[Pause]:
    """Find stretches of at least 0.15 s that are quiet beside the three seconds around them.

    For the time that speech takes: `pauses` looks for silence, and misses the pauses of a stretch whose room
    is louder than that of its surroundings.
    """
    frame = round(_FINE_S * audio.rate_hz)
    frames = decibels(frame_rms(audio.samples, frame))
    coarse = frames[: len(frames) // 4 * 4].reshape(-1, 4).mean(axis=1)
    if not len(coarse):
        return []
    size = round(_LOCAL_S / (4 * _FINE_S))
    low, high = (percentile_filter(coarse, rank, size) for rank in (8, 92))
    high = np.maximum(high, np.percentile(frames, 92) - 12.0)
    quiet = np.repeat(np.maximum(high - 36.0, low + 0.55 * (high - low)), 4)
    starts, ends = _runs(frames[: len(quiet)] < quiet)
    found = [
        Pause(float(a * _FINE_S), float(b * _FINE_S)) for a, b in zip(starts, ends, strict=True)
    ]
    return [p for p in found if p.duration_s >= _SHORTEST_PAUSE_S - 1e-9]


def _runs(inside: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First places of the stretches that are inside, and those after their last."""
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    return edges[::2], edges[1::2]


def _silence_thresholds(frames: Floats) -> Floats:
    """Level under which each frame is silent, from the minute around it."""
    block = round(30.0 / FRAME_S)
    result = np.empty(len(frames))
    for first in range(0, len(frames), block):
        around = frames[max(0, first - block // 2) : first + block + block // 2]
        floor, speech = np.percentile(around, [5, 95])
        floor = max(floor, speech - 60.0)
        quiet = max(speech - _PAUSE_BELOW_SPEECH_DB, floor + 0.25 * (speech - floor))
        result[first : first + block] = quiet
    return result


def clipped_peaks_per_s(audio: Audio, start_s: float = 0.0, end_s: float | None = None) -> float:
    """Peaks a second that are cut flat at the same ceiling, in the worst four seconds.

    Natural peaks are all of different height, however loud; clipped ones stop at one level and stay there. A
    limiter brings peaks to one level as well, but leaves them round. Above and below zero are counted apart,
    so that a recording may be clipped on one side, and at any level.
    """
    part = stretch(audio, start_s, audio.duration_s if end_s is None else end_s).samples
    block = round(_CEILING_BLOCK_S * audio.rate_hz)
    starts = range(0, max(1, len(part) - block // 2), block)
    worst = max(_flat_tops(part[k : k + block]) for k in starts)
    return worst / _CEILING_BLOCK_S


def _flat_tops(samples: Samples) -> int:
    """Count the peaks that are flat at the ceiling, on either side of zero where there are two or more."""
    tops = 0
    for wave in (samples, -samples):
        ceiling = float(wave.max())
        if ceiling < 10 ** (_QUIETEST_CEILING_DBFS / 20):
            continue
        starts, ends = _runs(wave >= ceiling - max(_CEILING_WITHIN * ceiling, _PCM_STEP))
        lobe_starts, lobe_ends = _runs(wave > 0)
        lobe = np.searchsorted(lobe_starts, starts, side="right") - 1
        lengths, widths = ends - starts, lobe_ends[lobe] - lobe_starts[lobe]
        flat = (lengths >= _FLAT_SAMPLES) & (lengths >= _FLAT_SHARE * widths)
        alike = int(np.count_nonzero(flat))
        tops += alike if alike > 1 else 0
    return tops


def hum(audio: Audio) -> Hum:
    """Find the mains hum of a recording: a steady line at 50 or 60 Hz and its overtones.

    Spectra of a second each are taken; at each frequency the 20th percentile over time is what is always
    there, which speech is not.
    """
    rate = audio.rate_hz
    spectra = [
        welch(audio.samples[k : k + rate], fs=rate, nperseg=rate)[1][:_HUM_TOP_HZ]
        for k in range(0, len(audio.samples) - rate + 1, rate)
    ]
    if not spectra:
        return Hum(0.0, SILENCE_DBFS, 0.0)
    steady = np.percentile(np.stack(spectra), 20, axis=0)
    lines = [_line(steady, mains) for mains in _HUM_MAINS_HZ]
    return max(lines, key=lambda line: line.above_neighbours_db)


def _line(steady: Floats, mains_hz: float) -> Hum:
    power, prominence = 0.0, []
    for harmonic in _HUM_HARMONICS:
        k = round(mains_hz * harmonic)  # spectra of one second: 1 Hz a bin
        if k + 12 >= len(steady):
            break
        line = steady[k - 1 : k + 2].sum()
        beside = np.median(np.concatenate([steady[k - 12 : k - 3], steady[k + 4 : k + 13]])) * 3
        power += line
        prominence.append(10 * np.log10(max(line, 1e-20) / max(beside, 1e-20)))
    return Hum(mains_hz, float(decibels(power**0.5)), float(max(prominence, default=0.0)))


def bandwidth_hz(audio: Audio, start_s: float = 0.0, end_s: float | None = None) -> float:
    """Frequency below which 99 % of the energy of the differentiated signal lies."""
    part = stretch(audio, start_s, audio.duration_s if end_s is None else end_s)
    if len(part.samples) < 2048:
        return 0.0
    frequency, power = welch(np.diff(part.samples), fs=part.rate_hz, nperseg=1024)
    share = np.cumsum(power) / max(float(power.sum()), 1e-30)
    return float(frequency[np.searchsorted(share, 0.99)])


@dataclass(frozen=True, slots=True)
class NoiseTrack:
    """How far speech stands above what is always there.

    Attributes
    ----------
    centre_s : (span,) middle of each 8 s span
    margin_db : (span,) loud frames over the noise floor, summed over 20 bands from 100 Hz
    speech_dbfs : (span,) level of the loud frames (bands above only), to tell speech from long pauses
    """

    centre_s: Floats
    margin_db: Floats
    speech_dbfs: Floats


def track_noise(audio: Audio) -> NoiseTrack:
    """Follow the noise floor, band by band, so that it shows between the sounds of speech as well.

    The floor of a band is the 10th percentile of its power in the span (minimum statistics, after
    Martin 2001, simplified): speech leaves every band now and then, noise does not.
    """
    power = band_powers(audio)
    per_s = 1.0 / BAND_HOP_S
    span, step = min(len(power), round(NOISE_SPAN_S * per_s)), round(NOISE_STEP_S * per_s)
    starts = np.arange(0, max(1, len(power) - span + 1), step)
    floor = np.array([np.percentile(power[s : s + span], 10, axis=0).sum() for s in starts])
    total = power.sum(axis=1)
    loud = np.array([np.percentile(total[s : s + span], 90) for s in starts])
    margin = 10 * np.log10((loud + 1e-12) / (floor + 1e-12))
    centre_s: Floats = (starts.astype(np.float64) + span / 2) * BAND_HOP_S
    return NoiseTrack(centre_s, margin, 10 * np.log10(loud + 1e-12))


def _whole_hops(audio: Audio) -> Iterator[Audio]:
    """Chunks of whole analysis hops; the last is at least one frame long."""
    hop = round(BAND_HOP_S * audio.rate_hz)
    size = round(_CHUNK_S / BAND_HOP_S) * hop
    for start in range(0, max(1, len(audio.samples) - 2 * hop), size):
        part = audio.samples[start : start + size + hop]
        yield Audio(np.pad(part, (0, max(0, 2 * hop - len(part)))), audio.rate_hz)


def band_powers(audio: Audio) -> Floats:
    """Mean-square level of each band and frame of a recording of any length, half a minute at a time."""
    return np.concatenate([band_power(part) for part in _whole_hops(audio)])


def band_power(part: Audio) -> Floats:
    """Mean-square level of each band and frame, full scale 1.0: (frame, band)."""
    hop = round(BAND_HOP_S * part.rate_hz)
    frames = np.lib.stride_tricks.sliding_window_view(part.samples, 2 * hop)[::hop]
    window = np.hanning(2 * hop)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 * (2 / (window**2).sum() / (2 * hop))
    frequency = np.fft.rfftfreq(2 * hop, 1 / part.rate_hz)
    top = min(7500.0, 0.45 * part.rate_hz)
    edges = np.unique(np.searchsorted(frequency, np.geomspace(100.0, top, 21)))
    return np.asarray(np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1), dtype=np.float64)
