"""Text in the form in which recognisers and a book can agree on it.

Lower case, no punctuation, numbers in words, American spelling; each comparison word remembers the
printed word it came from.

Nothing is folded that sounds different; homophones ("there", "their") are not folded either, so
that a word error rate here is never flattered. Digits in a transcript are the recogniser's
spelling, not the reader's: where several readings exist, the one that stands in the other text is
taken.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from breame.spelling import get_american_spelling  # type: ignore[import-untyped]

_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")
_ABBREVIATION_BEFORE = re.compile(
    r"(?:^|[\s(“\"‘'])(?:Mr|Mrs|Ms|Dr|St|Messrs|Mt|Col|Gen|Capt|Lt|Sgt|Rev|Hon|Prof|No|vs|etc|[A-Z])"
    r"\.[\"'”’)\]]*$"
)

_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "messrs": "messieurs", "&": "and",
    "prof": "professor", "capt": "captain", "col": "colonel", "gen": "general", "lt": "lieutenant",
    "sgt": "sergeant", "rev": "reverend", "ok": "okay", "%": "percent", "etc": "et cetera",
}  # fmt: skip
_SPELLINGS = {
    "gaol": "jail", "gaoler": "jailer", "kerb": "curb", "storey": "story", "storeys": "stories",
    "whisky": "whiskey", "ax": "axe", "connexion": "connection", "shew": "show", "shewn": "shown",
    "shewed": "showed", "grey": "gray", "greyish": "grayish", "missis": "missus",
    "alright": "all right",
    "ageing": "aging", "pyjamas": "pajamas",
}  # fmt: skip
"""Pairs that the breame word list lacks; pronunciation is the same."""

_NOT_SPELLINGS = frozenset(
    {"draught", "draughts", "practise", "metre", "metres", "tonne", "tonnes"}
)
"""Pairs in the breame list that are folded nowhere here: homophones of other words or other
units."""

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_CURRENCY = {"$": ("dollar", "cent"), "£": ("pound", "pence"), "€": ("euro", "cent")}
_NUMBER = re.compile(
    r"(?P<currency>[$£€])?(?P<whole>\d[\d,]*)(?:(?P<point>[.:])(?P<part>\d+))?(?P<tail>st|nd|rd|th|s|%)?"
)


@dataclass(frozen=True, slots=True)
class PlainWord:
    """A word in its comparison form and the index of the printed word it came from."""

    text: str
    source: int


def cardinal(number: int, conjunction: bool = False) -> list[str]:
    """Words of a whole number, as in "one hundred [and] five"."""
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        rest = [_ONES[number % 10]] if number % 10 else []
        return [_TENS[number // 10], *rest]
    if number < 1000:
        scale, name = 100, "hundred"
    else:
        scale, name = next(((s, n) for s, n in _SCALES if number >= s), _SCALES[0])
    head, rest_of = divmod(number, scale)
    words = [*cardinal(head, conjunction), name]
    if rest_of:
        joint = ["and"] if conjunction and rest_of < 100 else []
        words += joint + cardinal(rest_of, conjunction)
    return words


def ordinal(words: list[str]) -> list[str]:
    """Turn the words of a whole number into its ordinal ("twenty one" to "twenty first")."""
    last = words[-1]
    if last in _ORDINALS:
        return [*words[:-1], _ORDINALS[last]]
    stem = last[:-1] + "ie" if last.endswith("y") else last
    return [*words[:-1], stem + "th"]


def _pairs_of_digits(number: int) -> list[str]:
    """Read as years are: 1865 as "eighteen sixty five", 1905 as "nineteen oh five"."""
    head, rest = divmod(number, 100)
    if rest == 0:
        return [*cardinal(head), "hundred"]
    return [*cardinal(head), *(["oh"] if rest < 10 else []), *cardinal(rest)]


def _whole_readings(digits: str) -> list[list[str]]:
    number = int(digits.replace(",", ""))
    readings = [cardinal(number), cardinal(number, conjunction=True)]
    if 1100 <= number < 10_000 and "," not in digits:
        readings.insert(
            0 if number < 2000 or 2010 <= number < 2100 else 2, _pairs_of_digits(number)
        )
    if number in (100, 1000, 1_000_000):
        readings.append(["a", *cardinal(number)[1:]])
    if len(digits) > 1 and "," not in digits:
        readings.append([_ONES[int(d)] for d in digits])
    return readings


def _plural(word: str) -> str:
    return word[:-1] + "ies" if word.endswith("y") else word + ("es" if word.endswith("x") else "s")


def _with_fraction(whole: list[str], point: str, part: str) -> list[str]:
    if point == ":":
        minutes = [] if part == "00" else cardinal(int(part))
        return [*whole, *(["oh"] if part.startswith("0") and minutes else []), *minutes]
    return [*whole, "point", *(_ONES[int(d)] for d in part)]


def _money(whole: list[str], currency: str, part: str | None) -> list[str]:
    unit, small = _CURRENCY[currency]
    words = [*whole, unit if whole == ["one"] else unit + "s"]
    if part and int(part):
        words += ["and", *cardinal(int(part)), small if small == "pence" else _plural(small)]
    return words


def number_readings(token: str) -> list[list[str]]:
    """List ways to read a number ("1865", "3rd", "$5.50", "10:30"); none if it is not one."""
    match = _NUMBER.fullmatch(token)
    if match is None or len(match["whole"].replace(",", "")) > 15:
        return []
    readings = []
    for whole in _whole_readings(match["whole"]):
        words = whole
        if match["currency"]:
            words = _money(whole, match["currency"], match["part"])
        elif match["part"]:
            words = _with_fraction(whole, match["point"], match["part"])
        if match["tail"] in ("st", "nd", "rd", "th"):
            words = ordinal(words)
        elif match["tail"] == "s":
            words = [*words[:-1], _plural(words[-1])]
        elif match["tail"] == "%":
            words = [*words, "percent"]
        readings.append(words)
    return readings


@lru_cache(maxsize=100_000)
def _folded(word: str) -> tuple[str, ...]:
    """American spelling and full form of one lower-case word without punctuation."""
    possessive = word.endswith("'s")
    stem = (word[:-2] if possessive else word).replace("'", "")
    if stem in _ABBREVIATIONS:
        stem = _ABBREVIATIONS[stem]
    elif stem in _SPELLINGS:
        stem = _SPELLINGS[stem]
    elif stem not in _NOT_SPELLINGS:
        stem = get_american_spelling(stem)
    return tuple((stem + ("s" if possessive else "")).split())


def pieces(token: str) -> list[str]:
    """Split a printed word into lower-case parts: quotes and dashes gone, inner apostrophes kept."""
    decomposed = unicodedata.normalize("NFKD", token.replace("’", "'").replace("‘", "'"))
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).lower()
    plain = plain.replace("æ", "ae").replace("œ", "oe")
    parts = re.split(r"[-‐‑–—―/_…]+|\.{2,}", plain)
    stripped = (p.strip(".,;:!?\"“”()[]{}<>*'«»") for p in parts)
    return [p for p in stripped if p]


def _contains(text: str, words: list[str]) -> bool:
    return f" {' '.join(words)} " in text


def plain_words(tokens: Sequence[str], other: Collection[str] = ()) -> list[PlainWord]:
    """Comparison words of printed words.

    Parameters
    ----------
    tokens : printed words in order, with their punctuation
    other : comparison words of the text this one is compared with; it decides between the readings
        of
        a number ("1900": "nineteen hundred" or "one thousand nine hundred")
    """
    context = f" {' '.join(other)} " if other else ""
    words: list[PlainWord] = []
    for source, token in enumerate(tokens):
        for piece in pieces(token):
            readings = number_readings(piece)
            if readings:
                said = next((r for r in readings if _contains(context, r)), readings[0])
                words += [PlainWord(w, source) for w in said]
                continue
            letters = re.sub(r"[^\w'&%]", "", piece)
            words += [PlainWord(w, source) for w in _folded(letters) if w]
    return words


def spoken_words(tokens: Sequence[str]) -> list[PlainWord]:
    """List dictionary words of printed words: lower case, numbers in words, apostrophes kept."""
    words: list[PlainWord] = []
    for source, token in enumerate(tokens):
        for piece in pieces(token):
            readings = number_readings(piece)
            letters = "".join(c for c in piece if c.isalpha() or c == "'")
            said = readings[0] if readings else _ABBREVIATIONS.get(letters, letters).split()
            words += [PlainWord(word, source) for word in said]
    return words


def printed_words(text: str) -> list[str]:
    """Words of a text as printed, split at white space and at dashes between words."""
    return _WORD.findall(re.sub(r"(—|--)", r"\1 ", text))


def sentences(text: str) -> list[str]:
    """Split text into sentences and at paragraph ends; abbreviations and initials end none."""
    result: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        start = 0
        flat = " ".join(paragraph.split())
        for match in _SENTENCE_END.finditer(flat):
            if _ABBREVIATION_BEFORE.search(flat[start : match.start()]):
                continue
            result.append(flat[start : match.end()].strip())
            start = match.end()
        if flat[start:].strip():
            result.append(flat[start:].strip())
    return result
