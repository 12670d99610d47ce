"""Text as it flows into a block: white space collapsed, invisible characters dropped, every offset kept.

Each reader of this folder feeds the raw text of an element here, piece by piece, saying where each piece
stands; out comes a `Block`. Nothing here knows of any file format.
"""

import re
from dataclasses import dataclass, field

from generation.manuscript.book import Block, BlockKind, Span, SpanKind

_INVISIBLE = re.compile(
    "[\u00ad\u200b\u2060-\u2064\ufeff"  # soft hyphen, zero-width space, joiners
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks
    "\u0000-\u001f\u007f-\u009f]"  # control characters
)
"""Characters that steer typesetting only. ZWJ and ZWNJ stay: some scripts spell with them."""

_OPENING_QUOTES = "“‘„‚«‹\"'"
_CLOSING_QUOTES = "”’“»›\"'"
_CLOSING_MARKS = frozenset(".,;:!?)]}”’»›…")
_PIECES = re.compile(r"\s+|[^\s]+")
_EMPTY_BRACKETS = re.compile(r"\s*(?:\[\s*\]|\(\s*\)|\{\s*\})")


def is_invisible(char: str) -> bool:
    """Whether `char` is neither seen nor read (typesetting marks, control characters)."""
    return bool(_INVISIBLE.match(char))


def has_words(text: str) -> bool:
    """Whether `text` has anything to say: a letter, a digit, or a symbol read as a word."""
    return any(c.isalnum() or c in "&%@$£€" for c in text)


@dataclass(slots=True)
class _Mark:
    kind: SpanKind
    value: str
    start: int


@dataclass(slots=True)
class Flow:
    """One block's text in the making.

    Feed it raw text with offsets, open and close marks around stretches, and take the block at the end;
    marks that are still open go on into the next block (a line of verse inside emphasis, say).
    """

    text: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    _space: tuple[int, bool] | None = None  # offset of a pending space; whether it is a plain one
    _spans: list[Span] = field(default_factory=list)
    _open: list[_Mark] = field(default_factory=list)
    _language: _Mark | None = None
    _removed: bool = False  # something was left out just before this point
    _brackets: bool = False  # something was left out somewhere in this block

    def feed(self, raw: str, offset: int) -> None:
        """Add raw text whose first character stands at `offset` of the element."""
        for piece in _PIECES.finditer(raw):
            start = offset + piece.start()
            if piece[0].isspace():
                self._add_space(piece[0], start)
            else:
                self._add_word(piece[0], start)

    def feed_placed(self, text: str, offsets: list[int]) -> None:
        """Add text each of whose characters has an offset of its own (after escapes, say)."""
        for char, offset in zip(text, offsets, strict=True):
            self.feed(char, offset)

    def insert(self, text: str) -> None:
        """Add characters that the source lacks (a comma between cells), placed on the one before."""
        if self.offsets:
            place = self.offsets[-1]
            self._space = None
            self.text.extend(text)
            self.offsets.extend([place] * len(text))

    def leave_out(self) -> None:
        """Say that something (a footnote mark) was left out here, so that no stray space stays."""
        self._removed = self._brackets = True

    def open(self, kind: SpanKind, value: str = "") -> None:
        """Open a mark at this point."""
        self._open.append(_Mark(kind, value, len(self.text)))

    def close(self) -> None:
        """Close the mark opened last."""
        self._keep(self._open.pop())

    def set_language(self, tag: str) -> None:
        """Say that what follows is in a language other than the book's; "" goes back to the book's."""
        if self._language is not None:
            if self._language.value == tag:
                return
            self._keep(self._language)
        self._language = _Mark(SpanKind.LANGUAGE, tag, len(self.text)) if tag else None

    @property
    def empty(self) -> bool:
        """Whether nothing visible was fed since the last block."""
        return not self.text

    def take(self, kind: BlockKind, document: str, node: str) -> Block | None:
        """Return what was fed as a block and begin the next; None where there was nothing."""
        if self._brackets:
            self._drop_empty_brackets()
        marks = [*self._open, *([self._language] if self._language else [])]
        for mark in marks:
            self._keep(mark)
        spans = sorted(set(self._spans), key=lambda s: (s.start, -s.end, s.kind))
        text, offsets = "".join(self.text), tuple(self.offsets)
        self.text, self.offsets, self._spans, self._space = [], [], [], None
        self._removed = self._brackets = False
        for mark in marks:
            mark.start = 0
        return Block(kind, text, document, node, offsets, tuple(spans)) if text else None

    def _add_space(self, raw: str, offset: int) -> None:
        plain = any(c in " \t\r\n\f\v" for c in raw)
        if self._space is None:
            self._space = (offset, plain)
        elif plain:
            self._space = (self._space[0], True)

    def _add_word(self, raw: str, offset: int) -> None:
        if _INVISIBLE.search(raw):
            shown = [i for i, c in enumerate(raw) if not is_invisible(c)]
            text, offsets = "".join(raw[i] for i in shown), [offset + i for i in shown]
        else:
            text, offsets = raw, list(range(offset, offset + len(raw)))
        if not text:
            return
        if self.text and self._space is not None and self._space_counts(text[0]):
            self.text.append(" ")
            self.offsets.append(self._space[0])
        self._space, self._removed = None, False
        self.text.extend(text)
        self.offsets.extend(offsets)

    def _space_counts(self, following: str) -> bool:
        """Whether the pending space is one: not between nested quotes, not where a mark was cut out."""
        if self._removed and following in _CLOSING_MARKS:
            return False
        if self._space is not None and not self._space[1]:
            before = self.text[-1]
            opening = before in _OPENING_QUOTES and following in _OPENING_QUOTES + "’"
            closing = before in _CLOSING_QUOTES and following in _CLOSING_QUOTES
            return not (opening or closing)
        return True

    def _keep(self, mark: _Mark) -> None:
        start, end = mark.start, len(self.text)
        while start < end and self.text[start] == " ":
            start += 1
        while end > start and self.text[end - 1] == " ":
            end -= 1
        if start < end:
            self._spans.append(Span(start, end, mark.kind, mark.value))

    def _drop_empty_brackets(self) -> None:
        """Remove the brackets that stood around a footnote mark: "word []." becomes "word."."""
        for hit in reversed(list(_EMPTY_BRACKETS.finditer("".join(self.text)))):
            start, end = hit.span()
            del self.text[start:end], self.offsets[start:end]
            cut = end - start
            self._spans = [
                Span(
                    s.start - max(0, min(cut, s.start - start)),
                    s.end - max(0, min(cut, s.end - start)),
                    s.kind,
                    s.value,
                )
                for s in self._spans
            ]
            self._spans = [s for s in self._spans if s.start < s.end]
            for mark in [*self._open, *([self._language] if self._language else [])]:
                mark.start -= max(0, min(cut, mark.start - start))
