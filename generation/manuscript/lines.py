"""Lines: which ornaments part scenes, and whether lines that were cut apart are verse or prose."""

import re
from dataclasses import replace

from generation.manuscript.book import Block, BlockKind, Span
from generation.manuscript.chapters import Passage
from generation.manuscript.flow import has_words

MAX_VERSE_LINE = 70
"""The longest line of verse, in characters."""

_SCENE_BREAK = re.compile(r"[\s*⁂#~•·∙●○◦◆◇■□❖❦❧☙✦✧✶✻✽✿✵★☆§—–\-_=+.…oO|/\\†‡×xX]+")
_SCENE_MARK = re.compile(
    r"[*⁂#~•·∙●○◦◆◇■□❖❦❧☙✦✧✶✻✽✿✵★☆§_=+×]|-{3,}|[—–]{2,}|(?:[-—–.]\s+){2,}[-—–.]|^[oOxX]([\s.]+[oOxX])+$"
)
_ENDS_LINE = re.compile(r"[.!?:;,—…”’\"')\]]$")


def joined_lines(lines: list[Passage]) -> list[Passage]:
    """Decide what `br` meant: lines of verse, lines to keep apart, or prose broken for looks."""
    texts = [p.block.text for p in lines]
    capitals = sum(1 for t in texts if t.lstrip("“‘\"'([—")[:1].isupper())
    if len(lines) >= 3 and max(map(len, texts)) <= MAX_VERSE_LINE and capitals >= 0.8 * len(lines):
        kind = lines[0].block.kind
        if kind is BlockKind.PARAGRAPH:
            kind = BlockKind.VERSE
        return [Passage(replace(p.block, kind=kind), p.position, p.level, p.types) for p in lines]
    joined = [lines[0]]
    for line in lines[1:]:
        before = joined[-1].block.text
        starts_lower = line.block.text[:1].islower()
        if starts_lower or (len(before) > MAX_VERSE_LINE and not _ENDS_LINE.search(before)):
            joined[-1] = _joined(joined[-1], line)
        else:
            joined.append(line)
    return joined


def _joined(first: Passage, second: Passage) -> Passage:
    a, b = first.block, second.block
    shift = len(a.text) + 1
    spans = tuple(Span(s.start + shift, s.end + shift, s.kind, s.value) for s in b.spans)
    offsets = (*a.offsets, a.offsets[-1] + 1, *b.offsets)
    block = Block(a.kind, f"{a.text} {b.text}", a.document, a.node, offsets, a.spans + spans)
    return Passage(block, first.position, first.level, first.types)


def is_scene_break(text: str) -> bool:
    """Whether a line is an ornament between scenes: "* * *", "***", "⁂", "#", "---"."""
    stripped = text.strip()
    return bool(_SCENE_BREAK.fullmatch(stripped) and _SCENE_MARK.search(stripped))


def without_ornaments(passages: list[Passage]) -> list[Passage]:
    """Turn lines of ornaments into scene breaks and drop what has nothing to say."""
    read = []
    for passage in passages:
        block = passage.block
        if block.kind is BlockKind.SCENE_BREAK:
            read.append(passage)
        elif is_scene_break(block.text):
            mark = Block(BlockKind.SCENE_BREAK, "", block.document, block.node, ())
            read.append(Passage(mark, passage.position, 0, passage.types))
        elif has_words(block.text):
            read.append(passage)
    return read
