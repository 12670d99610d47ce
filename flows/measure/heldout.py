"""What `lectern evaluate` reads: paragraphs of the books' held-out chapters, the same ones every time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from generation.errors import ManuscriptError
from generation.manuscript.book import Block, BlockKind, Chapter, SpanKind
from generation.training.heldout import split_chapters
from qa.text import sentences

CHAPTER_WORDS = 300
"""A passage is planned no shorter than this, so that a chapter's flow is heard."""

_NOT_PLAIN = re.compile(
    r"[0-9&*£$%@#§/=+<>]"
    r"|\b[A-Z]\."
    r"|\b(?:Mr|Mrs|Ms|Dr|St|Messrs|Mt|Col|Gen|Capt|Lt|Sgt|Rev|Hon|Prof|No|vs|etc|Esq|Co|viz|Jr|Sr|cf)\."
    r"|\b[A-Z]{2,}\b"
)
"""Digits, symbols and abbreviations: what a recogniser may spell in more than one way."""


@dataclass(frozen=True)
class Passage:
    """Held-out text of one chapter.

    `chapter` holds the chosen paragraphs as the engine reads them, numbered from 1 over the whole
    evaluation; `sentences` the same text as it is compared; `source_number` the chapter's number in `book`.
    """

    book: str
    source_number: int
    chapter: Chapter
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The paragraphs in one line."""
        return " ".join(block.text for block in self.chapter.blocks)


def is_plain(block: Block) -> bool:
    """Whether a block is a paragraph without digits, symbols, abbreviations or foreign words."""
    marked = {SpanKind.ABBREVIATION, SpanKind.LANGUAGE}
    return (
        block.kind is BlockKind.PARAGRAPH
        and _NOT_PLAIN.search(block.text) is None
        and not any(span.kind in marked for span in block.spans)
    )


def passages(books: Sequence[Path], words: int) -> list[Passage]:
    """Choose whole paragraphs of the held-out chapters, in equal shares of the books.

    Parameters
    ----------
    books
        Files that the frozen list names.
    words
        Least number of words in all.

    Raises
    ------
    ManuscriptError
        A book cannot be read, is not in the list, or holds too little plain text.
    """
    chosen: list[Passage] = []
    for book in books:
        for chapter in _chosen_of(book, -(-words // len(books))):
            text = "\n\n".join(block.text for block in chapter.blocks)
            numbered = replace(chapter, number=len(chosen) + 1)
            chosen.append(Passage(book.name, chapter.number, numbered, tuple(sentences(text))))
    return chosen


def _chosen_of(book: Path, words: int) -> list[Chapter]:
    """Chapters of one book cut down to plain paragraphs of at least `words` words in all."""
    held = split_chapters(book)[1]
    count = min(len(held), max(1, words // CHAPTER_WORDS))
    spread = [held[i] for i in np.linspace(0, len(held) - 1, count).round().astype(int)]
    cut: list[Chapter] = []
    left = words
    for place, chapter in enumerate([*spread, *(c for c in held if c not in spread)]):
        if left <= 0:
            break
        quota = -(-left // (count - place)) if place < count else left
        blocks = _paragraphs(chapter, quota)
        if blocks:
            cut.append(replace(chapter, blocks=blocks))
            left -= cut[-1].words
    if left > 0:
        raise ManuscriptError(
            f"{book.name} holds {words - left} words of plain held-out text, {words} were asked for: "
            "ask for fewer words or give more books"
        )
    return cut


def _paragraphs(chapter: Chapter, words: int) -> tuple[Block, ...]:
    """First plain paragraphs of a chapter until `words` words are reached."""
    blocks: list[Block] = []
    for block in filter(is_plain, chapter.blocks):
        if sum(len(b.text.split()) for b in blocks) >= words:
            break
        blocks.append(block)
    return tuple(blocks)
