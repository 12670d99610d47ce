"""Plain words in print: what counts as one word, and how hyphens, dropped letters and stutters are said."""

import re

from generation.script.english import lexicons
from generation.script.english.rules import word_set

_LETTERS = r"[^\W\d_]+"
_CLIPPED = "|".join(
    word_set(
        """
        tis twas twere twill twould twixt em cause bout til till gainst neath round un pon
        mongst cept fraid nother tain twon spose low lowed lowing sides way ere im er ave
        ad
        """
    )
)
WORD = re.compile(
    rf"(?:(?<!\w)'(?=(?:{_CLIPPED})\b))?{_LETTERS}(?:['-](?={_LETTERS}){_LETTERS})*"
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
    joined = word.replace("-", "")
    if lexicons.entry(word) is None and word.lower() not in _KEPT_APART and _closes(word, joined):
        return joined
    return word.replace("-", " ")


def _closes(word: str, joined: str) -> bool:
    """Whether a hyphenated word is one word today: to-day, good-bye, co-operate."""
    parts = word.split("-")
    if len(parts) != 2 or (parts[1][:1].isupper() and not word.isupper()) or len(parts[0]) == 1:
        return False
    return lexicons.entry(joined.lower()) is not None
