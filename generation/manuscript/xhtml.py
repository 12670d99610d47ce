"""A content page of an EPUB read into passages: blocks of what a reader sees, each with its raw place.

One walk over the tree counts every character of every text node, seen or not, so that an offset in a block
is an offset in the raw text of the element that the block's node (EPUB CFI child steps) names.
"""

import re
from dataclasses import dataclass, field, replace

from generation.errors import HostileManuscript
from generation.manuscript.book import Block, BlockKind, SpanKind
from generation.manuscript.chapters import Passage
from generation.manuscript.flow import Flow, has_words
from generation.manuscript.footnotes import NOTE_TYPES, is_bare_mark, is_mark
from generation.manuscript.lines import joined_lines, without_ornaments
from generation.manuscript.markup import (
    Element,
    elements,
    is_element,
    language,
    local_name,
    semantics,
    string_value,
)
from generation.manuscript.stylesheet import Look, Stylesheet

MAX_CHARACTERS = 20_000_000
"""The most raw characters in one book: six times *War and Peace*."""

_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1",
    "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li", "main", "menu",
    "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
    "ul",
})  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SECTIONS = frozenset({"body", "section", "article", "main", "div"})
_LINES = frozenset(
    {*_HEADINGS, "p", "pre", "dt", "dd", "address", "caption", "figcaption", "hgroup"}
)
_UNREAD = frozenset({
    "head", "script", "style", "template", "noscript", "nav", "svg", "math", "img", "image",
    "picture", "audio", "video", "object", "embed", "iframe", "canvas", "map", "input", "select",
    "textarea", "button", "datalist", "rt", "rp", "rtc", "title", "meta", "link",
})  # fmt: skip
_NUMBER_CLASS = re.compile(
    r"(?:^|[\s_-])(?:page-?(?:num(?:ber)?|no|break)|pb|l(?:ine)?-?num(?:ber)?|line-?no)s?(?:$|[\s\d_-])",
    re.I,
)
_NUMBER = re.compile(r"[\[({]?\s*(?:pg|page|p\.|line|l\.)?\s*(?:\d+|[ivxlc]+)?\s*[\])}]?", re.I)
_BOILERPLATE_CLASS = re.compile(r"(?:^|\s)pg-?(?:boilerplate|header|footer)(?:$|\s)", re.I)
_CAPTION_CLASS = re.compile(r"(?:^|\s)(?:fig(?:ure)?-?)?caption(?:$|\s)", re.I)
_NOTE_CLASS = re.compile(r"(?:^|\s)(?:footnotes?|endnotes?|rearnotes?)(?:$|\s)", re.I)
_VERSE_CLASS = re.compile(
    r"(?:^|[\s_-])(?:poem|poetry|verse|stanza|strophe|lyrics?|line-?group)(?:$|[\s\d_-])", re.I
)
_LETTER_CLASS = re.compile(r"(?:^|\s)(?:letter|epistle|correspondence)(?:$|\s)", re.I)
_QUOTE_CLASS = re.compile(r"(?:^|\s)(?:block-?quot(?:e|ation)|extract)(?:$|\s)", re.I)
_TITLE_CLASS = re.compile(
    r"(?:^|\s)(?:(?:chap(?:ter)?|part|book|section)[-_]?(?:title|num(?:ber)?|no|head(?:ing)?|sub-?title|name|label)|"
    r"(?:sub)?title|(?:sub)?heading)\d*(?:$|\s)",
    re.I,
)
_BREAK_CLASS = re.compile(
    r"(?:^|\s)(?:scene-?break|section-?break|space-?break|asterism|ornament|orn|tb|thought-?break)\d*(?:$|\s)",
    re.I,
)
_VERSE_TYPES = frozenset({"z3998:verse", "z3998:poem", "z3998:song", "z3998:hymn", "z3998:lyrics"})
_HEADING_TYPES = frozenset({
    "title", "subtitle", "fulltitle", "halftitle", "covertitle", "ordinal", "label", "bridgehead",
    "z3998:ordinal", "z3998:subtitle",
})  # fmt: skip
_MAX_HEADING_WORDS = 30


@dataclass(slots=True)
class Content:
    """What was read of one page."""

    path: str
    passages: list[Passage] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)  # position of each identified element
    types: dict[str, frozenset[str]] = field(default_factory=dict)  # semantics around each of them
    link_words: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def words(self) -> int:
        """Words to be read."""
        return sum(len(p.block.text.split()) for p in self.passages)


