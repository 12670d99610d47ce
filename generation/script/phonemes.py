"""Phonemes from notation to units: the lexicons' shorthand, plain IPA, and respellings.

One parser serves the misaki lexicons (Apache-2.0), gruut's IPA (MIT) and what a person writes in a book's
lexicon. What cannot be read is an error that names the character; nothing is dropped in silence.
"""

import re
import unicodedata

from generation.script.units import CONSONANTS, VOWELS

Phonemes = tuple[str, ...]

_STRESS = {"ˈ": "1", "'": "1", "ˌ": "2"}
_DROPPED = frozenset("ː͡ˑ̩‿.| ʰʲˠ̯̥̃̆̈̊")
_PAIRS = {
    "eɪ": "A", "aɪ": "I", "oʊ": "O", "əʊ": "O", "aʊ": "W", "ɔɪ": "Y", "tʃ": "ʧ", "dʒ": "ʤ", "ɜɹ": "ɝ",
    "ɜr": "ɝ",
}  # fmt: skip
_SINGLE = {
    "g": "ɡ", "r": "ɹ", "ʁ": "ɹ", "ʀ": "ɹ", "T": "ɾ", "ɫ": "l", "ɐ": "ə", "a": "ɑ", "ɒ": "ɑ", "ɜ": "ɝ",
    "e": "A", "o": "O", "y": "u", "ʏ": "ʊ", "ø": "ɝ", "œ": "ɝ", "ç": "h", "χ": "x", "c": "k", "ʍ": "w",
    "ɨ": "ᵻ", "ʌ": "ʌ", "β": "b", "ɣ": "ɡ", "ʎ": "j", "ɕ": "ʃ", "ʑ": "ʒ", "ʂ": "ʃ", "Q": "O", "ɱ": "m",
}  # fmt: skip
_SEVERAL = {"ɲ": ("n", "j"), "ʦ": ("t", "s"), "ʣ": ("d", "z")}


class UnreadablePhonemesError(ValueError):
    """A notation with something in it that is no phoneme; the message names it."""


def parse_ipa(notation: str) -> Phonemes:
    """Return the units of phonemes written in the lexicons' shorthand or in plain IPA.

    Stress marks go before the syllable or right before its vowel. An `əɹ` before a consonant or at the end
    is ɚ, an `ɜɹ` ɝ. Raises `UnreadablePhonemesError` for what is no phoneme and where nothing is left.
    """
    text = "".join(c for c in unicodedata.normalize("NFD", notation) if c not in _DROPPED)
    text = text.replace("c\u0327", "ç")
    units: list[str] = []
    stress = "0"
    i = 0
    while i < len(text):
        if text[i] in _STRESS:
            stress = _STRESS[text[i]]
            i += 1
            continue
        symbols, length = _symbols_at(text, i)
        i += length
        for symbol in symbols:
            if symbol in VOWELS:
                units.append(symbol + stress)
                stress = "0"
            else:
                units.append(symbol)
    if not units:
        raise UnreadablePhonemesError(f"no phonemes in {notation!r}")
    return tuple(units)


def _symbols_at(text: str, i: int) -> tuple[Phonemes, int]:
    pair = text[i : i + 2]
    if pair in ("əɹ", "ər") and not _starts_vowel(text[i + 2 :]):
        return ("ɚ",), 2
    if pair in _PAIRS:
        return (_PAIRS[pair],), 2
    char = text[i]
    if char in _SEVERAL:
        return _SEVERAL[char], 1
    symbol = char if char in VOWELS or char in CONSONANTS else _SINGLE.get(char)
    if symbol is None:
        name = unicodedata.name(char, "unnamed character")
        raise UnreadablePhonemesError(f"{char!r} ({name.lower()}) is no phoneme")
    return (symbol,), 1


def _starts_vowel(rest: str) -> bool:
    first = rest.lstrip("ˈˌ'")[:1]
    return bool(first) and (first in VOWELS or first in "aeoyøœɜɐɒ")


def stress_of(units: Phonemes) -> str:
    """Return the strongest stress among the vowels: "1", "2" or "0"."""
    digits = {u[-1] for u in units if len(u) == 2}
    return "1" if "1" in digits else "2" if "2" in digits else "0"


def weakened(units: Phonemes) -> Phonemes:
    """Return the same phonemes with primary stress turned into secondary."""
    return tuple(u[0] + "2" if len(u) == 2 and u[1] == "1" else u for u in units)


def stressed(units: Phonemes) -> Phonemes:
    """Return the phonemes with exactly one primary stress: the first strong vowel's, else the first's."""
    vowels = [i for i, u in enumerate(units) if len(u) == 2]
    if not vowels:
        return units
    for wanted in ("1", "2"):
        strong = [i for i in vowels if units[i][1] == wanted]
        if strong:
            head = strong[0]
            break
    else:
        head = next((i for i in vowels if units[i][0] not in "əᵻᵊɚ"), vowels[0])
    return tuple(
        u[0] + "1" if i == head else u[0] + "2" if len(u) == 2 and u[1] == "1" else u
        for i, u in enumerate(units)
    )


