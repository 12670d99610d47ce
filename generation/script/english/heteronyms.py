"""Words spelled alike and said differently, told apart by their tag and their neighbours.

The misaki lexicons part most of them by part of speech; what they lack, or what needs a neighbour (a bow of
the head, a bow and arrow), stands here. Notation is theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from generation.script.english.rules import word_set
from generation.script.english.tags import parent

_MODALS = word_set(
    """
    will would shall should can could may might must cannot i'll you'll we'll they'll
    he'll she'll
    """
)


@dataclass(frozen=True, slots=True)
class Context:
    """A word's place in its sentence: lower-case words and Penn tags of the whole sentence, and its index."""

    words: Sequence[str]
    tags: Sequence[str]
    at: int
    capital: bool

    @property
    def tag(self) -> str:
        """The word's own Penn tag."""
        return self.tags[self.at]

    @property
    def parent(self) -> str:
        """The class of the word's tag (NOUN, VERB, ADJ, ADV); what follows a modal is a verb."""
        if self.word(-1) in _MODALS or self.word(-1).endswith("n't"):
            return "VERB"
        return parent(self.tag)

    def word(self, offset: int) -> str:
        """Return the word that many places away, "" outside of the sentence."""
        at = self.at + offset
        return self.words[at] if 0 <= at < len(self.words) else ""

    def tag_at(self, offset: int) -> str:
        """Return the tag that many places away, "" outside of the sentence."""
        at = self.at + offset
        return self.tags[at] if 0 <= at < len(self.tags) else ""

    def near(self, words: frozenset[str], reach: int = 4) -> bool:
        """Whether one of `words` stands within `reach` places."""
        around = self.words[max(0, self.at - reach) : self.at + reach + 1]
        return not words.isdisjoint(around)

    @property
    def before_noun(self) -> bool:
        """Whether a noun follows, perhaps behind adjectives."""
        for offset in (1, 2):
            tag = self.tag_at(offset)
            if tag.startswith("NN"):
                return True
            if not tag.startswith("JJ"):
                return False
        return False


Choice = Callable[[Context], str | None]
_AUXILIARIES = word_set(
    """
    to do does did don't doesn't didn't will would shall should can could may might must let
    won't wouldn't can't couldn't shan't cannot 'll not i'll you'll we'll they'll he'll
    she'll
    """
)
_PAUSED = frozenset(["", ",", ".", ";", ":", "?", "!"])
_NEARBY = word_set("to by at upon beside behind together up on in as")
_EXAMINED = word_set(
    "detail details inspection examination description attention care account particulars"
)
_BIDDING = word_set("pray please kindly")
_HABIT = word_set("always often never usually every generally sometimes")
_DETERMINERS = word_set(
    "a an the this that his her my your our their its some any no each every of"
)
_BE = word_set("be is are was were been being am 's 're 'm isn't wasn't weren't aren't")
_ARCHERY = word_set(
    """
    arrow arrows string strings violin fiddle ribbon ribbons tie archer archers quiver yew window
    windows street knot cross
    """
)
_METAL = word_set(
    """
    pipe pipes pencil pencils roof roofing poisoning bullet bullets weight weights coffin mine mines
    paint foil piping shot
    """
)
_FISH = word_set("fish perch catfish caught catch lake bait fishing trout pike river")
_QUARREL = word_set("kick kicked kicking make making made such having had devil noise")


def _read(context: Context) -> str:
    if (context.tag == "NN" and context.word(-1) in _DETERMINERS) or context.word(
        -1
    ) in _AUXILIARIES | _BIDDING:
        return "ɹˈid"
    if context.tag == "VB" and context.word(-2) in _AUXILIARIES:
        return "ɹˈid"
    if context.tag in ("VB", "VBP", "NN", "NNP"):
        return "ɹˈɛd" if _told_in_past(context) else "ɹˈid"
    return "ɹˈɛd"


def _told_in_past(context: Context) -> bool:
    """Whether a bare form is the past of a tale: a subject or another past verb stands before it."""
    if context.tag_at(-1) in ("PRP", "NNP", "NN", "NNS", "RB", "WP"):
        return not context.near(_HABIT, 3)
    return "VBD" in context.tags[: context.at]


