"""The shape of a normalisation rule: a pattern over a block's print, and what to say for what it matches.

Each class of print (dates, money, titles ...) has a module of its own with a tuple of such rules; `normalise`
runs them in order, and what an earlier rule has read no later one touches.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from generation.script.phonemes import Phonemes

DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch `[start, end)` of the print and the words to say for it.

    A comma in `spoken` is a short pause inside the piece. `may_end` marks print whose own full stop may also
    end the sentence ("etc."). `phonemes`, if any, stand for the whole piece. `plain` marks a word said as
    printed.
    """

    start: int
    end: int
    spoken: str
    may_end: bool = False
    phonemes: Phonemes = ()
    plain: bool = False


Spoken = str | Sequence[Piece] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern and its reading; `read` returns words, pieces of the match, or None to leave it be.

    The pattern is tried only on text that has one of the characters in `trigger`.
    """

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], Spoken]
    trigger: frozenset[str] = DIGITS
    may_end: bool = False


def rule(
    pattern: str,
    read: Callable[[re.Match[str]], Spoken],
    trigger: str | frozenset[str] = DIGITS,
    may_end: bool = False,
) -> Rule:
    """Make a rule from a verbose pattern."""
    return Rule(re.compile(pattern, re.VERBOSE), read, frozenset(trigger), may_end)


def piece(match: re.Match[str], group: str | int, spoken: str, may_end: bool = False) -> Piece:
    """Make the piece for one group of a match."""
    return Piece(match.start(group), match.end(group), spoken, may_end)


def before(match: re.Match[str], characters: int = 24) -> str:
    """Return the print right before a match."""
    return match.string[max(0, match.start() - characters) : match.start()]


def after(match: re.Match[str], characters: int = 24) -> str:
    """Return the print right after a match."""
    return match.string[match.end() : match.end() + characters]


def word_before(match: re.Match[str]) -> str:
    """Return the word that stands right before a match, parted from it by spaces only, or ""."""
    found = re.search(r"([A-Za-z'.]+)\s+$", before(match))
    return found.group(1) if found else ""


def word_after(match: re.Match[str]) -> str:
    """Return the word that stands right after a match, parted from it by a space or hyphen; "" if none."""
    found = re.match(r"[\s-]([A-Za-z']+)", after(match))
    return found.group(1) if found else ""


def word_set(words: str) -> frozenset[str]:
    """Return a set from words parted by white space."""
    return frozenset(words.split())
