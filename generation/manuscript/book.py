"""The book as the rest of Lectern sees it: frozen chapters of blocks, every character with its place.

A `Book` is what every reader in this folder (EPUB, DOCX, text, Markdown) returns. It holds what is to be
read aloud, in order, and where each character came from; it knows nothing of speech.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class ChapterKind(StrEnum):
    """Whether a chapter is read by default (only `BODY` is)."""

    FRONT = "front"
    BODY = "body"
    BACK = "back"


class BlockKind(StrEnum):
    """What a block is; it decides the pauses around it and how it is read."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    VERSE = "verse"  # one line of verse a block
    QUOTE = "quote"
    LETTER = "letter"
    LIST_ITEM = "list_item"
    SCENE_BREAK = "scene_break"  # carries no text


class SpanKind(StrEnum):
    """What a stretch of a block's text is marked as."""

    EMPHASIS = "emphasis"
    LANGUAGE = "language"  # value: a BCP 47 tag other than the book's
    ABBREVIATION = "abbreviation"


@dataclass(frozen=True, slots=True)
class Place:
    """Where some text stands in the source.

    `document` is the path inside the container ("" for single-file sources). `node` names the block
    element there: for EPUB, EPUB CFI child steps from the document's root element ("/4/2/6"); for DOCX
    the paragraph's index; for text and Markdown the first line, counted from 1. `start` and `end` count
    characters of the element's own raw text content (all descendant text nodes joined, nothing collapsed).
    """

    document: str
    node: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """A marked stretch `[start, end)` of a block's text."""

    start: int
    end: int
    kind: SpanKind
    value: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One heading, paragraph, line of verse or scene break.

    `text` has its white space collapsed and what is not read (footnote marks, page numbers, hidden text)
    left out. `offsets[i]` is the raw offset, in the element, of `text[i]`; `len(offsets) == len(text)`.
    """

    kind: BlockKind
    text: str
    document: str
    node: str
    offsets: tuple[int, ...]
    spans: tuple[Span, ...] = ()

    def place(self, start: int, end: int) -> Place:
        """Return the place of `text[start:end]`; raises ValueError where that is empty or outside."""
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"no text at {start}:{end} of a block of {len(self.text)} characters")
        return Place(self.document, self.node, self.offsets[start], self.offsets[end - 1] + 1)


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter in reading order; `number` counts all chapters from 1, whatever their kind."""

    number: int
    title: str
    kind: ChapterKind
    blocks: tuple[Block, ...]

    @property
    def words(self) -> int:
        """Words in the chapter, split at white space."""
        return sum(len(block.text.split()) for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Cover:
    """The cover image's bytes and media type, as found."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Book:
    """A manuscript, read: its metadata and chapters."""

    title: str
    authors: tuple[str, ...]
    language: str
    chapters: tuple[Chapter, ...]
    identifier: str = ""
    publisher: str = ""
    published: str = ""
    description: str = ""
    rights: str = ""
    cover: Cover | None = None
    source_digest: str = ""  # SHA-256 of the file's bytes, hex
    notes: tuple[str, ...] = field(
        default=()
    )  # what was mended or left out while reading, in words

    @property
    def body(self) -> tuple[Chapter, ...]:
        """The chapters read by default."""
        return tuple(c for c in self.chapters if c.kind is ChapterKind.BODY)
