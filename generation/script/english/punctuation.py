"""From the punctuation between two words to the pause a reader makes there, if any."""

import re

from generation.script.english.rules import word_set
from generation.script.units import Pause

_CLOSING = "\"”'’)]"
_ELLIPSIS = re.compile(r"…|\.\s?\.\s?\.?|⁠…")
_DASH = re.compile(r"—|⸺|⸻|--|(?<=\s)[-–−](?=\s)")
_SHORTEST_QUOTED = 4
"""Words a quotation needs to be set off by a pause where no other mark stands before it."""

STARTERS = word_set(
    """
    the a an he she it they we you i this that these those there here his her its their our my your
    and but so then when while what who why how if in on at as for not no yes now of mister missus
    doctor after before once one nobody everything nothing some all both each every with without
    from to by
    """
)
"""Words that, with a capital behind a full stop, open a sentence."""


def pause_between(gap: str, abbreviated: bool, following: str, rest: str) -> Pause | None:
    """Return the pause for the print `gap` between two words.

    `abbreviated`: the word before ends in its own full stop and may end the sentence with it. `following` is
    the next spoken word; `rest` the print from the end of the gap on.
    """
    if gap in (" ", "-", ""):
        return Pause.PERIOD if abbreviated and _opens_sentence(following) else None
    lower = following[:1].islower()
    ended = _sentence_mark(gap, abbreviated, following, lower)
    if ended is not None:
        return ended
    if _DASH.search(gap):
        return Pause.COLON if ":" in gap else Pause.DASH
    for mark in (Pause.SEMICOLON, Pause.COLON, Pause.COMMA):
        if mark.value in gap:
            return mark
    if "(" in gap or "[" in gap:
        return Pause.OPEN
    if ")" in gap or "]" in gap:
        return Pause.COMMA
    return Pause.OPEN if _opens_quotation(gap, rest) else None


def final_pause(gap: str) -> Pause | None:
    """Return the pause that the print behind a block's last word asks for."""
    if not gap.strip():
        return None
    return pause_between(gap, False, "", "")


def _sentence_mark(gap: str, abbreviated: bool, following: str, lower: bool) -> Pause | None:
    if "?" in gap:
        return Pause.QUESTION
    if "!" in gap:
        return Pause.EXCLAMATION
    without = _ELLIPSIS.sub("", gap)
    stop = "." in without
    if "…" in gap or _ELLIPSIS.search(gap):
        return (
            Pause.PERIOD if stop or (following and _opens_sentence(following)) else Pause.ELLIPSIS
        )
    if stop:
        return _full_stop(gap, lower)
    if abbreviated and (_opens_sentence(following) or (_quotes(gap) and not lower)):
        return Pause.PERIOD
    return None


def _full_stop(gap: str, lower: bool) -> Pause | None:
    if not lower:
        return Pause.PERIOD
    if any(c in gap for c in ",;:—"):
        return None  # a full stop of a short form we do not know: the other mark decides
    return Pause.COMMA if _quotes(gap) else Pause.PERIOD


def _quotes(gap: str) -> bool:
    return any(c in gap for c in _CLOSING + "“‘")


def _opens_sentence(following: str) -> bool:
    return following[:1].isupper() and following.lower() in STARTERS and following not in ("I",)


def _opens_quotation(gap: str, rest: str) -> bool:
    """Whether an opening quotation mark begins something long enough to be set off."""
    marks = [c for c in gap if c in '“‘"']
    if not marks or not gap.rstrip().endswith(marks[-1]) or gap.lstrip() == gap:
        return False
    closing = {"“": "”", "‘": "'", '"': '"'}[marks[-1]]
    quoted = rest.partition(closing)[0]
    return len(quoted.split()) >= _SHORTEST_QUOTED or quoted[-1:] in tuple(".,!?")
