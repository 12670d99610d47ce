"""Real recordings for the QA tests: kathleen with her texts, LibriSpeech speakers, LJSpeech."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from qa.audio import Audio, as_audio, read_audio, resampled

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"


@dataclass(frozen=True)
class Clip:
    """One recording of the corpus."""

    path: Path
    corpus: str
    text: str

    def read(self) -> Audio:
        return read_audio(self.path)


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    """All recordings of the manifest, in its order."""
    manifest = SPEECH / "manifest.tsv"
    if not manifest.is_file():
        pytest.fail(f"{manifest} is missing: the QA tests measure real speech; see docs/qa.md")
    with manifest.open(newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    return [Clip(SPEECH / row["path"], row["corpus"], row["text"]) for row in rows]


@pytest.fixture(scope="session")
def kathleen(clips: list[Clip]) -> list[Clip]:
    """One reading of each of kathleen's texts without digits."""
    first: dict[str, Clip] = {}
    for clip in clips:
        if clip.corpus == "kathleen" and not any(c.isdigit() for c in clip.text):
            first.setdefault(clip.text, clip)
    return list(first.values())


@pytest.fixture(scope="session")
def librispeech(clips: list[Clip]) -> list[Clip]:
    """One clip of each LibriSpeech speaker."""
    return [clip for clip in clips if clip.corpus == "librispeech"]


def joined(recordings: list[Audio], pause_s: float = 0.4) -> Audio:
    """Recordings in a row with room tone of each between them (a declared concatenation)."""
    rate_hz = recordings[0].rate_hz
    parts: list[np.ndarray] = []
    for recording in recordings:
        samples = resampled(recording, rate_hz).samples
        parts += [samples, _room_tone(samples, round(pause_s * rate_hz))]
    return as_audio(np.concatenate(parts), rate_hz)


def _room_tone(samples: np.ndarray, length: int) -> np.ndarray:
    """The quietest 50 ms of a recording, repeated back and forth."""
    size = len(samples) // 20 if len(samples) < 20_000 else 1_100
    starts = range(0, len(samples) - size, size // 2)
    quiet = min(starts, key=lambda s: float(np.square(samples[s : s + size]).sum()))
    tone = samples[quiet : quiet + size]
    loop = np.concatenate([tone, tone[::-1]])
    return np.tile(loop, -(-length // len(loop)))[:length]
