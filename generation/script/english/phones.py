"""Phone numbers, read digit by digit with a short pause between groups: "(212) 555-0199"."""

import re

from generation.script.english.numbers import cardinal, digits
from generation.script.english.rules import Rule, Spoken, piece, rule, word_before, word_set

_CUES = word_set(
    """
    dial dialed dialled call called phone telephone phoned ring rang tel fax number text
    """
)


def _group(text: str) -> str:
    if re.fullmatch(r"[1-9]00", text):
        return f"{cardinal(int(text[0]))} hundred"
    return digits(text, zero="oh")


def _grouped(match: re.Match[str]) -> Spoken:
    number = match["number"]
    groups = re.findall(r"\d+", number)
    said = ", ".join(_group(g) for g in groups)
    if number.startswith("+"):
        said = f"plus {said}"
    pieces = [piece(match, "number", said)]
    if match["extension"]:
        pieces.append(
            piece(match, "extension", f"extension {digits(match['extension'], zero='oh')}")
        )
    return pieces


def _local(match: re.Match[str]) -> Spoken:
    return ", ".join(_group(g) for g in re.findall(r"\d+", match.group()))


def _short(match: re.Match[str]) -> Spoken:
    cued = word_before(match).lower().rstrip(".") in _CUES
    return digits(match.group()) if cued else None


_EXTENSION = r"(?:,?[ ](?P<extension>(?:ext\.?|extension|x)[ ]?\d{1,5}))?"
RULES: tuple[Rule, ...] = (
    rule(
        rf"(?<![\w.,$£€/-])(?P<number>(?:\+?\d{{1,3}}[ .-])?"
        rf"(?:\(\d{{3}}\)[ ]?|\d{{3}}[ .-])\d{{3}}[ .-]\d{{4}})"
        rf"{_EXTENSION}(?![\w/-])",
        _grouped,
    ),
    rule(
        rf"(?<![\w.,$£€/-])(?P<number>\+\d{{1,3}}(?:[ .-]\(?\d{{2,5}}\)?){{2,5}}"
        rf"|0\d{{2,4}}[ -]\d{{3,4}}[ -]?\d{{3,4}}){_EXTENSION}(?![\w/-])",
        _grouped,
    ),
    rule(r"(?<![\w.,$£€/-])[2-9]\d{2}-\d{4}(?![\w/-])", _local),
    rule(r"(?<![\w.,$£€/-])(?:[2-9]11|999|112|000)(?![\w/-]|[.,]\d)", _short),
)
