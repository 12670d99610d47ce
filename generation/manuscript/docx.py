"""DOCX: paragraphs by their styles, revisions as accepted, notes and fields left out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docx
from docx.oxml.ns import qn

from generation.errors import (
    EmptyManuscript,
    HostileManuscript,
    ManuscriptError,
    UnsupportedManuscript,
)
from generation.manuscript.book import Block, BlockKind, Book, SpanKind
from generation.manuscript.chapters import Passage, divide_by_headings, make_chapters
from generation.manuscript.container import Container
from generation.manuscript.flow import Flow
from generation.manuscript.lines import joined_lines, without_ornaments
from generation.manuscript.matter import is_chapter_title, is_part_title, kind_by_title
from generation.manuscript.package import isbn, normal_language
from generation.manuscript.text import DEFAULT_LANGUAGE
from generation.manuscript.xhtml import primary

MAX_BLANK_SHARE = 0.2
"""Blank paragraphs part scenes where they are at most this share; else they only space lines out."""

_HEADING_STYLE = re.compile(r"(?:heading|überschrift|titre|título)\s*(\d)", re.I)
_QUOTE_STYLE = re.compile(r"quot|block text|extract|epigraph", re.I)
_VERSE_STYLE = re.compile(r"verse|poe(?:m|try)|stanza|lyric|song", re.I)
_LETTER_STYLE = re.compile(r"\bletter\b|correspondence|salutation|signature|closing", re.I)
_LIST_STYLE = re.compile(r"^list\b", re.I)
_UNREAD_STYLE = re.compile(
    r"^(?:toc\b.*|table of (?:contents|figures).*|index.*|footnote text|endnote text|header|footer|caption)$",
    re.I,
)
_CODE_STYLE = re.compile(r"code|html preformatted|source", re.I)
_EMPHASIS_STYLE = re.compile(r"emphasis|strong", re.I)
_MAX_PLAIN_HEADING = 60
_TITLE_LEVEL = 1

_P, _R, _T, _TBL = qn("w:p"), qn("w:r"), qn("w:t"), qn("w:tbl")
_SKIPPED = frozenset(
    {
        qn("w:del"), qn("w:moveFrom"), qn("w:instrText"), qn("w:delText"), qn("w:footnoteReference"),
        qn("w:endnoteReference"), qn("w:commentReference"), qn("w:rPr"), qn("w:pPr"), qn("w:drawing"),
        qn("w:pict"), qn("w:object"), qn("w:annotationRef"), qn("w:rt"),
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent",
        "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath",
        "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMathPara",
    }
)  # fmt: skip
"""Elements whose text is not part of the page as accepted, or is no text."""
_CHARACTERS = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
    qn("w:softHyphen"): "\u00ad",
}


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph's style says."""

    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 0
    unread: bool = False
    code: bool = False
    title: bool = False


@dataclass(slots=True)
class _Paragraph:
    """A paragraph: its index among all of the document's, its blocks, and whether a page begins at it."""

    index: int
    passages: list[Passage] = field(default_factory=list)
    style: _Style = field(default_factory=_Style)
    new_page: bool = False
    centred: bool = False
    in_table: bool = False

    @property
    def text(self) -> str:
        return " ".join(p.block.text for p in self.passages)


