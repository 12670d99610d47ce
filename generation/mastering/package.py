"""Packages a narrated book: masters each chapter, writes every file, and leaves a whole release or nothing.

`release.json` is the last file written, and a directory the last thing moved into place.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generation.manuscript.book import Cover, Place
from generation.mastering import master, spec
from generation.mastering.cover import cover_jpeg
from generation.mastering.errors import MasteringError, PackagingError
from generation.mastering.files import FLAC, M4B, MP3, AudioWriter, Format, Mark, Tags, read_audio
from generation.mastering.loudness import LevelMeter
from generation.mastering.release import (
    AI_DISCLOSURE,
    RELEASE_FILE,
    BookMeta,
    FileEntry,
    LevelsEntry,
    PlaceEntry,
    Release,
    ReleaseChapter,
    VoiceMeta,
    WordEntry,
    content_digest,
    read_release,
)
from generation.mastering.stitch import Placement, Window, stitch
from generation.mastering.workplace import workplace, write_whole
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


def package(
    book: BookMeta,
    voice: VoiceMeta,
    chapters: Sequence[NarratedChapter],
    out_dir: Path,
    *,
    seed: int,
    cover: Cover | None = None,
    disclosure: str = AI_DISCLOSURE,
) -> Release:
    """Write a narrated book as a draft release and return what `release.json` says.

    Parameters
    ----------
    book, voice : BookMeta, VoiceMeta
        What the files and the release say of the book, its narrator and the weights.
    chapters : sequence of NarratedChapter
        In reading order, at least one.
    out_dir : Path
        Made where it is missing; an earlier release there is replaced when this one is whole.
    seed : int
        The narration's seed; it also fixes the room tone.
    cover : Cover, optional
        The book's cover; a plain one is set where it has none that can be read.

    Raises
    ------
    PackagingError
        `out_dir` cannot be written or holds anything but an earlier release; nothing is touched
        then.
    MasteringError
        A chapter cannot be joined or mastered. `out_dir` is as it was before.
    """
    if not chapters:
        raise PackagingError("there is no chapter to package; choose at least one")
    with workplace(out_dir) as work:
        picture = cover_jpeg(book.title, book.authors, cover)
        (work / "cover.jpg").write_bytes(picture)
        shelf = _Shelf(work, book, voice, disclosure, picture, len(chapters))
        delivered = tuple(
            _deliver(shelf, place, chapter, seed) for place, chapter in enumerate(chapters, 1)
        )
        whole = _whole_book(shelf, delivered)
        release = Release(
            book=book,
            voice=voice,
            seed=seed,
            disclosure=disclosure,
            duration_s=sum(chapter.samples for chapter in delivered) / DELIVERY_RATE_HZ,
            chapters=delivered,
            files=(
                _entry(work, whole, M4B.media_type),
                _entry(work, work / "cover.jpg", "image/jpeg"),
            ),
            content_digest=content_digest(book, voice, seed, delivered),
        )
        _write_last(work, release)
    return release


def attach(out_dir: Path, name: str, data: bytes, media_type: str) -> Release:
    """Add a companion file (a QA report, say) to a draft release, or replace it, and list it.

    Raises
    ------
    PackagingError
        There is no release, or `name` is not a plain file name or is taken by a file of the
        release.
    """
    release = read_release(out_dir)
    taken = {
        file.path for file in (*release.files, *(f for c in release.chapters for f in c.files))
    }
    if not name or Path(name).name != name or name in taken | {RELEASE_FILE}:
        raise PackagingError(
            f"{name!r} cannot be attached to {out_dir}: choose a plain, free file name"
        )
    write_whole(out_dir / name, data)
    others = tuple(file for file in release.companions if file.path != name)
    companions = (*others, _entry(out_dir, out_dir / name, media_type))
    release = release.model_copy(update={"companions": companions})
    _write_last(out_dir, release)
    return release


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where files are put, and what all of them say."""

    work: Path
    book: BookMeta
    voice: VoiceMeta
    disclosure: str
    cover: bytes
    chapters: int

    def tags(self, title: str, place: int = 0) -> Tags:
        return Tags(
            title=title,
            album=self.book.title,
            authors=", ".join(self.book.authors),
            narrator=f"{self.voice.name} ({self.voice.label})",
            disclosure=self.disclosure,
            language=self.book.language,
            publisher=self.book.publisher,
            published=self.book.published,
            copyright=self.book.rights,
            description=self.book.description,
            track=f"{place}/{self.chapters}" if place else "",
        )

    def path(self, kind_suffix: str, place: int, title: str) -> Path:
        folder = self.work / kind_suffix.removeprefix(".")
        folder.mkdir(exist_ok=True)
        width = max(2, len(str(self.chapters)))
        return folder / f"{place:0{width}d}-{_slug(title, 'chapter')}{kind_suffix}"


def _slug(title: str, otherwise: str) -> str:
    """Return a name that every file system and shop takes: lower-case ASCII words joined by hyphens."""
    letters = unicodedata.normalize("NFKD", title.lower().replace("’", "").replace("'", ""))
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in bare).split()
    return "-".join(words)[:60].strip("-") or otherwise


