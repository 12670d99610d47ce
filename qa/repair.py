"""Repair: when a window is read again, when to stop, and which take is kept, as data one can look up later.

Pure functions; whoever narrates measures the takes (`qa.takes`) and does what is decided here. Only failures
are read again: what is inconclusive is shown to a person. Voice and words of a take are judged by measures
that may choose; what proves the book chooses nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from qa.takes import TakeScore
from qa.thresholds import Thresholds

MAX_TAKES = 4
"""The first reading and three more; beyond, a fault is likely to be in the text or the voice."""


class Action(StrEnum):
    """What to do with a window."""

    ACCEPT = "accept"
    AGAIN = "again"
    KEEP_BEST = "keep best"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on a window, and why.

    Attributes
    ----------
    action : accept the last take, read it again, or keep the best of all
    take : number of the take that is kept, from 1; None while another is awaited
    reason : in words
    scores : of all takes, in order
    """

    action: Action
    take: int | None
    reason: str
    scores: tuple[TakeScore, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


def faults(score: TakeScore, limits: Thresholds) -> tuple[str, ...]:
    """Say what is wrong with a take by the measures that may choose; empty where it passes."""
    found = list(score.faults)
    if score.word_error_rate > limits.take_word_errors_most:
        found.insert(0, f"{score.word_errors} of {score.words} words differ")
    if score.similarity is not None and score.similarity < limits.take_similarity_least:
        found.append(f"it sounds unlike the voice ({score.similarity:.2f})")
    return tuple(found)


def decide(
    scores: Sequence[TakeScore], limits: Thresholds, most_takes: int = MAX_TAKES
) -> Decision:
    """Decide what to do with a window after its last take was measured.

    Parameters
    ----------
    scores : of all takes so far, the last one last
    limits : thresholds
    most_takes : how many are read before the best is kept

    Raises
    ------
    ValueError
        If there is no take.
    """
    if not scores:
        raise ValueError("a window is decided on after its first take")
    kept, number = tuple(scores), len(scores)
    wrong = faults(scores[-1], limits)
    if not wrong:
        reason = "nothing is wrong with it" if number == 1 else f"take {number} has no fault left"
        return Decision(Action.ACCEPT, number, reason, kept)
    if number < most_takes:
        return Decision(Action.AGAIN, None, "; ".join(wrong), kept)
    best = min(range(number), key=lambda k: _badness(scores[k], limits))
    left = "; ".join(faults(scores[best], limits))
    reason = f"take {best + 1} of {number} is the best, with faults: {left}"
    return Decision(Action.KEEP_BEST, best + 1, reason, kept)


def _badness(score: TakeScore, limits: Thresholds) -> tuple[float, int, float]:
    """Order takes: the fewest wrong words, then the fewest other faults, then the likest voice.

    A voice that fails weighs as much as a tenth of the words.
    """
    other = score.similarity is not None and score.similarity < limits.take_similarity_least
    words = score.word_error_rate + (0.1 if other else 0.0)
    return words, len(score.faults), -(score.similarity if score.similarity is not None else 0.0)
