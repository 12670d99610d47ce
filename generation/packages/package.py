"""Packages a mastered book: writes every file, and leaves a whole release or nothing.

From one description (metadata, voice, disclosure, cover, the chapters' text) and the chapters' archives come
FLAC and MP3 a chapter, an M4B, a retail sample, and around them EPUB with read-along, WebVTT, W3C audiobook,
podcast feed, Audiobookshelf metadata and ONIX record. `release.json` is the last file written, and a
directory the last thing moved into place.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray

from generation.manuscript.book import Chapter, Cover
from generation.mastering import spec
from generation.mastering.chapter import (
    CORRECTIONS_MAX,
    MasteredChapter,
    NarratedChapter,
    encode,
    master_chapter,
)
from generation.mastering.files import FLAC, M4B, MP3, Mark, Tags, gathered, read_audio, tagged
from generation.packages import audiobook, audiobookshelf, epub, onix, podcast, webvtt
from generation.packages.cover import cover_jpeg
from generation.packages.credits import CLOSING_NUMBER, OPENING_NUMBER, reading_order
from generation.packages.edition import Edition, Recording, scene_starts, timed_blocks
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
from generation.packages.split import parts, retail_sample
from generation.packages.workplace import workplace, write_whole
from generation.rates import DELIVERY_RATE_HZ

Audio = NDArray[np.float32]

DRAFTED = "2000-01-01T00:00:00Z"
"""What drafts give as their date: the same narration makes the same bytes on any day."""

Seal = Callable[[Path, str, str], None]
"""Called with each finished file that can carry a mark, its path in the release and its media type; it may
rewrite the file in place."""


@dataclass(frozen=True)
class Description:
    """What all packages of a book say.

    Attributes
    ----------
    book, voice
        The book, its narrator and the weights.
    cover
        The book's cover; a plain one is set where it has none that can be read.
    disclosure
        The statement that the narrator is an AI voice.
    texts
        Chapters of the manuscript, and of the credits, by number; without them there is no EPUB.
    dated
        When the edition was approved, ISO 8601 in UTC.
    """

    book: BookMeta
    voice: VoiceMeta
    cover: Cover | None = None
    disclosure: str = AI_DISCLOSURE
    texts: Mapping[int, Chapter] = field(default_factory=dict)
    dated: str = DRAFTED


def master_and_package(
    description: Description, chapters: Sequence[NarratedChapter], out_dir: Path, *, seed: int
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
        release = _packaged(work, description, done, seed, _unsealed)
        _remove(masters)
    return release


def package(
    description: Description,
    mastered: Sequence[MasteredChapter],
    out_dir: Path,
    *,
    seed: int,
    seal: Seal = lambda path, name, media_type: None,
) -> Release:
    """Write a mastered book as a draft release and return what `release.json` says.

    Parameters
    ----------
    description : Description
        What the files say of the book.
    mastered : sequence of MasteredChapter
        At least one, credits among them; their archives are read, never changed.
    out_dir : Path
        Made where it is missing; an earlier release there is replaced when this one is whole.
    seed : int
        The narration's seed, for the record.
    seal : callable
        Marks each finished file before any other file speaks of its size or holds a copy of it.

    Raises
    ------
    PackagingError
        `out_dir` cannot be written or holds anything but an earlier release; nothing is touched
        then.
    MasteringError
        A chapter is too long for one file and has no paragraph to be cut at.
    """
    with workplace(out_dir) as work:
        return _packaged(work, description, mastered, seed, seal)


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
    companions = (*others, file_entry(out_dir, out_dir / name, media_type))
    release = release.model_copy(update={"companions": companions})
    write_whole(out_dir / RELEASE_FILE, release.to_bytes())
    return release


def file_entry(root: Path, path: Path, media_type: str) -> FileEntry:
    """Return how a release lists a file under its folder `root`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(
        path=path.relative_to(root).as_posix(),
        media_type=media_type,
        bytes=path.stat().st_size,
        sha256=digest,
    )


