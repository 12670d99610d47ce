"""The bench: real recordings in two halves, and what the models hear in them, kept on disk.

Thresholds are chosen on one half and figures taken on the other. The halves share no text of a narrator who
was recorded with text, and no speaker of those without. What a model makes of a clean section is computed
once; a damaged copy is measured again only where it was damaged.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.calibration.corpus import Clip, Recording, concatenate, load_clips
from qa.recognisers import HeardWord, Transcript

Floats = NDArray[np.float64]

SECTION_CLIPS = 45
"""Clips of the long narrator in one section: about two and a half minutes."""

LONG_NARRATOR = "kathleen"
SPEAKERS = "librispeech"


class Half(StrEnum):
    """Which half a recording belongs to."""

    LEARN = "learn"
    TEST = "test"


def half_of(clip: Clip) -> Half:
    """Tell the half of a clip: by its text for the long narrator, by its speaker otherwise."""
    key = clip.text if clip.corpus == LONG_NARRATOR else clip.speaker
    return Half.TEST if sha256(key.encode()).digest()[0] % 2 else Half.LEARN


@dataclass(frozen=True)
class Section:
    """A declared concatenation of some clips, and its name in the cache."""

    name: str
    clips: tuple[Clip, ...]

    @property
    def recording(self) -> Recording:
        """The joined audio."""
        return _joined(self)

    @property
    def speech(self) -> Audio:
        """The joined audio at the rate of the models."""
        return resampled(self.recording.audio, ANALYSIS_RATE_HZ)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.recording.audio.duration_s


@lru_cache(maxsize=40)  # all sections of both halves: half a gigabyte
def _joined(section: Section) -> Recording:
    seed = int(sha256(section.name.encode()).hexdigest()[:8], 16)
    return concatenate(section.clips, seed=seed)


@dataclass(frozen=True)
class Bench:
    """Recordings of a speech folder, and the folder that keeps what the models made of them."""

    speech: Path
    cache: Path

    @cached_property
    def _clips(self) -> list[Clip]:
        return load_clips(self.speech)

    def narrator(self, half: Half) -> list[Clip]:
        """Every reading of the long narrator, in an order that is the same each time."""
        found = [c for c in self._clips if c.corpus == LONG_NARRATOR and half_of(c) is half]
        order = np.random.default_rng(7).permutation(len(found))
        return [found[k] for k in order]

    def speakers(self, half: Half) -> list[Clip]:
        """One clip of each of the other speakers."""
        return [c for c in self._clips if c.corpus == SPEAKERS and half_of(c) is half]

    def sections(self, half: Half) -> list[Section]:
        """The long narrator in sections."""
        clips = self.narrator(half)
        return [
            Section(f"{half}-{k:02d}", tuple(clips[first : first + SECTION_CLIPS]))
            for k, first in enumerate(range(0, len(clips) - SECTION_CLIPS + 1, SECTION_CLIPS))
        ]

    def solos(self, half: Half) -> list[Section]:
        """Each of the other speakers as a section of one clip."""
        return [Section(f"{half}-{clip.path.stem}", (clip,)) for clip in self.speakers(half)]

    def kept(
        self, name: str, make: Callable[[], dict[str, NDArray[np.generic]]]
    ) -> dict[str, Floats]:
        """Return arrays from the cache, made now if they are not there yet."""
        path = self.cache / f"{name}.npz"
        if not path.is_file():
            self.cache.mkdir(parents=True, exist_ok=True)
            made = path.with_suffix(".part.npz")
            np.savez(made, **make())  # type: ignore[arg-type]
            made.rename(path)
        with np.load(path) as file:
            return {key: file[key] for key in file.files}

    def has(self, name: str) -> bool:
        """Tell whether the cache holds something."""
        return (self.cache / name).is_file()

    def voice(self, section: Section) -> dict[str, Floats]:
        """Sliding embeddings of a section: `centre_s`, `vectors`, `share`."""

        def make() -> dict[str, NDArray[np.generic]]:
            from qa.speaker import sliding_embeddings
            from qa.speaker_track import speech_share

            centre_s, vectors = sliding_embeddings(section.speech)
            return {
                "centre_s": centre_s,
                "vectors": vectors,
                "share": speech_share(section.speech, centre_s),
            }

        return self.kept(f"{section.name}.voice", make)

    def f0_hz(self, section: Section) -> Floats:
        """Pitch contour of a section, 0 where unvoiced."""

        def make() -> dict[str, NDArray[np.generic]]:
            from qa.pitch import pitch

            return {"f0_hz": pitch(section.speech).f0_hz}

        return self.kept(f"{section.name}.pitch", make)["f0_hz"]

    def power(self, section: Section) -> Floats:
        """Power of a section, frame by frame of its pitch."""
        from qa.base_pitch import powers

        return powers(section.speech)

    def heard(self, section: Section) -> Transcript:
        """Whisper's transcript of a section."""
        path = self.cache / f"{section.name}.words.json"
        if not path.is_file():
            from qa.recognisers import transcribe

            self.cache.mkdir(parents=True, exist_ok=True)
            transcript = transcribe(section.speech)
            path.with_suffix(".part").write_text(json.dumps(asdict(transcript)))
            path.with_suffix(".part").rename(path)
        return _transcript(json.loads(path.read_text()))


def _transcript(found: dict[str, Any]) -> Transcript:
    return Transcript(
        tuple(HeardWord(**word) for word in found["words"]),
        tuple((start_s, end_s) for start_s, end_s in found["cuts"]),
        tuple((start_s, end_s) for start_s, end_s in found["loops"]),
    )
