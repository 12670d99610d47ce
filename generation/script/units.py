"""The unit inventory: every phoneme (vowels by stress) and every pause that SpeechSSM can be asked to read.

The order is frozen: weights are trained on these indices. General American phonemes in the notation of the
misaki lexicons, with two changes: the r-coloured vowels are single units (ɝ, ɚ), and stress is a digit on
the vowel. A pause is a unit too: its kind says what ends there.
"""

from dataclasses import dataclass
from enum import StrEnum

from generation.manuscript.book import Place

VOWELS = (
    "A", "I", "O", "W", "Y", "æ", "ɑ", "ɔ", "ə", "ɛ", "ɝ", "ɚ", "ɪ", "i", "ʊ", "u", "ʌ", "ᵻ", "ᵊ",
)  # fmt: skip
"""A eɪ, I aɪ, O oʊ, W aʊ, Y ɔɪ as in the misaki lexicons; ɝ as in nurse, ɚ as in letter."""

CONSONANTS = (
    "b", "d", "f", "h", "j", "k", "l", "m", "n", "p", "s", "t", "v", "w", "z",
    "ɡ", "ŋ", "ɹ", "ɾ", "ʃ", "ʒ", "ʤ", "ʧ", "θ", "ð", "ʔ", "x",
)  # fmt: skip


class Pause(StrEnum):
    """What ends at a pause; it decides the melody before it and the silence after."""

    COMMA = ","
    SEMICOLON = ";"
    COLON = ":"
    DASH = "—"
    ELLIPSIS = "…"
    PERIOD = "."
    QUESTION = "?"
    EXCLAMATION = "!"
    OPEN = "("  # an opening bracket or quotation mark after text
    PARAGRAPH = "¶"
    HEADING = "#"  # after a heading
    SCENE = "§"
    CHAPTER = "∎"  # after a chapter's last word


SENTENCE_PAUSES = frozenset({Pause.PERIOD, Pause.QUESTION, Pause.EXCLAMATION})
BREAK_PAUSES = frozenset({Pause.PARAGRAPH, Pause.HEADING, Pause.SCENE, Pause.CHAPTER})

PADDING = "_"

SYMBOLS: tuple[str, ...] = (
    PADDING,
    *(f"{vowel}{stress}" for vowel in VOWELS for stress in (0, 1, 2)),
    *CONSONANTS,
    *(pause.value for pause in Pause),
)
"""All units by index; 0 is padding."""

INDEX: dict[str, int] = {symbol: i for i, symbol in enumerate(SYMBOLS)}
PAUSE_INDICES = frozenset(INDEX[p.value] for p in Pause)
SENTENCE_INDICES = frozenset(INDEX[p.value] for p in SENTENCE_PAUSES)
BREAK_INDICES = frozenset(INDEX[p.value] for p in BREAK_PAUSES)


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to say: a phoneme or a pause.

    `word` is the index of its word in the script, -1 for a pause; `word_start` marks the first phoneme of a
    spoken word (a printed word may be read as several).
    """

    symbol: str
    word: int = -1
    word_start: bool = False

    @property
    def index(self) -> int:
        """Index in the inventory."""
        return INDEX[self.symbol]


@dataclass(frozen=True, slots=True)
class Word:
    """A word as printed, what is said for it, and where it stands.

    `spoken` may be several words ("eighteen sixty nine"), parted by spaces; each starts with a unit marked
    `word_start`. `guessed`: no lexicon or rule knew it, so its phonemes are a guess.
    """

    text: str
    spoken: str
    place: Place
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A chapter ready to be read: units in order and the words they belong to."""

    title: str
    units: tuple[Unit, ...]
    words: tuple[Word, ...]
