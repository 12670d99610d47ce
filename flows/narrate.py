"""`lectern narrate`: one book, here and now, from manuscript to a draft release."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from generation.engine import Engine, WindowSound
from generation.errors import ManuscriptError
from generation.manuscript import read_manuscript, select_chapters
from generation.manuscript.book import Book, Chapter
from generation.narration import LANES, narrate_chapters, plan_chapter
from generation.packages.package import Description, master_and_package
from generation.packages.release import BookMeta, Release, VoiceMeta
from generation.script.lexicon import Lexicon
from generation.voices import Cast


@dataclass(frozen=True)
class Narration:
    """A finished narration: the release and what happened on the way.

    `forced` counts advances that had to be forced; any makes the book need a look.
    """

    release: Release
    out: Path
    forced: int


@dataclass(frozen=True)
class Progress:
    """How far a narration is: seconds of speech made, of those expected in all."""

    made_s: float
    expected_s: float


def narrate(
    manuscript: Path,
    cast: Cast,
    out: Path,
    chapters: str = "",
    seed: int = 0,
    lexicon: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Narration:
    """Narrate a manuscript into a directory.

    Raises
    ------
    LecternError
        The manuscript, the selection, the lexicon or the output directory cannot be used.
    """
    book = read_manuscript(manuscript)
    words = Lexicon.load(lexicon) if lexicon else None
    plans = [
        plan_chapter(chapter, cast.prompt_digest, seed, words) for chapter in chosen(book, chapters)
    ]
    expected = sum(plan.expected_s for plan in plans)
    tally = _Tally(expected, report)
    engine = Engine(cast.reader, cast.renderer, LANES)
    narrated = narrate_chapters(engine, plans, tally.heard)
    voice = VoiceMeta(
        name=cast.voice.name,
        codec=cast.voice.codec,
        prompt_digest=cast.prompt_digest,
        models=cast.digests,
    )
    texts = {chapter.number: chapter for chapter in book.chapters}
    described = Description(BookMeta.of(book), voice, book.cover, texts=texts)
    release = master_and_package(described, narrated, out, seed=seed)
    return Narration(release, out, tally.forced)


def chosen(book: Book, chapters: str) -> tuple[Chapter, ...]:
    """Pick the chapters a selection names, or all that are read by default."""
    picked = select_chapters(book, chapters) if chapters else book.body
    if not any(chapter.words for chapter in picked):
        raise ManuscriptError(f"{book.title!r} has no chapter with words to read")
    return tuple(chapter for chapter in picked if chapter.words)


class _Tally:
    """Counts what was made and tells the caller."""

    def __init__(self, expected_s: float, report: Callable[[Progress], None]) -> None:
        self.expected_s, self.made_s, self.forced, self._report = expected_s, 0.0, 0, report

    def heard(self, sound: WindowSound) -> None:
        self.made_s += sound.read.window.expected_s
        self.forced += sound.read.forced
        self._report(Progress(self.made_s, self.expected_s))


def default_device() -> str:
    """CUDA where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
