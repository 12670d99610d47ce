"""Roman numerals: ranks of kings ("Henry VIII"), numbers of parts ("Chapter XIV", "Act II"), headings."""

import re

from generation.script.english.numbers import cardinal, ordinal
from generation.script.english.rules import (
    Piece,
    Rule,
    Spoken,
    after,
    before,
    piece,
    rule,
    word_set,
)

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_WELL_FORMED = (
    r"(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[MDCLXVI])"
)
_PATTERN = re.compile(_WELL_FORMED)
_PARTS = (
    r"(?:[Cc]hapters?|[Cc]haps?\.|[Cc]h\.|[Bb]ooks?|[Pp]arts?|[Vv]olumes?|[Vv]ols?\.|[Aa]cts?|[Ss]cenes?|[Ss]ections?"
    r"|[Cc]antos?|[Aa]ppendix|[Aa]rticles?|[Nn]o\.|[Ll]etters?|[Pp]salms?|[Ss]onnets?|[Pp]lates?|[Ff]ig(?:ure|\.)?s?"
    r"|[Pp]ages?|[Pp]p?\.|[Tt]ables?|[Ww]ar|[Pp]hase|[Cc]lass|[Tt]ype|[Ll]esson|[Ss]tave|[Vv]erse|[Oo]p(?:us|\.)"
    r"|CHAPTER|BOOK|PART|VOLUME|ACT|SCENE|CANTO|STAVE|SECTION|LETTER|Apollo|Rocky|Bowl|Mark|Saturn)"
)
_RULERS = word_set(
    """
    Henry Edward George William James Charles Louis Richard John Philip Elizabeth Mary Napoleon
    Frederick Wilhelm Pius Leo Gregory Alexander Nicholas Peter Catherine Ivan Francis Ferdinand
    Joseph Otto Ramses Rameses Ptolemy Benedict Clement Innocent Urban Boniface Paul Albert Alfonso
    Christian Gustav Gustavus Robert Malcolm David Victor Umberto Leopold Ludwig Maximilian Carlos
    Juan Felipe Pedro Sixtus Julius Adrian Darius Xerxes Artaxerxes Cleopatra Thutmose Amenhotep
    Edmund Stephen Constantine Theodosius Baldwin Rudolf Sigismund Casimir Haakon Olaf Harald Anne
    Margaret Isabella Matilda
    """
)
_TITLES = word_set("King Queen Pope Emperor Tsar Czar Kaiser Prince Sultan Pharaoh Empress")
_NAME = r"(?P<name>[A-Z][a-zé]+)"


def value(numeral: str) -> int:
    """Return the value of a Roman numeral in either case."""
    total = 0
    numbers = [_VALUES[c] for c in numeral.upper()]
    for number, following in zip(numbers, [*numbers[1:], 0], strict=True):
        total += number if number >= following else -number
    return total


def is_numeral(text: str) -> bool:
    """Whether `text` is a well-formed Roman numeral in capitals."""
    return bool(_PATTERN.fullmatch(text))


_BEFORE_I = word_set("letter class type war mark verse page part")
"""Parts after which a lone I is likelier the speaker than the number."""


def _part(match: re.Match[str]) -> Spoken:
    numeral = match["numeral"]
    if numeral == "I" and match["part"].lower() in _BEFORE_I:
        following = after(match)
        if before(match).endswith("World "):
            return [piece(match, "numeral", "one")]
        if re.match(r"\s+[a-z]", following):
            return None
    return [piece(match, "numeral", cardinal(value(numeral)))]


def _ruler(match: re.Match[str]) -> Spoken:
    name, numeral = match["name"], match["numeral"]
    titled = before(match).split()[-1:] and before(match).split()[-1] in _TITLES
    if (
        name not in _RULERS
        and not titled
        and (len(numeral) == 1 or numeral in ("VI", "MD", "CD", "DC", "MC", "CV", "DI"))
    ):
        return None
    if (
        numeral == "I"
        and not titled
        and not re.match(
            r"(?:'s\b|[,.;:!?)—]|\s+(?:of|and the|died|reigned|ruled)\b|$)", after(match)
        )
    ):
        return None
    return [piece(match, "numeral", f"the {ordinal(value(numeral))}")]


def _bare(match: re.Match[str]) -> Spoken:
    return cardinal(value(match.group())) if is_numeral(match.group()) else None


def _century(match: re.Match[str]) -> Spoken:
    return ordinal(value(match["numeral"]))


_CAPITAL = frozenset("IVXLCDM")
RULES: tuple[Rule, ...] = (
    rule(rf"\b(?P<part>{_PARTS})[ ](?P<numeral>{_WELL_FORMED})\b(?!')", _part, _CAPITAL),
    rule(
        rf"\b(?P<part>{_PARTS})[ ](?P<numeral>{_WELL_FORMED.lower()})(?![\w'])",
        _part,
        "ivxl",
    ),
    rule(rf"\b{_NAME}[ ](?P<numeral>{_WELL_FORMED})\b", _ruler, _CAPITAL),
    rule(rf"\b(?P<numeral>{_WELL_FORMED})(?:st|nd|rd|th)\b", _century, _CAPITAL),
    rule(r"(?<![\w'.-])[IVX]{2,}(?![\w'-])", _bare, "IVX"),
)


def heading_numeral(text: str) -> Piece | None:
    """Return the reading of a heading that is, or begins with, a Roman numeral: "I", "XIV. The Return"."""
    match = re.match(rf"({_WELL_FORMED})(?=$|\.?$|[.:—]\s|\s*—)", text)
    if match is None:
        return None
    return Piece(match.start(), match.end(), cardinal(value(match.group(1))))