class _Recording:
    """A chapter's windows on their way into the spool: remembers where each word came to lie."""

    def __init__(self, chapter: NarratedChapter) -> None:
        self._chapter = chapter
        self._words: list[Sequence[SpokenWord]] = []
        self._digest = hashlib.sha256()
        self._placed: list[tuple[Placement, Sequence[SpokenWord]]] = []

    def blocks(self) -> Iterator[Audio]:
        for place, piece in enumerate(stitch(self._windows())):
            self._placed.append((piece.placement, self._words[place]))
            self._digest.update(piece.audio.tobytes())
            yield piece.audio

    def _windows(self) -> Iterator[Window]:
        for window in self._chapter.windows:
            self._words.append(window.words)
            yield Window(window.audio, window.overlap)

    def sha256(self) -> str:
        return self._digest.hexdigest()

    def words(self, shift: int) -> tuple[WordEntry, ...]:
        """Return the words heard, in chapter time; `shift` as `master.Plan.shift`."""
        return tuple(
            _word(word, placement.start + shift)
            for placement, words in self._placed
            for word in words
            if placement.first <= (word.start_s + word.end_s) / 2 * SAMPLE_RATE_HZ <= placement.end
        )


def _word(word: SpokenWord, start: int) -> WordEntry:
    at = start / SAMPLE_RATE_HZ
    place = word.place
    return WordEntry(
        text=word.text,
        start_s=round(max(0.0, at + word.start_s), 4),
        end_s=round(max(0.0, at + word.end_s), 4),
        place=PlaceEntry(
            document=place.document, node=place.node, start=place.start, end=place.end
        ),
    )


def _deliver(shelf: _Shelf, place: int, chapter: NarratedChapter, seed: int) -> ReleaseChapter:
    """Master one chapter and write its files, again with a better plan while the MP3 misses the spec."""
    recording = _Recording(chapter)
    spool = shelf.work / "spool.f32"
    try:
        with spool.open("wb") as file:
            measured = master.measure(recording.blocks(), file)
    except MasteringError as error:
        raise MasteringError(f"chapter {chapter.number} ({chapter.title!r}): {error}") from error
    flac, mp3 = (shelf.path(kind.suffix, place, chapter.title) for kind in (FLAC, MP3))
    tags, tone_seed = shelf.tags(chapter.title, place), _tone_seed(seed, chapter.number)
    plan = master.plan(measured)
    for _ in range(1 + CORRECTIONS_MAX):
        plan = _archive(flac, tags, shelf.cover, spool, plan, tone_seed)
        levels = _encode(mp3, MP3, tags, shelf.cover, _gathered(read_audio(flac)))
        better = master.corrected(plan, levels)
        if better is None:
            break
        plan = better
    spool.unlink()
    return ReleaseChapter(
        number=chapter.number,
        title=chapter.title,
        duration_s=plan.samples / DELIVERY_RATE_HZ,
        samples=plan.samples,
        files=(_entry(shelf.work, flac, FLAC.media_type), _entry(shelf.work, mp3, MP3.media_type)),
        levels=_levels_entry(levels),
        violations=spec.violations(levels),
        audio_sha256=recording.sha256(),
        words=recording.words(plan.shift),
    )


def _archive(
    path: Path, tags: Tags, cover: bytes, spool: Path, plan: master.Plan, tone_seed: int
) -> master.Plan:
    """Write the lossless master, again with a better gain while its loudness is off; return its plan."""
    for _ in range(1 + TUNINGS_MAX):
        carried_out, meter = plan, LevelMeter(DELIVERY_RATE_HZ)
        with AudioWriter(path, FLAC, tags, cover) as writer:
            for block in master.render(spool, plan, tone_seed):
                writer.write(block)
                meter.push(block)
        better = master.tuned(plan, meter.levels())
        if better is None:
            break
        plan = better
    return carried_out


def _encode(
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
    for block in _gathered(read_audio(path)):
        meter.push(block)
    return meter.levels()


def _tone_seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"room tone {seed} {number}".encode()).digest()[:8], "big")


def _gathered(blocks: Iterable[Audio]) -> Iterator[Audio]:
    """Join small blocks into larger ones, for speed."""
    held: list[Audio] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= master.BLOCK_SAMPLES:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _levels_entry(levels: spec.Levels) -> LevelsEntry:
    return LevelsEntry(
        rms_dbfs=round(levels.rms_dbfs, 2),
        peak_dbfs=round(levels.peak_dbfs, 2),
        floor_dbfs=round(levels.floor_dbfs, 2),
        loudness_lufs=round(levels.loudness_lufs, 2),
    )


def _whole_book(shelf: _Shelf, chapters: Sequence[ReleaseChapter]) -> Path:
    """Write the M4B from the chapters' archive files, softer by its own overshoot if it has any."""
    marks, start = [], 0
    for chapter in chapters:
        marks.append(Mark(chapter.title, start, start + chapter.samples))
        start += chapter.samples
    path = shelf.work / f"{_slug(shelf.book.title, 'book')}{M4B.suffix}"
    tags, gain_db = shelf.tags(shelf.book.title), 0.0
    for _ in range(1 + CORRECTIONS_MAX):
        master_blocks = _chapters_on_end(shelf, chapters, gain_db)
        levels = _encode(path, M4B, tags, shelf.cover, master_blocks, marks)
        over_db = levels.peak_dbfs - spec.PEAK_MAX_DBFS
        if over_db <= 0:
            break
        gain_db -= over_db + 0.05
    return path


def _chapters_on_end(
    shelf: _Shelf, chapters: Sequence[ReleaseChapter], gain_db: float
) -> Iterator[Audio]:
    gain = np.float32(10 ** (gain_db / 20))
    for chapter in chapters:
        for block in _gathered(read_audio(shelf.work / chapter.files[0].path)):
            yield block * gain


def _entry(root: Path, path: Path, media_type: str) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(
        path=path.relative_to(root).as_posix(),
        media_type=media_type,
        bytes=path.stat().st_size,
        sha256=digest,
    )


def _write_last(folder: Path, release: Release) -> None:
    write_whole(folder / RELEASE_FILE, (release.model_dump_json(indent=1) + "\n").encode())
