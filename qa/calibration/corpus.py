"""Real recordings for calibration: the clips of a speech folder, and long recordings made of them.

There is no long real recording to calibrate on, so a "long recording" here is a declared concatenation:
clips of one speaker joined by room tone that has the spectrum of the speaker's own pauses.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from qa.audio import Audio, Samples, as_audio, frame_rms, read_audio, resampled
from qa.errors import UnreadableAudioError

_FADE_S = 0.01


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a corpus."""

    path: Path
    corpus: str
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """Where one clip lies in a long recording, and what is said in it."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A declared concatenation: its audio and its passages in order."""

    audio: Audio
    passages: tuple[Passage, ...]

    @property
    def sentences(self) -> list[str]:
        """The texts of the passages."""
        return [p.text for p in self.passages]


def load_clips(folder: Path) -> list[Clip]:
    """Read the manifest of a speech folder (`manifest.tsv`: path, corpus, speaker, text and more).

    Raises
    ------
    UnreadableAudioError
        If there is no manifest.
    """
    manifest = folder / "manifest.tsv"
    if not manifest.is_file():
        raise UnreadableAudioError(
            f"{manifest}: no manifest of recordings there; give the folder that holds one"
        )
    with manifest.open(newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    return [Clip(folder / r["path"], r["corpus"], r["speaker"], r["text"].strip()) for r in rows]


def once_each(clips: Sequence[Clip]) -> list[Clip]:
    """Keep one reading of each text, and only texts without digits."""
    first: dict[str, Clip] = {}
    for clip in clips:
        if clip.text and not any(c.isdigit() for c in clip.text):
            first.setdefault(clip.text, clip)
    return list(first.values())


@lru_cache(maxsize=4096)
def read_clip(path: Path) -> Audio:
    """Decode a clip (kept in memory: calibration reads each many times)."""
    return read_audio(path)


def room_tone(samples: Samples, rate_hz: int, length: int, rng: np.random.Generator) -> Samples:
    """Noise with the spectrum of the quietest tenth of a second of a recording.

    Parameters
    ----------
    samples : (sample,) the recording
    rate_hz : its rate
    length : samples wanted
    rng : source of the phases
    """
    frame = rate_hz // 50
    rms = frame_rms(samples, frame)
    if len(rms) < 6:
        return np.zeros(length, dtype=np.float32)
    start = int(np.argmin(np.convolve(rms**2, np.ones(5), mode="valid"))) * frame
    quiet = samples[start : start + 5 * frame]
    shape = np.abs(np.fft.rfft(quiet * np.hanning(len(quiet))))
    at = np.linspace(0, len(shape) - 1, length // 2 + 1)
    white = np.fft.rfft(rng.standard_normal(length))
    noise = np.fft.irfft(white * np.interp(at, np.arange(len(shape)), shape), length)
    level = float(np.sqrt(np.mean(quiet**2)) / max(1e-12, np.sqrt(np.mean(noise**2))))
    return (noise * level).astype(np.float32)


def join(parts: Sequence[Samples], rate_hz: int) -> tuple[Samples, list[tuple[int, int]]]:
    """Put parts in a row with an equal-power fade of 10 ms; returns the samples and each part's span."""
    fade = round(_FADE_S * rate_hz)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    total = sum(len(p) for p in parts) - fade * (len(parts) - 1)
    out = np.zeros(total, dtype=np.float32)
    spans, at = [], 0
    for index, part in enumerate(parts):
        piece = part.copy()
        if index:
            piece[:fade] *= ramp
        if index < len(parts) - 1:
            piece[-fade:] *= ramp[::-1]
        out[at : at + len(piece)] += piece
        spans.append((at, at + len(piece)))
        at += len(piece) - fade
    return out, spans


def concatenate(
    clips: Sequence[Clip], seed: int = 0, pause_s: tuple[float, float] = (0.25, 0.7)
) -> Recording:
    """Make a long recording of clips (of one speaker) with pauses of room tone between them."""
    rng = np.random.default_rng(seed)
    rate_hz = read_clip(clips[0].path).rate_hz
    parts: list[Samples] = []
    for clip in clips:
        samples = resampled(read_clip(clip.path), rate_hz).samples
        length = round(float(rng.uniform(*pause_s)) * rate_hz)
        parts += [samples, room_tone(samples, rate_hz, length, rng)]
    joined, spans = join(parts, rate_hz)
    passages = [
        Passage(clip.text, a / rate_hz, b / rate_hz)
        for clip, (a, b) in zip(clips, spans[::2], strict=True)
    ]
    return Recording(as_audio(joined, rate_hz), tuple(passages))
