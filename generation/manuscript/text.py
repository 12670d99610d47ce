"""Plain text: encodings, hard-wrapped lines, chapter headings by their wording, verse by its shape."""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from pathlib import Path

from generation.errors import EmptyManuscript, HostileManuscript, UnsupportedManuscript
from generation.manuscript.book import BlockKind, Book, SpanKind
from generation.manuscript.chapters import Passage, divide_by_headings, make_chapters
from generation.manuscript.container import MAX_DOCUMENT_BYTES, MiB
from generation.manuscript.flow import Flow, has_words
from generation.manuscript.lines import is_scene_break, without_ornaments
from generation.manuscript.matter import NUMBER, ROMAN, is_part_title, kind_by_title

DEFAULT_LANGUAGE = "en"
"""The language of a text that names none."""

MAX_CONTROL_SHARE = 0.001
"""A file with more control characters than this is no text."""

MAX_HEADING = 90
"""The longest line taken for a heading, in characters."""

WRAPPED_WIDTH = 100
"""Text whose lines (all but one in twenty) are no longer than this was wrapped by hand or by machine."""

_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1b\x1c-\x1f]")
_PG_START = re.compile(
    r"\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.*|\*END\*? ?THE SMALL PRINT.*", re.I
)
_PG_END = re.compile(
    r"\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG.*|End of (?:the )?Project Gutenberg.*", re.I
)
_PG_CREDIT = re.compile(
    r"\s*(?:produced by|e-?text prepared by|transcribed (?:from|by)|\[?transcriber)", re.I
)
_PG_FIELD = re.compile(r"^(Title|Author|Language|Release Date):\s*(\S.*)$", re.I)
_PG_LANGUAGES = {
    "english": "en", "french": "fr", "german": "de", "spanish": "es", "italian": "it",
    "dutch": "nl", "portuguese": "pt", "finnish": "fi", "swedish": "sv", "danish": "da",
    "latin": "la", "greek": "el", "hungarian": "hu", "polish": "pl", "welsh": "cy",
}  # fmt: skip
_BY_LINE = re.compile(r"by\s+(\S.{2,60})", re.I)
_CHAPTER_WORD = re.compile(
    rf"(?:chapter|chap\.|letter|stave|canto|adventure|story|tale|scene)\s+{NUMBER}(?![\w’'])\s*(.*)",
    re.I,
)
_NUMBERED_TITLE = re.compile(rf"(?:{ROMAN}|\d{{1,3}})\s*[.:)—–-]\s+(\S.*)")
_BARE_NUMBER = re.compile(rf"(?:{ROMAN}|\d{{1,3}})\.?")
_EDITORIAL = re.compile(
    r"\[(?:illustration|picture|frontispiece|footnote|sidenote|transcriber['’]?s? note|decoration)\b",
    re.I,
)
_FOOTNOTE_MARK = re.compile(r"(?<=\S)(?:\[\d{1,3}\]|\[[*†‡a-z]\]|\{\d{1,3}\}(?=[\s.,;:!?]|$))")
_EMPHASIS = re.compile(r"(?<![^\W_])_(?=[^\s_])([^_]{1,2000}?)(?<=\S)_(?![^\W_])")
_SENTENCE_END = re.compile(r"[.!?:;,\"”’'—]$")

_PART, _CHAPTER, _TITLED, _BARE, _SET_APART = 1, 2, 3, 4, 5
"""Heading levels, by how surely their wording names a chapter."""


@dataclass(slots=True)
class _Group:
    """Lines that belong together; `number` is the first one's, from 1, and `gap` the blank lines above."""

    number: int
    lines: list[str]
    gap: int
    level: int = 0
    kind: BlockKind = BlockKind.PARAGRAPH

    @property
    def text(self) -> str:
        return " ".join(line.strip() for line in self.lines)


@dataclass(slots=True)
class _Header:
    """What a Project Gutenberg header says."""

    fields: dict[str, str] = field(default_factory=dict)
    first: int = 0
    last: int = 0


def decode_text(path: Path) -> tuple[str, str]:
    """Return a text file's characters, line ends as newlines, and a note on a guessed encoding.

    Raises
    ------
    HostileManuscript
        For a file that is too large.
    UnsupportedManuscript
        For a file that is no text.
    """
    size = path.stat().st_size
    if size > MAX_DOCUMENT_BYTES:
        raise HostileManuscript(
            f"{path.name} is {size // MiB} MiB; at most {MAX_DOCUMENT_BYTES // MiB} MiB of plain "
            "text are read. Submit its volumes one by one."
        )
    text, note = _decoded(path.read_bytes())
    if len(_CONTROL.findall(text)) > MAX_CONTROL_SHARE * len(text):
        raise UnsupportedManuscript(
            f"{path.name} is no text and no format Lectern knows. Submit EPUB, DOCX, plain text or "
            "Markdown."
        )
    return text.replace("\r\n", "\n").replace("\r", "\n"), note


