"""From passages to chapters: what every reader does alike once it knows where its headings are."""

import itertools
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from generation.manuscript.book import Block, BlockKind, Chapter, ChapterKind
from generation.manuscript.matter import (
    PART_TYPES,
    is_chapter_title,
    is_part_title,
    kind_by_title,
)

PART_PAGE_WORDS = 120
"""A part's page with at most this many words is read with the first chapter that follows it."""

OPENING_WORDS = 150
"""Text in front of the first heading with at least this many words is a chapter, else front matter."""

_TITLE_WORDS = 6
_MAX_TITLE_HEADINGS = 2


@dataclass(frozen=True, slots=True)
class Passage:
    """A block and what around it decides where a chapter begins and of what kind it is.

    `position` orders passages within one document (raw characters in front of the block's first one);
    `level` is the heading's level (0 for none); `types` are the semantics of all elements around it.
    """

    block: Block
    position: int = 0
    level: int = 0
    types: frozenset[str] = frozenset()


@dataclass(slots=True)
class Section:
    """A chapter in the making."""

    title: str
    passages: list[Passage] = field(default_factory=list)
    types: frozenset[str] = frozenset()
    listed: bool = False  # the table of contents names it
    holds_chapters: bool = False  # its entry in the contents has chapters below it
    link_share: float = 0.0  # share of its page's words that are links
    kind: ChapterKind = ChapterKind.BODY

    @property
    def words(self) -> int:
        """Words to be read."""
        return sum(len(p.block.text.split()) for p in self.passages)

    @property
    def only_headings(self) -> bool:
        """Whether there is nothing but headings."""
        return all(p.block.kind is BlockKind.HEADING for p in self.passages)


def letters(text: str) -> str:
    """Return only the letters and digits of a text, case folded, to compare titles by."""
    return "".join(c for c in text.casefold() if c.isalnum())


def own_title(passages: list[Passage]) -> str:
    """Return the title that a chapter's own first headings make ("" without any)."""
    titles: list[str] = []
    for passage in passages:
        if passage.block.kind is not BlockKind.HEADING:
            break
        if len(titles) == _MAX_TITLE_HEADINGS or (titles and is_chapter_title(passage.block.text)):
            break
        titles.append(passage.block.text.rstrip(" .:"))
    return ": ".join(titles)


def divide_by_headings(passages: list[Passage], book_title: str) -> list[Section]:
    """Cut a document at the headings that begin its chapters, and judge the sections by their titles.

    The chapters' level is the highest that comes twice, or the only one there is; a heading above it that
    says the book's title is no chapter, one that names a part goes in front of its first chapter.
    """
    level = _chapter_level(passages, book_title)
    sections: list[Section] = []
    for i, passage in enumerate(passages):
        goes_on = i > 0 and 0 < passages[i - 1].level < passage.level
        if 0 < passage.level <= level and not (goes_on and passage.level < level):
            sections.append(Section(own_title(_same_heading(passages, i))))
        elif not sections:
            sections.append(Section(""))
        sections[-1].passages.append(passage)
    seen_body = False
    for i, section in enumerate(sections):
        section.kind = _kind(section, seen_body, book_title, alone=len(sections) == 1, first=i == 0)
        seen_body = seen_body or section.kind is ChapterKind.BODY
    if not seen_body and sections:
        max(sections, key=lambda s: s.words).kind = ChapterKind.BODY
    return sections


def make_chapters(sections: list[Section]) -> tuple[Chapter, ...]:
    """Return the sections that have text as numbered chapters, parts' pages joined to what follows."""
    chapters: list[Chapter] = []
    for section in _with_part_pages(sections):
        blocks = settle(_with_headings([p.block for p in section.passages], section.title))
        if any(b.text for b in blocks):
            title = section.title or _first_words(blocks)
            chapters.append(Chapter(len(chapters) + 1, title, section.kind, tuple(blocks)))
    return tuple(chapters)


