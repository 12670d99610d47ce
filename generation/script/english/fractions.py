"""Fractions: "½", "4½", "3/4", "2 1/3", "⅝"."""

import re
import unicodedata

from generation.script.english.numbers import cardinal, ordinal
from generation.script.english.rules import Rule, Spoken, rule, word_after

_VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"


def parts(above: int, below: int) -> str:
    """Return a fraction in words: 3 and 4 give "three quarters"."""
    if below == 2:
        name = "half" if above == 1 else "halves"
    elif below == 4:
        name = "quarter" if above == 1 else "quarters"
    else:
        name = ordinal(below) + ("" if above == 1 else "s")
    return f"{cardinal(above)} {name}"


def _spoken(whole: str | None, above: int, below: int, following: str) -> Spoken:
    if not below or (below == 1) or above > 99 or below > 1000:
        return None
    said = parts(above, below)
    if whole:
        return f"{cardinal(int(whole))} and {'a' + said[3:] if above == 1 else said}"
    if (above, below) == (1, 2) and following in (
        "mile",
        "hour",
        "pint",
        "dozen",
        "pound",
        "cup",
        "inch",
    ):
        return "half a" if following != "hour" and following != "inch" else "half an"
    return said


def _vulgar(match: re.Match[str]) -> Spoken:
    above, _, below = unicodedata.normalize("NFKD", match["f"]).partition("⁄")
    return _spoken(match["whole"], int(above), int(below), word_after(match))


def _slashed(match: re.Match[str]) -> Spoken:
    above, below = int(match["above"]), int(match["below"])
    if (above, below) == (24, 7):
        return "twenty four seven"
    if (above, below) in ((9, 11), (7, 7)):
        return f"{cardinal(above)} {cardinal(below)}"
    return _spoken(match["whole"], above, below, word_after(match))


RULES: tuple[Rule, ...] = (
    rule(rf"(?<![\w.,/])(?:(?P<whole>\d+)[ ]?)?(?P<f>[{_VULGAR}])(?!\d)", _vulgar, trigger=_VULGAR),
    rule(
        r"(?<![\w.,/$£€])(?:(?P<whole>\d+)[ -])?(?P<above>\d{1,2})[/⁄](?P<below>\d{1,4})(?![\w/]|[.,]\d)",
        _slashed,
        trigger="/⁄",
    ),
)
