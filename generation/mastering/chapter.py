"""Masters one chapter: narrated windows in, a lossless archive out that is proven on its decoded MP3.

Windows are taken one at a time and go through a spool file beside the archive, so memory does not grow
with the chapter. What comes out (`MasteredChapter`) says where every window and word came to lie, and can
be taken apart and put together again: the archive, `times`, and `measures` are stored by themselves.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from generation.canonical import canonical_sha256
from generation.manuscript.book import Place
from generation.mastering import master, spec
from generation.mastering.errors import MasteringError
from generation.mastering.files import (
    FLAC,
    MP3,
    AudioWriter,
    Format,
    Mark,
    Tags,
    gathered,
    read_audio,
)
from generation.mastering.loudness import LevelMeter
from generation.mastering.stitch import Placement, Window, stitch
from generation.mastering.times import ChapterTimes, PlaceEntry, WindowEntry, WordEntry
from generation.mastering.watermark import WATERMARK, marked
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]

CORRECTIONS_MAX = 4
"""How often a chapter is mastered again when its decoded MP3 misses the spec."""

TUNINGS_MAX = 3
"""How often its gain is set anew before that, for what the limiter took away."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and when it is spoken, in seconds from its window's first sample."""

    text: str
    start_s: float
    end_s: float
    place: Place


@dataclass(frozen=True, slots=True)
class NarratedWindow:
    """A window's waveform (see `stitch.Window`) and the words it speaks, in order."""

    audio: Audio
    words: Sequence[SpokenWord] = ()
    overlap: int = 0


@dataclass(frozen=True, slots=True)
class NarratedChapter:
    """A chapter as narrated. `windows` is read once, in order, and may make them as it goes."""

    number: int
    title: str
    windows: Iterable[NarratedWindow]


@dataclass(frozen=True, slots=True)
class MasteredChapter:
    """A finished chapter, not yet packaged.

    Attributes
    ----------
    number, title
        As in the manuscript.
    flac
        The archive: 24 bits at `DELIVERY_RATE_HZ`, mono, without tags.
    samples
        Its length at `DELIVERY_RATE_HZ`.
    levels
        What the chapter's MP3 measures after decoding.
    violations
        ACX-spec figures that could not be reached; empty where it holds.
    audio_sha256
        Of the narrated waveform before mastering, float32 at `SAMPLE_RATE_HZ`.
    times
        Windows and words, in seconds from the archive's first sample.
    watermark
        The mark in its sound (`generation.mastering.watermark`); empty for chapters that have none.
    """

    number: int
    title: str
    flac: Path
    samples: int
    levels: spec.Levels
    violations: tuple[str, ...]
    audio_sha256: str
    times: ChapterTimes
    watermark: str = ""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / DELIVERY_RATE_HZ

    @property
    def content_digest(self) -> str:
        """SHA-256 of what was narrated: number, title, waveform and words; no encoder has a part in it."""
        return canonical_sha256(self.content())

    def content(self) -> dict[str, Any]:
        """Return what `content_digest` covers, as plain data."""
        return {
            "number": self.number,
            "title": self.title,
            "audio_sha256": self.audio_sha256,
            "words": self.times.model_dump(mode="json")["words"],
        }

    def times_json(self) -> bytes:
        """Return `times` as JSON: `{"windows": [{number, start_s, end_s}], "words": [{text, …}]}`."""
        return (self.times.model_dump_json() + "\n").encode()

    def measures(self) -> dict[str, Any]:
        """Return what neither the archive nor `times` holds, as plain data; `mastered` takes it back."""
        return {
            "samples": self.samples,
            "levels": _LEVELS.dump_python(self.levels),
            "violations": list(self.violations),
            "audio_sha256": self.audio_sha256,
            "watermark": self.watermark,
        }


_LEVELS = TypeAdapter(spec.Levels)


def mastered(
    number: int, title: str, flac: Path, times: bytes, measures: dict[str, Any]
) -> MasteredChapter:
    """Put a mastered chapter together again from its archive, `times_json` and `measures`."""
    return MasteredChapter(
        number,
        title,
        flac,
        int(measures["samples"]),
        _LEVELS.validate_python(measures["levels"]),
        tuple(measures["violations"]),
        str(measures["audio_sha256"]),
        ChapterTimes.model_validate_json(times),
        str(measures.get("watermark", "")),
    )