@dataclass(frozen=True, slots=True)
class _Context:
    """What the elements around a text make of it."""

    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 0
    hidden: bool = False
    types: frozenset[str] = frozenset()
    language: str = ""
    pre: bool = False
    link: bool = False


@dataclass(slots=True)
class _Owner:
    """The block element whose raw text offsets count from `start`."""

    node: str
    start: int
    lines: list[Passage] = field(default_factory=list)


class PageReader:
    """Walks one page.

    Parameters
    ----------
    path
        The page's path inside the container.
    book_language
        The book's language; only another one is marked.
    style
        The page's style.
    notes
        Elements that are footnotes.
    """

    def __init__(
        self, path: str, book_language: str, style: Stylesheet, notes: set[Element]
    ) -> None:
        self.content = Content(path)
        self._book_language = primary(book_language)
        self._style = style
        self._notes = notes
        self._standing: set[Element] = set()
        self._position = 0
        self._first = -1  # position of the current block's first visible character
        self._flow = Flow()
        self._owner = _Owner("", 0)
        self._context = _Context()
        self._line_start = -1  # position of the paragraph or heading around, -1 outside any

    def read(self, root: Element) -> Content:
        """Return the page's passages in order; raises HostileManuscript for an endless text."""
        self._find_standing(root)
        self._block(root, "", _Context())
        self.content.passages = without_ornaments(self.content.passages)
        return self.content

    # The walk. `_block` opens an element that stands by itself, `_children` goes through its content,
    # `_inline` follows an element inside a line of text.

    def _block(self, element: Element, node: str, context: _Context) -> None:
        self._flush()
        outer_owner, outer_context = self._owner, self._context
        context = self._entered(element, context)
        self._anchor(element, context)
        self._owner = _Owner(node, self._position)
        self._context = context
        self._flow.set_language(context.language)
        name = local_name(element)
        if name == "hr" and not context.hidden:
            self._scene_break(context)
        elif name == "tr" and not context.hidden and _is_row_of_words(element):
            self._row(element, node, context)
        else:
            outer_line = self._line_start
            self._line_start = self._position if name in _LINES else -1
            self._children(element, node, context)
            self._line_start = outer_line
        self._flush()
        if self._is_marked_break(element, context):
            self._scene_break(context)
        self._owner, self._context = outer_owner, outer_context
        self._flow.set_language(outer_context.language)

    def _children(self, element: Element, node: str, context: _Context) -> None:
        self._text(element.text, context)
        step = 0
        for child in element:
            if is_element(child):
                step += 2
                child_node = f"{node}/{step}"
                if child in self._standing:
                    self._block(child, child_node, context)
                else:
                    self._inline(child, child_node, context)
            self._text(child.tail, context)

    def _inline(self, element: Element, node: str, context: _Context) -> None:
        name = local_name(element)
        inner = self._entered(element, context)
        self._anchor(element, inner)
        if name == "br":
            self._line_end(context)
            return
        if self._starts_line(element, context):
            self._line_end(context)
        if inner.hidden and not context.hidden:
            self._flow.leave_out()
        marks = 0 if inner.hidden else self._open_marks(element, name, inner)
        self._flow.set_language(inner.language)
        self._children(element, node, inner)
        self._flow.set_language(context.language)
        for _ in range(marks):
            self._flow.close()
        if self._starts_line(element, context) and context.kind is BlockKind.VERSE:
            self._line_end(context)

    def _text(self, raw: str | None, context: _Context) -> None:
        if not raw:
            return
        if not context.hidden:
            if context.pre:
                self._pre(raw, context)
            else:
                self._feed(raw, self._position)
            if context.link:
                self.content.link_words += len(raw.split())
        self._position += len(raw)
        if self._position > MAX_CHARACTERS:
            raise HostileManuscript(
                f"{self.content.path} alone has more than {MAX_CHARACTERS:,} characters. Split the book."
            )

    def _feed(self, raw: str, position: int) -> None:
        was_empty = self._flow.empty
        self._flow.feed(raw, position - self._owner.start)
        if was_empty and not self._flow.empty:
            self._first = self._owner.start + self._flow.offsets[0]

    def _pre(self, raw: str, context: _Context) -> None:
        at = self._position
        for i, line in enumerate(raw.split("\n")):
            if i:
                self._line_end(context)
            self._feed(line, at)
            at += len(line) + 1

    # What an element is.

    def _entered(self, element: Element, context: _Context) -> _Context:
        """Return the context inside an element."""
        name, types, look = local_name(element), semantics(element), self._style.look(element)
        hidden = context.hidden or self._is_unread(element, name, types, look, context)
        tag = language(element)
        spoken = context.language
        if tag:
            foreign = primary(tag) not in (self._book_language, "und", "zxx", "mul", "")
            spoken = tag if foreign else ""
        kind, level = self._kind(element, name, types, context)
        return replace(
            context,
            kind=kind,
            level=level,
            hidden=hidden,
            types=context.types | types if name in _SECTIONS else context.types,
            language=spoken,
            pre=context.pre or name == "pre",
            link=context.link or (name == "a" and bool(element.get("href"))),
        )

    def _is_unread(
        self, element: Element, name: str, types: frozenset[str], look: Look, context: _Context
    ) -> bool:
        css_class = element.get("class", "")
        if name in _UNREAD or look.hidden or element in self._notes:
            return True
        if element.get("hidden") is not None or element.get("aria-hidden") == "true":
            return True
        if types & {"pagebreak", "noteref", "annoref", "backlink"} or types & NOTE_TYPES:
            return True
        if name == "figcaption" or (
            name in ("p", "div", "span") and _CAPTION_CLASS.search(css_class)
        ):
            self.content.notes.append("Captions of pictures were left out.")
            return True
        if name not in _BLOCKS and _NUMBER_CLASS.search(css_class):
            return bool(_NUMBER.fullmatch(string_value(element).strip()))
        if name not in ("html", "body") and _BOILERPLATE_CLASS.search(css_class):
            return True
        if name in ("div", "p", "li", "aside", "section", "ol", "ul", "dl") and _NOTE_CLASS.search(
            css_class
        ):
            return True
        if name == "pre" and any(local_name(e) == "code" for e in elements(element)):
            self.content.notes.append(f"A program listing in {self.content.path} was left out.")
            return True
        if name == "a":
            return is_mark(element, self._style)
        return name == "sup" and not context.hidden and self._is_mark_in_sup(element)

    def _is_mark_in_sup(self, sup: Element) -> bool:
        links = [e for e in elements(sup) if local_name(e) == "a"]
        if links:
            return len(links) == len(list(elements(sup))) and all(
                is_mark(a, self._style) for a in links
            )
        return is_bare_mark(sup, "".join(self._flow.text[-12:]))

    def _kind(
        self, element: Element, name: str, types: frozenset[str], context: _Context
    ) -> tuple[BlockKind, int]:
        css_class = element.get("class", "")
        if name in _HEADINGS:
            return BlockKind.HEADING, _HEADINGS[name]
        if name == "hgroup":
            levels = [
                _HEADINGS[local_name(e)] for e in elements(element) if local_name(e) in _HEADINGS
            ]
            return BlockKind.HEADING, min(levels, default=2)
        if types & _VERSE_TYPES or (name not in _HEADINGS and _VERSE_CLASS.search(css_class)):
            return BlockKind.VERSE, 0
        if context.kind is BlockKind.HEADING:
            return context.kind, context.level
        if name in ("p", "div") and self._is_title(element, types, css_class, context):
            return BlockKind.HEADING, 6
        if "z3998:letter" in types or _LETTER_CLASS.search(css_class):
            return BlockKind.LETTER, 0
        if name == "blockquote" or _QUOTE_CLASS.search(css_class) or "epigraph" in types:
            inside = context.kind in (BlockKind.LETTER, BlockKind.VERSE)
            return (context.kind if inside else BlockKind.QUOTE), 0
        if name in ("li", "dt", "dd") and context.kind is BlockKind.PARAGRAPH:
            return BlockKind.LIST_ITEM, 0
        if name == "pre" and context.kind is BlockKind.PARAGRAPH:
            return BlockKind.VERSE, 0
        return context.kind, 0

    def _is_title(
        self, element: Element, types: frozenset[str], css_class: str, context: _Context
    ) -> bool:
        if context.kind is not BlockKind.PARAGRAPH:
            return False
        named = types & _HEADING_TYPES or _TITLE_CLASS.search(css_class)
        return bool(named) and len(string_value(element).split()) <= _MAX_HEADING_WORDS

    def _find_standing(self, root: Element) -> None:
        """Note the elements that stand alone: blocks, what is styled so, and whatever holds such."""
        for element in root.iter():
            if not is_element(element):
                continue
            name = local_name(element)
            unread = name in _UNREAD or name == "br"
            if not unread and (name in _BLOCKS or self._style.look(element).block):
                around: Element | None = element
                while around is not None and around not in self._standing:
                    if local_name(around) in _UNREAD:
                        break
                    self._standing.add(around)
                    around = around.getparent()

    def _starts_line(self, element: Element, context: _Context) -> bool:
        """Whether an inline element is a line of its own: of verse, or a heading's subtitle."""
        if context.hidden or local_name(element) != "span":
            return False
        if context.kind is BlockKind.VERSE:
            parent = element.getparent()
            return parent is not None and _holds_only_elements(parent)
        return context.kind is BlockKind.HEADING and bool(
            semantics(element) & {"subtitle", "z3998:subtitle"}
        )

    def _open_marks(self, element: Element, name: str, context: _Context) -> int:
        types = semantics(element)
        if name == "abbr":
            self._flow.open(SpanKind.ABBREVIATION, " ".join(sorted(types)))
            return 1
        if "z3998:roman" in types:
            self._flow.open(SpanKind.ABBREVIATION, "z3998:roman")
            return 1
        slanted = name in ("em", "strong") or bool(self._style.look(element).italic)
        slanted = slanted or (name in ("i", "b") and not types)
        if slanted and not language(element) and context.kind is not BlockKind.HEADING:
            self._flow.open(SpanKind.EMPHASIS)
            return 1
        return 0

    def _anchor(self, element: Element, context: _Context) -> None:
        for key in (element.get("id"), element.get("name")):
            if key and key not in self.content.anchors:
                inside = self._line_start >= 0
                self.content.anchors[key] = self._line_start if inside else self._position
                self.content.types[key] = context.types

    # Blocks as they end.

    def _line_end(self, context: _Context) -> None:
        """End a line at a `br`, a newline of `pre`, or a line of verse."""
        if context.hidden:
            return
        if context.kind in (BlockKind.VERSE, BlockKind.HEADING):
            self._flush()
        else:
            self._end_line()

    def _end_line(self) -> None:
        passage = self._take()
        if passage is not None:
            self._owner.lines.append(passage)

    def _flush(self) -> None:
        """End the block that is being filled, with all the lines that `br` cut it into."""
        self._end_line()
        lines, self._owner.lines = self._owner.lines, []
        if len(lines) > 1:
            lines = joined_lines(lines)
        self.content.passages.extend(lines)

    def _take(self) -> Passage | None:
        context = self._context
        kind = context.kind
        types = context.types
        block = self._flow.take(kind, self.content.path, self._owner.node)
        if block is None:
            return None
        level = context.level if kind is BlockKind.HEADING else 0
        return Passage(block, self._first, level, types)

    def _scene_break(self, context: _Context) -> None:
        block = Block(BlockKind.SCENE_BREAK, "", self.content.path, self._owner.node, ())
        self.content.passages.append(Passage(block, self._position, 0, context.types))

    def _is_marked_break(self, element: Element, context: _Context) -> bool:
        if context.hidden or not _BREAK_CLASS.search(element.get("class", "")):
            return False
        return local_name(element) in ("p", "div") and not has_words(string_value(element))

    def _row(self, row: Element, node: str, context: _Context) -> None:
        """Read a table's row as one block, a comma between cells where none stands."""
        self._text(row.text, context)
        step = 0
        for cell in row:
            if is_element(cell):
                step += 2
                if not self._flow.empty:
                    if self._flow.text[-1] not in ".,;:!?—":
                        self._flow.insert(",")
                    self._flow.feed(" ", self._position - self._owner.start)
                inner = self._entered(cell, context)
                self._anchor(cell, inner)
                self._children(cell, f"{node}/{step}", inner)
            self._text(cell.tail, context)


def primary(tag: str) -> str:
    """Return a language tag's first subtag, in lower case."""
    return tag.partition("-")[0].lower()


def _holds_only_elements(parent: Element) -> bool:
    """Whether a block has no text of its own, so that each `span` in it is a line of verse."""
    own = [parent.text, *(child.tail for child in parent)]
    return local_name(parent) in _BLOCKS and not any(text and text.strip() for text in own)


def _is_row_of_words(row: Element) -> bool:
    """Whether a row's cells hold only short text: one with paragraphs in it is layout, not a table."""
    cells = list(elements(row))
    return len(cells) > 1 and not any(
        local_name(e) in _BLOCKS
        for cell in cells
        for e in cell.iter()
        if e is not cell and is_element(e)
    )
