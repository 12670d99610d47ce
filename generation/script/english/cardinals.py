"""Plain numbers, the last of the number rules: "421", "30,000", "3.14", "007", "3-5", "4x4", "C3PO"."""

import re

from generation.script.english.numbers import cardinal, decimal, digits, pairs, plural, whole
from generation.script.english.rules import DIGITS, Rule, Spoken, piece, rule, word_before

_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"


def _integer(match: re.Match[str]) -> Spoken:
    text = match["n"]
    minus = "minus " if match["minus"] else ""
    if len(text) > 1 and text.startswith("0"):
        return minus + digits(text, zero="oh")
    if len(text) == 3 and word_before(match).lower() in (
        "room",
        "flight",
        "route",
        "highway",
        "bus",
        "suite",
    ):
        return pairs(int(text))
    return minus + cardinal(whole(text))


def _decimal(match: re.Match[str]) -> Spoken:
    minus = "minus " if match["minus"] else ""
    return minus + decimal(match["n"])


def _range(match: re.Match[str]) -> Spoken:
    first, last = match["first"], match["last"]
    score = (
        word_before(match).lower() in ("won", "lost", "score", "by", "beat", "led")
        and len(first) < 3
    )
    link = "" if score else "to "
    return [
        piece(match, "first", cardinal(whole(first))),
        piece(match, "rest", f"{link}{cardinal(whole(last))}"),
    ]


def _by(match: re.Match[str]) -> Spoken:
    return f"{cardinal(whole(match['first']))} by {cardinal(whole(match['last']))}"


def _plural(match: re.Match[str]) -> Spoken:
    return plural(cardinal(whole(match["n"])))


def _mixed(match: re.Match[str]) -> Spoken:
    """Letters and digits in one token: capitals are spelled, words stay, digits become numbers."""
    said: list[str] = []
    for part in re.findall(r"\d+|[A-Z]{2,}(?![a-z])|[A-Za-z][a-z']*", match.group()):
        if part.isdigit():
            said.append(
                cardinal(int(part))
                if len(part) <= 2 and part[0] != "0"
                else digits(part, zero="oh")
            )
        elif len(part) == 1:
            said.append(part.upper())
        elif part.isupper() and len(part) <= 5:
            said.append(" ".join(part))
        else:
            said.append(part)
    return " ".join(said)


def _factor(match: re.Match[str]) -> Spoken:
    return [piece(match, "n", cardinal(whole(match["n"]))), piece(match, "word", match["word"])]


RULES: tuple[Rule, ...] = (
    rule(
        rf"(?<![\w.,/-])(?P<first>{_NUMBER})(?P<rest>[-–](?P<last>{_NUMBER}))(?![\w/-]|[.,]\d)",
        _range,
    ),
    rule(rf"(?<![\w.,/-])(?P<first>{_NUMBER})[ ]?x[ ]?(?P<last>{_NUMBER})(?![\w/-]|[.,]\d)", _by),
    rule(
        r"(?<![\w.,])(?P<minus>(?<!\S)[-−](?=[\d.]))?(?P<n>(?:\d{1,3}(?:,\d{3})+|\d+)?\.\d+)(?!\w|[.,]\d)",
        _decimal,
    ),
    rule(rf"(?<![\w,.])(?P<n>{_NUMBER})'?s\b", _plural),
    rule(rf"(?<![\w.,])(?P<n>{_NUMBER})-(?P<word>[A-Za-z]+)", _factor),
    rule(rf"(?<![\w.,])(?P<minus>(?<!\S)[-−])?(?P<n>{_NUMBER})(?!\w)", _integer),
    rule(r"(?=\w*[A-Za-z])(?=\w*\d)\w+", _mixed),
)
FALLBACK_RULES: tuple[Rule, ...] = (rule(r"(?P<minus>(?!))?(?P<n>\d+)", _integer, DIGITS),)
