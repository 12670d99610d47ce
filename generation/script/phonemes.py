"""Words to phoneme units for General American: the misaki lexicons first, then the gruut guesser.

The misaki lexicons (Apache-2.0) give pronunciations in their own IPA shorthand; this file parses that and
gruut's IPA (MIT) into the units of `units.py`.
"""

import json
from functools import lru_cache
from importlib import resources

import gruut

from generation.script.units import CONSONANTS, VOWELS

_STRESS = {"ˈ": "1", "ˌ": "2"}
_RENAMED = {
    "eɪ": "A", "aɪ": "I", "oʊ": "O", "aʊ": "W", "ɔɪ": "Y", "t͡ʃ": "ʧ", "d͡ʒ": "ʤ", "tʃ": "ʧ", "dʒ": "ʤ",
    "ɜɹ": "ɝ", "ɐ": "ə", "g": "ɡ", "r": "ɹ", "T": "ɾ", "ɫ": "l", "ɡ": "ɡ",
}  # fmt: skip
_DROPPED = frozenset("ː͡ˑ̩‿")

FUNCTION_WORDS = {
    "a": "ə", "an": "ən", "the": "ðə", "to": "tə", "of": "əv", "and": "ænd", "was": "wəz", "his": "hɪz",
    "her": "hɜɹ", "him": "hɪm", "them": "ðɛm", "us": "əs", "for": "fɔɹ", "from": "fɹəm", "that": "ðæt",
    "i": "I",
}  # fmt: skip
"""Unstressed forms inside a sentence, in the lexicons' own notation."""


@lru_cache(maxsize=1)
def _lexicon() -> dict[str, str | dict[str, str | None]]:
    merged: dict[str, str | dict[str, str | None]] = {}
    for name in ("us_silver.json", "us_gold.json"):
        with resources.files("misaki.data").joinpath(name).open(encoding="utf-8") as file:
            merged.update(json.load(file))
    return merged


def parse_ipa(ipa: str) -> tuple[str, ...]:
    """Turn IPA (the lexicons' shorthand or plain) into unit symbols; unknown characters are dropped."""
    text = "".join(c for c in ipa if c not in _DROPPED)
    units: list[str] = []
    stress = "0"
    i = 0
    while i < len(text):
        if text[i] in _STRESS:
            stress = _STRESS[text[i]]
            i += 1
            continue
        pair = text[i : i + 2]
        if pair == "əɹ" and not _starts_vowel(text[i + 2 : i + 4]):
            symbol, i = "ɚ", i + 2
        elif pair in _RENAMED:
            symbol, i = _RENAMED[pair], i + 2
        else:
            symbol, i = _RENAMED.get(text[i], text[i]), i + 1
        if symbol in VOWELS:
            units.append(symbol + stress)
            stress = "0"
        elif symbol in CONSONANTS:
            units.append(symbol)
    return tuple(units)


def _starts_vowel(text: str) -> bool:
    return text.lstrip("ˈˌ")[:1] in VOWELS if text else False


def _known(word: str) -> str | None:
    lexicon = _lexicon()
    for form in (word, word.lower(), word.capitalize()):
        entry = lexicon.get(form)
        if isinstance(entry, dict):
            entry = entry["DEFAULT"]
        if entry:
            return entry
    return None


def _plural(stem: str) -> str:
    if stem[-1] in "ptkfθ":
        return stem + "s"
    return stem + ("ᵻz" if stem[-1] in "szʃʒʧʤ" else "z")


def _past(stem: str) -> str:
    if stem[-1] in "pkfθʃsʧ":
        return stem + "t"
    return stem + ("ᵻd" if stem[-1] in "td" else "d")


def _inflected(word: str) -> str | None:
    for ending, join in (("'s", _plural), ("s'", _plural), ("s", _plural), ("ed", _past), ("d", _past)):
        if word.endswith(ending) and (stem := _known(word[: -len(ending)])):
            return join(stem)
    if word.endswith("ing"):
        for stem_text in (word[:-3], word[:-3] + "e", word[:-4]):
            if len(stem_text) > 2 and (stem := _known(stem_text)):
                return stem + "ɪŋ"
    return None


@lru_cache(maxsize=65_536)
def _guess(word: str) -> str:
    for sentence in gruut.sentences(word, lang="en-us"):
        return "".join("".join(w.phonemes) for w in sentence if w.phonemes)
    return ""


@lru_cache(maxsize=65_536)
def pronounce(word: str, before_vowel: bool = False) -> tuple[str, ...]:
    """Return the units of one spoken word (letters, apostrophes).

    `before_vowel` says whether the next word starts with a vowel ("the" and "to" depend on it).
    """
    plain = word.replace("’", "'").strip("'-")
    lowered = plain.lower()
    if lowered in FUNCTION_WORDS:
        weak = FUNCTION_WORDS[lowered]
        if before_vowel and lowered in ("the", "to"):
            weak = "ði" if lowered == "the" else "tʊ"
        return parse_ipa(weak)
    ipa = _known(plain) or _inflected(lowered) or _guess(plain)
    return parse_ipa(ipa)
