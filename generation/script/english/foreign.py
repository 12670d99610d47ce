"""French, German, Spanish and Italian words in an English mouth: each language's spelling rules, its stress.

Words marked with a language in the manuscript are read by that language's rules; an unmarked name is, where
its spelling gives it away. The target is how a good English narrator says it, not how a native would.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from generation.script.english.lexicons import REMEMBERED_WORDS
from generation.script.phonemes import Phonemes, parse_ipa

_NAMES = {
    "née": "nˈA", "né": "nˈA", "flaubert": "flObˈɛɹ", "d'artagnan": "dɑɹtˈænjən", "goethe": "ɡˈɜɹtə",
    "nietzsche": "nˈiʧə", "versailles": "vəɹsˈI", "dumas": "dumˈɑ", "camus": "kæmˈu",
    "proust": "pɹˈust", "descartes": "dAkˈɑɹt", "monsieur": "məsjˈɜɹ", "messieurs": "mAsjˈɜɹ",
    "madame": "mədˈɑm", "mademoiselle": "mˌædəmwəzˈɛl", "messrs": "mˈɛsəɹz", "messers": "mˈɛsəɹz",
    "señor": "sAnjˈɔɹ", "señora": "sAnjˈɔɹə", "signor": "sinjˈɔɹ", "signora": "sinjˈɔɹə",
    "signorina": "sˌinjəɹˈinə", "fräulein": "fɹˈYlIn", "herr": "hˈɛɹ", "frau": "fɹˈW",
    "quixote": "kihˈOti", "juan": "hwˈɑn", "josé": "hOzˈA", "jesús": "hAsˈus", "henri": "ɑnɹˈi",
    "françois": "fɹɑnswˈɑ", "jacques": "ʒˈɑk", "étienne": "Atjˈɛn", "rené": "ɹənˈA",
    "wilhelm": "vˈɪlhˌɛlm", "ludwig": "lˈudvɪɡ", "johann": "jˈOhɑn", "hans": "hˈɑns",
    "heinrich": "hˈInɹɪk", "giovanni": "ʤOvˈɑni", "giuseppe": "ʤuzˈɛpi", "guillermo": "ɡijˈɛɹmO",
    "lestrade": "ləstɹˈAd", "lecoq": "ləkˈɑk", "dupin": "dupˈæn", "marseilles": "mɑɹsˈA",
    "bordeaux": "bɔɹdˈO", "de": "də", "du": "du", "la": "lɑ", "le": "lə", "el": "ɛl", "von": "vɔn",
    "van": "væn", "der": "dəɹ", "zu": "tsu", "di": "di", "da": "dɑ",
}  # fmt: skip


_COMMON = {
    "fr": {
        "des": "dA", "les": "lA", "et": "A", "un": "ʌn", "une": "un", "est": "A", "qui": "ki",
        "que": "kə", "rien": "ɹjˈæn", "tout": "tˈu", "nous": "nˈu", "vous": "vˈu", "c'est": "sA",
        "homme": "ɔm", "l'homme": "lɔm", "la": "lɑ", "le": "lə",
        "de": "də", "je": "ʒə", "ne": "nə", "pas": "pɑ",
        "mon": "mɔn", "femme": "fɑm", "monde": "mˈɔnd", "il": "il",
        "elle": "ɛl", "dans": "dɑn", "sans": "sɑn",
    },
    "de": {"ich": "ɪk", "und": "ʊnt", "das": "dɑs", "die": "di", "der": "dɛɹ", "ein": "In", "ist": "ɪst"},
    "es": {"y": "i", "el": "ɛl", "la": "lɑ", "de": "dA", "que": "kA"},
    "it": {"e": "A", "il": "il", "la": "lɑ", "di": "di", "che": "kA"},
}  # fmt: skip
"""Small words of each language, for text marked as being of it."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A language's spelling: rules tried in order at each letter, and where stress falls."""

    rules: tuple[tuple[re.Pattern[str], str], ...]
    stress: str


