"""Markdown: CommonMark with tables, footnotes and front matter, every character traced to its source line."""

import html
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from generation.errors import EmptyManuscript
from generation.manuscript.book import Block, BlockKind, Book, SpanKind
from generation.manuscript.chapters import Passage, divide_by_headings, make_chapters
from generation.manuscript.flow import Flow
from generation.manuscript.lines import joined_lines, without_ornaments
from generation.manuscript.package import isbn, normal_language
from generation.manuscript.text import DEFAULT_LANGUAGE, decode_text

_HEADING_LINE = re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.M)
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?^(title|author)[ \t]*:.*?^---[ \t]*$", re.M | re.S)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MARKUP = frozenset("*_~`[]<>!\\ \t\n")
_EMPHASIS = frozenset({"em_open", "strong_open"})


def looks_like_markdown(text: str) -> bool:
    """Whether a text without a telling name is Markdown: front matter, or two headings with "#"."""
    return bool(_FRONT_MATTER.match(text)) or len(_HEADING_LINE.findall(text)) >= 2


def read_markdown(path: Path) -> Book:
    """Read a Markdown manuscript.

    Footnotes, program listings, HTML and pictures are left out; of links the text is read. A block's node
    is its first line, counted from 1, and offsets count the source's characters from that line on.

    Raises
    ------
    EmptyManuscript
        Where there is nothing to read.
    HostileManuscript
        For a file that is too large.
    UnsupportedManuscript
        For a file that is no text.
    """
    text, note = decode_text(path)
    walker = _Walker(text.split("\n"), [note] if note else [])
    tokens = _parser().parse(text)
    walker.walk(tokens)
    matter = _front_matter(tokens, walker.notes)
    passages = without_ornaments(walker.passages)
    if not any(p.block.text for p in passages):
        raise EmptyManuscript(f"{path.name} has no text to read.")
    title = matter.get("title") or _single_title(passages) or path.stem
    sections = divide_by_headings(passages, title)
    identifier = matter.get("isbn") or matter.get("identifier") or ""
    number = isbn(identifier)
    return Book(
        title=title,
        authors=tuple(a for a in matter.get("author", "").split("\n") if a),
        language=normal_language(matter.get("language") or DEFAULT_LANGUAGE),
        chapters=make_chapters(sections),
        identifier=f"urn:isbn:{number}" if number else identifier,
        publisher=matter.get("publisher", ""),
        published=matter.get("date", ""),
        description=matter.get("description", ""),
        rights=matter.get("rights", ""),
        notes=tuple(dict.fromkeys(walker.notes)),
    )


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return parser.use(front_matter_plugin).use(footnote_plugin)


def _single_title(passages: list[Passage]) -> str:
    """Return the only heading of the first level, where it comes first: the book's title."""
    first = [p for p in passages if p.level == 1]
    if len(first) == 1 and passages[0] is first[0] and any(p.level > 1 for p in passages):
        return first[0].block.text
    return ""


_KEYS = {
    "authors": "author",
    "creator": "author",
    "lang": "language",
    "copyright": "rights",
    "abstract": "description",
    "published": "date",
}


def _front_matter(tokens: list[Token], notes: list[str]) -> dict[str, str]:
    """Return the front matter's plain values by name; several authors one a line."""
    raw = next((t.content for t in tokens if t.type == "front_matter"), "")
    try:
        loaded = yaml.safe_load(raw) if raw else {}
    except yaml.YAMLError as error:
        notes.append(f"The front matter is not YAML and was passed over ({error}).")
        return {}
    found: dict[str, str] = {}
    for key, value in loaded.items() if isinstance(loaded, dict) else ():
        name = str(key).lower()
        rows = value if isinstance(value, list) else [value]
        plain = [str(r) for r in rows[:50] if not isinstance(r, dict | list | None.__class__)]
        found[_KEYS.get(name, name)] = "\n".join(plain)
    return found


@dataclass(slots=True)
class _Walker:
    """Goes through the parser's tokens and gathers passages."""

    lines: list[str]
    notes: list[str]
    passages: list[Passage] = field(default_factory=list)
    _kinds: list[BlockKind] = field(default_factory=lambda: [BlockKind.PARAGRAPH])
    _level: int = 0
    _row: list[Token] | None = None

    def walk(self, tokens: list[Token]) -> None:
        in_notes = False
        for token in tokens:
            if token.type in ("footnote_block_open", "footnote_block_close"):
                in_notes = token.type.endswith("open")
                self.notes.append("Footnotes were left out.")
            elif not in_notes:
                self._step(token)

    def _step(self, token: Token) -> None:
        match token.type:
            case "blockquote_open":
                self._kinds.append(BlockKind.QUOTE)
            case "list_item_open":
                outer = self._kinds[-1]
                self._kinds.append(BlockKind.LIST_ITEM if outer is BlockKind.PARAGRAPH else outer)
            case "blockquote_close" | "list_item_close":
                self._kinds.pop()
            case "heading_open":
                self._level = int(token.tag[1:])
            case "heading_close":
                self._level = 0
            case "tr_open":
                self._row = []
            case "tr_close":
                self._read_row()
            case "hr":
                self._scene_break(token)
            case "fence" | "code_block":
                self.notes.append("Program listings were left out.")
            case "html_block":
                if not token.content.lstrip().startswith("<!--"):
                    self.notes.append("Blocks of HTML were left out.")
            case "inline" if self._row is not None:
                self._row.append(token)
            case "inline":
                self._read_inline(token)

    def _scene_break(self, token: Token) -> None:
        line = token.map[0] if token.map else 0
        block = Block(BlockKind.SCENE_BREAK, "", "", str(line + 1), ())
        self.passages.append(Passage(block, line))

    def _read_inline(self, token: Token) -> None:
        if token.map is None:
            return
        if not token.content and self._level:
            self._scene_break(token)  # a lone "#", as typists part scenes
            return
        kind = BlockKind.HEADING if self._level else self._kinds[-1]
        flow, node = Flow(), str(token.map[0] + 1)
        cut = _Inline(token.content, self._sources(token), flow).blocks(token, kind, node)
        passages = [Passage(b, token.map[0], self._level) for b in cut]
        if len(passages) > 1 and kind is not BlockKind.HEADING:
            passages = joined_lines(passages)
        self.passages.extend(passages)

    def _read_row(self) -> None:
        """Read a table's row as one block, a comma between cells where none stands."""
        cells, self._row = self._row or [], None
        cells = [c for c in cells if c.map]
        if not cells or cells[0].map is None:
            return
        line = cells[0].map[0]
        flow, at = Flow(), 0
        for cell in cells:
            if not flow.empty:
                if flow.text[-1] not in ".,;:!?—":
                    flow.insert(",")
                flow.feed(" ", at)
            sources = self._cell_sources(cell.content, line, at)
            _Inline(cell.content, sources, flow).feed(cell)
            at = sources[-1] + 1 if sources else at
        block = flow.take(BlockKind.PARAGRAPH, "", str(line + 1))
        if block:
            self.passages.append(Passage(block, line))

    def _cell_sources(self, content: str, line: int, at: int) -> list[int]:
        raw, sources = self.lines[line], []
        for char in content:
            while at < len(raw) and raw[at] != char:
                at += 1
            sources.append(min(at, len(raw) - 1))
            at += 1
        return sources

    def _blank_lines(self, first: int, last: int, content: list[str]) -> int:
        """Return how many first lines the parser stripped as blank (no-break spaces, say)."""
        start = content[0].strip()
        for skipped in range(max(1, last - first - len(content) + 1)):
            if self.lines[first + skipped].rstrip().endswith(start):
                return skipped
        return 0

    def _sources(self, token: Token) -> list[int]:
        """Return for each character of an inline token's content its offset from its first line."""
        first, last = token.map or (0, 0)
        content = token.content.split("\n")
        skipped = self._blank_lines(first, last, content)
        base = sum(len(raw) + 1 for raw in self.lines[first : first + skipped])
        sources: list[int] = []
        for i, line in enumerate(content, start=first + skipped):
            raw = self.lines[i] if i < len(self.lines) else ""
            plain, indent = line.strip(), len(line) - len(line.lstrip())
            at = len(raw.rstrip()) - len(plain)
            if raw[at : at + len(plain)] != plain:
                at = max(0, raw.find(plain))
            # A tab of the source may have become several spaces: they never reach behind the text.
            sources.extend(base + max(0, at + j - indent) for j in range(len(line)))
            base += len(raw) + 1
            sources.append(base - 1)  # the newline
        return sources


class _Inline:
    """Follows an inline token's children through its content, so that each character keeps its place."""

    def __init__(self, content: str, sources: list[int], flow: Flow) -> None:
        self._content = content
        self._sources = sources
        self._flow = flow
        self._at = 0

    def blocks(self, token: Token, kind: BlockKind, node: str) -> list[Block]:
        """Return the token's text as blocks, cut at hard line breaks."""
        taken = []
        for child in token.children or []:
            if child.type == "hardbreak":
                taken.append(self._flow.take(kind, "", node))
                self._skip_line_end()
            else:
                self._child(child)
        taken.append(self._flow.take(kind, "", node))
        return [b for b in taken if b]

    def feed(self, token: Token) -> None:
        """Feed the token's text without cutting it."""
        for child in token.children or []:
            self._child(child)

    def _child(self, child: Token) -> None:
        match child.type:
            case "text" | "text_special":
                self._text(child.content)
            case "code_inline":
                self._at = max(self._at, self._content.find(child.markup, self._at))
                self._at += len(child.markup)
                self._code(child.content)
                self._at = max(self._at, self._content.find(child.markup, self._at))
                self._at += len(child.markup)
            case "softbreak" | "hardbreak":
                self._skip_line_end()
            case "html_inline":
                self._skip_to(child.content)
                self._at += len(child.content)
                if child.content.lower().startswith("<br"):
                    self._flow.feed(" ", self._source(self._at - 1))
            case "link_close":
                self._skip_link_end()
            case "image":
                self._skip_to("![")
                self._at += 1
                self._skip_balanced("[", "]")
                self._at -= 1
                self._skip_link_end()
                self._flow.leave_out()
            case "footnote_ref":
                self._skip_footnote()
            case name if name in _EMPHASIS:
                self._flow.open(SpanKind.EMPHASIS)
            case name if name.removesuffix("_close") + "_open" in _EMPHASIS:
                self._flow.close()

    def _code(self, text: str) -> None:
        """Feed a code span, where a backslash is a backslash; CommonMark 6.1 may strip a space."""
        inner = self._content[self._at : self._at + len(text)].replace("\n", " ")
        self._at += inner != text
        self._flow.feed_placed(text, [self._source(self._at + i) for i in range(len(text))])
        self._at += len(text)

    def _text(self, text: str) -> None:
        placed: list[int] = []
        i = 0
        while i < len(text):
            taken, source = self._find(text[i:])
            placed.extend([source] * taken)
            i += taken
        self._flow.feed_placed(text, placed)

    def _find(self, text: str) -> tuple[int, int]:
        """Return how many of the next characters stand where, passing over markup before them."""
        content, at = self._content, self._at
        while at < len(content):
            char = content[at]
            if char == "\\" and content[at + 1 : at + 2] == text[0] and text[0] != "\n":
                self._at = at + 2
                return 1, self._source(at + 1)
            entity = _ENTITY.match(content, at) if char == "&" else None
            if entity and text.startswith(html.unescape(entity[0])):
                self._at = entity.end()
                return len(html.unescape(entity[0])), self._source(at)
            if char == text[0] or char == "\0":
                self._at = at + 1
                return 1, self._source(at)
            if char not in _MARKUP:
                break
            at += 1
        return 1, self._source(self._at)

    def _source(self, at: int) -> int:
        return self._sources[min(at, len(self._sources) - 1)]

    def _skip_to(self, text: str) -> None:
        found = self._content.find(text, self._at)
        if found >= 0:
            self._at = found

    def _skip_line_end(self) -> None:
        end = self._content.find("\n", self._at)
        if end >= 0:
            self._flow.feed(" ", self._source(end))
            self._at = end + 1

    def _skip_footnote(self) -> None:
        self._flow.leave_out()
        hit = re.compile(r"\^?\[").search(self._content, self._at)
        if hit:
            self._at = hit.end() - 1
            self._skip_balanced("[", "]")

    def _skip_link_end(self) -> None:
        """Pass over "](destination)", "][label]", "]" or ">"."""
        while self._at < len(self._content) and self._content[self._at] not in "]>":
            self._at += 1
        self._at += 1
        following = self._content[self._at : self._at + 1]
        if self._content[self._at - 1 : self._at] == "]" and following in ("(", "["):
            before = self._at
            if not self._skip_balanced(following, ")" if following == "(" else "]"):
                self._at = before

    def _skip_balanced(self, opening: str, closing: str) -> bool:
        depth, quote, at = 0, "", self._at
        while at < len(self._content):
            char = self._content[at]
            if char == "\\":
                at += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "\"'" and opening == "(" and self._content[at - 1] in " \t\n":
                quote = char
            elif char == opening:
                depth += 1
            elif char == closing:
                depth -= 1
                if depth == 0:
                    self._at = at + 1
                    return True
            at += 1
        return False