def read_docx(path: Path) -> Book:
    """Read a DOCX manuscript.

    A block's node is the paragraph's index, from 0, among all paragraphs of the document's body; offsets
    count the characters of its runs, with tabs and line breaks as one each.

    Raises
    ------
    UnsupportedManuscript
        For a ZIP file that is no Word document.
    EmptyManuscript
        Where there is nothing to read.
    HostileManuscript
        For bombs and declared entities.
    ManuscriptError
        Where the document is damaged.
    """
    document = _opened(path)
    reader = _Reader(document)
    paragraphs = list(reader.paragraphs())
    _mark_plain_headings(paragraphs)
    passages = without_ornaments(list(_with_scene_breaks(paragraphs, reader.part)))
    if not any(p.block.text for p in passages):
        raise EmptyManuscript(f"{path.name} has no text to read.")
    properties = document.core_properties
    title = properties.title.strip() or reader.title or path.stem
    number = isbn(properties.identifier or "")
    return Book(
        title=title,
        authors=tuple(a.strip() for a in re.split(r"[;\n]", properties.author or "") if a.strip()),
        language=normal_language(properties.language or reader.language or DEFAULT_LANGUAGE),
        chapters=make_chapters(divide_by_headings(passages, title)),
        identifier=f"urn:isbn:{number}" if number else properties.identifier or "",
        description=properties.comments or "",
        notes=tuple(dict.fromkeys(reader.notes)),
    )


def _opened(path: Path) -> Any:
    with Container(path) as container:
        if not any(name.startswith("word/") for name in container.names):
            raise UnsupportedManuscript(
                f"{path.name} is no Word document. Submit EPUB, DOCX, plain text or Markdown."
            )
        for name in container.names:
            if name.endswith((".xml", ".rels")) and _declares_entities(container.read(name)):
                raise HostileManuscript(
                    f"{name} in {path.name} declares a document type, as no Word file does. Save it "
                    "again in your word processor."
                )
    try:
        document = docx.Document(str(path))
        if document.element.body is None or not list(document.styles):
            raise ValueError("it has no body or no styles")
        return document
    except (KeyError, ValueError, AttributeError, SyntaxError, OSError) as error:
        raise ManuscriptError(
            f"{path.name} is damaged or no Word document ({error}). Save it again as DOCX."
        ) from error


def _declares_entities(data: bytes) -> bool:
    """Whether XML has a document type, in any encoding XML parsers guess (ECMA-376-2 forbids one)."""
    plain = data.replace(b"\0", b"").upper()
    return b"<!DOCTYPE" in plain or b"<!ENTITY" in plain


