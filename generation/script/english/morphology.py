"""Inflected and derived forms of known words: -s, 's, -ed, -ing, -er, -ly, un-, compounds.

Each form is built from the stem's units with the right voicing (z, s, ᵻz; d, t, ᵻd) and flapping, as in
misaki's stemmer (Apache-2.0), extended to derivations and compounds.
"""

from collections.abc import Callable

from generation.script.phonemes import Phonemes, parse_ipa, stress_of, weakened

_VOICELESS = frozenset("ptkfθ")
_SIBILANT = frozenset("szʃʒʧʤ")
_VOICELESS_FOR_T = frozenset("pkfθʃsʧ")
_FLAPPED_AFTER = frozenset("AIOWYiuæɑəɛɪʊʌɹɚɝɔ")

Lookup = Callable[[str], Phonemes | None]


def with_s(stem: Phonemes) -> Phonemes:
    """Return the plural, possessive or third person of a stem."""
    last = stem[-1]
    if last in _VOICELESS:
        return (*stem, "s")
    return (*stem, "ᵻ0", "z") if last in _SIBILANT else (*stem, "z")


def with_ed(stem: Phonemes) -> Phonemes:
    """Return the past of a stem."""
    last = stem[-1]
    if last in _VOICELESS_FOR_T:
        return (*stem, "t")
    if last == "d":
        return (*stem, "ᵻ0", "d")
    return (*_flapped(stem), "ᵻ0", "d") if last == "t" else (*stem, "d")


def _flapped(stem: Phonemes) -> Phonemes:
    if len(stem) > 2 and stem[-1] == "t" and stem[-2][0] in _FLAPPED_AFTER:
        return (*stem[:-1], "ɾ")
    return stem


def with_vowel(stem: Phonemes, ending: str) -> Phonemes:
    """Return a stem with an ending that begins with a vowel: a final t is flapped, a final ɚ opens to əɹ."""
    return (*_flapped(stem), *parse_ipa(ending))


_VOWEL_ENDINGS = {
    "ing": "ɪŋ", "in'": "ɪn", "er": "əɹ", "ers": "əɹz", "est": "ɪst", "able": "əbᵊl", "ish": "ɪʃ",
    "ist": "ɪst", "ists": "ɪsts", "y": "i", "ie": "i", "ies": "iz", "edst": "ᵻdst", "eth": "ᵻθ",
    "ism": "ɪzəm", "ings": "ɪŋz", "ingly": "ɪŋli", "edly": "ᵻdli", "ess": "ᵻs", "age": "ɪʤ",
    "ian": "iən", "ean": "iən", "ers'": "əɹz",
}  # fmt: skip
_OTHER_ENDINGS = {
    "ly": "li", "ness": "nəs", "nesses": "nəsᵻz", "less": "ləs", "lessly": "ləsli", "ful": "fəl",
    "fully": "fəli", "ment": "mənt", "ments": "mənts", "some": "səm", "ship": "ʃˌɪp", "hood": "hˌʊd",
    "dom": "dəm", "like": "lˌIk", "wise": "wˌIz", "ward": "wəɹd", "wards": "wəɹdz", "man": "mən",
    "men": "mən", "ton": "tən", "ham": "əm", "shire": "ʃəɹ", "bury": "bɛɹi", "burgh": "bəɹɡ",
    "borough": "bəɹə", "ford": "fəɹd", "field": "fˌild", "worth": "wəɹθ", "wood": "wˌʊd",
    "land": "lənd", "ville": "vˌɪl", "combe": "kəm", "mouth": "məθ", "wich": "ɪʧ", "folk": "fˌOk",
    "stead": "stˌɛd", "dale": "dˌAl", "port": "pˌɔɹt", "st": "st",
}  # fmt: skip
_PREFIXES = {
    "un": "ʌn", "non": "nɑn", "over": "Ovəɹ", "under": "ʌndəɹ", "out": "Wt", "fore": "fɔɹ",
    "mis": "mɪs", "re": "ɹi", "pre": "pɹi", "dis": "dɪs", "inter": "ˌɪntəɹ", "semi": "sˌɛmi",
    "super": "sˌupəɹ", "anti": "ˌænti", "up": "ʌp", "mid": "mɪd", "a": "ə", "be": "bə",
    "counter": "kˌWntəɹ", "self": "sˌɛlf", "half": "hˌæf",
}  # fmt: skip
_SHORTEST_STEM = 3


