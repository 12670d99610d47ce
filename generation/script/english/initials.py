"""Initials and letter groups: "J. Neil Gibson", "H. W.", "K. K. K.", "U.S.A.", "M.D.", "IBM"."""

import re

from generation.script.english.rules import Piece, Rule, Spoken, after, before, rule, word_set

_SENTENCE_STARTERS = word_set(
    """
    The A An He She It They We You I This That These Those There Here His Her Its Their Our My Your
    And But So Then When While What Who Why How If In On At As For Not No Yes Now Of
    """
)


def _spaced(match: re.Match[str]) -> Spoken:
    """One or more initials in a row, the last before a name or not."""
    letters = list(re.finditer(r"[A-Z](?=\.)", match.group()))
    if len(letters) == 1 and not _is_initial(match):
        return None
    starts = [match.start() + letter.start() for letter in letters]
    return [Piece(at, at + 2, match.string[at], may_end=at == starts[-1]) for at in starts]


def _is_initial(match: re.Match[str]) -> bool:
    """Whether a single letter with a full stop stands for a name rather than at the end of a sentence."""
    following = after(match).split()
    if not following or not following[0][:1].isupper():
        return False
    ahead = before(match).rstrip()
    if match.group()[0] == "I" or (match.group()[0] == "A" and not ahead):
        return False
    previous = ahead.split()[-1] if ahead else ""
    named = not previous or previous[-1] in '."“(' or previous.strip("\"“‘'(")[:1].isupper()
    return named or following[0].strip(",.;:!?'\"”") not in _SENTENCE_STARTERS


def _closed(match: re.Match[str]) -> Spoken:
    return " ".join(c for c in match.group().upper() if c.isalpha())


def _degree(match: re.Match[str]) -> Spoken:
    return {
        "Ph.D.": "P H D",
        "PhD": "P H D",
        "Litt.D.": "Lit D",
        "LL.D.": "L L D",
        "LL.B.": "L L B",
    }[match.group()]


RULES: tuple[Rule, ...] = (
    rule(r"\b(?:Ph\.D\.|PhD|Litt\.D\.|LL\.D\.|LL\.B\.)(?!\w)", _degree, "D.", may_end=True),
    rule(r"\b(?:[A-Za-z]\.){2,}(?!\w)|\b(?:[A-Z]\.){1,}[A-Z]\b", _closed, ".", may_end=True),
    rule(r"(?<![\w'])[A-Z]\.(?:[ ][A-Z]\.)*(?!\w)", _spaced, "."),
)