def _unsealed(path: Path, name: str, media_type: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Track:
    """A chapter or part on its way: the master it is made of, and what it is called."""

    mastered: MasteredChapter
    recording: Recording
    flac: Path
    place: int


def _packaged(
    work: Path,
    description: Description,
    mastered: Sequence[MasteredChapter],
    seed: int,
    seal: Seal,
) -> Release:
    if not mastered:
        raise PackagingError("there is no chapter to package; choose at least one")
    cut = work / ".parts"
    cut.mkdir()
    chapters = sorted(mastered, key=lambda chapter: reading_order(chapter.number))
    book, voice = description.book, description.voice
    content = content_digest(book, voice, seed, [chapter.content() for chapter in chapters])
    picture = cover_jpeg(book.title, book.authors, description.cover)
    edition = Edition(
        folder=work,
        slug=_slug(book.title, "book"),
        book=book,
        voice=voice,
        disclosure=description.disclosure,
        cover=picture,
        recordings=(),
        identity=f"urn:uuid:{uuid5(NAMESPACE_URL, content)}",
        modified=description.dated,
    )
    tracks = _tracks(edition, chapters, description.texts, cut)
    edition = replace(edition, recordings=tuple(track.recording for track in tracks))
    sound, delivered = _sound(edition, tracks, cut, seal)
    _remove(cut)
    release = Release(
        book=book,
        voice=voice,
        seed=seed,
        disclosure=description.disclosure,
        watermark=_watermark(mastered),
        duration_s=edition.duration_s,
        chapters=delivered,
        files=(*sound, *_around(edition)),
        content_digest=content,
    )
    write_whole(work / RELEASE_FILE, release.to_bytes())
    return release


def _watermark(chapters: Sequence[MasteredChapter]) -> str:
    """Name the mark that every chapter has; empty where one lacks it."""
    marks = {chapter.watermark for chapter in chapters}
    return marks.pop() if len(marks) == 1 else ""


def _tracks(
    edition: Edition,
    chapters: Sequence[MasteredChapter],
    texts: Mapping[int, Chapter],
    cut: Path,
) -> list[_Track]:
    """Divide what is too long, and name every track's files."""
    divided = [
        (part, text)
        for chapter in chapters
        for part, text in _divided(chapter, texts.get(chapter.number), cut)
    ]
    width = max(2, len(str(len(divided))))
    tracks = []
    for place, (part, text) in enumerate(divided, 1):
        stem = f"{place:0{width}d}-{_slug(part.title, 'chapter')}"
        mp3 = edition.folder / "mp3" / f"{stem}.mp3"
        recording = Recording(part.number, part.title, stem, part.samples, part.times, mp3, text)
        tracks.append(_Track(part, recording, edition.folder / "flac" / f"{stem}.flac", place))
    return tracks


def _divided(
    chapter: MasteredChapter, text: Chapter | None, cut: Path
) -> Iterator[tuple[MasteredChapter, Chapter | None]]:
    """Yield a chapter's parts, each with the blocks it reads."""
    made = parts(chapter, text, cut)
    if text is None or len(made) == 1:
        yield from ((part, text) for part in made)
        return
    begins = [0]
    for part in made[1:]:
        timed = timed_blocks(text.blocks, part.times.words)
        begins.append(next(i for i, heard in enumerate(timed) if heard))
    for part, (first, last) in zip(made, pairwise([*begins, len(text.blocks)]), strict=True):
        yield part, replace(text, title=part.title, blocks=text.blocks[first:last])


def _sound(
    edition: Edition, tracks: Sequence[_Track], cut: Path, seal: Seal
) -> tuple[tuple[FileEntry, ...], tuple[ReleaseChapter, ...]]:
    """Write all audio (the M4B beside the chapters, on a second core), seal it, and list it."""
    work = edition.folder
    for folder in ("flac", "mp3", "m4b", "vtt", "chapters"):
        (work / folder).mkdir()
    whole, sample = work / "m4b" / f"{edition.slug}{M4B.suffix}", work / "sample.mp3"
    for picture in (work / "cover.jpg", work / "m4b" / "cover.jpg"):
        picture.write_bytes(edition.cover)
    with ThreadPoolExecutor(2) as pool:
        book = pool.submit(_whole_book, edition, tracks, whole)
        levels = list(pool.map(lambda track: _deliver(edition, track, len(tracks)), tracks))
        pool.submit(_sample, edition, tracks, cut, sample).result()
        book.result()
    audiobookshelf.write_metadata(edition, work / "m4b" / "metadata.json")
    kinds = {
        work / "cover.jpg": "image/jpeg",
        whole: M4B.media_type,
        work / "m4b" / "cover.jpg": "image/jpeg",
        work / "m4b" / "metadata.json": "application/json",
        sample: MP3.media_type,
    }
    delivered = tuple(
        _listed(edition, track, one, seal) for track, one in zip(tracks, levels, strict=True)
    )
    for path, media_type in kinds.items():
        seal(path, path.relative_to(work).as_posix(), media_type)
    return tuple(file_entry(work, path, kind) for path, kind in kinds.items()), delivered


def _listed(edition: Edition, track: _Track, levels: spec.Levels, seal: Seal) -> ReleaseChapter:
    """Write a track's companions, seal its files and list them."""
    recording, work = track.recording, edition.folder
    captions = work / "vtt" / f"{recording.stem}.vtt"
    marks = work / "chapters" / f"{recording.stem}.json"
    webvtt.write_webvtt(edition, recording, captions)
    podcast.write_chapters(recording, marks)
    files = {
        track.flac: FLAC.media_type,
        recording.mp3: MP3.media_type,
        captions: "text/vtt",
        marks: "application/json+chapters",
    }
    for path, media_type in files.items():
        seal(path, path.relative_to(work).as_posix(), media_type)
    kinds: dict[int, Literal["opening_credits", "closing_credits"]] = {
        OPENING_NUMBER: "opening_credits",
        CLOSING_NUMBER: "closing_credits",
    }
    return ReleaseChapter(
        number=recording.number,
        title=recording.title,
        kind=kinds.get(recording.number, "body"),
        duration_s=recording.duration_s,
        samples=recording.samples,
        files=tuple(file_entry(work, path, media_type) for path, media_type in files.items()),
        levels=_levels_entry(levels),
        violations=spec.violations(levels),
        audio_sha256=track.mastered.audio_sha256,
        content_sha256=track.mastered.content_digest,
        words=recording.times.words,
    )


def _around(edition: Edition) -> Iterator[FileEntry]:
    """Write the packages that hold or name the sealed audio, and list them."""
    work = edition.folder
    made = audiobook.write_audiobook(edition)
    feed, record = work / "podcast.xml", work / "onix.xml"
    feed.write_bytes(podcast.feed(edition))
    record.write_bytes(onix.record(edition))
    made += [(feed, "application/rss+xml"), (record, "application/xml")]
    if all(recording.text and recording.times.words for recording in edition.recordings):
        book = work / f"{edition.slug}.epub"
        epub.write_epub(edition, book)
        made.append((book, "application/epub+zip"))
    for path, media_type in made:
        yield file_entry(work, path, media_type)


def _tags(edition: Edition, title: str, track: str = "") -> Tags:
    book = edition.book
    return Tags(
        title=title,
        album=book.title,
        authors=", ".join(book.authors),
        narrator=edition.narrator,
        disclosure=edition.disclosure,
        language=book.language,
        publisher=book.publisher,
        published=book.published,
        copyright=book.rights,
        description=book.description,
        track=track,
    )


def _deliver(edition: Edition, track: _Track, count: int) -> spec.Levels:
    """Write a track's FLAC and MP3; return what the MP3 measures."""
    recording = track.recording
    tags = _tags(edition, recording.title, f"{track.place}/{count}")
    tagged(track.mastered.flac, track.flac, FLAC, tags, edition.cover)
    blocks = gathered(read_audio(track.flac))
    return encode(recording.mp3, MP3, tags, edition.cover, blocks, _scenes(recording))


def _scenes(recording: Recording) -> list[Mark]:
    """Chapter marks inside a track: one a scene."""
    text = recording.text
    starts = scene_starts(text, recording.times.words) if text else []
    edges = [0, *(round(start * DELIVERY_RATE_HZ) for start in starts), recording.samples]
    return [
        Mark(recording.title if not i else f"{recording.title}, scene {i + 1}", start, end)
        for i, (start, end) in enumerate(pairwise(edges))
    ]


def _sample(edition: Edition, tracks: Sequence[_Track], cut: Path, path: Path) -> None:
    """Write the retail sample: the first minutes of the book proper."""
    body = [t for t in tracks if t.recording.number not in (OPENING_NUMBER, CLOSING_NUMBER)]
    archive = cut / "sample.flac"
    retail_sample((body or tracks)[0].mastered, archive)
    tags = _tags(edition, f"{edition.book.title} (sample)")
    encode(path, MP3, tags, edition.cover, gathered(read_audio(archive)))


def _whole_book(edition: Edition, tracks: Sequence[_Track], path: Path) -> None:
    """Write the M4B from the archives, softer by its own overshoot if it has any."""
    samples = [track.recording.samples for track in tracks]
    edges = [0, *np.cumsum(samples).tolist()]
    marks = [
        Mark(track.recording.title, start, end)
        for track, (start, end) in zip(tracks, pairwise(edges), strict=True)
    ]
    tags, gain_db = _tags(edition, edition.book.title), 0.0
    for _ in range(1 + CORRECTIONS_MAX):
        levels = encode(path, M4B, tags, edition.cover, _on_end(tracks, gain_db), marks)
        over_db = levels.peak_dbfs - spec.PEAK_MAX_DBFS
        if over_db <= 0:
            break
        gain_db -= over_db + 0.05


def _on_end(tracks: Sequence[_Track], gain_db: float) -> Iterator[Audio]:
    gain = np.float32(10 ** (gain_db / 20))
    for track in tracks:
        for block in gathered(read_audio(track.mastered.flac)):
            yield block * gain


def _slug(title: str, otherwise: str) -> str:
    """Return a name that every file system and shop takes: lower-case ASCII words joined by hyphens."""
    letters = unicodedata.normalize("NFKD", title.lower().replace("’", "").replace("'", ""))
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in bare).split()
    return "-".join(words)[:60].strip("-") or otherwise


def _levels_entry(levels: spec.Levels) -> LevelsEntry:
    return LevelsEntry(
        rms_dbfs=round(levels.rms_dbfs, 2),
        peak_dbfs=round(levels.peak_dbfs, 2),
        floor_dbfs=round(levels.floor_dbfs, 2),
        loudness_lufs=round(levels.loudness_lufs, 2),
    )


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
