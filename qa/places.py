"""Places where a transcript and its text part, and the recogniser's habits that explain some of them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

_LEARN_AFTER = 2  # the same mishearing in so many sentences is the recogniser's
_LEARN_SHARE = 0.5

Confusion = tuple[str, str]
"""(what the text says, what the recogniser hears), both in comparison form."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of words that is missing or was said again."""

    sentence: int
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """A place where something else may have been said than the text.

    Attributes
    ----------
    expected, heard : comparison forms, words joined by spaces; "" where nothing was
    sentence : index of the sentence
    start_s, end_s : where
    doubt_nats : how much more the sound supports what was heard than what is printed
    phone_distance : edit distance of the two in phones, 0 (they sound alike) to 1
    confirmed : whether it was not as printed either when it was heard a second time, cut otherwise
    unspoken_share : for words left out: the share of their time that is not there, about 0 when they were
        spoken and the recogniser passed over them, about 1 when they were not; None for a few words
    """

    expected: str
    heard: str
    sentence: int
    start_s: float
    end_s: float
    doubt_nats: float
    phone_distance: float
    confirmed: bool = True
    unspoken_share: float | None = None


@dataclass(frozen=True, slots=True)
class Misheard:
    """How often a word was heard as one other word.

    Attributes
    ----------
    expected, heard : comparison forms
    places : sentences in which it happened
    stands : how often the word stands in the text
    """

    expected: str
    heard: str
    places: int
    stands: int


def learn_confusions(misheard: Iterable[Misheard]) -> frozenset[Confusion]:
    """Words that the recogniser, not the narrator, gets wrong in this book.

    A word heard as the same other word in two sentences or more, and in at least half of the places
    where it stands, is spelt differently by the recogniser (names, above all).

    Parameters
    ----------
    misheard : of the chapters of one book, each chapter counted by itself
    """
    places: Counter[Confusion] = Counter()
    stands: dict[Confusion, int] = defaultdict(int)
    for one in misheard:
        places[one.expected, one.heard] += one.places
        stands[one.expected, one.heard] += one.stands
    return frozenset(
        pair
        for pair, where in places.items()
        if where >= _LEARN_AFTER and where >= _LEARN_SHARE * stands[pair]
    )


def unexplained(suspects: Sequence[Suspect], learned: Collection[Confusion]) -> list[Suspect]:
    """Leave out what the learned confusions explain, word by word."""

    def explained(suspect: Suspect) -> bool:
        expected, heard = suspect.expected.split(), suspect.heard.split()
        pairs = list(zip(expected, heard, strict=False))
        return len(expected) == len(heard) > 0 and all(pair in learned for pair in pairs)

    return [s for s in suspects if not explained(s)]
