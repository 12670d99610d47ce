"""Choosing chapters by number or title: "1-3,5"."""

import re

from generation.errors import ChapterSelectionError
from generation.manuscript.book import Book, Chapter

_RANGE = re.compile(r"(\d{1,6})(?:\s*[-–]\s*(\d{1,6}))?")
_SHOWN = 12


def select_chapters(book: Book, selection: str) -> tuple[Chapter, ...]:
    """Return the chapters that a selection names, each once, in the book's order.

    Parameters
    ----------
    book
        The book.
    selection
        Numbers and ranges of body chapters, counted from 1 and separated by commas ("1-3,5"). A
        chapter's whole title works as well, also for front and back matter ("preface,1-35,conclusion").

    Raises
    ------
    ChapterSelectionError
        For a selection that is not understood, or that names what does not exist; says what does.
    """
    by_title = _titled(book, selection)
    if by_title and not _RANGE.fullmatch(selection.strip()):
        return by_title
    chosen: set[int] = set()
    for part in selection.split(","):
        chosen.update(c.number for c in _named(book, part.strip(), selection))
    return tuple(c for c in book.chapters if c.number in chosen)


def _named(book: Book, part: str, selection: str) -> tuple[Chapter, ...]:
    hit = _RANGE.fullmatch(part)
    if not hit:
        found = _titled(book, part)
        if found:
            return found
        raise ChapterSelectionError(
            f'"{part}" in the chapters "{selection}" is neither a number, a range such as 1-3, nor '
            f"a chapter's title. {_what_exists(book)}"
        )
    first, last = int(hit[1]), int(hit[2] or hit[1])
    if last < first:
        raise ChapterSelectionError(
            f'The range "{part}" runs backwards. Write {last}-{first}. {_what_exists(book)}'
        )
    if first < 1 or last > len(book.body):
        wrong = first if first < 1 or first > len(book.body) else last
        raise ChapterSelectionError(f"There is no chapter {wrong}. {_what_exists(book)}")
    return book.body[first - 1 : last]


def _titled(book: Book, title: str) -> tuple[Chapter, ...]:
    wanted = title.strip().casefold()
    return tuple(c for c in book.chapters if wanted and c.title.casefold() == wanted)


def _what_exists(book: Book) -> str:
    body = book.body
    listed = ", ".join(f"{i} {c.title!r}" for i, c in enumerate(body[:_SHOWN], start=1))
    if len(body) > _SHOWN:
        listed += f", … {len(body)} {body[-1].title!r}"
    others = ", ".join(repr(c.title) for c in book.chapters if c not in body)
    also = f" By title also: {others}." if others else ""
    count = "1 chapter" if len(body) == 1 else f"{len(body)} chapters"
    return f"{book.title!r} has {count}: {listed}.{also}"