class _Reader:
    """Goes through a document's body in order."""

    def __init__(self, document: Any) -> None:
        self._body = document.element.body
        self.part = str(document.part.partname).lstrip("/")
        self._styles = {s.style_id: s for s in document.styles}
        self._known: dict[str, _Style] = {}
        self.language = self._default_language(document)
        self.title = ""
        self.notes: list[str] = []
        self._field_depth: list[bool] = []  # for each open field, whether its result has begun

    def paragraphs(self) -> Iterator[_Paragraph]:
        page_break = False
        for index, element in enumerate(self._body.iter(_P)):
            if _inside(element, qn("w:txbxContent")):
                self.notes.append("Text boxes were left out.")
                continue
            paragraph = self._paragraph(element, index)
            paragraph.new_page = paragraph.new_page or page_break
            page_break = _ends_page(element)
            if paragraph.style.unread:
                self.notes.append("A table of contents or captions were left out.")
            elif paragraph.style.code:
                self.notes.append("Program listings were left out.")
            else:
                yield paragraph

    def _paragraph(self, element: Any, index: int) -> _Paragraph:
        style = self._style(element)
        flow, position = Flow(), 0
        paragraph = _Paragraph(index, style=style, in_table=_inside(element, _TBL))
        paragraph.new_page = element.find(f"{qn('w:pPr')}/{qn('w:pageBreakBefore')}") is not None
        jc = element.find(f"{qn('w:pPr')}/{qn('w:jc')}")
        paragraph.centred = jc is not None and jc.get(qn("w:val")) == "center"
        blocks: list[Block | None] = []
        for raw, run in self._pieces(element):
            marks = self._open(flow, run, style)
            for line_number, line in enumerate(raw.split("\n")):
                if line_number:
                    blocks.append(flow.take(self._kind(style, paragraph), self.part, str(index)))
                    position += 1
                if not self._hidden(run):
                    flow.feed(line, position)
                position += len(line)
            for _ in range(marks):
                flow.close()
        blocks.append(flow.take(self._kind(style, paragraph), self.part, str(index)))
        paragraph.passages = [Passage(b, index, style.level) for b in blocks if b]
        if len(paragraph.passages) > 1 and not style.level:
            paragraph.passages = joined_lines(paragraph.passages)
        if style.title and not self.title:
            self.title = paragraph.text
        return paragraph

    def _kind(self, style: _Style, paragraph: _Paragraph) -> BlockKind:
        if paragraph.in_table and style.kind is BlockKind.PARAGRAPH:
            return BlockKind.LIST_ITEM
        return style.kind

    def _pieces(self, element: Any) -> Iterator[tuple[str, Any]]:
        """Yield a paragraph's text with the run each piece stands in."""
        for child in element:
            if child.tag in _SKIPPED or not isinstance(child.tag, str):
                if str(child.tag).endswith(("oMath", "oMathPara")):
                    self.notes.append("Formulas were left out.")
                continue
            if child.tag == qn("w:fldChar"):
                self._field(child.get(qn("w:fldCharType")))
            elif child.tag == _T:
                yield child.text or "", element
            elif child.tag in _CHARACTERS:
                yield _CHARACTERS[child.tag], element
            elif child.tag not in (_P, _TBL):
                yield from self._pieces(child)

    def _field(self, kind: str | None) -> None:
        if kind == "begin":
            self._field_depth.append(False)
        elif kind == "separate" and self._field_depth:
            self._field_depth[-1] = True
        elif kind == "end" and self._field_depth:
            self._field_depth.pop()

    def _hidden(self, run: Any) -> bool:
        if self._field_depth and not all(self._field_depth):
            return True
        properties = run.find(qn("w:rPr"))
        if properties is None:
            return False
        vertical = properties.find(qn("w:vertAlign"))
        raised = vertical is not None and vertical.get(qn("w:val")) == "superscript"
        return _is_on(properties, "w:vanish") or (
            raised and run.find(qn("w:footnoteReference")) is not None
        )

    def _open(self, flow: Flow, run: Any, style: _Style) -> int:
        properties = run.find(qn("w:rPr"))
        flow.set_language(self._run_language(properties))
        if properties is None or style.level:
            return 0
        named = properties.find(qn("w:rStyle"))
        name = "" if named is None else str(named.get(qn("w:val")) or "")
        slanted = _is_on(properties, "w:i") or _is_on(properties, "w:b")
        if slanted or _EMPHASIS_STYLE.search(name):
            flow.open(SpanKind.EMPHASIS)
            return 1
        return 0

    def _run_language(self, properties: Any) -> str:
        if properties is None:
            return ""
        marked = properties.find(qn("w:lang"))
        tag = "" if marked is None else str(marked.get(qn("w:val")) or "")
        foreign = tag and primary(tag) not in (primary(self.language or DEFAULT_LANGUAGE), "x")
        return normal_language(tag) if foreign else ""

    def _style(self, element: Any) -> _Style:
        properties = element.find(qn("w:pPr"))
        style_id, numbered, outline = "", False, 0
        if properties is not None:
            named = properties.find(qn("w:pStyle"))
            style_id = "" if named is None else str(named.get(qn("w:val")) or "")
            numbered = properties.find(qn("w:numPr")) is not None
            level = properties.find(qn("w:outlineLvl"))
            outline = _outline(level)
        if style_id not in self._known:
            self._known[style_id] = self._read_style(style_id)
        style = self._known[style_id]
        if outline and not style.level:
            return _Style(BlockKind.HEADING, outline)
        if numbered and style.kind is BlockKind.PARAGRAPH:
            return _Style(BlockKind.LIST_ITEM)
        return style

    def _read_style(self, style_id: str) -> _Style:
        """Follow a style and what it is based on to the first one that says what it is."""
        style = self._styles.get(style_id)
        seen: set[str] = set()
        while style is not None and style.style_id not in seen:
            seen.add(style.style_id)
            told = _named_style(str(style.name or ""))
            if told is None:
                level = style.element.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
                told = _Style(BlockKind.HEADING, _outline(level)) if _outline(level) else None
            if told is not None:
                return told
            style = getattr(style, "base_style", None)
        return _Style()

    def _default_language(self, document: Any) -> str:
        found = document.styles.element.find(
            f"{qn('w:docDefaults')}/{qn('w:rPrDefault')}/{qn('w:rPr')}/{qn('w:lang')}"
        )
        return "" if found is None else str(found.get(qn("w:val")) or "")


