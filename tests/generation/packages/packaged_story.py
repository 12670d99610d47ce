"""What the tests of packages share: a packaged book and what it was made of."""

from dataclasses import dataclass
from pathlib import Path

from generation.manuscript import Book
from generation.mastering import MasteredChapter
from generation.packages import Description, Release


@dataclass(frozen=True)
class Packaged:
    """The folder, what it was made of, and what it says."""

    out: Path
    release: Release
    book: Book
    mastered: tuple[MasteredChapter, ...]
    description: Description
