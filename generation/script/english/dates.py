"""Dates and years: "March 10, 1883", "Sept. 6", "15th October", "the early '60s", "1939-45", "1887-05-03"."""

import re

from generation.script.english.numbers import cardinal, ordinal, plural, year
from generation.script.english.rules import (
    Piece,
    Rule,
    Spoken,
    before,
    piece,
    rule,
    word_after,
    word_before,
    word_set,
)

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_SHORT_MONTHS = {m[:3]: m for m in MONTHS} | {"Sept": "September"}
_MONTH = (
    r"(?P<month>(?:January|February|March|April|May|June|July|August|September|October|November|December)\b"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
)
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?P<year>1\d{3}|20\d\d)"
WEEKDAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip


def month_name(printed: str) -> str:
    """Return the full name of a month printed in full or short."""
    return printed if printed in MONTHS else _SHORT_MONTHS[printed.rstrip(".")]


def _month_first(match: re.Match[str]) -> Spoken:
    month, day = match["month"], int(match["day"])
    if month in ("May", "March") and word_before(match).lower() in (
        "i",
        "you",
        "he",
        "she",
        "it",
        "we",
        "they",
    ):
        return None
    pieces = [piece(match, "month", month_name(month)), piece(match, "day_all", ordinal(day))]
    if match["year"]:
        pieces.append(piece(match, "year", year(int(match["year"]))))
    return pieces


def _day_first(match: re.Match[str]) -> Spoken:
    the = "" if re.search(r"(?i)\bthe\s+(?:\w+\s+)?$", before(match)) else "the "
    of = "" if match["of"] else " of"
    day = piece(match, "day_all", f"{the}{ordinal(int(match['day']))}{of}")
    pieces = [day]
    if match["of"]:
        pieces.append(piece(match, "of", "of"))
    pieces.append(piece(match, "month", month_name(match["month"])))
    if match["year"]:
        pieces.append(piece(match, "year", year(int(match["year"]))))
    return pieces


def _date(month: int, day: int, number: int) -> str:
    return f"{MONTHS[month - 1]} {ordinal(day)}, {year(number)}"


def _iso(match: re.Match[str]) -> Spoken:
    return _date(int(match["m"]), int(match["d"]), int(match["y"]))


def _slashed(match: re.Match[str]) -> Spoken:
    """Month first, as Americans write; day first where only that makes a date."""
    month, day, number = int(match["m"]), int(match["d"]), int(match["y"])
    if month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    if len(match["y"]) == 2:
        return f"{MONTHS[month - 1]} {ordinal(day)}, {short_year(match['y'])}"
    return _date(month, day, number)


def _month_year(match: re.Match[str]) -> Spoken:
    return [
        piece(match, "month", month_name(match["month"])),
        piece(match, "year", year(int(match["year"]))),
    ]


def _month_alone(match: re.Match[str]) -> Spoken:
    return month_name(match["month"])


def short_year(two: str) -> str:
    """Return the year of the century given by two digits: '05 is "oh five"."""
    number = int(two)
    return cardinal(number) if number >= 10 else f"oh {cardinal(number)}"


def _decade(match: re.Match[str]) -> Spoken:
    return plural(year(int(match["y"])))


def _short_decade(match: re.Match[str]) -> Spoken:
    return plural(cardinal(int(match["y"])))


def _apostrophe_year(match: re.Match[str]) -> Spoken:
    return short_year(match["y"])


_COUNTED = word_set(
    """
    men women people feet miles yards pounds dollars francs acres years days weeks months hours
    minutes tons children persons souls horses words pages copies times head troops cattle sheep
    """
)
_YEAR_CUES = word_set(
    """
    in since until till by from to of year years before after between about around circa during
    spring summer autumn fall winter early late mid and or through january february march april may
    june july august september october november december
    """
)


