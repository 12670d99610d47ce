"""Plain words in print: what counts as one word, and how hyphens, dropped letters and stutters are said."""

import re
from itertools import pairwise

from generation.script.english import lexicons
from generation.script.english.rules import word_set

_LETTERS = r"[^\W\d_]+"
WORD = re.compile(
    rf"(?:(?<!\w)'(?=[^\W\d_]))?{_LETTERS}(?:['-](?={_LETTERS}){_LETTERS})*"
    r"(?:'(?![\w'\"”]))?",
    re.IGNORECASE,
)
"""A printed word: letters with inner apostrophes and hyphens, a clipped beginning ('tis) or end (goin')."""

_KEPT_APART = word_set(
    """
    re-sign re-cover re-form re-creation re-mark re-sent re-act re-collect co-op re-lease
    """
)
_CLIPPED_ENDS = re.compile(r"(?:in|[oO]|[aA]n|th|wi|[lL]i|ol|s|S)'$")


def spoken_word(printed: str) -> str:
    """Return what is said for a printed word: hyphens parted or closed, a stray apostrophe dropped."""
    word = printed
    if word.endswith("'") and not _CLIPPED_ENDS.search(word):
        word = word[:-1]
    if "-" not in word:
        return word
    parts = word.split("-")
    joined = "".join(parts)
    if lexicons.entry(word) is not None or word.lower() in _KEPT_APART:
        return " ".join(parts)
    if (drawn := _drawn_out(parts)) is not None:
        return drawn
    return joined if _closes(word, joined) else " ".join(parts)


def _drawn_out(parts: list[str]) -> str | None:
    """Return the word that print draws out (Steady-y-y, Y-o-u-u), None if it does not."""
    letters = [p.lower() for p in parts]
    if all(len(p) == 1 for p in letters) and any(a == b for a, b in pairwise(letters)):
        return "".join(
            p for p, before in zip(parts, ["", *letters], strict=False) if p.lower() != before
        )
    if len(parts) > 1 and len(parts[0]) > 2 and all(p == letters[0][-1] for p in letters[1:]):
        return parts[0]
    return None


def _closes(word: str, joined: str) -> bool:
    """Whether a hyphenated word is one word today: to-day, good-bye, co-operate."""
    parts = word.split("-")
    if len(parts) > 2:
        unknown = any(lexicons.entry(p.lower()) is None for p in parts)
        return unknown and lexicons.entry(joined.lower()) is not None
    if len(parts) != 2 or (parts[1][:1].isupper() and not word.isupper()) or len(parts[0]) == 1:
        return False
    return lexicons.entry(joined.lower()) is not None
