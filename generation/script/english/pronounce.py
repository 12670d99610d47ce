"""A spoken word to phonemes: context, then the lexicons, forms of known words, foreign names, the guesser."""

import re
from dataclasses import dataclass
from functools import lru_cache

from anyascii import anyascii

from generation.script.english import foreign, lexicons
from generation.script.english.guess import guess
from generation.script.english.heteronyms import CHOICES, Context
from generation.script.english.lexicons import REMEMBERED_WORDS
from generation.script.english.morphology import compound, inflected, prefixed, with_s
from generation.script.english.weak import AT_PAUSE, BEFORE_VOWEL, SAID_AS, WEAK
from generation.script.phonemes import Phonemes, parse_ipa, stressed, weakened

_VOWEL_LETTERS = frozenset("AIOWYæɑɔəɛɝɚɪiʊuʌᵻᵊ")
_LONGEST_ACRONYM = 5


@dataclass(frozen=True, slots=True)
class Saying:
    """A word's phonemes, and whether they were only guessed."""

    phonemes: Phonemes
    guessed: bool = False


@lru_cache(maxsize=REMEMBERED_WORDS)
def letter(name: str) -> Phonemes:
    """Return the phonemes of a letter's name."""
    entry = lexicons.entry(name.upper())
    return parse_ipa(entry) if isinstance(entry, str) else guess(name)


def starts_with_vowel(phonemes: Phonemes) -> bool:
    """Whether a word's first phoneme is a vowel."""
    return bool(phonemes) and phonemes[0][0] in _VOWEL_LETTERS


def in_context(
    word: str, context: Context | None, next_vowel: bool, at_pause: bool, emphasised: bool
) -> Saying:
    """Return how a word is said in its place.

    `next_vowel` says that the next word begins with a vowel, `at_pause` that a pause follows, `emphasised`
    that the print stresses the word.
    """
    lowered = word.lower()
    if context is not None and lowered in CHOICES:
        chosen = CHOICES[lowered](context)
        if chosen is not None:
            phonemes = parse_ipa(chosen)
            return Saying(stressed(phonemes) if emphasised else phonemes)
    if emphasised:
        strong = AT_PAUSE.get(lowered)
        return Saying(stressed(parse_ipa(strong))) if strong else _stressed(plain(word))
    if at_pause and lowered in AT_PAUSE and not (lowered == "a" and word == "a"):
        return Saying(parse_ipa(AT_PAUSE[lowered]))
    if next_vowel and lowered in BEFORE_VOWEL:
        return Saying(parse_ipa(BEFORE_VOWEL[lowered]))
    if lowered in WEAK and not (word.isupper() and len(word) > 1 and lowered in ("us",)):
        return Saying(parse_ipa(WEAK[lowered]))
    entry = _entry(word)
    if isinstance(entry, dict):
        return Saying(parse_ipa(_by_tag(entry, context, at_pause)))
    return plain(word)


def _stressed(saying: Saying) -> Saying:
    return Saying(stressed(saying.phonemes), saying.guessed)


def _by_tag(entry: dict[str, str | None], context: Context | None, at_pause: bool) -> str:
    chosen: str | None = None
    if at_pause and "None" in entry:
        chosen = entry["None"]
    elif context is not None:
        chosen = entry.get(context.tag) or entry.get(context.parent)
    return chosen or entry["DEFAULT"] or next(v for v in entry.values() if v)


@lru_cache(maxsize=REMEMBERED_WORDS)
def is_word(word: str) -> bool:
    """Whether print in capitals is a word and not letters to be spelled."""
    return _known(word.lower()) is not None and not _is_acronym_entry(word)


def needs_tag(word: str) -> bool:
    """Whether a word's sound depends on its part of speech."""
    return word.lower() in CHOICES or isinstance(_entry(word), dict)


@lru_cache(maxsize=REMEMBERED_WORDS)
def _entry(word: str) -> lexicons.Entry | None:
    lowered = word.lower()
    forms = [word, lowered, lowered.capitalize()]
    if word.isupper() and len(word) > 1:
        forms = (
            [word, lowered, lowered.capitalize()]
            if _is_acronym_entry(word)
            else [lowered, lowered.capitalize()]
        )
    for form in forms:
        entry = lexicons.entry(form)
        if entry is not None:
            return entry
    return None


def _is_acronym_entry(word: str) -> bool:
    entry = lexicons.entry(word)
    return isinstance(entry, str) and lexicons.entry(word.lower()) is None


@lru_cache(maxsize=REMEMBERED_WORDS)
def _known(lowered: str) -> Phonemes | None:
    """Return the phonemes the lexicons give for a word in lower case, whatever its case there."""
    for form in (lowered, lowered.capitalize()):
        entry = lexicons.entry(form)
        if isinstance(entry, dict):
            entry = entry["DEFAULT"]
        if entry:
            return parse_ipa(entry)
    if (ipa := lexicons.gruut_ipa(lowered)) is not None:
        units = stressed(parse_ipa(ipa))
        return (
            (*units[:-2], "ᵻ0", "z")
            if lowered.endswith("'s") and units[-2:] == ("ɪ0", "z")
            else units
        )
    return None


@lru_cache(maxsize=REMEMBERED_WORDS)
def _misaki_known(lowered: str) -> Phonemes | None:
    """Return what the first lexicon alone gives: forms and compounds are built only from words it has."""
    entry = lexicons.entry(lowered)
    if isinstance(entry, dict):
        entry = entry["DEFAULT"]
    return parse_ipa(entry) if entry else None


