"""A block's print made regular for the rules, every character knowing where it stood.

Typographic quotes, spaces, ligatures and combining marks are brought to one form; what is invisible goes.
"""

import re
import unicodedata
from dataclasses import dataclass

_FORMS = {
    "’": "'", "ʼ": "'", "′": "'", "″": '"', "‐": "-", "‑": "-", "―": "—", "\u00a0": " ", "\u202f": " ",
    "\u2009": " ", "\u200a": "", "\u2060": "", "\ufeff": "", "\u200b": "", "\u200c": "", "\u200d": "",
    "\u00ad": "", "\u2002": " ", "\u2003": " ", "\u2008": " ", "\u200e": "", "\u200f": "", "ﬁ": "fi",
    "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl", "ſ": "s", "＆": "&", "…": "…", "\t": " ", "\n": " ",
    "\r": " ", "«": "“", "»": "”", "„": "“", "‟": "“", "‹": "‘", "›": "’", "＇": "'", "´": "'", "`": "'",
}  # fmt: skip
_ODD = re.compile("[" + "".join(_FORMS) + "]|.[\u0300-\u036f]+", re.DOTALL)


_CLIPPED = (
    "tis|twas|twere|twill|twould|twixt|em|cause|bout|til|till|gainst|neath|un|pon|mongst|cept|fraid|nother|tain|"
    "twon|spose|low|lowed|ere|er|ave|ad|n|nough|thout|deed|nuff|stead"
)
_STRAIGHT_OPENING = re.compile(rf"(?<![\w.,!?'])'(?=[^\W\d_])(?!(?:{_CLIPPED})\b)", re.IGNORECASE)
"""A straight quote before a word, unless it stands for dropped letters, opens a quotation."""


@dataclass(frozen=True, slots=True)
class Printed:
    """Regular text and, for each of its characters, the index in the block's own text."""

    text: str
    origin: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the block's own `[start, end)` for a stretch of the regular text."""
        return self.origin[start], self.origin[end - 1] + 1


def regular(text: str) -> Printed:
    """Return the regular form of a block's text."""
    text = _STRAIGHT_OPENING.sub("‘", text)
    if text.isascii() and not _ODD.search(text):
        return Printed(text, tuple(range(len(text))))
    out: list[str] = []
    origin: list[int] = []
    last = 0
    for match in _ODD.finditer(text):
        out.append(text[last : match.start()])
        origin.extend(range(last, match.start()))
        form = match.group()
        new = _FORMS[form] if form in _FORMS else unicodedata.normalize("NFC", form)
        if new:
            out.append(new)
            origin.extend([match.start()] * (len(new) - 1) + [match.end() - 1])
        last = match.end()
    out.append(text[last:])
    origin.extend(range(last, len(text)))
    return Printed("".join(out), tuple(origin))