def read_text(path: Path) -> Book:
    """Read a plain text manuscript.

    A block's node is its first line, counted from 1, and offsets count characters from that line on.

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
    lines = text.split("\n")
    header = _gutenberg(lines)
    notes = [note] if note else []
    if header.last - header.first < len(lines):
        notes.append("Project Gutenberg's header and licence were left out.")
    groups = _groups(lines, header)
    groups = _without_editorial(groups, notes)
    _mark_shapes(groups)
    _mark_headings(groups)
    title, author = _title_and_author(groups, header)
    passages = without_ornaments([p for g in groups for p in _passages(g, notes)])
    if not any(p.block.text for p in passages):
        raise EmptyManuscript(f"{path.name} has no text to read.")
    title = title or path.stem
    return Book(
        title=title,
        authors=(author,) if author else (),
        language=_PG_LANGUAGES.get(header.fields.get("language", "").lower(), DEFAULT_LANGUAGE),
        chapters=make_chapters(divide_by_headings(passages, title)),
        published=header.fields.get("release date", "").partition("[")[0].strip(),
        notes=tuple(dict.fromkeys(notes)),
    )


def _decoded(data: bytes) -> tuple[str, str]:
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return data.decode("utf-32", "replace"), ""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace"), ""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "The text is not UTF-8; read as Windows-1252."


def _gutenberg(lines: list[str]) -> _Header:
    header = _Header(last=len(lines))
    for i, line in enumerate(lines):
        if _PG_START.match(line.strip()):
            header.first = i + 1
        elif header.first and _PG_END.match(line.strip()):
            header.last = i
            break
    for line in lines[: header.first]:
        hit = _PG_FIELD.match(line.strip())
        if hit:
            header.fields.setdefault(hit[1].lower(), hit[2].strip())
    return header


# Lines into groups.


def _groups(lines: list[str], header: _Header) -> list[_Group]:
    """Gather lines into paragraphs by the convention that the text itself keeps."""
    used = lines[header.first : header.last]
    filled = [line for line in used if line.strip()]
    widths = sorted(len(line.rstrip()) for line in filled)
    width = widths[int(0.95 * (len(widths) - 1))] if widths else 0
    if width > WRAPPED_WIDTH:
        return list(_grouped(lines, header, lambda line, before: True))
    between = "\n".join(used).strip("\n ").count("\n") + 1 - len(filled)
    if between >= 0.02 * len(filled):
        return list(_grouped(lines, header, lambda line, before: False))
    indented = sum(1 for line in filled if line[:1].isspace())
    if 0 < indented < 0.6 * len(filled):
        return list(_grouped(lines, header, lambda line, before: line[:1].isspace()))
    return list(
        _grouped(
            lines,
            header,
            lambda line, before: (
                len(before.rstrip()) < 0.75 * width and bool(_SENTENCE_END.search(before.rstrip()))
            ),
        )
    )


def _grouped(
    lines: list[str], header: _Header, begins: Callable[[str, str], bool]
) -> Iterator[_Group]:
    group: _Group | None = None
    gap = 0
    for number in range(header.first, header.last):
        line = lines[number]
        if not line.strip():
            gap += 1 + line.count("\f")
            if group:
                yield group
            group = None
        elif (
            group is None
            or begins(line, group.lines[-1])
            or is_scene_break(line)
            or is_scene_break(group.lines[-1])
        ):
            if group:
                yield group
            group, gap = _Group(number + 1, [line], gap), 0
        else:
            group.lines.append(line)
    if group:
        yield group


def _without_editorial(groups: list[_Group], notes: list[str]) -> list[_Group]:
    """Leave out what an editor put in brackets: pictures, footnotes, transcribers' notes and credits."""
    kept: list[_Group] = []
    open_brackets = 0
    for i, group in enumerate(groups):
        text = group.text
        if open_brackets or _EDITORIAL.match(text):
            open_brackets = max(0, open_brackets + text.count("[") - text.count("]"))
            notes.append("Notes and captions in square brackets were left out.")
        elif i < 3 and _PG_CREDIT.match(text):
            notes.append("The transcribers' credits were left out.")
        else:
            kept.append(group)
    return kept


