"""Numbers in words, the American way: cardinals, ordinals, years, house numbers, digits."""

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = [
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
]
_IRREGULAR_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_LONGEST_NUMBER = 3 * (len(_SCALES) + 1)
"""Digits of the longest number that has a name here; longer ones are read digit by digit."""


def cardinal(number: int) -> str:
    """Return a whole number in words: 421 is "four hundred twenty one"."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if len(str(number)) > _LONGEST_NUMBER:
        return digits(str(number))
    if number < 1000:
        return _below_thousand(number)
    words: list[str] = []
    for power in range(len(_SCALES), 0, -1):
        count, number = divmod(number, 1000**power)
        if count:
            words.append(f"{_below_thousand(count)} {_SCALES[power - 1]}")
    if number:
        words.append(_below_thousand(number))
    return " ".join(words)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest or not hundreds:
        words.append(_below_hundred(rest))
    return " ".join(words)


def _below_hundred(number: int) -> str:
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]} {_ONES[ones]}" if ones else _TENS[tens]


def ordinal(number: int) -> str:
    """Return a rank in words: 22 is "twenty second"."""
    head, _, last = cardinal(number).rpartition(" ")
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return f"{head} {last}" if head else last


def digits(text: str, zero: str = "zero") -> str:
    """Return the digits of `text` one by one; 0 is said as `zero`."""
    return " ".join(zero if c == "0" else _ONES[int(c)] for c in text if c.isdigit())


def decimal(text: str) -> str:
    """Return "3.14", "1,200.5" or ".5" in words; the part behind the point is read digit by digit."""
    whole, _, rest = text.replace(",", "").partition(".")
    point = f"point {digits(rest)}" if rest else ""
    return f"{cardinal(int(whole or 0))} {point}".strip()


def pairs(number: int) -> str:
    """Return a number of three or four digits as years and house numbers are read: 1869, 105, 1600, 226."""
    high, low = divmod(number, 100)
    if high == 0:
        return cardinal(number)
    if low == 0:
        return cardinal(number) if high % 10 == 0 else f"{cardinal(high)} hundred"
    return f"{cardinal(high)} {cardinal(low) if low >= 10 else f'oh {cardinal(low)}'}"


def year(number: int) -> str:
    """Return a year in words: 1869 "eighteen sixty nine", 1905 "nineteen oh five"."""
    if number < 1000 or 2000 <= number < 2010 or number % 1000 == 0:
        return cardinal(number) if number < 100 or number >= 1000 else pairs(number)
    return pairs(number)


def plural(words: str) -> str:
    """Return number words in the plural: "eighteen sixty" gives "eighteen sixties"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("x", "s")) else "s")


def whole(text: str) -> int:
    """Return the value of digits with or without thousands separators."""
    return int(text.replace(",", ""))
