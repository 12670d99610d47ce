"""Pass or fail on words: sentences missing or doubled, and single words not read as printed."""

from collections.abc import Sequence

from qa.findings import Finding, Question, Spans, Verdict
from qa.places import Stretch, Suspect
from qa.thresholds import Thresholds


def judge_words(
    missing: Sequence[Stretch],
    doubled: Sequence[Stretch],
    suspects: Sequence[Suspect],
    limits: Thresholds,
) -> list[Finding]:
    """Judge what was probably not read as printed.

    Parameters
    ----------
    missing, doubled : sentences not heard, and runs heard again
    suspects : places where transcript and text part, those that learned confusions explain left out
    limits : thresholds
    """
    wrong = [s for s in suspects if _is_wrong(s, limits)]
    findings = [_missing(s, wrong, limits) for s in missing]
    findings += [_doubled(s) for s in doubled]
    explained = {s.sentence for s in missing}
    findings += [
        _word_finding(suspect, limits)
        for suspect in wrong
        if suspect.sentence not in explained and not _in_doubled(suspect, doubled)
    ]
    return [f for f in findings if f is not None]


def _is_wrong(suspect: Suspect, limits: Thresholds) -> bool:
    """Tell whether the narrator, not the recogniser, departs from the text."""
    if not suspect.confirmed:
        return False
    if suspect.unspoken_share is not None:
        return suspect.unspoken_share > limits.unspoken_share_most
    return _doubt(suspect) > limits.word_doubt_most_nats


def _doubt(suspect: Suspect) -> float:
    """Doubt, weighed by how unlike the two sound: what sounds alike is seldom the narrator's mistake."""
    return suspect.doubt_nats * suspect.phone_distance


def judge_loops(loops: Spans) -> list[Finding]:
    """Call stretches inconclusive in which the recogniser kept repeating itself."""
    reason = "the recogniser repeats itself here: its words say nothing"
    return [
        Finding(Question.WORDS, "loop", Verdict.INCONCLUSIVE, reason, a, b, b - a, 0.0, "s")
        for a, b in loops
    ]


def without_text(duration_s: float) -> Finding:
    """Say that the words of a recording were not judged."""
    reason = "its words were not judged: no text was given"
    return Finding(
        Question.WORDS, "no_text", Verdict.INCONCLUSIVE, reason, 0.0, duration_s, 0.0, 1.0, "texts"
    )


def _missing(stretch: Stretch, wrong: Sequence[Suspect], limits: Thresholds) -> Finding | None:
    """Report a missing sentence unless the sound supports its words after all."""
    inside = [s for s in wrong if s.sentence == stretch.sentence]
    if not inside:
        return None
    share = max((s.unspoken_share for s in inside if s.unspoken_share is not None), default=1.0)
    reason = f"a sentence is missing: {_short(stretch.text)}"
    return _finding(
        "missing", reason, stretch, share, limits.unspoken_share_most, "share of its time"
    )


def _doubled(stretch: Stretch) -> Finding:
    words = float(len(stretch.text.split()))
    return _finding("doubled", f"read twice: {_short(stretch.text)}", stretch, words, 0.0, "words")


def _in_doubled(suspect: Suspect, doubled: Sequence[Stretch]) -> bool:
    return any(
        d.start_s - 0.5 <= suspect.start_s and suspect.end_s <= d.end_s + 0.5 for d in doubled
    )


def _word_finding(suspect: Suspect, limits: Thresholds) -> Finding:
    if not suspect.heard:
        check, reason = "omission", f"left out: {_short(suspect.expected)}"
    elif not suspect.expected:
        check, reason = "insertion", f"not in the text: {_short(suspect.heard)}"
    else:
        check = "substitution"
        reason = f"{_short(suspect.heard)} instead of {_short(suspect.expected)}"
    return _finding(check, reason, suspect, _doubt(suspect), limits.word_doubt_most_nats, "nats")


def _finding(
    check: str, reason: str, place: Stretch | Suspect, value: float, limit: float, unit: str
) -> Finding:
    """Make a finding of a place, which gets some extent so that it can be listened to."""
    start_s, end_s = place.start_s, place.end_s
    if end_s - start_s < 0.2:
        start_s, end_s = max(0.0, start_s - 0.1), end_s + 0.1
    return Finding(Question.WORDS, check, Verdict.FAIL, reason, start_s, end_s, value, limit, unit)


def _short(text: str, most: int = 60) -> str:
    return f"“{text}”" if len(text) <= most else f"“{text[:most].rsplit(' ', 1)[0]} …”"