_RESPELLED_VOWELS = {
    "uh": "ə", "u": "ʌ", "a": "æ", "ah": "ɑ", "aa": "ɑ", "ar": "ɑɹ", "air": "ɛɹ", "aw": "ɔ",
    "awr": "ɔɹ", "ay": "A", "ai": "A", "e": "ɛ", "eh": "ɛ", "ee": "i", "eer": "ɪɹ", "er": "ɚ",
    "ur": "ɝ", "ir": "ɝ", "i": "ɪ", "ih": "ɪ", "ye": "I", "igh": "I", "eye": "I", "o": "ɑ", "oh": "O",
    "ow": "W", "oy": "Y", "oi": "Y", "oo": "u", "uu": "ʊ", "or": "ɔɹ", "oor": "ʊɹ", "y": "I", "oe": "O",
    "yoo": "ju", "ew": "u",
}  # fmt: skip
_RESPELLED_CONSONANTS = {
    "b": "b", "ch": "ʧ", "d": "d", "f": "f", "g": "ɡ", "gh": "ɡ", "h": "h", "j": "ʤ", "k": "k",
    "c": "k", "ck": "k", "kh": "x", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "p": "p", "q": "k",
    "r": "ɹ", "s": "s", "ss": "s", "sh": "ʃ", "t": "t", "th": "θ", "dh": "ð", "v": "v", "w": "w",
    "wh": "w", "y": "j", "z": "z", "zh": "ʒ", "x": "ks", "ff": "f", "ll": "l", "tt": "t", "nn": "n",
    "mm": "m", "rr": "ɹ", "dd": "d", "bb": "b", "pp": "p", "gg": "ɡ", "zz": "z",
}  # fmt: skip
_VOWEL_LETTERS = "|".join(sorted(_RESPELLED_VOWELS, key=len, reverse=True))
_CONSONANT_LETTERS = "|".join(sorted(_RESPELLED_CONSONANTS, key=len, reverse=True))
_ONSET = re.compile(f"(?:{_CONSONANT_LETTERS})")
_NUCLEUS = re.compile(f"(?:{_VOWEL_LETTERS})")


def parse_respelling(respelling: str) -> Phonemes:
    """Return the units of a respelling: "kuh-THOO-loo", hyphens between syllables, capitals for stress.

    A word whose syllables are all in one case is stressed on its first. Raises `UnreadablePhonemesError`
    naming the syllable that cannot be read.
    """
    syllables = [s for s in re.split(r"[-\s]+", respelling.strip()) if s]
    if not syllables:
        raise UnreadablePhonemesError(f"no syllables in {respelling!r}")
    marked = any(s.isupper() for s in syllables) and not all(s.isupper() for s in syllables)
    units: list[str] = []
    for number, syllable in enumerate(syllables):
        strong = syllable.isupper() if marked else number == 0
        units.extend(parse_ipa(_respelled_syllable(syllable.lower(), strong)))
    return tuple(units)


def _respelled_syllable(syllable: str, strong: bool) -> str:
    i = 0
    onset = ""
    while (i < len(syllable) and not (nucleus := _NUCLEUS.match(syllable, i))) or _is_onset_y(
        syllable, i
    ):
        consonant = _ONSET.match(syllable, i)
        if consonant is None:
            raise UnreadablePhonemesError(
                f"{syllable[i:]!r} in the syllable {syllable!r} cannot be read"
            )
        onset += _RESPELLED_CONSONANTS[consonant.group()]
        i = consonant.end()
    if i == len(syllable):
        raise UnreadablePhonemesError(f"the syllable {syllable!r} has no vowel")
    assert nucleus is not None
    vowel = _RESPELLED_VOWELS[nucleus.group()]
    i = nucleus.end()
    if vowel == "ə" and strong:
        vowel = "ʌ"
    if vowel == "ɚ" and strong:
        vowel = "ɝ"
    if i == len(syllable) - 2 and syllable[i] != "e" and syllable.endswith("e"):
        vowel = {"æ": "A", "ɪ": "I", "ɑ": "O", "ʌ": "u", "ɛ": "i"}.get(vowel, vowel)
        syllable = syllable[:-1]
    coda = ""
    while i < len(syllable):
        consonant = _ONSET.match(syllable, i)
        if consonant is None:
            raise UnreadablePhonemesError(
                f"{syllable[i:]!r} in the syllable {syllable!r} cannot be read"
            )
        coda += _RESPELLED_CONSONANTS[consonant.group()]
        i = consonant.end()
    glide = "j" if vowel.startswith("j") else ""
    return onset + glide + ("ˈ" if strong else "") + vowel.removeprefix("j") + coda


def _is_onset_y(syllable: str, i: int) -> bool:
    return (
        syllable[i : i + 1] == "y"
        and bool(_NUCLEUS.match(syllable, i + 1))
        and syllable[i:] != "ye"
    )
