"""Currency: dollars, pounds shillings and pence, euros: "£88 10s.", "26s. 4d.", "$3.50", "a £5 note"."""

import re

from generation.script.english.numbers import cardinal, decimal, whole
from generation.script.english.rules import (
    Rule,
    Spoken,
    piece,
    rule,
    word_after,
    word_before,
    word_set,
)

_NAMES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("US dollar", "US dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
}
_NUMBER = r"(?P<n>\d{1,3}(?:,\d{3})+|\d+)"
_ATTRIBUTIVE = word_set(
    """
    note notes bill bills coin coins piece pieces reward fine prize bet wager ticket cheque check
    """
)
_FRACTIONS = {"½": "a half", "¼": "a quarter", "¾": "three quarters"}


def _money(match: re.Match[str]) -> Spoken:
    one, many, cent, cents = _NAMES[match["sign"]]
    scale, fraction = match["scale"], match["fraction"]
    number = whole(match["n"])
    if scale:
        said = decimal(f"{match['n']}.{fraction}") if fraction else cardinal(number)
        return f"{said} {scale.strip().lower()} {many}"
    if word_after(match) in _ATTRIBUTIVE and not fraction:
        return f"{cardinal(number)} {one}"
    if match["vulgar"]:
        return f"{cardinal(number)} and {_FRACTIONS[match['vulgar']]} {many}"
    if not fraction or not int(fraction):
        return f"{cardinal(number)} {one if number == 1 else many}"
    if len(fraction) != 2:
        return f"{decimal(match['n'] + '.' + fraction)} {many}"
    small = f"{cardinal(int(fraction))} {cent if int(fraction) == 1 else cents}"
    if not number:
        return small
    return f"{cardinal(number)} {one if number == 1 else many} and {small}"


def pence(number: int) -> str:
    """Return old pence in words: 4 is "fourpence", 1 "one penny"."""
    if number == 1:
        return "one penny"
    words = cardinal(number)
    return f"{words}pence" if number <= 12 else f"{words} pence"


def _shillings(number: int) -> str:
    return f"{cardinal(number)} shilling{'' if number == 1 else 's'}"


def _old_money(match: re.Match[str]) -> Spoken:
    """Pounds, shillings and pence, any of which may be missing."""
    pieces = []
    if match["l"]:
        number = whole(match["l"])
        pieces.append(
            piece(match, "pounds", f"{cardinal(number)} pound{'' if number == 1 else 's'}")
        )
    if match["s"]:
        pieces.append(
            piece(match, "shillings", _shillings(int(match["s"])), may_end=not match["d"])
        )
    if match["d"]:
        link = "and " if pieces else ""
        half = " ha'penny" if match["half"] else ""
        pieces.append(piece(match, "pence", f"{link}{pence(int(match['d']))}{half}", may_end=True))
    return pieces


def _pence_alone(match: re.Match[str]) -> Spoken:
    return pence(int(match["d"]))


def _shillings_alone(match: re.Match[str]) -> Spoken:
    if word_before(match).lower() in ("the", "in", "early", "late", "mid"):
        return None
    return _shillings(int(match["s"]))


def _cents(match: re.Match[str]) -> Spoken:
    number = whole(match["n"])
    return f"{cardinal(number)} cent{'' if number == 1 else 's'}"


_SHILLINGS = r"(?P<shillings>(?P<s>\d{1,3})s\.)"
_PENCE = r"(?P<pence>(?P<d>1?\d)(?P<half>½)?d\.)"
RULES: tuple[Rule, ...] = (
    rule(rf"(?P<pounds>£(?P<l>\d[\d,]*))[ ]{_SHILLINGS}(?:[ ]?{_PENCE})?", _old_money),
    rule(rf"(?<![\w.,£$])(?P<pounds>(?P<l>(?!)))?{_SHILLINGS}[ ]?{_PENCE}", _old_money),
    rule(
        rf"(?P<sign>US\$|[$£€¥₹₽])[ ]?{_NUMBER}(?:\.(?P<fraction>\d+)|(?P<vulgar>[½¼¾]))?"
        r"(?P<scale>[ ](?:thousand|million|billion|trillion|hundred)\b)?",
        _money,
        trigger="$£€¥₹₽",
    ),
    rule(r"(?<![\w.,])(?P<s>\d{1,3})s\.(?=[ ,;:)'\"”]|$)", _shillings_alone, may_end=True),
    rule(r"(?<![\w.,])(?P<d>1?\d)d\.(?=[ ,;:)'\"”]|$)", _pence_alone, may_end=True),
    rule(rf"(?<![\w.,]){_NUMBER}[ ]?(?:¢|ct\.|cts\.)", _cents, trigger="¢c"),
)