def _lead(context: Context) -> str:
    ends = context.word(1) in ("", ",", ".", ";", ":", "?", "!", "and", "in", "or")
    turned = context.word(-1) == "to" and context.word(-2).startswith(("turn", "chang", "melt"))
    stuff = context.word(-1) in ("of", "as", "molten", "like", "with", "hot", "into")
    return "lˈɛd" if context.word(1) in _METAL or (ends and (turned or stuff)) else "lˈid"


def _bow(context: Context) -> str:
    return "bˈO" if context.near(_ARCHERY) and context.parent != "VERB" else "bˈW"


def _row(context: Context) -> str:
    quarrel = context.parent == "NOUN" and (
        context.word(1) in ("with", "about", "over", "between") or context.near(_QUARREL, 3)
    )
    return "ɹˈW" if quarrel and context.word(1) != "of" else "ɹˈO"


def _tear(context: Context) -> str:
    torn = context.parent == "VERB" or (context.word(-2) == "wear" and context.word(-1) == "and")
    rent = (
        context.parent == "NOUN"
        and context.word(1) == "in"
        and context.word(2) in ("the", "her", "his")
    )
    return "tˈɛɹ" if torn or rent else "tˈɪɹ"


def _tears(context: Context) -> str:
    torn = context.parent == "VERB" and context.word(-1) not in ("in", "of", "with", "the")
    return "tˈɛɹz" if torn else "tˈɪɹz"


def _dove(context: Context) -> str:
    dived = context.tag == "VBD" and context.word(1) in ("into", "in", "under", "for", "down")
    return "dˈOv" if dived else "dˈʌv"


def _wind(context: Context) -> str:
    turned = context.parent == "VERB" and context.word(-1) not in _DETERMINERS
    return "wˈInd" if turned else "wˈɪnd"


def _wound(context: Context) -> str:
    if context.tag in ("VBD", "VBN") and context.word(-1) not in (
        "a",
        "the",
        "to",
        "his",
        "her",
        "my",
    ):
        return "wˈWnd"
    return "wˈund"


def _close(context: Context) -> str:
    if context.parent == "VERB" and context.word(-1) in _AUXILIARIES | _PAUSED:
        return "klˈOz"
    if context.word(-1) in _PAUSED and context.word(1) in (
        "in",
        "the",
        "your",
        "that",
        "this",
        "it",
    ):
        return "klˈOz"
    if context.word(1) in _NEARBY:
        ended = context.parent == "NOUN" and context.word(-1) in ("the", "a", "its")
        return "klˈOz" if ended else "klˈOs"
    return "klˈOz" if context.parent in ("VERB", "NOUN") else "klˈOs"


def _use(context: Context) -> str:
    return "jˈus" if context.parent == "NOUN" and context.word(-1) != "to" else "jˈuz"


def _used(context: Context) -> str:
    if context.word(1) != "to":
        return "jˈuzd"
    means = context.word(-1) in _BE and context.tag_at(2) == "VB"
    return "jˈuzd" if means else "jˈust"


def _live(context: Context) -> str:
    return "lˈIv" if context.parent == "ADJ" and context.before_noun else "lˈɪv"


def _lives(context: Context) -> str:
    return "lˈɪvz" if context.parent == "VERB" and context.word(-1) not in _DETERMINERS else "lˈIvz"


def _minute(context: Context) -> str:
    if context.word(-1) in ("very", "so", "most", "too", "such", "more", "and"):
        return "mInˈut" if context.parent == "ADJ" or context.before_noun else "mˈɪnət"
    tiny = context.tag_at(1) == "NNS" or context.word(1) in _EXAMINED or context.parent == "ADJ"
    counted = context.word(-1) in (
        "a",
        "one",
        "another",
        "every",
        "each",
        "per",
        "last",
        "this",
        "next",
    )
    return (
        "mInˈut"
        if tiny and context.before_noun and not (counted and context.word(1) not in _EXAMINED)
        else "mˈɪnət"
    )


def _content(context: Context) -> str:
    return "kˈɑntɛnt" if context.parent == "NOUN" and context.word(1) == "of" else "kəntˈɛnt"


def _deserts(context: Context) -> str:
    earned = context.word(-1) in ("just", "his", "their", "her", "your", "our", "own", "my")
    return "dəzˈɜɹts" if earned or context.parent == "VERB" else "dˈɛzəɹts"