def master_chapter(
    number: int, title: str, windows: Iterable[NarratedWindow], out_flac: Path, *, seed: int
) -> MasteredChapter:
    """Master a chapter into a lossless archive, again with a better plan while its MP3 misses the spec.

    Every window gets the watermark on its way in.

    Parameters
    ----------
    number, title
        As in the manuscript.
    windows : iterable of NarratedWindow
        In reading order; taken one at a time.
    out_flac : Path
        Where the archive goes; its folder must be there. A spool and a trial MP3 lie beside it meanwhile.
    seed : int
        The narration's seed; it fixes the room tone.

    Raises
    ------
    MasteringError
        A window cannot be joined, or there is no speech. No file is left then.
    """
    recording = _Recording(windows)
    spool, trial = (out_flac.with_name(f"{out_flac.name}.{end}") for end in ("spool", "trial.mp3"))
    try:
        with spool.open("wb") as file:
            measured = master.measure(map(marked, recording.blocks()), file)
        plan = master.plan(measured)
        levels = _proven(out_flac, spool, trial, plan, _tone(seed, number))
    except BaseException as error:
        out_flac.unlink(missing_ok=True)
        if isinstance(error, MasteringError):
            raise MasteringError(f"chapter {number} ({title!r}): {error}") from error
        raise
    finally:
        spool.unlink(missing_ok=True)
        trial.unlink(missing_ok=True)
    return MasteredChapter(
        number=number,
        title=title,
        flac=out_flac,
        samples=plan.samples,
        levels=levels,
        violations=spec.violations(levels),
        audio_sha256=recording.sha256(),
        times=recording.times(plan.shift),
        watermark=WATERMARK,
    )


def encode(
    path: Path,
    kind: Format,
    tags: Tags,
    cover: bytes,
    blocks: Iterable[Audio],
    marks: Sequence[Mark] = (),
) -> spec.Levels:
    """Write an encoded file and return what it measures when it is decoded."""
    with AudioWriter(path, kind, tags, cover, marks) as writer:
        for block in blocks:
            writer.write(block)
    meter = LevelMeter(DELIVERY_RATE_HZ)
    for block in gathered(read_audio(path)):
        meter.push(block)
    return meter.levels()


class _Recording:
    """A chapter's windows on their way into the spool: remembers where each of them came to lie."""

    def __init__(self, windows: Iterable[NarratedWindow]) -> None:
        self._narrated = windows
        self._words: list[Sequence[SpokenWord]] = []
        self._digest = hashlib.sha256()
        self._placed: list[tuple[Placement, Sequence[SpokenWord]]] = []

    def blocks(self) -> Iterator[Audio]:
        for place, piece in enumerate(stitch(self._windows())):
            self._placed.append((piece.placement, self._words[place]))
            self._digest.update(piece.audio.tobytes())
            yield piece.audio

    def _windows(self) -> Iterator[Window]:
        for window in self._narrated:
            self._words.append(window.words)
            yield Window(window.audio, window.overlap)

    def sha256(self) -> str:
        return self._digest.hexdigest()

    def times(self, shift: int) -> ChapterTimes:
        """Return windows and the words heard, in chapter time; `shift` as `master.Plan.shift`."""
        windows = tuple(
            WindowEntry(
                number=number,
                start_s=_seconds(placement.start + placement.first + shift),
                end_s=_seconds(placement.start + placement.end + shift),
            )
            for number, (placement, _) in enumerate(self._placed)
        )
        words = tuple(
            _word(word, placement.start + shift)
            for placement, words in self._placed
            for word in words
            if placement.first <= (word.start_s + word.end_s) / 2 * SAMPLE_RATE_HZ <= placement.end
        )
        return ChapterTimes(windows=windows, words=words)


def _seconds(samples: float) -> float:
    return round(max(0.0, samples / SAMPLE_RATE_HZ), 4)


def _word(word: SpokenWord, start: int) -> WordEntry:
    place = word.place
    return WordEntry(
        text=word.text,
        start_s=_seconds(start + word.start_s * SAMPLE_RATE_HZ),
        end_s=_seconds(start + word.end_s * SAMPLE_RATE_HZ),
        place=PlaceEntry(
            document=place.document, node=place.node, start=place.start, end=place.end
        ),
    )


def _proven(flac: Path, spool: Path, trial: Path, plan: master.Plan, tone_seed: int) -> spec.Levels:
    """Write the archive so that its MP3 holds the spec; return what the MP3 measures.

    Corrections change gain, ceiling and floor, never a plan's lengths.
    """
    for _ in range(1 + CORRECTIONS_MAX):
        plan = _archive(flac, spool, plan, tone_seed)
        levels = encode(trial, MP3, Tags(), b"", gathered(read_audio(flac)))
        better = master.corrected(plan, levels)
        if better is None:
            break
        plan = better
    return levels


def _archive(path: Path, spool: Path, plan: master.Plan, tone_seed: int) -> master.Plan:
    """Write the lossless master, again with a better gain while its loudness is off; return its plan."""
    for _ in range(1 + TUNINGS_MAX):
        carried_out, meter = plan, LevelMeter(DELIVERY_RATE_HZ)
        with AudioWriter(path, FLAC, Tags(), b"") as writer:
            for block in master.render(spool, plan, tone_seed):
                writer.write(block)
                meter.push(block)
        better = master.tuned(plan, meter.levels())
        if better is None:
            break
        plan = better
    return carried_out


def _tone(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"room tone {seed} {number}".encode()).digest()[:8], "big")
