"""Print to spoken words: the class rules in their order, then the plain words in between.

The result is a list of pieces in order of the print; what lies between two pieces is punctuation.
"""

import re
from dataclasses import replace
from itertools import pairwise

from generation.manuscript.book import BlockKind
from generation.script.english import (
    abbreviations,
    addresses,
    cardinals,
    dates,
    fractions,
    initials,
    measures,
    money,
    phones,
    romans,
    symbols,
    times,
    titles,
)
from generation.script.english.morphology import with_s
from generation.script.english.rules import Piece, Rule
from generation.script.english.words import WORD, spoken_word
from generation.script.lexicon import Lexicon

_RULES: tuple[Rule, ...] = (
    *symbols.RULES[:1],  # web addresses before anything looks inside them
    *phones.RULES,
    *money.RULES,
    *times.RULES,
    *dates.RULES,
    *fractions.RULES,
    *dates.ORDINAL_RULES,
    *measures.RULES,
    *romans.RULES,
    *abbreviations.RULES,
    *addresses.RULES,
    *titles.RULES,
    *initials.RULES,
    *symbols.RULES[1:-1],
    *cardinals.RULES,
    *cardinals.FALLBACK_RULES,
    *symbols.RULES[-1:],
)


def pieces(text: str, kind: BlockKind, lexicon: Lexicon) -> list[Piece]:
    """Return what is to be said for a block's regular text, in order of the print."""
    found = _Found(text)
    if kind is BlockKind.HEADING and (numeral := romans.heading_numeral(text)):
        found.add(numeral)
    _apply_lexicon(text, lexicon, found)
    characters = frozenset(text)
    for rule in _RULES:
        if rule.trigger & characters:
            _apply(rule, text, found)
    for match in WORD.finditer(text):
        if found.free(match.start(), match.end()):
            quoted = text[match.start() - 1 : match.start()] == "‘"
            word = match.group().removesuffix("'") if quoted else match.group()
            found.add(
                Piece(match.start(), match.start() + len(word), spoken_word(word), plain=True)
            )
        else:
            _words_around(match.start(), match.end(), text, found)
    return _ranges_linked(sorted(found.pieces, key=lambda p: p.start), text)


_RANGE = re.compile(r"[\d%°¢][-–][$£€]?\d$")
"""The end of one number, a dash, and the beginning of the next."""


def _ranges_linked(found: list[Piece], text: str) -> list[Piece]:
    """Say "to" for the dash between two numbers that no rule took for one: "$5–$10", "June 5–7"."""
    linked = found[:1]
    for before, piece in pairwise(found):
        ends = text[before.end - 1 : piece.start + (2 if text[piece.start] in "$£€" else 1)]
        if piece.start - before.end == 1 and _RANGE.match(ends):
            piece = replace(piece, spoken=f"to {piece.spoken}")
        linked.append(piece)
    return linked


class _Found:
    """The pieces found so far and which characters they cover."""

    def __init__(self, text: str) -> None:
        self.pieces: list[Piece] = []
        self._taken = bytearray(len(text))

    def free(self, start: int, end: int) -> bool:
        return not any(self._taken[start:end])

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self._taken[piece.start : piece.end] = b"\1" * (piece.end - piece.start)


def _apply(rule: Rule, text: str, found: _Found) -> None:
    for match in rule.pattern.finditer(text):
        if not match.group() or not found.free(match.start(), match.end()):
            continue
        spoken = rule.read(match)
        if spoken is None:
            continue
        if isinstance(spoken, str):
            spoken = [
                Piece(
                    match.start(),
                    match.end(),
                    spoken,
                    may_end=rule.may_end and match.group().endswith("."),
                )
            ]
        for piece in spoken:
            found.add(piece)


def _apply_lexicon(text: str, lexicon: Lexicon, found: _Found) -> None:
    if lexicon.pattern is None:
        return
    for match in lexicon.pattern.finditer(text):
        entry = lexicon.find(match["word"])
        printed, ending = match["word"], match["ending"]
        spoken = (entry.say or printed) + (ending if ending != "'" else "")
        found.add(
            Piece(
                match.start(),
                match.end(),
                spoken,
                printed.endswith("."),
                _inflected(entry.phonemes, ending),
            )
        )


def _words_around(start: int, end: int, text: str, found: _Found) -> None:
    """Add the words in what a rule has left of a longer word (one half of a hyphenation)."""
    for part in re.finditer(r"[^\W\d_]+(?:'[^\W\d_]+)*'?", text[start:end]):
        left, right = start + part.start(), start + part.end()
        if found.free(left, right):
            found.add(Piece(left, right, spoken_word(part.group()), plain=True))


def _inflected(phonemes: tuple[str, ...], ending: str) -> tuple[str, ...]:
    return with_s(phonemes) if phonemes and ending in ("'s", "s") else phonemes
