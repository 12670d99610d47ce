"""Which chapters of the books may be trained on, by the frozen list of those that may not."""

from functools import lru_cache
from pathlib import Path

from generation.errors import ManuscriptError
from generation.manuscript import read_manuscript
from generation.manuscript.book import Chapter

SPLIT = Path(__file__).parent / "splits" / "books_heldout.txt"


@lru_cache(maxsize=1)
def first_heldout() -> dict[str, int]:
    """Read the frozen list: number of the first held-out chapter by the book's file name."""
    lines = (line.split("#")[0].strip() for line in SPLIT.read_text("utf-8").splitlines())
    return {name: int(number) for name, number in (line.split("\t") for line in lines if line)}


def split_chapters(book: Path) -> tuple[tuple[Chapter, ...], tuple[Chapter, ...]]:
    """Return the body chapters of a book that may be trained on, and those kept out of all training.

    Raises
    ------
    ManuscriptError
        The book cannot be read, or the frozen list does not name it.
    """
    if book.name not in first_heldout():
        raise ManuscriptError(
            f"{book.name} is not in {SPLIT.name}: its chapters may have been trained on; add it there "
            "before anything is trained on it"
        )
    first = first_heldout()[book.name]
    body = read_manuscript(book).body
    return tuple(c for c in body if c.number < first), tuple(c for c in body if c.number >= first)