@lru_cache(maxsize=REMEMBERED_WORDS)
def _derived(lowered: str) -> Phonemes | None:
    return (
        inflected(lowered, _known)
        or inflected(lowered, _once_derived)
        or prefixed(lowered, _once_derived)
    )


@lru_cache(maxsize=REMEMBERED_WORDS)
def _once_derived(lowered: str) -> Phonemes | None:
    return _known(lowered) or inflected(lowered, _known)


@lru_cache(maxsize=REMEMBERED_WORDS)
def plain(word: str) -> Saying:
    """Return how a word is said whatever its place."""
    lowered = word.lower()
    if lowered in SAID_AS:
        return Saying(parse_ipa(SAID_AS[lowered]))
    if _STRETCHED.search(lowered) and (short := _unstretched(lowered)):
        return Saying(short)
    if name := _foreign_name(word):
        return Saying(name)
    if spelled := _acronym(word):
        return Saying(spelled)
    entry = _entry(word)
    if isinstance(entry, dict):
        return Saying(parse_ipa(_by_tag(entry, None, False)))
    if isinstance(entry, str):
        return Saying(parse_ipa(entry))
    if known := _known(lowered) or _derived(lowered) or _british(lowered):
        return Saying(known)
    if clipped := _clipped(lowered):
        return Saying(clipped)
    if not word.isascii() and (flat := _flattened(lowered)):
        return Saying(flat)
    tag = foreign.language_of(word) if word[:1].isupper() or not word.isascii() else None
    if tag and (said := foreign.read_foreign(word.removesuffix("'s"), tag)):
        return Saying(with_s(said) if word.endswith("'s") else said, guessed=True)
    if joined := compound(lowered, _misaki_known):
        return Saying(joined)
    return _guessed(lowered)


_STRETCHED = re.compile(r"([a-z])\1\1")


def _unstretched(lowered: str) -> Phonemes | None:
    """Return the phonemes of a word that print draws out: "sooo", "ahhh"."""
    once, twice = (re.sub(r"([a-z])\1{2,}", form, lowered) for form in (r"\1", r"\1\1"))
    for form in (once, twice):
        if form in SAID_AS:
            return parse_ipa(SAID_AS[form])
        if _misaki_known(form):
            return stressed(plain(form).phonemes)
    return None


def _foreign_name(word: str) -> Phonemes | None:
    if word.islower() and word.isascii():
        return None
    name = foreign.known_name(word.removesuffix("'s"))
    return with_s(name) if name and word.endswith("'s") else name


def _guessed(lowered: str) -> Saying:
    if lowered.endswith("'s"):
        return Saying(with_s(guess(lowered[:-2])), guessed=True)
    return Saying(guess(lowered), guessed=True)


@lru_cache(maxsize=REMEMBERED_WORDS)
def of_language(word: str, tag: str) -> Saying | None:
    """Return how a word marked as of another language is said, None where that language has no rules."""
    said = (
        foreign.common_word(word, tag)
        or foreign.known_name(word)
        or foreign.read_foreign(word, tag)
    )
    return Saying(said) if said else None


_BRITISH = (
    ("our", "or"), ("ours", "ors"), ("oured", "ored"), ("ouring", "oring"), ("ise", "ize"),
    ("ised", "ized"), ("ising", "izing"), ("isation", "ization"), ("yse", "yze"), ("tre", "ter"),
    ("tres", "ters"), ("logue", "log"), ("ence", "ense"), ("lled", "led"), ("lling", "ling"),
    ("ller", "ler"), ("xion", "ction"), ("eable", "able"), ("ourite", "orite"),
    ("ourable", "orable"), ("oe", "e"), ("ae", "e"), ("gramme", "gram"),
)  # fmt: skip


def _british(lowered: str) -> Phonemes | None:
    """Return the phonemes of a British spelling by its American one."""
    for british, american in _BRITISH:
        if british in ("oe", "ae"):
            form = lowered.replace(british, american, 1) if british in lowered else ""
        else:
            form = lowered[: -len(british)] + american if lowered.endswith(british) else ""
        if form and (known := _once_derived(form)):
            return known
    return None


def _clipped(lowered: str) -> Phonemes | None:
    """Return the phonemes of a word with a letter dropped in print: goin', 'nother, ol'."""
    if lowered.endswith("in'") and (full := _once_derived(lowered[:-1] + "g")):
        return (*full[:-1], "n") if full[-1] == "ŋ" else full
    if lowered.endswith("'"):
        bare = lowered[:-1]
        return _once_derived(bare) or next((p for c in "dfgh" if (p := _known(bare + c))), None)
    if lowered.startswith("'"):
        return _once_derived(lowered[1:])
    return None


def _flattened(lowered: str) -> Phonemes | None:
    """Return the phonemes of a word with its accents off: café, naïve, rôle."""
    return _once_derived(anyascii(lowered).lower())


def _acronym(word: str) -> Phonemes | None:
    """Return the phonemes of capitals that are spelled out, None where they make a word."""
    stem = word.removesuffix("'s").removesuffix("s") if not word.isupper() else word
    if len(stem) < 2 or not (stem.isupper() and stem.isalpha()) or len(stem) > _LONGEST_ACRONYM:
        return None
    if (
        _is_acronym_entry(stem)
        or _known(stem.lower()) is not None
        or any(c in "AEIOUY" for c in stem[1:-1])
    ):
        return None
    return spelled(stem)


def spelled(letters: str) -> Phonemes:
    """Return the phonemes of letters read by name, the last one stressed."""
    said = [letter(c) for c in letters if c.isalpha()]
    return tuple(u for i, p in enumerate(said) for u in (p if i == len(said) - 1 else weakened(p)))
