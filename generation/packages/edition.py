"""An edition: everything that any package says of a book, gathered once.

The audio files are there already when the other packages are written, so that those can name their
lengths and sizes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from generation.manuscript.book import Block, BlockKind, Chapter
from generation.mastering.times import ChapterTimes, WordEntry
from generation.packages.release import BookMeta, VoiceMeta
from generation.rates import DELIVERY_RATE_HZ


@dataclass(frozen=True, slots=True)
class Recording:
    """One delivered chapter, or one part of a long one.

    Attributes
    ----------
    number
        The chapter's number in the source.
    title
        With the part, where there are several.
    stem
        Its files' name without suffix: `01-the-lamp`.
    samples
        Length at `DELIVERY_RATE_HZ`.
    times
        Windows and words, from the start of its files.
    mp3
        The delivered file.
    text
        The chapter's text from where this recording begins to where the next one does; None where the
        manuscript is not at hand.
    """

    number: int
    title: str
    stem: str
    samples: int
    times: ChapterTimes
    mp3: Path
    text: Chapter | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / DELIVERY_RATE_HZ


@dataclass(frozen=True, slots=True)
class Edition:
    """A book's recordings and what is said of them; `folder` holds the files, `slug` names the book's."""

    folder: Path
    slug: str
    book: BookMeta
    voice: VoiceMeta
    disclosure: str
    cover: bytes
    recordings: tuple[Recording, ...]
    identity: str
    """A URN that is the same for the same narration."""
    modified: str
    """When the edition was approved, as `2026-11-24T06:00:00Z`; a constant for drafts."""

    @property
    def narrator(self) -> str:
        """The voice as shops show it."""
        return f"{self.voice.name} ({self.voice.label})"

    @property
    def language(self) -> str:
        """BCP 47 tag; `und` where nobody said."""
        return self.book.language or "und"

    @property
    def duration_s(self) -> float:
        """Length of all recordings in seconds."""
        return sum(recording.duration_s for recording in self.recordings)


@dataclass(frozen=True, slots=True)
class TimedText:
    """The characters `[start, end)` of a block's text, heard from `start_s` to `end_s`."""

    start: int
    end: int
    start_s: float
    end_s: float


def timed_blocks(
    blocks: Sequence[Block], words: Sequence[WordEntry]
) -> list[tuple[TimedText, ...]]:
    """Lay the heard words over the blocks they stand in: a tuple for each block, in reading order.

    Words that share characters (a number said in several words) become one stretch.
    """
    by_node: dict[tuple[str, str], list[WordEntry]] = {}
    for word in words:
        by_node.setdefault((word.place.document, word.place.node), []).append(word)
    return [_timed(block, by_node.get((block.document, block.node), ())) for block in blocks]


def _timed(block: Block, words: Sequence[WordEntry]) -> tuple[TimedText, ...]:
    found: list[TimedText] = []
    for word in words:
        start = bisect_left(block.offsets, word.place.start)
        end = bisect_right(block.offsets, word.place.end - 1)
        if start >= end:
            continue
        if found and start < found[-1].end:
            last = found.pop()
            start, end = min(last.start, start), max(last.end, end)
            found.append(TimedText(start, end, last.start_s, max(last.end_s, word.end_s)))
        else:
            found.append(TimedText(start, end, word.start_s, word.end_s))
    return tuple(found)


def scene_starts(text: Chapter, words: Sequence[WordEntry]) -> list[float]:
    """Return when each scene after the first begins, in seconds."""
    starts, broken, heard = [], False, False
    for block, timed in zip(text.blocks, timed_blocks(text.blocks, words), strict=True):
        if block.kind is BlockKind.SCENE_BREAK:
            broken = heard
        elif timed:
            if broken:
                starts.append(timed[0].start_s)
            broken, heard = False, True
    return starts


Texts = Mapping[int, Chapter]
"""Chapters of the manuscript, and of the credits, by number."""
