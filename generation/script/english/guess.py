"""Sounds for words no lexicon knows: gruut's guesser (MIT), and letter values when all else fails.

Other scripts are first brought to Latin letters. Something always comes back.
"""

import unicodedata
from functools import cache, lru_cache

from anyascii import anyascii
from gruut.g2p import GraphemesToPhonemes

from generation.script.english.lexicons import REMEMBERED_WORDS, gruut_folder
from generation.script.phonemes import Phonemes, UnreadablePhonemesError, parse_ipa, stressed

_LETTER_VALUES = {
    "a": "æ", "b": "b", "c": "k", "d": "d", "e": "ɛ", "f": "f", "g": "ɡ", "h": "h", "i": "ɪ", "j": "ʤ",
    "k": "k", "l": "l", "m": "m", "n": "n", "o": "ɑ", "p": "p", "q": "k", "r": "ɹ", "s": "s", "t": "t",
    "u": "ʌ", "v": "v", "w": "w", "x": "ks", "y": "i", "z": "z",
}  # fmt: skip
_VOICELESS_WORD = ("ə0",)


@cache
def _guesser() -> GraphemesToPhonemes:
    return GraphemesToPhonemes(gruut_folder() / "g2p" / "model.crf")


@lru_cache(maxsize=REMEMBERED_WORDS)
def guess(word: str) -> Phonemes:
    """Return the likeliest phonemes of an unknown word."""
    latin = "".join(
        c
        for c in anyascii(unicodedata.normalize("NFC", word)).lower()
        if c.isascii() and c.isalpha()
    )
    if not latin:
        return _VOICELESS_WORD
    try:
        guessed = parse_ipa("".join(_guesser()(latin)))
    except UnreadablePhonemesError:
        guessed = ()
    if not any(len(u) == 2 for u in guessed):
        guessed = parse_ipa("".join(_LETTER_VALUES[c] for c in latin))
    if not any(len(u) == 2 for u in guessed):
        guessed = (*guessed, "ə0")
    return stressed(guessed)
