"""Packages a mastered book: writes every file, and leaves a whole release or nothing.

`release.json` is the last file written, and a directory the last thing moved into place.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generation.manuscript.book import Cover
from generation.mastering import spec
from generation.mastering.chapter import (
    CORRECTIONS_MAX,
    MasteredChapter,
    NarratedChapter,
    encode,
    master_chapter,
)
from generation.mastering.files import FLAC, M4B, MP3, Mark, Tags, gathered, read_audio, tagged
from generation.packages.cover import cover_jpeg
from generation.packages.errors import PackagingError
from generation.packages.release import (
    AI_DISCLOSURE,
    RELEASE_FILE,
    BookMeta,
    FileEntry,
    LevelsEntry,
    Release,
    ReleaseChapter,
    VoiceMeta,
    content_digest,
    read_release,
)
from generation.packages.workplace import workplace, write_whole
from generation.rates import DELIVERY_RATE_HZ

Audio = NDArray[np.float32]


def master_and_package(
    book: BookMeta,
    voice: VoiceMeta,
    chapters: Sequence[NarratedChapter],
    out_dir: Path,
    *,
    seed: int,
    cover: Cover | None = None,
    disclosure: str = AI_DISCLOSURE,
) -> Release:
    """Master narrated chapters, each when its turn comes, and `package` them.

    Raises
    ------
    PackagingError
        As `package`.
    MasteringError
        A chapter cannot be joined or mastered. `out_dir` is as it was before.
    """
    with workplace(out_dir) as work:
        masters = work / ".masters"
        masters.mkdir()
        done = [
            master_chapter(
                chapter.number, chapter.title, chapter.windows, masters / f"{place}.flac", seed=seed
            )
            for place, chapter in enumerate(chapters)
        ]
        release = _packaged(work, book, voice, done, seed, cover, disclosure)
        for chapter in done:
            chapter.flac.unlink()
        masters.rmdir()
    return release


def package(
    book: BookMeta,
    voice: VoiceMeta,
    mastered: Sequence[MasteredChapter],
    out_dir: Path,
    *,
    seed: int,
    cover: Cover | None = None,
    disclosure: str = AI_DISCLOSURE,
) -> Release:
    """Write a mastered book as a draft release and return what `release.json` says.

    Parameters
    ----------
    book, voice : BookMeta, VoiceMeta
        What the files and the release say of the book, its narrator and the weights.
    mastered : sequence of MasteredChapter
        In reading order, at least one; their archives are read, never changed.
    out_dir : Path
        Made where it is missing; an earlier release there is replaced when this one is whole.
    seed : int
        The narration's seed, for the record.
    cover : Cover, optional
        The book's cover; a plain one is set where it has none that can be read.

    Raises
    ------
    PackagingError
        `out_dir` cannot be written or holds anything but an earlier release; nothing is touched
        then.
    """
    with workplace(out_dir) as work:
        return _packaged(work, book, voice, mastered, seed, cover, disclosure)


def _packaged(
    work: Path,
    book: BookMeta,
    voice: VoiceMeta,
    mastered: Sequence[MasteredChapter],
    seed: int,
    cover: Cover | None,
    disclosure: str,
) -> Release:
    if not mastered:
        raise PackagingError("there is no chapter to package; choose at least one")
    picture = cover_jpeg(book.title, book.authors, cover)
    (work / "cover.jpg").write_bytes(picture)
    shelf = _Shelf(work, book, voice, disclosure, picture, len(mastered))
    delivered = tuple(_deliver(shelf, place, chapter) for place, chapter in enumerate(mastered, 1))
    whole = _whole_book(shelf, mastered)
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


def _deliver(shelf: _Shelf, place: int, chapter: MasteredChapter) -> ReleaseChapter:
    """Write one chapter's files."""
    flac, mp3 = (shelf.path(kind.suffix, place, chapter.title) for kind in (FLAC, MP3))
    tags = shelf.tags(chapter.title, place)
    tagged(chapter.flac, flac, FLAC, tags, shelf.cover)
    levels = encode(mp3, MP3, tags, shelf.cover, gathered(read_audio(flac)))
    return ReleaseChapter(
        number=chapter.number,
        title=chapter.title,
        duration_s=chapter.duration_s,
        samples=chapter.samples,
        files=(_entry(shelf.work, flac, FLAC.media_type), _entry(shelf.work, mp3, MP3.media_type)),
        levels=_levels_entry(levels),
        violations=spec.violations(levels),
        audio_sha256=chapter.audio_sha256,
        words=chapter.times.words,
    )


def _levels_entry(levels: spec.Levels) -> LevelsEntry:
    return LevelsEntry(
        rms_dbfs=round(levels.rms_dbfs, 2),
        peak_dbfs=round(levels.peak_dbfs, 2),
        floor_dbfs=round(levels.floor_dbfs, 2),
        loudness_lufs=round(levels.loudness_lufs, 2),
    )


def _whole_book(shelf: _Shelf, chapters: Sequence[MasteredChapter]) -> Path:
    """Write the M4B from the chapters' archives, softer by its own overshoot if it has any."""
    marks, start = [], 0
    for chapter in chapters:
        marks.append(Mark(chapter.title, start, start + chapter.samples))
        start += chapter.samples
    path = shelf.work / f"{_slug(shelf.book.title, 'book')}{M4B.suffix}"
    tags, gain_db = shelf.tags(shelf.book.title), 0.0
    for _ in range(1 + CORRECTIONS_MAX):
        levels = encode(path, M4B, tags, shelf.cover, _on_end(chapters, gain_db), marks)
        over_db = levels.peak_dbfs - spec.PEAK_MAX_DBFS
        if over_db <= 0:
            break
        gain_db -= over_db + 0.05
    return path


def _on_end(chapters: Sequence[MasteredChapter], gain_db: float) -> Iterator[Audio]:
    gain = np.float32(10 ** (gain_db / 20))
    for chapter in chapters:
        for block in gathered(read_audio(chapter.flac)):
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
