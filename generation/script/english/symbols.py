"""Symbols: "&", "%", "@", "#", "+", "=", "§", slashes, web addresses, dashes for names left out."""

import re

from generation.script.english.numbers import cardinal, digits, whole
from generation.script.english.rules import Rule, Spoken, after, before, rule

_NAMES = {
    "&": "and", "%": "percent", "‰": "per mille", "@": "at", "+": "plus", "=": "equals", "×": "times",
    "÷": "divided by", "−": "minus", "±": "plus or minus", "≈": "about", "~": "about", "<": "less than",
    ">": "greater than", "≤": "at most", "≥": "at least", "≠": "is not", "∞": "infinity",
    "√": "the square root of", "°": "degrees", "©": "copyright", "®": "registered", "™": "trademark",
    "§": "section", "№": "number", "£": "pounds", "$": "dollars", "€": "euros", "¢": "cents", "π": "pi",
    "µ": "micro", "∑": "sum", "½": "half", "♥": "heart", "α": "alpha", "β": "beta", "γ": "gamma",
    "δ": "delta", "λ": "lambda", "θ": "theta", "σ": "sigma", "ω": "omega", "Δ": "delta", "Σ": "sigma",
    "Ω": "omega",
}  # fmt: skip
_ALL = frozenset(_NAMES)


def _named(match: re.Match[str]) -> Spoken:
    return _NAMES[match.group()]


def _percent(match: re.Match[str]) -> Spoken:
    return "percent"


def _hash(match: re.Match[str]) -> Spoken:
    return f"number {cardinal(whole(match['n']))}" if match["n"] else "hashtag"


def _slash(match: re.Match[str]) -> Spoken:
    """Return "or" for a slash between alternatives, nothing in and/or, else "slash"."""
    pair = (re.split(r"\W", before(match))[-1].lower(), re.split(r"\W", after(match))[0].lower())
    if pair == ("and", "or"):
        return None
    if pair in (("w", "o"), ("n", "a")):
        return None
    return "or" if pair in _ALTERNATIVES else "slash"


def _per(match: re.Match[str]) -> Spoken:
    names = {"lb": "pound", "kg": "kilogram", "oz": "ounce", "hr": "hour"}
    return f"per {names.get(match['unit'], match['unit'])}"


_ALTERNATIVES = frozenset(
    {
        ("he", "she"), ("she", "he"), ("his", "her"), ("him", "her"), ("her", "him"), ("yes", "no"),
        ("either", "or"), ("his", "hers"), ("true", "false"), ("mother", "father"), ("day", "night"),
    }
)  # fmt: skip


_WEB_MARKS = {
    ".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "~": "tilde",
}  # fmt: skip


def _web(match: re.Match[str]) -> Spoken:
    """Addresses on the net, with their punctuation named."""
    said: list[str] = []
    for part in re.findall(
        r"[A-Za-z]+|\d+|[^\w\s]", match.group().removeprefix("https://").removeprefix("http://")
    ):
        if part.isdigit():
            said.append(digits(part) if len(part) > 2 else cardinal(int(part)))
        elif part.lower() == "www":
            said.append("W W W")
        elif part.isalpha():
            said.append(part)
        else:
            said.append(_WEB_MARKS.get(part, ""))
    return " ".join(w for w in said if w)


def _blank(match: re.Match[str]) -> Spoken:
    """Read a name left out ("Lord ——", "the ——shire militia") as "blank"."""
    return "blank's" if match.group().endswith("'s") else "blank"


def _blank_in_word(match: re.Match[str]) -> Spoken:
    return f"blank{match['rest']}"


_BLANK = r"(?:[⸺⸻]|—{2,}|-{4,}|_{3,})"
RULES: tuple[Rule, ...] = (
    rule(
        r"(?<![\w@.])(?:https?://[\w./~?=&\#-]+\w|www\.[\w./~?=&-]+\w|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
        r"|[a-z0-9-]+\.(?:com|org|net|edu|gov|io|co\.uk)(?:/[\w./~-]*\w)?)(?!\w)",
        _web,
        "./@",
    ),
    rule(
        rf"(?<![\w⸺⸻—]){_BLANK}(?P<rest>shire|ton|ford|ham|borough|bury)\b", _blank_in_word, "⸺⸻—-_"
    ),
    rule(
        rf"(?<=\s){_BLANK}(?:'s\b)?(?=[\s,.;:?!')]|$)|(?<![\w⸺⸻—]){_BLANK}(?=[ ](?:[Ss]treet|regiment))",
        _blank,
        "⸺⸻—-_",
    ),
    rule(r"(?:(?<=\d)[ ]?)%", _percent, "%"),
    rule(r"\#(?P<n>\d[\d,]*)?(?=[\w\s]|$)", _hash, "#"),
    rule(r"(?<=\d)[ ]?/[ ]?(?P<unit>lb|kg|oz|hr|hour|day|week|month|year)\b", _per, "/"),
    rule(r"(?<=[A-Za-z])/(?=[A-Za-z])", _slash, "/"),
    rule("[" + re.escape("".join(_ALL)) + "]", _named, _ALL),
)