def settle(blocks: list[Block]) -> list[Block]:
    """Drop scene breaks that part nothing: at either end, beside a heading, doubled."""
    kept: list[Block] = []
    for block in blocks:
        if block.kind is BlockKind.SCENE_BREAK:
            if kept and kept[-1].kind not in (BlockKind.SCENE_BREAK, BlockKind.HEADING):
                kept.append(block)
            continue
        if block.kind is BlockKind.HEADING and kept and kept[-1].kind is BlockKind.SCENE_BREAK:
            kept.pop()
        kept.append(block)
    while kept and kept[-1].kind is BlockKind.SCENE_BREAK:
        kept.pop()
    return kept


def _same_heading(passages: list[Passage], start: int) -> list[Passage]:
    """Return the heading at `start` and the headings below it that follow at once (its subtitles)."""
    taken = [passages[start]]
    for passage in passages[start + 1 :]:
        if not passage.level or passage.level <= taken[0].level:
            break
        taken.append(passage)
    return taken


def _chapter_level(passages: list[Passage], book_title: str) -> int:
    """Return the level of headings that begin chapters (0 for none)."""
    headings = [p for p in passages if p.level]
    headings = [p for p in headings if letters(p.block.text) != letters(book_title)] or headings
    counted: dict[int, int] = {}
    for passage in headings:
        counted[passage.level] = counted.get(passage.level, 0) + 1
    if not counted:
        return 0
    repeated = [level for level, count in counted.items() if count > 1]
    top = min(repeated, default=min(counted))
    parts = [p for p in headings if p.level == top and is_part_title(p.block.text)]
    below = [level for level in counted if level > top]
    if len(parts) * 2 >= counted[top] and below and not _have_text(passages, parts):
        return min(below)
    return top


def _have_text(passages: list[Passage], parts: list[Passage]) -> bool:
    """Whether most parts go on with text at once: then they are the chapters."""
    marked = {id(p) for p in parts}
    direct = sum(
        1
        for p, following in itertools.pairwise(passages)
        if id(p) in marked and not following.level
    )
    return direct * 2 > len(parts)


def _kind(
    section: Section, seen_body: bool, book_title: str, alone: bool, first: bool
) -> ChapterKind:
    if alone:
        return ChapterKind.BODY
    if first and not section.passages[0].level and section.words < OPENING_WORDS:
        return ChapterKind.FRONT
    said = letters(section.passages[0].block.text)
    only_title = said == letters(book_title) and section.words < OPENING_WORDS
    if first and only_title:
        return ChapterKind.FRONT
    return kind_by_title(section.title, not seen_body) or ChapterKind.BODY


def _with_part_pages(sections: list[Section]) -> list[Section]:
    """Put a part's title page ("Book One") in front of its first chapter."""
    kept: list[Section] = []
    waiting: list[Passage] = []
    for section, following in zip_longest(sections, sections[1:]):
        if following is not None and following.kind is ChapterKind.BODY and _is_part_page(section):
            waiting.extend(section.passages)
            continue
        section.passages[:0] = waiting
        waiting = []
        kept.append(section)
    return kept


def _is_part_page(section: Section) -> bool:
    if section.kind is not ChapterKind.BODY or section.words > PART_PAGE_WORDS:
        return False
    if section.holds_chapters:
        return True
    named = bool(section.types & PART_TYPES) or is_part_title(section.title)
    return named and section.only_headings


def _with_headings(blocks: list[Block], title: str) -> list[Block]:
    """Mark first blocks as headings where together they say the title, however they were set."""
    left = letters(title)
    marked = list(blocks)
    for i, block in enumerate(blocks):
        said = letters(block.text)
        if not said or not left.startswith(said):
            break
        left = left[len(said) :]
        if block.kind is BlockKind.PARAGRAPH:
            marked[i] = replace(block, kind=BlockKind.HEADING)
    return marked


def _first_words(blocks: list[Block]) -> str:
    words = next(b.text for b in blocks if b.text).split()
    return " ".join(words[:_TITLE_WORDS]) + ("…" if len(words) > _TITLE_WORDS else "")