def _mark_shapes(groups: list[_Group]) -> None:
    """Tell verse and quotations from prose by indentation and by how far lines reach."""
    filled = sorted(len(line.rstrip()) for g in groups for line in g.lines if len(g.lines) > 2)
    width = filled[int(0.9 * (len(filled) - 1))] if filled else 0
    margins = sorted(min(_indent(line) for line in g.lines) for g in groups if len(g.lines) > 1)
    margin = margins[len(margins) // 2] if margins else 0
    for group in groups:
        if len(group.lines) < 2 or width > WRAPPED_WIDTH:
            continue
        stripped = [line.strip() for line in group.lines]
        capitals = sum(1 for s in stripped if s.lstrip("“‘\"'([_—")[:1].isupper())
        short = max(map(len, stripped)) < 0.75 * width
        indented = all(_indent(line) >= margin + 2 for line in group.lines)
        if short and (indented or (len(stripped) >= 3 and capitals >= 0.8 * len(stripped))):
            group.kind = BlockKind.VERSE
        elif indented:
            group.kind = BlockKind.QUOTE


def _indent(line: str) -> int:
    return len(line.expandtabs()) - len(line.expandtabs().lstrip())


# Headings.


def _mark_headings(groups: list[_Group]) -> None:
    for group in groups:
        group.level = _heading_level(group)
    _drop_contents(groups)
    numbered = [g.level for g in groups if g.level in (_CHAPTER, _TITLED, _BARE)]
    base = min(numbered, default=0)
    if not base:
        _mark_set_apart(groups)
        base = _SET_APART
    for group in groups:
        if not group.level and _names_matter(group):
            group.level = base
    _mark_subtitles(groups)
    for group in groups:
        if group.level:
            group.kind = BlockKind.HEADING


def _heading_level(group: _Group) -> int:
    first = group.lines[0].strip().strip("_*=").strip()
    if len(group.lines) > 3 or len(group.text) > 2 * MAX_HEADING or not first[:1].isalnum():
        return 0
    if is_part_title(first) and len(group.text) <= MAX_HEADING and not _runs_on(group.text):
        return _PART
    hit = _CHAPTER_WORD.fullmatch(first)
    if hit and not _runs_on(hit[1]):
        return _CHAPTER
    if len(group.lines) > 1:
        return 0
    if _BARE_NUMBER.fullmatch(first):
        return _BARE
    hit = _NUMBERED_TITLE.fullmatch(first)
    if hit and len(first) <= MAX_HEADING and (hit[1].isupper() or group.gap >= 2):
        return 0 if _SENTENCE_END.search(hit[1]) and not hit[1].isupper() else _TITLED
    return 0


def _runs_on(rest: str) -> bool:
    """Whether words after "Chapter 1" go on like a sentence rather than a title."""
    text = rest.strip(" .:—–-")
    return text[:1].islower() or (len(text.split()) > 12 and not text.isupper())


def _names_matter(group: _Group) -> bool:
    text = group.text.strip("_*= .")
    is_line = len(group.lines) == 1 and len(text) <= 60
    return (
        is_line
        and group.gap >= 1
        and kind_by_title(text, True) is not None
        and (text.isupper() or text.istitle() or group.gap >= 2)
        and not _BARE_NUMBER.fullmatch(text)
    )


def _mark_set_apart(groups: list[_Group]) -> None:
    """Without numbered chapters, take short lines set apart by blank lines for headings."""
    found = []
    for group, following in pairwise(groups):
        text = group.text.strip("_*= ")
        apart = (group.gap >= 2 or group is groups[0]) and len(group.lines) == 1 and len(text) <= 60
        worded = (
            has_words(text) and (text.isupper() or text[:1].isupper()) and text[-1:] not in ".,;:"
        )
        if apart and worded and following.gap >= 1 and text[0] not in "“‘\"'":
            found.append(group)
    if len(found) >= 2:
        for group in found:
            group.level = _SET_APART


def _drop_contents(groups: list[_Group]) -> None:
    """Take back the headings that are lines of a table of contents: the same words come again, with text."""
    marked = [i for i, g in enumerate(groups) if g.level]
    last: dict[str, int] = {_key(groups[i]): i for i in marked}
    for i, following in zip_longest(marked, marked[1:], fillvalue=len(groups)):
        text = sum(len(g.text.split()) for g in groups[i + 1 : following] if not g.level)
        if last[_key(groups[i])] != i and text < 20:
            groups[i].level = 0
    for group in groups:
        lines = [line.strip() for line in group.lines]
        entries = sum(
            1 for line in lines if _CHAPTER_WORD.match(line) or _NUMBERED_TITLE.match(line)
        )
        if len(lines) >= 3 and entries >= 0.6 * len(lines):
            group.level = 0


def _key(group: _Group) -> str:
    first = group.lines[0].strip()
    hit = _CHAPTER_WORD.fullmatch(first)
    shown = first[: hit.start(1)] if hit else first
    return "".join(c for c in shown.casefold() if c.isalnum())


def _mark_subtitles(groups: list[_Group]) -> None:
    """Mark the title that stands on its own below a bare "CHAPTER I"."""
    for group, below, after in zip(groups, groups[1:], groups[2:], strict=False):
        if group.level not in (_PART, _CHAPTER, _BARE) or below.level or len(group.lines) > 1:
            continue
        first = group.lines[0].strip()
        hit = _CHAPTER_WORD.fullmatch(first)
        bare = (
            _BARE_NUMBER.fullmatch(first)
            or (hit and not hit[1].strip(" ."))
            or group.level == _PART
        )
        text = below.text.strip("_*= ")
        short = len(below.lines) <= 2 and len(text) <= MAX_HEADING and after.gap >= 1
        titled = text.isupper() or not _SENTENCE_END.search(text)
        if bare and short and titled and text[:1] not in "“‘\"'" and text[:1].isupper():
            below.level = _SET_APART + 1


def _title_and_author(groups: list[_Group], header: _Header) -> tuple[str, str]:
    """Return what a Gutenberg header says, else what a title page in front ("Title" / "by Author") says."""
    if header.fields.get("title"):
        return header.fields["title"], header.fields.get("author", "")
    lines: list[str] = []
    for group in groups[:8]:
        if group.level and group.level <= _BARE:
            break
        lines.extend(line.strip("_*= \t") for line in group.lines)
    for i, line in enumerate(lines):
        hit = _BY_LINE.fullmatch(line)
        if hit and i:
            return lines[0], hit[1].strip()
        if line.lower() == "by" and 0 < i < len(lines) - 1:
            return lines[0], lines[i + 1]
    return "", ""


# Groups into passages.


def _passages(group: _Group, notes: list[str]) -> Iterator[Passage]:
    """Yield a group's blocks: line by line for verse and headings, else as one."""
    one_by_one = group.kind in (BlockKind.VERSE, BlockKind.HEADING)
    flow = Flow()
    raw = "\n".join(group.lines)
    base, number, _line_start = 0, group.number, 0
    for start, end, emphasis in _stretches(raw):
        if emphasis:
            flow.open(SpanKind.EMPHASIS)
        at = start
        while at < end:
            stop = raw.find("\n", at, end)
            stop = end if stop < 0 else stop
            _feed(flow, raw, at, stop, base, notes)
            if stop < end:
                if one_by_one:
                    block = flow.take(group.kind, "", str(number))
                    if block:
                        yield Passage(block, group.number, _level(group, number))
                    number += 1
                    base = stop + 1
                elif _joins_word(raw, stop):
                    stop += len(raw[stop + 1 :]) - len(raw[stop + 1 :].lstrip())
                else:
                    flow.feed("\n", stop - base)
            at = stop + 1
        if emphasis:
            flow.close()
    block = flow.take(group.kind, "", str(number))
    if block:
        yield Passage(block, group.number, _level(group, number))


def _level(group: _Group, number: int) -> int:
    """Return a heading line's level: lines below the first are its subtitles."""
    return group.level if number == group.number or not group.level else _SET_APART + 1


def _stretches(raw: str) -> Iterator[tuple[int, int, bool]]:
    """Yield stretches of a paragraph, and whether each was between underscores."""
    at = 0
    for hit in _EMPHASIS.finditer(raw):
        yield at, hit.start(), False
        yield hit.start(1), hit.end(1), True
        at = hit.end()
    yield at, len(raw), False


def _feed(flow: Flow, raw: str, start: int, stop: int, base: int, notes: list[str]) -> None:
    at = start
    for hit in _FOOTNOTE_MARK.finditer(raw, start, stop):
        flow.feed(raw[at : hit.start()], at - base)
        flow.leave_out()
        notes.append("Footnote marks in brackets were left out.")
        at = hit.end()
    flow.feed(raw[at:stop], at - base)


def _joins_word(raw: str, newline: int) -> bool:
    """Whether a line ends within a hyphenated word ("well-" / "known")."""
    before, after = raw[:newline].rstrip(), raw[newline + 1 :].lstrip()
    return before[-1:] == "-" and before[-2:-1].isalpha() and after[:1].islower()
