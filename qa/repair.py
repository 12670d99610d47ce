"""Repair: which windows get new takes, when to stop, and which take is kept, as data one can look up later.

Pure functions; whoever narrates measures the takes (`qa.takes`) and does what is decided here. Only failures
are read again: what is inconclusive is shown to a person. Voice and words of a take are judged by measures
that may choose; what proves the book chooses nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from qa.findings import Finding, Question, Verdict
from qa.report import Report
from qa.takes import TakeScore
from qa.thresholds import Thresholds

MAX_TAKES = 4
"""The first reading and three more; beyond, a fault is likely to be in the text or the voice."""

_CURABLE = frozenset({Question.VOICE, Question.WORDS, Question.NATURALNESS, Question.SIGNAL})
_OF_THE_CHAIN = frozenset({"hum", "dc", "level", "drift", "prompt", "joints"})
"""Checks whose cause is the voice, the mastering or the chapter as a whole: no new take cures them."""


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


def failing_windows(report: Report) -> dict[int, list[str]]:
    """Find the windows of a chapter that a new take may cure, with the reasons.

    Returns
    -------
    Reasons by index of the window, in order; a failure over several windows counts for each that it
    covers for a second or by half its length.
    """
    found: dict[int, list[str]] = {}
    for entry in report.findings:
        finding = entry.finding()
        if not _is_curable(finding):
            continue
        for k, window in enumerate(report.windows):
            shared_s = min(finding.end_s, window.end_s) - max(finding.start_s, window.start_s)
            if shared_s >= min(1.0, (finding.end_s - finding.start_s) / 2):
                found.setdefault(k, []).append(finding.reason)
    return dict(sorted(found.items()))


def _is_curable(finding: Finding) -> bool:
    failed = finding.verdict is Verdict.FAIL and finding.is_placed
    return failed and finding.question in _CURABLE and finding.check not in _OF_THE_CHAIN


def touched_joints(replaced: Collection[int], windows: int) -> list[int]:
    """Joints to be judged again after windows were replaced; joint k lies between windows k and k + 1."""
    sides = {joint for k in replaced for joint in (k - 1, k)}
    return sorted(joint for joint in sides if 0 <= joint < windows - 1)


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
