"""Speech for training the `soundstream` codec: cleaned, levelled, with pitch, and cut on demand.

Crops are resampled at random, which moves pitch, formants and tempo together: a few hundred speakers
become many. A crop knows the frequency above which its recording holds nothing, so that no loss ever
asks the decoder for the silence above a 16 kHz source.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from generation.codec.pitch import PITCH_HOP_SAMPLES, Pitch, track_pitch
from generation.codec.soundstream import ACTIVE_RMS, active_level
from generation.denoise import noise_spectrum, reduce_noise
from generation.errors import LecternError
from generation.rates import SAMPLE_RATE_HZ

Floats = npt.NDArray[np.float32]

SPLIT = Path(__file__).parent / "splits" / "codec_heldout.txt"

NOISY_CORPORA = frozenset({"kathleen"})
"""Corpora whose room noise is reduced before training."""

CORPUS_SHARES = {"librispeech": 0.62, "kathleen": 0.23, "ljspeech": 0.15}
"""How often a crop comes from each corpus: many voices first, the house voice next."""

READINGS_PER_TEXT = 1
SLOWEST, FASTEST = 0.85, 1.18
_MARGIN = 1024


class DataError(LecternError):
    """Training data are missing or not what they should be."""


@dataclass(frozen=True)
class Clip:
    """One recording, ready to be cut.

    Attributes
    ----------
    waveform
        (N,) float32 at 22.05 kHz, its active speech at `ACTIVE_RMS`.
    pitch
        Its pitch.
    limit_hz
        Half the sampling rate it was recorded at.
    """

    corpus: str
    speaker: str
    text: str
    waveform: Floats
    pitch: Pitch
    limit_hz: float


@dataclass(frozen=True)
class Crop:
    """A piece of a clip, resampled: (N,) samples, N / 256 pitch values, and its band limit."""

    waveform: Floats
    pitch: Pitch
    limit_hz: float


def heldout_paths() -> frozenset[str]:
    """Name the recordings that no training may see (relative to the data's ``speech`` folder)."""
    return frozenset(SPLIT.read_text().split("\n")) - {""}


def manifest(data: Path) -> list[dict[str, str]]:
    """Rows of the data's manifest.

    Raises
    ------
    DataError
        There is none.
    """
    path = data / "speech" / "manifest.tsv"
    if not path.is_file():
        raise DataError(f"no manifest at {path}: name the folder that holds speech/manifest.tsv")
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def training_rows(data: Path) -> list[dict[str, str]]:
    """Rows that may be trained on: none held out, and no text of a corpus more than once."""
    held = heldout_paths()
    rows, seen = [], set()
    for row in manifest(data):
        key = (row["corpus"], row["text"])
        repeated = bool(row["text"]) and key in seen
        if row["path"] in held or repeated or row["corpus"] not in CORPUS_SHARES:
            continue
        seen.add(key)
        rows.append(row)
    return rows


def read_recording(data: Path, row: dict[str, str]) -> tuple[Floats, int]:
    """Read one recording at 22.05 kHz, cleaned where the corpus needs it and levelled; and its own rate."""
    waveform, rate = soundfile.read(data / "speech" / row["path"], dtype="float32")
    if rate != SAMPLE_RATE_HZ:
        waveform = soxr.resample(waveform, rate, SAMPLE_RATE_HZ, quality="VHQ")
    if row["corpus"] in NOISY_CORPORA:
        waveform = reduce_noise(waveform, noise_spectrum([waveform]))
    waveform = (waveform * (ACTIVE_RMS / max(1e-5, active_level(waveform)))).astype(np.float32)
    return waveform, rate


def load_clip(data: Path, row: dict[str, str]) -> Clip:
    """Read one recording and track its pitch."""
    waveform, rate = read_recording(data, row)
    limit = min(rate, SAMPLE_RATE_HZ) / 2
    return Clip(row["corpus"], row["speaker"], row["text"], waveform, track_pitch(waveform), limit)


def load_clips(data: Path, rows: list[dict[str, str]]) -> list[Clip]:
    """Read recordings; those shorter than a crop are left out."""
    clips = [load_clip(data, row) for row in rows]
    return [clip for clip in clips if len(clip.waveform) > 1.5 * SAMPLE_RATE_HZ]


class Crops:
    """Draws crops: a corpus by its share, a clip by its length, a place and a ratio at random."""

    def __init__(self, clips: list[Clip], samples: int) -> None:
        self.samples = samples
        self.by_corpus = {
            name: [clip for clip in clips if clip.corpus == name] for name in CORPUS_SHARES
        }
        self.by_corpus = {name: found for name, found in self.by_corpus.items() if found}
        shares = np.array([CORPUS_SHARES[name] for name in self.by_corpus])
        self.shares = shares / shares.sum()
        self.lengths = {
            name: np.array([len(c.waveform) for c in found], float)
            for name, found in self.by_corpus.items()
        }

    def draw(self, rng: np.random.Generator) -> Crop:
        """Draw one crop; half of them are resampled."""
        name = str(rng.choice(list(self.by_corpus), p=self.shares))
        lengths = self.lengths[name]
        clip = self.by_corpus[name][int(rng.choice(len(lengths), p=lengths / lengths.sum()))]
        span = np.log([SLOWEST, FASTEST])
        ratio = float(np.exp(rng.uniform(*span))) if rng.random() < 0.5 else 1.0
        return cut(clip, ratio, float(rng.random()), self.samples)


def cut(clip: Clip, ratio: float, place: float, samples: int) -> Crop:
    """Cut `samples` out of a clip played `ratio` times as fast.

    Parameters
    ----------
    clip
        The recording.
    ratio
        Above 1: faster, higher, and with shorter vocal tract.
    place
        Where in the clip, in [0, 1).
    samples
        Length of the crop, a multiple of 512.
    """
    need = int(np.ceil((samples + 2 * _MARGIN) * ratio)) + 2
    hop = PITCH_HOP_SAMPLES
    start = int(place * max(1, len(clip.waveform) - need)) // hop * hop
    piece = clip.waveform[start : start + need]
    piece = np.pad(piece, (0, need - len(piece)))
    if ratio != 1.0:
        piece = soxr.resample(piece, SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ, quality="HQ")
    waveform = np.ascontiguousarray(piece[_MARGIN : _MARGIN + samples], np.float32)
    frames = samples // hop
    whole = Pitch(clip.pitch.f0_hz[start // hop :], clip.pitch.voiced[start // hop :])
    warped = whole.warped(ratio, frames + _MARGIN // hop)
    pitch = Pitch(warped.f0_hz[_MARGIN // hop :], warped.voiced[_MARGIN // hop :])
    return Crop(waveform, pitch, min(clip.limit_hz * ratio, SAMPLE_RATE_HZ / 2))