def _named_style(name: str) -> _Style | None:
    heading = _HEADING_STYLE.match(name)
    if heading:
        return _Style(BlockKind.HEADING, int(heading[1]))
    if name.lower() == "title":
        return _Style(BlockKind.HEADING, _TITLE_LEVEL, title=True)
    if name.lower() == "subtitle":
        return _Style(BlockKind.HEADING, 9)
    if _UNREAD_STYLE.match(name):
        return _Style(unread=True)
    if _CODE_STYLE.search(name):
        return _Style(code=True)
    for pattern, kind in (
        (_VERSE_STYLE, BlockKind.VERSE),
        (_LETTER_STYLE, BlockKind.LETTER),
        (_QUOTE_STYLE, BlockKind.QUOTE),
        (_LIST_STYLE, BlockKind.LIST_ITEM),
    ):
        if pattern.search(name):
            return _Style(kind)
    return None


def _outline(level: Any) -> int:
    """Return a heading level from 1 for an outline level (0 to 8 in the file; 9 is body text)."""
    value = "9" if level is None else str(level.get(qn("w:val")) or "9")
    return int(value) + 1 if value.isdigit() and int(value) < 9 else 0


def _is_on(properties: Any, name: str) -> bool:
    found = properties.find(qn(name))
    return found is not None and found.get(qn("w:val"), "1") not in ("0", "false", "none", "off")


def _inside(element: Any, tag: str) -> bool:
    return next(element.iterancestors(tag), None) is not None


def _ends_page(element: Any) -> bool:
    """Whether a page break stands in a paragraph, so that the next one begins a page."""
    breaks = [b for b in element.iter(qn("w:br")) if b.get(qn("w:type")) == "page"]
    section = element.find(f"{qn('w:pPr')}/{qn('w:sectPr')}")
    return bool(breaks) or section is not None


def _mark_plain_headings(paragraphs: list[_Paragraph]) -> None:
    """Without heading styles, take lines that count chapters, or stand first on a page, for headings."""
    if any(p.style.level and not p.style.title for p in paragraphs):
        return
    for paragraph in paragraphs:
        text = paragraph.text
        if (
            not text
            or len(text) > _MAX_PLAIN_HEADING
            or paragraph.in_table
            or paragraph.style.level
        ):
            continue
        counted = is_part_title(text) or is_chapter_title(text)
        named = kind_by_title(text, True) is not None
        apart = paragraph.new_page or paragraph.centred
        if (counted and text[-1:] not in ",;") or (apart and named):
            level = 2 if is_part_title(text) else 3
            paragraph.passages = [_as_heading(p, level) for p in paragraph.passages]


def _as_heading(passage: Passage, level: int) -> Passage:
    b = passage.block
    block = Block(BlockKind.HEADING, b.text, b.document, b.node, b.offsets, b.spans)
    return Passage(block, passage.position, level)


def _with_scene_breaks(paragraphs: list[_Paragraph], part: str) -> Iterator[Passage]:
    """Yield all passages, a scene break for a blank paragraph where such are rare."""
    blank = sum(1 for p in paragraphs if not p.passages)
    parting = blank <= MAX_BLANK_SHARE * max(1, len(paragraphs))
    for paragraph in paragraphs:
        if paragraph.passages:
            yield from paragraph.passages
        elif parting and not paragraph.in_table:
            block = Block(BlockKind.SCENE_BREAK, "", part, str(paragraph.index), ())
            yield Passage(block, paragraph.index)