def _rules(table: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compile lines of "pattern sounds"; a lone "-" is silence."""
    compiled = []
    for line in table.strip().splitlines():
        pattern, sounds = line.split()
        compiled.append((re.compile(pattern), "" if sounds == "-" else sounds))
    return tuple(compiled)


_FRENCH = Spelling(
    _rules("""
        eaux?$ O
        eau O
        aux?$ O
        au O
        œu ɜɹ
        eux$ u
        eu(?=r) ɜɹ
        eu ɜ
        oin wæn
        oi[estx]*$ wɑ
        oi wɑ
        oy wɑj
        ou[xst]*$ u
        ou u
        ai[nm](?![aeiouyéèên]) æn
        ei[nm](?![aeiouyéèên]) æn
        ai[est]*$ A
        ai ɛ
        ei ɛ
        ien(?![aeiouynm]) jæn
        en(?=t?s?$) ɑn
        [ae][nm](?![aeiouyéèêhnm]) ɑn
        i[nm](?![aeiouyéèêhnm]) æn
        y[nm](?![aeiouyéèêhnm]) æn
        o[nm](?![aeiouyéèêhnm]) ɔn
        u[nm](?![aeiouyéèêhnm]) ʌn
        ill(?=[aeiouyé]) ij
        (?<=[aeou])ill?es?$ j
        (?<=[aeou])il$ j
        gn nj
        ch ʃ
        ph f
        th t
        qu?u k
        q k
        gu(?=[eiyé]) ɡ
        ge(?=[aou]) ʒ
        g(?=[eiyé]) ʒ
        gg ɡ
        g ɡ
        c(?=[eiyéè]) s
        ç s
        cc?k? k
        j ʒ
        ss s
        (?<=[aeiouyé])s(?=[aeiouyé]) z
        ez$ A
        er$ A
        ers$ A
        et$ A
        ets$ A
        és?$ A
        ée?s?$ A
        é A
        [èêë] ɛ
        es$ -
        (?<=^.)e$ ə
        (?<=^..)e$ ə
        e$ -
        e(?=[^aeiouyé][aeiouyé]) ə
        e ɛ
        [àâa] ɑ
        [ôo] O
        [îïiy](?=[aeoué]) j
        [îïiy] i
        [ûùüu] u
        rr?d$ ɹ
        rr?ts?$ ɹ
        (?<=[aeiouyéèêln])[tdpxszg]+$ -
        rr? ɹ
        ll? l
        nn? n
        mm? m
        tt? t
        dd? d
        ff? f
        pp? p
        b b
        v v
        w v
        x ks
        z z
        k k
        s s
        h -
        ' -
    """),
    "last",
)
_GERMAN = Spelling(
    _rules("""
        tsch ʧ
        sch ʃ
        chs ks
        (?<=[aou])ch k
        ch k
        ck k
        ph f
        pf pf
        qu kv
        st(?<=^st) ʃt
        sp(?<=^sp) ʃp
        tz ts
        z ts
        ss s
        ß s
        s(?=[aeiouäöü]) z
        s s
        v f
        w v
        j j
        ieh? i
        eih? I
        ai I
        eu Y
        äu Y
        auh? W
        eeh? A
        ä ɛ
        öh? ɜɹ
        üh? u
        oo O
        aa ɑ
        ah ɑ
        oh O
        uh u
        eh A
        ih i
        er$ əɹ
        en$ ən
        el$ ᵊl
        e$ ə
        e(?=[^aeiouäöü][aeiouäöü]) A
        e ɛ
        a ɑ
        o(?=[^aeiouäöü](?:[aeiouäöü]|$)) O
        o ɔ
        i ɪ
        u(?=[^aeiouäöü](?:[aeiouäöü]|$)) u
        u ʊ
        y i
        dt t
        d$ t
        b$ p
        ig$ ɪɡ
        gg? ɡ
        rr? ɹ
        ll? l
        nng? n
        ng ŋ
        n n
        mm? m
        tth? t
        th t
        t t
        dd? d
        ff? f
        pp? p
        bb? b
        kk? k
        c k
        x ks
        h h
        ' -
    """),
    "first",
)
_SPANISH = Spelling(
    _rules("""
        ch ʧ
        ll j
        rr ɹ
        ñ nj
        qu k
        gü(?=[ei]) ɡw
        gu(?=[ei]) ɡ
        gu(?=[ao]) ɡw
        g(?=[eiéí]) h
        j h
        h -
        z s
        c(?=[eiéí]) s
        c k
        x ks
        v v
        y$ i
        y j
        ai I
        au W
        ei A
        ie jɛ
        ue wA
        ia jɑ
        io jO
        ua wɑ
        uí wi
        ui wi
        [aá] ɑ
        [eé] A
        [ií] i
        [oó] O
        [uúü] u
        b b
        d d
        f f
        g ɡ
        k k
        l l
        m m
        n n
        p p
        r ɹ
        s s
        t t
        w w
        ' -
    """),
    "spanish",
)
_ITALIAN = Spelling(
    _rules("""
        gli(?=[aeou]) lj
        gli lji
        gn nj
        sch sk
        sci(?=[aeou]) ʃ
        sc(?=[ei]) ʃ
        cci(?=[aou]) ʧ
        ci(?=[aou]) ʧ
        cc(?=[ei]) ʧ
        c(?=[ei]) ʧ
        ch k
        cc? k
        ggi(?=[aou]) ʤ
        gi(?=[aou]) ʤ
        gg(?=[ei]) ʤ
        g(?=[ei]) ʤ
        gh ɡ
        gg? ɡ
        qu kw
        zz ts
        z ts
        ss s
        (?<=[aeiou])s(?=[aeiou]) z
        s s
        h -
        j j
        ia jɑ
        io jO
        ai I
        au W
        [aà] ɑ
        [eèé] A
        [iì] i
        [oòó] O
        [uù] u
        bb? b
        dd? d
        ff? f
        k k
        ll? l
        mm? m
        nn? n
        pp? p
        rr? ɹ
        tt? t
        vv? v
        w v
        x ks
        y i
        ' -
    """),
    "penult",
)
SPELLINGS = {"fr": _FRENCH, "de": _GERMAN, "es": _SPANISH, "it": _ITALIAN}

_CUES = {
    "fr": re.compile(
        r"eau|eux$|oi[sxrt]?e?$|[ao]ult$|ç|œ|[èêëîïôâûù]|é|ée$|ille$|ette$|elle$|ois|aud$|ard$|ieux|gny|quet|igne|ière$|^d'|^l'|ssier$|^le[A-Zv]"
    ),
    "de": re.compile(
        r"sch|ß|[äöü]|tz|stein$|berg$|wald$|mann$|heim$|burg$|bach$|dorf$|^kn|ücke|eich|krie"
    ),
    "es": re.compile(r"ñ|(?:gu|n|d|r|l|m)ez$|[áíóú]|illa?o?s?$|^gua|^que|ientes$|ero$|ador$"),
    "it": re.compile(
        r"[ie]ni$|elli$|ell[ao]$|[ei]tt[io]$|cci|zz[aio]|gli|ucci|acchi|occhi|ghi$|ino$|ardo$|ò$"
    ),
}
"""Spellings that give a name's language away."""


def language_of(word: str) -> str | None:
    """Return the language that a name's spelling gives away ("fr", "de", "es", "it"), or None."""
    lowered = word.lower()
    return next((tag for tag, cue in _CUES.items() if cue.search(lowered)), None)


@lru_cache(maxsize=REMEMBERED_WORDS)
def known_name(word: str) -> Phonemes | None:
    """Return the phonemes of a foreign name or word that is in every narrator's ear."""
    notation = _NAMES.get(word.lower())
    return parse_ipa(notation) if notation else None


@lru_cache(maxsize=REMEMBERED_WORDS)
def common_word(word: str, tag: str) -> Phonemes | None:
    """Return the phonemes of a small word of a marked language, None where it is no such word."""
    notation = _COMMON.get(tag.split("-")[0].lower(), {}).get(word.lower())
    return parse_ipa(notation) if notation else None


@lru_cache(maxsize=REMEMBERED_WORDS)
def read_foreign(word: str, tag: str) -> Phonemes | None:
    """Return the phonemes of a word by the rules of a language, None where there are none for it."""
    spelling = SPELLINGS.get(tag.split("-")[0].lower())
    if spelling is None:
        return None
    lowered = unicodedata.normalize("NFC", word.lower())
    sounds: list[str] = []
    accented: int | None = None
    i = 0
    while i < len(lowered):
        for pattern, value in spelling.rules:
            if (match := pattern.match(lowered, i)) and match.end() > i:
                if re.search("[áéíóúàèìòù]", match.group()) and spelling.stress in (
                    "spanish",
                    "penult",
                ):
                    accented = len(sounds)
                sounds.append(value)
                i = match.end()
                break
        else:
            i += 1
    return _stress("".join(sounds), sounds, accented, spelling.stress, lowered)


_VOWEL = re.compile("[AIOWYæɑɔəɛɜɪiʊuʌᵻᵊ]")


def _stress(
    text: str, sounds: list[str], accented: int | None, where: str, word: str
) -> Phonemes | None:
    vowels = [m.start() for m in _VOWEL.finditer(text)]
    if not vowels:
        return None
    strong = [v for v in vowels if text[v] not in "əᵊ"] or vowels
    if accented is not None:
        before = len("".join(sounds[:accented]))
        head = next((v for v in vowels if v >= before), vowels[-1])
    elif where == "first":
        head = strong[0]
    elif where == "last":
        head = strong[-1]
    elif where == "spanish" and word[-1] not in "aeiouns":
        head = vowels[-1]
    else:
        head = vowels[-2] if len(vowels) > 1 else vowels[-1]
    return parse_ipa(text[:head] + "ˈ" + text[head:])
