"""What QA says: a question, a verdict with its reason in words, and where.

A failure says what is wrong, where and by how much. What is too short, too quiet or not applicable is
inconclusive: it is shown to a person and never redone by machine.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

Spans = Sequence[tuple[float, float]]


_OF_THE_WHOLE = frozenset({"no_text", "prompt"})


class Verdict(StrEnum):
    """What a measure decides."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Question(StrEnum):
    """What a measure asks."""

    VOICE = "voice"
    WORDS = "words"
    NATURALNESS = "naturalness"
    SIGNAL = "signal"
    SPEC = "spec"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    Attributes
    ----------
    question : which question it answers
    check : the measure, as a short name
    verdict : fail or inconclusive
    reason : what is wrong, in words
    start_s, end_s : where
    value, limit : what was measured and what it was held against, in `unit`
    """

    question: Question
    check: str
    verdict: Verdict
    reason: str
    start_s: float
    end_s: float
    value: float
    limit: float
    unit: str

    @property
    def is_placed(self) -> bool:
        """Tell whether it says something of the places it spans, not only of the recording as a whole."""
        return self.question is not Question.SPEC and self.check not in _OF_THE_WHOLE


def overall(findings: Iterable[Finding]) -> Verdict:
    """Give the verdict on the whole: fail before inconclusive before pass."""
    verdicts = {finding.verdict for finding in findings}
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS


def by_question(asked: Iterable[Question], findings: Iterable[Finding]) -> dict[Question, Verdict]:
    """Give the verdict on each question that was asked, in the order of `Question`."""
    found, put = list(findings), set(asked)
    return {q: overall(f for f in found if f.question is q) for q in Question if q in put}
