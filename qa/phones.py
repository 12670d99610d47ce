"""English words in the phones of the CMU dictionary, for forced alignment and for expected durations.

The dictionary is the one in pocketsphinx's wheel; words that it lacks are spelled by gruut.
"""

from functools import lru_cache
from typing import Any

from pocketsphinx import Decoder

from qa.audio import ANALYSIS_RATE_HZ

_ARPABET = {
    "i": "IY", "ɪ": "IH", "eɪ": "EY", "ɛ": "EH", "æ": "AE", "ɑ": "AA", "ɔ": "AO", "oʊ": "OW", "ʊ": "UH",
    "u": "UW", "ʌ": "AH", "ə": "AH", "ɚ": "ER", "ɝ": "ER", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "b": "B",
    "d": "D", "f": "F", "h": "HH", "j": "Y", "k": "K", "l": "L", "m": "M", "n": "N", "p": "P", "s": "S",
    "t": "T", "v": "V", "w": "W", "z": "Z", "ɡ": "G", "ŋ": "NG", "ɹ": "R", "ɾ": "T", "ʃ": "SH",
    "ʒ": "ZH", "t͡ʃ": "CH", "d͡ʒ": "JH", "θ": "TH", "ð": "DH", "x": "K", "ʔ": "T",
}  # fmt: skip
"""gruut's symbols in those of the CMU dictionary that the acoustic model was trained on."""


@lru_cache(maxsize=1)
def load_sphinx() -> Any:
    """Load pocketsphinx with the US English model of its wheel, once a process."""
    return Decoder(samprate=ANALYSIS_RATE_HZ, loglevel="FATAL")


@lru_cache(maxsize=50_000)
def phones(word: str) -> tuple[str, ...]:
    """Spell a lower-case word (apostrophes kept) in CMU phones; () if it has no sound."""
    known: str | None = load_sphinx().lookup_word(word)
    return tuple(known.split()) if known else _guessed(word)


def _guessed(word: str) -> tuple[str, ...]:
    from gruut import sentences

    symbols = [p for s in sentences(word, lang="en-us") for w in s for p in w.phonemes or ()]
    found = (_ARPABET.get(symbol.strip("ˈˌː")) for symbol in symbols)
    return tuple(phone for phone in found if phone)
