"""Times of day: "11:15", "6.30 p.m.", "5 a.m.", "18:05", "3:00"."""

import re

from generation.script.english.numbers import cardinal
from generation.script.english.rules import Rule, Spoken, piece, rule

_HALF = r"(?P<half>[AaPp]\.[ ]?[Mm]\.|[AaPp][Mm]\b|[AP]M\b)"


def _clock(hour: int, minute: int) -> str:
    if minute == 0:
        return cardinal(hour) if hour <= 12 else f"{cardinal(hour)} hundred"
    return f"{cardinal(hour)} {cardinal(minute) if minute >= 10 else f'oh {cardinal(minute)}'}"


def _half_day(match: re.Match[str]) -> str:
    return " ".join(c for c in match["half"].upper() if c.isalpha())


def _with_half(match: re.Match[str]) -> Spoken:
    hour, minute = int(match["h"]), int(match["m"] or 0)
    said = cardinal(hour) if minute == 0 else _clock(hour, minute)
    return [
        piece(match, "clock", said),
        piece(match, "half", _half_day(match), may_end=match["half"].endswith(".")),
    ]


def _bare(match: re.Match[str]) -> Spoken:
    hour, minute = int(match["h"]), int(match["m"])
    if minute == 0 and 1 <= hour <= 12 and not match["s"]:
        return f"{cardinal(hour)} o'clock"
    said = _clock(hour, minute)
    if match["s"]:
        said += f" and {cardinal(int(match['s']))} seconds"
    return said


def _oclock(match: re.Match[str]) -> Spoken:
    return [piece(match, "h", cardinal(int(match["h"]))), piece(match, "oclock", "o'clock")]


RULES: tuple[Rule, ...] = (
    rule(
        rf"(?<![\w.,:])(?P<clock>(?P<h>1?\d|2[0-3])(?:[:.](?P<m>[0-5]\d))?)[ ]?{_HALF}", _with_half
    ),
    rule(
        r"(?<![\w.,:])(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?(?![\w:]|\.\d)", _bare
    ),
    rule(r"(?<![\w.,:])(?P<h>1?\d)[ ](?P<oclock>o'[ ]?clock)\b", _oclock),
    rule(r"(?<!\w)(?P<half>[ap]\.[ ]?m\.)", _half_day, trigger=".", may_end=True),
)
