"""Units of measure behind a number: "5 ft. 10 in.", "12 lbs.", "60 mph", "98.6°F", "40° N", "10-km"."""

import re

from generation.script.english.fractions import parts
from generation.script.english.numbers import cardinal, decimal
from generation.script.english.rules import Rule, Spoken, after, piece, rule

_UNITS = {
    "in": ("inch", "inches"), "ft": ("foot", "feet"), "yd": ("yard", "yards"), "yds": ("yard", "yards"),
    "mi": ("mile", "miles"), "oz": ("ounce", "ounces"), "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"), "st": ("stone", "stone"), "cwt": ("hundredweight", "hundredweight"),
    "gal": ("gallon", "gallons"), "qt": ("quart", "quarts"), "pt": ("pint", "pints"),
    "mph": ("mile per hour", "miles per hour"), "m.p.h": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"), "mm": ("millimeter", "millimeters"),
    "cm": ("centimeter", "centimeters"), "m": ("meter", "meters"), "km": ("kilometer", "kilometers"),
    "mg": ("milligram", "milligrams"), "g": ("gram", "grams"), "kg": ("kilogram", "kilograms"),
    "ml": ("milliliter", "milliliters"), "l": ("liter", "liters"), "L": ("liter", "liters"),
    "cc": ("c c", "c c"), "hp": ("horsepower", "horsepower"), "h.p": ("horsepower", "horsepower"),
    "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "V": ("volt", "volts"), "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"),
    "KB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "dB": ("decibel", "decibels"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "min": ("minute", "minutes"), "mins": ("minute", "minutes"),
    "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "ms": ("millisecond", "milliseconds"),
    "ha": ("hectare", "hectares"), "kt": ("knot", "knots"), "psi": ("P S I", "P S I"),
    "rpm": ("R P M", "R P M"), "sq ft": ("square foot", "square feet"),
    "sq mi": ("square mile", "square miles"), "sq yd": ("square yard", "square yards"),
    "cu ft": ("cubic foot", "cubic feet"), "m²": ("square meter", "square meters"),
    "km²": ("square kilometer", "square kilometers"), "m³": ("cubic meter", "cubic meters"),
    "ft²": ("square foot", "square feet"),
}  # fmt: skip
_DOTTED = "|".join(
    re.escape(u).replace(r"\ ", r"\.?[ ]") for u in sorted(_UNITS, key=len, reverse=True)
)
_NUMBER = r"(?P<n>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+|\.\d+)"
_VULGAR = r"(?P<vulgar>[½¼¾])?"
_FRACTIONS = {"½": (1, 2), "¼": (1, 4), "¾": (3, 4)}
_SCALES = {"C": "Celsius", "F": "Fahrenheit", "K": "Kelvin"}
_WINDS = {"N": "north", "S": "south", "E": "east", "W": "west"}


def _amount(match: re.Match[str]) -> str:
    said = decimal(match["n"])
    if match["vulgar"]:
        above, below = _FRACTIONS[match["vulgar"]]
        fraction = parts(above, below)
        said += f" and {'a' + fraction[3:] if above == 1 else fraction}"
    return said


def _measure(match: re.Match[str]) -> Spoken:
    unit = match["unit"].replace(".", "") if match["unit"] not in _UNITS else match["unit"]
    if _ambiguous(match):
        return None
    if unit not in _UNITS:
        unit = {"mph": "mph", "hp": "hp"}.get(unit, unit)
    one, many = _UNITS[unit]
    single = (match["n"] == "1" and not match["vulgar"]) or match["hyphen"]
    number = piece(match, "number", _amount(match))
    return [number, piece(match, "unit_all", one if single else many, may_end=bool(match["dot"]))]


def _ambiguous(match: re.Match[str]) -> bool:
    """Whether the unit is likelier the word "in", an ordinal's ending or a point of the compass."""
    unit = match["unit"]
    if unit in ("in", "st") and not match["dot"]:
        return unit == "in" or not match["gap"]
    return (
        unit in ("W", "V", "L") and bool(match["dot"]) and bool(re.match(r" [A-Z]", after(match)))
    )


def _feet_inches(match: re.Match[str]) -> Spoken:
    feet, inches = int(match["ft"]), match["inch"]
    if not inches:
        return f"{cardinal(feet)} {'foot' if feet == 1 else 'feet'}"
    return f"{cardinal(feet)} foot {cardinal(int(inches))}"


def _degrees(match: re.Match[str]) -> Spoken:
    number = match["n"]
    said = ("minus " if match["minus"] else "") + decimal(number)
    said += " degree" if number == "1" else " degrees"
    if match["minutes"]:
        said += f" {cardinal(int(match['minutes']))} minutes"
    if match["scale"]:
        said += f" {_SCALES[match['scale']]}"
    if match["wind"]:
        said += f" {_WINDS[match['wind']]}"
    return said


RULES: tuple[Rule, ...] = (
    rule(r"(?<![\w.,])(?P<ft>\d{1,2})'[ ]?(?:(?P<inch>\d{1,2})(?:\"|''))(?!\w)", _feet_inches),
    rule(
        rf"(?<![\w.,])(?P<minus>[-−])?{_NUMBER}[ ]?°[ ]?(?:(?P<minutes>\d{{1,2}})['′])?"
        r"(?:[ ]?(?P<scale>[CFK])\b|[ ]?(?P<wind>[NSEW])\b)?",
        _degrees,
        trigger="°",
    ),
    rule(
        rf"(?<![\w.,£$€])(?P<number>{_NUMBER}{_VULGAR})(?P<gap>[ ]|(?P<hyphen>-))?"
        rf"(?P<unit_all>(?P<unit>{_DOTTED})(?!\w)(?P<dot>\.(?!\w))?)",
        _measure,
    ),
)