def _plain_year(match: re.Match[str]) -> Spoken:
    number = int(match["year"])
    following = word_after(match).lower()
    if following in _COUNTED:
        return None
    cued = word_before(match).lower().rstrip(".") in _YEAR_CUES
    if (
        not cued
        and following.endswith("s")
        and len(following) > 3
        and not following.endswith(("ss", "was", "'s"))
    ):
        return None
    if not 1100 <= number <= 2099 and not (cued and number >= 1000 and not following):
        return None
    return year(number)


def _year_range(match: re.Match[str]) -> Spoken:
    first, last = match["first"], match["last"]
    if len(last) == 4 and int(last) <= int(first):
        return None
    said = year(int(last)) if len(last) == 4 else short_year(last)
    return [piece(match, "first", year(int(first))), piece(match, "rest", f"to {said}")]


def _era(match: re.Match[str]) -> Spoken:
    number = int(match["y"].replace(",", ""))
    said = year(number) if number >= 100 else cardinal(number)
    return [piece(match, "y", said), _letters(match)]


def _era_first(match: re.Match[str]) -> Spoken:
    return [_letters(match), piece(match, "y", year(int(match["y"])))]


def _letters(match: re.Match[str]) -> Piece:
    era = match["era"]
    return piece(
        match, "era", " ".join(c for c in era.upper() if c.isalpha()), may_end=era.endswith(".")
    )


RULES: tuple[Rule, ...] = (
    rule(r"(?<![\w-])(?P<y>\d{4})-(?P<m>0[1-9]|1[0-2])-(?P<d>0[1-9]|[12]\d|3[01])(?![\w-])", _iso),
    rule(r"(?<![\w/])(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4}|\d\d)(?![\w/])", _slashed),
    rule(
        rf"\b{_MONTH}[ ](?:the[ ])?(?P<day_all>{_DAY}(?:st|nd|rd|th)?)(?![\w:/]|[.,]\d)"
        rf"(?:,?[ ]{_YEAR}\b(?![,.]\d))?",
        _month_first,
    ),
    rule(
        rf"\b(?P<day_all>{_DAY}(?:st|nd|rd|th)?)[ ](?P<of>of[ ])?{_MONTH}(?:,?[ ]{_YEAR}\b(?![,.]\d))?",
        _day_first,
    ),
    rule(rf"\b{_MONTH},?[ ]{_YEAR}\b(?![,.]\d)", _month_year),
    rule(
        r"\b(?P<month>(?:Jan|Feb|Apr|Aug|Sept?|Oct|Nov|Dec)\.)(?=[ ,;)]|$)",
        _month_alone,
        trigger=".",
        may_end=True,
    ),
    rule(r"\b(?P<y>1\d\d0|20\d0)'?s\b", _decade),
    rule(r"(?<!\w)'(?P<y>[1-9]0)s\b", _short_decade),
    rule(r"(?<![\w'])(?P<y>[1-9]0)'?s\b", _short_decade),
    rule(r"(?<!\w)'(?P<y>\d\d)(?![\d\w,.'][\d]|\d|\w)", _apostrophe_year),
    rule(
        r"(?<![\w.,$£€-])(?P<first>1[1-9]\d\d|20\d\d)(?P<rest>[-–/](?P<last>\d{4}|\d\d))(?![\w-])",
        _year_range,
    ),
    rule(
        r"\b(?P<y>\d{1,4}|\d,\d{3})[ ]?(?P<era>B\.?C\.?E\.?|B\.C\.|BC|A\.D\.|AD|C\.E\.|CE)(?!\w)",
        _era,
    ),
    rule(r"\b(?P<era>A\.D\.|AD)[ ](?P<y>\d{1,4})\b", _era_first),
    rule(r"(?<![\w.,$£€#/+-])(?P<year>1\d{3}|20\d\d)(?![\w/%°]|[.,:]\d|-\w)", _plain_year),
)
ORDINAL_RULES: tuple[Rule, ...] = (
    rule(
        r"(?<![\w.,])(?P<n>\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th|d)\b",
        lambda m: ordinal(int(m["n"].replace(",", ""))),
    ),
)