def _refuse(context: Context) -> str:
    return (
        "ɹˈɛfjˌus" if context.parent == "NOUN" or context.word(-1) in ("the", "of") else "ɹəfjˈuz"
    )


def _polish(context: Context) -> str:
    return "pˈOlɪʃ" if context.capital and context.at and context.parent != "VERB" else "pˈɑlɪʃ"


def _bass(context: Context) -> str:
    return "bˈæs" if context.near(_FISH, 12) else "bˈAs"


def _that(context: Context) -> str | None:
    if context.tag == "DT":
        return "ðˈæt" if not context.before_noun else "ðˌæt"
    return "ðæt"


def _there(context: Context) -> str | None:
    return (
        "ðɛɹ" if context.tag == "EX" or context.word(1) in ("is", "was", "are", "were") else "ðˈɛɹ"
    )


def _adjectival(adjective: str, verb: str) -> Choice:
    """Return a choice between the two-syllable adjective and the verb: blessed, learned, aged."""

    def choose(context: Context) -> str:
        noun_like = context.parent in ("ADJ", "NOUN") or (
            context.before_noun and context.word(-1) in _DETERMINERS
        )
        return (
            adjective if noun_like and (context.before_noun or context.parent == "NOUN") else verb
        )

    return choose


def _by_parent(default: str, **forms: str) -> Choice:
    """Return a choice by the class of the tag."""

    def choose(context: Context) -> str:
        return forms.get(context.parent, default)

    return choose


def _proper(name: str, common: str) -> Choice:
    """Return a choice between a proper name inside a sentence and the common word."""

    def choose(context: Context) -> str:
        return name if context.capital and context.word(-1)[:1].isalpha() else common

    return choose


def _does(context: Context) -> str:
    return (
        "dˈOz"
        if context.tag == "NNS" and context.word(-1) in ("the", "and", "two", "three", "of")
        else "dˈʌz"
    )


def _beloved(context: Context) -> str:
    participle = context.word(-1) in _BE | frozenset({"so", "well", "much"}) and context.word(
        1
    ) in ("by", "of", ".", ",", "")
    return "bəlˈʌvd" if participle else "bəlˈʌvᵻd"


CHOICES: dict[str, Choice] = {
    "read": _read, "lead": _lead, "bow": _bow, "row": _row, "tear": _tear, "wind": _wind, "wound": _wound,
    "close": _close, "use": _use, "used": _used, "live": _live, "lives": _lives, "minute": _minute,
    "content": _content, "deserts": _deserts, "refuse": _refuse, "polish": _polish,
    "bass": _bass, "that": _that,
    "there": _there, "does": _does, "beloved": _beloved,
    "bows": lambda c: _bow(c) + "z",
    "rows": lambda c: _row(c) + "z",
    "bowed": lambda c: "bˈOd" if c.word(1) in ("legs", "instrument", "strings") else "bˈWd",
    "bowing": lambda c: "bˈWɪŋ",
    "tears": _tears,
    "winds": lambda c: "wˈIndz" if c.tag == "VBZ" and c.word(-1) not in _DETERMINERS else "wˈɪndz",
    "closer": lambda c: "klˈOsəɹ",
    "closest": lambda c: "klˈOsəst",
    "uses": lambda c: "jˈusᵻz" if c.parent == "NOUN" else "jˈuzᵻz",
    "sow": _by_parent("sˈO", NOUN="sˈW"),
    "dove": _dove,
    "tarry": _by_parent("tˈæɹi", ADJ="tˈɑɹi"),
    "blessed": _adjectival("blˈɛsᵻd", "blˈɛst"),
    "learned": _adjectival("lˈɜɹnᵻd", "lˈɜɹnd"),
    "aged": _adjectival("ˈAʤᵻd", "ˈAʤd"),
    "cursed": _adjectival("kˈɜɹsᵻd", "kˈɜɹst"),
    "nice": _proper("nˈis", "nˈIs"),
    "reading": _proper("ɹˈɛdɪŋ", "ɹˈidɪŋ"),
    "august": _proper("ˈɔɡəst", "ɔɡˈʌst"),
    "job": lambda c: "ʤˈOb" if c.capital and c.word(-1) in ("of", "like", "as") else "ʤˈɑb",
}  # fmt: skip
"""Which pronunciation a word has in its context; what returns None is left to the lexicon."""
