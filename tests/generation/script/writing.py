"""Short cuts of the script's tests: print in, script out, and its units by spoken word."""

import re

from generation.manuscript import Block, BlockKind, Chapter, ChapterKind, Span, SpanKind
from generation.script import Lexicon, Script, write_script

_MARKED = re.compile(r"\{(\w+):(.*?)\}")


def block(text: str, kind: BlockKind = BlockKind.PARAGRAPH) -> Block:
    """Make a block; "{fr:mot}" marks a language, "{em:word}" emphasis."""
    spans: list[Span] = []
    while match := _MARKED.search(text):
        mark, inner = match.groups()
        text = text[: match.start()] + inner + text[match.end() :]
        start, end = match.start(), match.start() + len(inner)
        if mark == "em":
            spans.append(Span(start, end, SpanKind.EMPHASIS))
        else:
            spans.append(Span(start, end, SpanKind.LANGUAGE, mark))
    return Block(kind, text, "book.xhtml", "/4/2", tuple(range(len(text))), tuple(spans))


def chapter(*blocks: Block) -> Chapter:
    return Chapter(1, "Chapter", ChapterKind.BODY, blocks)


def script_of(
    text: str, kind: BlockKind = BlockKind.PARAGRAPH, lexicon: Lexicon | None = None
) -> Script:
    return write_script(chapter(block(text, kind)), lexicon)


def spoken(script: Script) -> str:
    return " ".join(word.spoken for word in script.words)


def pauses(script: Script) -> str:
    """Return all pauses in a row, without the chapter's end."""
    return "".join(unit.symbol for unit in script.units if unit.word < 0).removesuffix("∎")


def sounds(script: Script) -> list[tuple[str, str]]:
    """Return each spoken word with its phonemes as one string."""
    said: list[list[str]] = []
    for unit in script.units:
        if unit.word_start:
            said.append([])
        if unit.word >= 0:
            said[-1].append(unit.symbol)
    return list(zip(spoken(script).split(), ("".join(s) for s in said), strict=True))


def sound(text: str, word: str, lexicon: Lexicon | None = None) -> str:
    """Return the phonemes of the first spoken `word` in `text`."""
    return next(s for w, s in sounds(script_of(text, lexicon=lexicon)) if w == word)
