"""Manuscripts of every accepted format, read into one `Book`."""

from generation.manuscript.book import (
    Block,
    BlockKind,
    Book,
    Chapter,
    ChapterKind,
    Cover,
    Place,
    Span,
    SpanKind,
)
from generation.manuscript.reader import read_manuscript
from generation.manuscript.selection import select_chapters

__all__ = [
    "Block",
    "BlockKind",
    "Book",
    "Chapter",
    "ChapterKind",
    "Cover",
    "Place",
    "Span",
    "SpanKind",
    "read_manuscript",
    "select_chapters",
]
