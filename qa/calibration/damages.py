"""Known damage done to real speech: each function spoils one place and says where.

The defects are those a narration can have; each is as slight as a reviewer would still send back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import av
import numpy as np
import pyworld

from qa.audio import Audio, Samples, resampled
from qa.calibration.corpus import Clip, Passage, Recording, join, read_clip, room_tone
from qa.errors import AlignmentError
from qa.forced_alignment import align
from qa.recognisers import HeardWord

SWAP_S = 3.0
NOISE_SNR_DB = 15.0
CLICK_ABOVE_DB = 12.0
CLIP_BELOW_PEAK_DB = 3.0
PAUSE_S = 2.0
SPEED_CHANGE = 0.2
PITCH_SEMITONES = 2.0
DRIFT_SEMITONES, DRIFT_S = 2.0, 600.0


@dataclass(frozen=True, slots=True)
class Damaged:
    """A spoilt recording; `text` is what it should say, the damage lies in `start_s` to `end_s`."""

    audio: Audio
    text: tuple[str, ...]
    start_s: float
    end_s: float


Damage = Callable[[Recording, np.random.Generator], Damaged | None]
"""Spoils a recording at a random place; None where this recording offers no place for it."""


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-9


def _span(recording: Recording, length_s: float, rng: np.random.Generator) -> tuple[int, int]:
    """Pick a stretch of the given length somewhere inside the recording (samples)."""
    rate, total = recording.audio.rate_hz, len(recording.audio.samples)
    length = min(round(length_s * rate), total)
    start = int(rng.integers(0, total - length + 1))
    return start, start + length


def _replaced(recording: Recording, start: int, end: int, new: Samples) -> Damaged:
    """Put other samples in place of a stretch, with fades at both seams."""
    samples, rate = recording.audio.samples, recording.audio.rate_hz
    parts = [p for p in (samples[:start], new, samples[end:]) if len(p) > rate // 50]
    joined, spans = join(parts, rate)
    first, last = next(span for part, span in zip(parts, spans, strict=True) if part is new)
    return Damaged(Audio(joined, rate), tuple(recording.sentences), first / rate, last / rate)


def _edited(recording: Recording, start: int, end: int, new: Samples) -> Damaged:
    """Overwrite a stretch, sample for sample."""
    samples, rate = recording.audio.samples.copy(), recording.audio.rate_hz
    samples[start:end] = new
    return Damaged(Audio(samples, rate), tuple(recording.sentences), start / rate, end / rate)


def _faded_in(recording: Recording, start: int, new: Samples) -> Samples:
    """Let new samples take the place of old ones by fades of 10 ms at both ends."""
    ramp = np.linspace(0.0, 1.0, round(0.01 * recording.audio.rate_hz), dtype=np.float32)
    share = np.ones(len(new), dtype=np.float32)
    share[: len(ramp)], share[-len(ramp) :] = ramp, ramp[::-1]
    old = recording.audio.samples[start : start + len(new)]
    return (share * new + (1 - share) * old).astype(np.float32)


def swap_speaker(others: Sequence[Clip]) -> Damage:
    """Put three seconds in another voice, at the same level."""

    def damage(recording: Recording, rng: np.random.Generator) -> Damaged | None:
        rate = recording.audio.rate_hz
        donor = resampled(read_clip(others[int(rng.integers(len(others)))].path), rate).samples
        length = round(SWAP_S * rate)
        if len(donor) < length:
            return None
        at = int(rng.integers(0, len(donor) - length + 1))
        start, end = _span(recording, SWAP_S, rng)
        voice = donor[at : at + length] * (_rms(recording.audio.samples) / _rms(donor))
        return _edited(recording, start, end, _faded_in(recording, start, voice))

    return damage


def _passage(
    recording: Recording, rng: np.random.Generator, words: int
) -> tuple[Passage, int, int] | None:
    """Pick an inner passage of at least so many words, with its samples."""
    fit = [p for p in recording.passages[1:-1] if len(p.text.split()) >= words]
    if not fit:
        return None
    chosen = fit[int(rng.integers(len(fit)))]
    rate = recording.audio.rate_hz
    return chosen, round(chosen.start_s * rate), round(chosen.end_s * rate)


def _tone(recording: Recording, at: int, length: int, rng: np.random.Generator) -> Samples:
    """Room tone as quiet as the room is within ten seconds of a place; a clip alone may hold no pause."""
    rate = recording.audio.rate_hz
    around = recording.audio.samples[max(0, at - 10 * rate) : at + 10 * rate]
    return room_tone(around, rate, length, rng)


def skip_sentence(recording: Recording, rng: np.random.Generator) -> Damaged | None:
    """Leave a sentence out."""
    picked = _passage(recording, rng, words=4)
    if picked is None:
        return None
    _, start, end = picked
    gap = _tone(recording, start, 1200, rng)
    return _replaced(recording, start, end, gap)


def repeat_sentence(recording: Recording, rng: np.random.Generator) -> Damaged | None:
    """Read a sentence twice."""
    picked = _passage(recording, rng, words=4)
    if picked is None:
        return None
    _, start, end = picked
    rate = recording.audio.rate_hz
    said = recording.audio.samples[start:end]
    tone = _tone(recording, end, round(0.4 * rate), rng)
    return _replaced(recording, end, end, join([tone, said, tone], rate)[0])


def _aligned(audio: Audio, text: str) -> list[HeardWord]:
    try:
        return align(audio, text)
    except AlignmentError:
        return []


def _replaceable(words: Sequence[HeardWord]) -> list[HeardWord]:
    """Words long enough to be heard as words of their own."""
    return [
        w for w in words[1:-1] if len(w.text.strip(",.;:'!?")) >= 4 and w.end_s - w.start_s > 0.2
    ]


def replace_word(donors: Sequence[Clip]) -> Damage:
    """Replace a word of at least four letters by another of the same narrator."""

    def damage(recording: Recording, rng: np.random.Generator) -> Damaged | None:
        picked = _passage(recording, rng, words=5)
        donor = donors[int(rng.integers(len(donors)))]
        if picked is None:
            return None
        passage, first, last = picked
        rate = recording.audio.rate_hz
        inside = Audio(recording.audio.samples[first:last], rate)
        targets = _replaceable(_aligned(inside, passage.text))
        sources = _replaceable(_aligned(read_clip(donor.path), donor.text))
        if not targets or not sources:
            return None
        old = targets[int(rng.integers(len(targets)))]
        new = sources[int(rng.integers(len(sources)))]
        if old.text.lower().strip(",.;:!?") == new.text.lower().strip(",.;:!?"):
            return None
        voice = resampled(read_clip(donor.path), rate).samples
        spoken = voice[round(new.start_s * rate) : round(new.end_s * rate)]
        return _replaced(
            recording, first + round(old.start_s * rate), first + round(old.end_s * rate), spoken
        )

    return damage


def add_noise(recording: Recording, rng: np.random.Generator) -> Damaged:
    """Add ten seconds of pink noise 15 dB under the speech."""
    start, end = _span(recording, 10.0, rng)
    part = recording.audio.samples[start:end]
    spectrum = np.fft.rfft(rng.standard_normal(len(part)))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20.0))
    noise = np.fft.irfft(spectrum, len(part))
    noise *= _rms(part) * 10 ** (-NOISE_SNR_DB / 20) / _rms(noise.astype(np.float32))
    return _edited(recording, start, end, (part + noise).astype(np.float32))


def add_click(recording: Recording, rng: np.random.Generator) -> Damaged | None:
    """Add an impulse of up to four samples, 12 dB over the loudest within 50 ms."""
    rate = recording.audio.rate_hz
    samples = recording.audio.samples
    for _ in range(50):  # until a place is quiet enough for a click of that height to exist
        at = int(rng.integers(rate // 10, len(samples) - rate // 10))
        around = float(np.abs(samples[at - rate // 20 : at + rate // 20]).max())
        peak = around * 10 ** (CLICK_ABOVE_DB / 20)
        if peak <= 1.0:
            break
    else:
        return None
    shape = np.array([1.0, -0.6, 0.3, -0.1])[: int(rng.integers(1, 5))] * rng.choice([-1.0, 1.0])
    click = samples[at : at + len(shape)] + (peak * shape).astype(np.float32)
    return _edited(recording, at, at + len(shape), click.astype(np.float32))


def clip_peaks(recording: Recording, rng: np.random.Generator) -> Damaged:
    """Clip twenty seconds 3 dB under their peak."""
    start, end = _span(recording, 20.0, rng)
    part = recording.audio.samples[start:end]
    ceiling = np.float32(np.abs(part).max() * 10 ** (-CLIP_BELOW_PEAK_DB / 20))
    return _edited(recording, start, end, np.clip(part, -ceiling, ceiling))


def insert_pause(recording: Recording, rng: np.random.Generator) -> Damaged | None:
    """Insert two seconds of room tone where the narrator paused."""
    picked = _passage(recording, rng, words=1)
    if picked is None:
        return None
    _, _, end = picked
    length = round(PAUSE_S * recording.audio.rate_hz)
    return _replaced(recording, end, end, _tone(recording, end, length, rng))


def _filtered(samples: Samples, rate_hz: int, *filters: tuple[str, str]) -> Samples:
    """Send samples through FFmpeg audio filters."""
    graph = av.filter.Graph()
    nodes = [graph.add_abuffer(sample_rate=rate_hz, format="fltp", layout="mono")]
    nodes += [graph.add(name, options) for name, options in filters]
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate = rate_hz
    graph.push(frame)
    graph.push(None)
    parts = []
    while True:
        try:
            parts.append(graph.pull().to_ndarray()[0])
        except (av.BlockingIOError, av.EOFError):
            return np.concatenate(parts)


def stretched(samples: Samples, rate_hz: int, speed: float) -> Samples:
    """Change the tempo and keep the pitch (FFmpeg `atempo`, a WSOLA)."""
    return _filtered(samples, rate_hz, ("atempo", f"{speed:.5f}"))


def shifted(samples: Samples, rate_hz: int, semitones: float) -> Samples:
    """Change the pitch and keep the tempo: played at another rate, then stretched back."""
    ratio = 2 ** (semitones / 12)
    played = resampled(Audio(samples, round(rate_hz * ratio)), rate_hz).samples
    return _filtered(played, rate_hz, ("atempo", f"{1 / ratio:.5f}"))


def shifted_by_world(samples: Samples, rate_hz: int, semitones: float) -> Samples:
    """Change the pitch and keep tempo and formants (WORLD)."""
    wide = samples.astype(np.float64)
    f0, envelope, aperiodicity = pyworld.wav2world(wide, rate_hz)
    made = pyworld.synthesize(f0 * 2 ** (semitones / 12), envelope, aperiodicity, rate_hz)
    return np.asarray(made[: len(samples)], dtype=np.float32)


def change_speed(recording: Recording, rng: np.random.Generator) -> Damaged:
    """Read twenty seconds 20 % faster or slower."""
    start, end = _span(recording, 20.0, rng)
    speed = 1 + SPEED_CHANGE * float(rng.choice([-1.0, 1.0]))
    part = recording.audio.samples[start:end]
    return _replaced(recording, start, end, stretched(part, recording.audio.rate_hz, speed))


def change_pitch(recording: Recording, rng: np.random.Generator) -> Damaged:
    """Shift twenty seconds by two semitones, half the time with the formants kept."""
    start, end = _span(recording, 20.0, rng)
    semitones = PITCH_SEMITONES * float(rng.choice([-1.0, 1.0]))
    shift = shifted if rng.random() < 0.5 else shifted_by_world
    part = recording.audio.samples[start:end]
    return _replaced(recording, start, end, shift(part, recording.audio.rate_hz, semitones))


def drift(
    recording: Recording, rng: np.random.Generator, length_s: float = DRIFT_S
) -> Damaged | None:
    """Let the pitch creep up or down at two semitones in ten minutes, sentence by sentence."""
    audio = recording.audio
    if audio.duration_s < length_s:
        return None
    towards = DRIFT_SEMITONES * float(rng.choice([-1.0, 1.0]))
    borders = [
        0,
        *(round(p.end_s * audio.rate_hz) for p in recording.passages[:-1]),
        len(audio.samples),
    ]
    parts = []
    for start, end in pairwise(borders):
        semitones = towards * (start + end) / 2 / audio.rate_hz / DRIFT_S
        parts.append(shifted(audio.samples[start:end], audio.rate_hz, semitones))
    joined, _ = join(parts, audio.rate_hz)
    return Damaged(Audio(joined, audio.rate_hz), tuple(recording.sentences), 0.0, audio.duration_s)
