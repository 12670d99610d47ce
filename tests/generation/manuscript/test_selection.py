"""Choosing chapters by number and title."""

import pytest

from generation.errors import ChapterSelectionError
from generation.manuscript import Block, BlockKind, Book, Chapter, ChapterKind, select_chapters

TITLES = [
    ("Preface", "front"),
    ("One", "body"),
    ("Two", "body"),
    ("3", "body"),
    ("Four", "body"),
    ("Notes", "back"),
]
BOOK = Book(
    "Tale",
    ("Ann",),
    "en",
    tuple(
        Chapter(i, title, ChapterKind(kind), (Block(BlockKind.PARAGRAPH, "x", "", "1", (0,)),))
        for i, (title, kind) in enumerate(TITLES, start=1)
    ),
)


@pytest.mark.parametrize(
    ("selection", "titles"),
    [
        ("1", ["One"]),
        ("1-3", ["One", "Two", "3"]),
        ("4, 1–2", ["One", "Two", "Four"]),
        ("2,2,1-2", ["One", "Two"]),
        ("3", ["3"]),
        ("preface, 2", ["Preface", "Two"]),
        ("Notes", ["Notes"]),
    ],
)
def test_selected(selection: str, titles: list[str]) -> None:
    assert [c.title for c in select_chapters(BOOK, selection)] == titles


@pytest.mark.parametrize(
    "selection", ["0", "5", "3-9", "2-1", "", "1,,2", "one two", "-1", "1-", "²"]
)
def test_refused_with_what_exists(selection: str) -> None:
    with pytest.raises(
        ChapterSelectionError, match=r"'Tale' has 4 chapters: 1 'One', 2 'Two'"
    ) as caught:
        select_chapters(BOOK, selection)
    assert "'Preface'" in str(caught.value)