def inflected(word: str, known: Lookup) -> Phonemes | None:
    """Return the phonemes of a form of a known word, or None. `word` is in lower case."""
    return _genitive(word, known) or _s(word, known) or _ed(word, known) or _ended(word, known)


def _genitive(word: str, known: Lookup) -> Phonemes | None:
    if word.endswith("'s") and (stem := known(word[:-2])):
        return with_s(stem)
    if word.endswith("s'"):
        return known(word[:-1])
    for ending, said in (
        ("'ll", "ᵊl"),
        ("'d", "d"),
        ("'ve", "əv"),
        ("'re", "əɹ"),
        ("n't", "ᵊnt"),
        ("'m", "m"),
        ("'n", "ən"),
    ):
        if word.endswith(ending) and (stem := known(word[: -len(ending)])):
            if ending == "'d" and stem[-1] in "td":
                said = "əd"
            return (*stem, *parse_ipa(said))
    return None


def _s(word: str, known: Lookup) -> Phonemes | None:
    if len(word) < 3 or not word.endswith("s") or word.endswith("ss"):
        return None
    stems = [word[:-1]]
    if word.endswith("es"):
        stems.append(word[:-2])
    if word.endswith("ies"):
        stems.insert(0, word[:-3] + "y")
    return next((with_s(p) for s in stems if len(s) > 1 and (p := known(s))), None)


def _ed(word: str, known: Lookup) -> Phonemes | None:
    if len(word) < 5 or not word.endswith("ed"):
        return None
    stems = [word[:-1], word[:-2]]
    if word.endswith("ied"):
        stems.insert(0, word[:-3] + "y")
    if len(word) > 5 and word[-3] == word[-4]:
        stems.append(word[:-3])
    return next((with_ed(p) for s in stems if len(s) > 2 and (p := known(s))), None)


def _stems(word: str, ending: str) -> list[str]:
    base = word[: -len(ending)]
    stems = [base, base + "e"]
    if len(base) > 3 and base[-1] == base[-2]:
        stems.append(base[:-1])
    if base.endswith("i"):
        stems.append(base[:-1] + "y")
    return stems


def _ended(word: str, known: Lookup) -> Phonemes | None:
    for ending in _ENDINGS:
        if not word.endswith(ending) or len(word) - len(ending) < _SHORTEST_STEM:
            continue
        if ending in _VOWEL_ENDINGS:
            for stem in _stems(word, ending):
                if phonemes := known(stem):
                    return with_vowel(phonemes, _VOWEL_ENDINGS[ending])
        else:
            base = word[: -len(ending)]
            for stem in (
                base,
                base[:-1] + "y" if base.endswith("i") else base,
                base + ("l" if ending == "ly" else ""),
            ):
                if phonemes := known(stem):
                    return (*phonemes, *parse_ipa(_OTHER_ENDINGS[ending]))
            if ending == "ly" and (phonemes := known(base + "le")):
                return (
                    (*phonemes[:-1], *parse_ipa("li"))
                    if phonemes[-1] != "l"
                    else (*phonemes[:-2], "l", "i0")
                )
    return None


_ENDINGS = sorted([*_VOWEL_ENDINGS, *_OTHER_ENDINGS], key=len, reverse=True)


def prefixed(word: str, known: Lookup) -> Phonemes | None:
    """Return the phonemes of a known word behind a prefix (un-, over-, a- as in a-going), or None."""
    for prefix, said in _PREFIXES.items():
        rest = word[len(prefix) :]
        if word.startswith(prefix) and len(rest) > _SHORTEST_STEM and (stem := known(rest)):
            return (*parse_ipa(said), *stem)
    return None


_SHORTEST_PART = 3


def compound(word: str, known: Lookup) -> Phonemes | None:
    """Return the phonemes of two known words written as one, the first stressed; the evenest parting wins."""
    middle = len(word) / 2
    cuts = sorted(
        range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1), key=lambda i: abs(i - middle)
    )
    for cut in cuts:
        first, second = known(word[:cut]), known(word[cut:])
        if first and second and stress_of(first) != "0" and stress_of(second) != "0":
            return (*first, *weakened(second))
    return None
