"""Addresses: house numbers, streets, postal districts: "221B, Baker Street", "117 Brixton Rd."."""

import re

from generation.script.english.numbers import cardinal, digits, pairs, whole
from generation.script.english.rules import Rule, Spoken, piece, rule

_STREETS = {
    "St": "Street", "Ave": "Avenue", "Av": "Avenue", "Rd": "Road", "Blvd": "Boulevard", "Ln": "Lane",
    "Sq": "Square", "Pl": "Place", "Ct": "Court", "Dr": "Drive", "Terr": "Terrace", "Hwy": "Highway",
    "Pkwy": "Parkway", "Cres": "Crescent",
}  # fmt: skip
_FULL = (
    "Street|Avenue|Road|Boulevard|Lane|Square|Place|Court|Drive|Terrace|Highway|Parkway|Crescent|Gardens|Row|Mews|Way"
    "|Hill|Park|Alley|Walk|Close|Buildings|Chambers|Inn|Strand"
)
_SHORT = "|".join(_STREETS)
_NAME = r"(?:[A-Z][\w']*[.]?,?[ ]){1,3}"
_POINTS = {"N": "North", "S": "South", "E": "East", "W": "West"}


def house(number: str, letter: str = "") -> str:
    """Return a house number as it is read: "221B" is "two twenty one B"."""
    value = whole(number)
    said = (
        pairs(value)
        if 100 <= value <= 9999
        else digits(number)
        if len(number) > 4
        else cardinal(value)
    )
    return f"{said} {letter.upper()}".strip()


def _numbered_street(match: re.Match[str]) -> Spoken:
    return [piece(match, "house", house(match["n"], match["letter"] or ""))]


def _lettered(match: re.Match[str]) -> Spoken:
    return house(match["n"], match["letter"])


def _street(match: re.Match[str]) -> Spoken:
    return _STREETS[match["short"]]


def _pointed_street(match: re.Match[str]) -> Spoken:
    return _POINTS[match["point"]]


def _district(match: re.Match[str]) -> Spoken:
    return " ".join(c for c in match.group() if c.isalpha())


def _zip(match: re.Match[str]) -> Spoken:
    return [piece(match, "zip", digits(match["zip"], zero="oh"))]


def _box(match: re.Match[str]) -> Spoken:
    return [piece(match, "po", "P O"), piece(match, "n", house(match["n"]))]


def _unit(match: re.Match[str]) -> Spoken:
    name = {"Apt": "apartment", "Rm": "room", "Ste": "suite", "Fl": "floor"}[match["kind"]]
    return [
        piece(match, "kind_all", name),
        piece(match, "number", house(match["n"], match["letter"] or "")),
    ]


RULES: tuple[Rule, ...] = (
    rule(
        r"\b(?P<kind_all>(?P<kind>Apt|Rm|Ste|Fl)\.)[ ]\#?(?P<number>(?P<n>\d+)-?(?P<letter>[A-Z])?)\b",
        _unit,
    ),
    rule(
        r"(?<![\w.,$£€])(?P<house>(?P<n>\d{1,5})(?P<letter>[A-Za-z])?)"
        rf"(?=,?[ ]{_NAME}(?:(?:{_FULL})\b|(?:{_SHORT})(?:\.|\b)))",
        _numbered_street,
    ),
    rule(r"(?<![\w.,$£€-])(?P<n>\d{1,3})(?P<letter>[A-H])(?![\w-])", _lettered),
    rule(r"(?P<po>\bP\.?[ ]?O\.?)(?=[ ]Box)[ ]Box[ ](?P<n>\d+)\b", _box),
    rule(r"(?<=[A-Z]{2}[ ])(?P<zip>\d{5}(?:-\d{4})?)(?![\w-])", _zip),
    rule(
        rf"(?<=[a-z'][a-z][ ])(?P<short>{_SHORT})\.(?=[,;:)]|[ ][a-z]|[ ]?$|[ ][NSEW]\.)",
        _street,
        ".",
        may_end=True,
    ),
    rule(
        r"(?<=[a-z]{2}[ ])(?P<short>Ave|Rd|Blvd|Ln|Sq|Hwy|Pkwy|Cres|Terr)\.",
        _street,
        ".",
        may_end=True,
    ),
    rule(
        rf"(?<=\d[ ])(?P<point>[NSEW])\.(?=[ ]{_NAME}(?:{_FULL}|{_SHORT})\b)", _pointed_street, "."
    ),
    rule(
        r"(?<=[a-z],[ ])(?:[NS]\.[EW]|[NSEW]\.C|[NSEW])\.(?=[,;.)]|$|[ ][a-z])",
        _district,
        ".",
        may_end=True,
    ),
)
