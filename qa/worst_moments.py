"""Where a reviewer should listen first: findings put together by place, in the order of their gravity."""

from collections.abc import Iterator, Sequence

from qa.book_report import BookReport, ChapterEntry, Moment, thresholds_of
from qa.findings import Finding, Verdict

_GRAVITY = {
    "missing": 6.0, "doubled": 6.0, "speaker": 6.0, "narrator": 6.0, "prompt": 5.0, "omission": 4.0,
    "insertion": 4.0, "substitution": 4.0, "dead_air": 3.0, "click": 3.0, "clipping": 3.0, "noise": 3.0,
    "pitch": 3.0, "book_pitch": 3.0, "drift": 2.5, "tempo": 2.5, "book_tempo": 2.5, "dnsmos": 2.0,
    "joints": 2.0, "hum": 2.0, "dc": 1.0,
}  # fmt: skip
"""How much a listener would mind: first what changes the book's words or its narrator, then what is ugly."""

_OTHER_GRAVITY = 1.5
_FAILED = 10.0
"""What a failure weighs over what could not be judged; places that passed weigh under 1."""
_TOGETHER_S = 1.0  # findings this near are one place to listen to
_LONGEST_S = 30.0
_WHOLE_SHARE = 0.9  # a finding over so much of a chapter is of the chapter, not of a place
_EXCERPT_S = 9.01
_WINDOW_S = 3.0


def worst_moments(report: BookReport, n: int = 20) -> list[Moment]:
    """Give the places a reviewer should hear first, the worst first.

    What failed stands before what could not be judged; where little was found, the places nearest to failing
    follow: the windows least like the narrator and the excerpts that sound least natural.

    Parameters
    ----------
    report : of the book
    n : how many at most
    """
    moments = [m for chapter in report.chapters for m in _found(chapter)]
    for entry in report.findings:
        number = entry.chapter if entry.chapter is not None else report.chapters[0].number
        moments.append(_moment(number, [entry.finding()]))
    moments.sort(key=lambda m: -m.severity)
    if len(moments) < n:
        nearest = [m for chapter in report.chapters for m in _nearest_to_failing(chapter)]
        nearest.sort(key=lambda m: -m.severity)
        for moment in nearest:
            if len(moments) < n and not any(_overlap(moment, other) for other in moments):
                moments.append(moment)
    return moments[:n]


def _overlap(one: Moment, other: Moment) -> bool:
    apart = one.end_s <= other.start_s or other.end_s <= one.start_s
    return one.chapter == other.chapter and not apart


def _found(chapter: ChapterEntry) -> Iterator[Moment]:
    """Put findings that overlap or nearly touch together, those of the whole chapter apart."""
    placed: list[Finding] = []
    for entry in chapter.report.findings:
        finding = entry.finding()
        wide = finding.end_s - finding.start_s > _WHOLE_SHARE * chapter.duration_s
        if wide or not finding.is_placed:
            yield _moment(chapter.number, [finding])
        else:
            placed.append(finding)
    group: list[Finding] = []
    for finding in sorted(placed, key=lambda f: f.start_s):
        reach_s = max((f.end_s for f in group), default=-_TOGETHER_S)
        fits = group and finding.end_s - group[0].start_s <= _LONGEST_S
        if group and not (fits and finding.start_s <= reach_s + _TOGETHER_S):
            yield _moment(chapter.number, group)
            group = []
        group = [*group, finding]
    if group:
        yield _moment(chapter.number, group)


def _moment(chapter: int, findings: Sequence[Finding]) -> Moment:
    ranked = sorted(findings, key=_severity, reverse=True)
    return Moment(
        chapter=chapter,
        start_s=min(f.start_s for f in findings),
        end_s=max(f.end_s for f in findings),
        verdict=ranked[0].verdict,
        reasons=[f.reason for f in ranked],
        severity=_severity(ranked[0]) + 0.1 * (len(ranked) - 1),
    )


def _severity(finding: Finding) -> float:
    """Weigh a finding: its kind, and how far it is over its limit."""
    excess = abs(finding.value - finding.limit) / max(abs(finding.limit), 1e-3)
    weight = _GRAVITY.get(finding.check, _OTHER_GRAVITY) * (1 + min(1.0, excess) / 2)
    return weight + (_FAILED if finding.verdict is Verdict.FAIL else 0.0)


def _nearest_to_failing(chapter: ChapterEntry) -> Iterator[Moment]:
    """Give the lowest places of the curves, weighed by how much of the way to failing they have gone."""
    report, limits = chapter.report, thresholds_of(chapter.report)
    if report.voice:
        spoken = [
            None if s is None or s < limits.voice_speech_share_least else v
            for s, v in zip(report.voice.speech_share, report.voice.to_median, strict=True)
        ]
        reason = "nothing failed; of all, the voice is least like the rest here ({:.2f})"
        curve = (report.voice.centre_s, spoken, limits.voice_similarity_least, _WINDOW_S, reason)
        yield from _lowest(chapter, *curve)
    if report.naturalness:
        part = report.naturalness
        reason = "nothing failed; of all, it sounds least natural here (DNSMOS {:.1f})"
        curve = (part.centre_s, part.overall, limits.naturalness_least, _EXCERPT_S, reason)
        yield from _lowest(chapter, *curve)


def _lowest(
    chapter: ChapterEntry,
    centre_s: Sequence[float | None],
    values: Sequence[float | None],
    limit: float,
    span_s: float,
    reason: str,
    most: int = 3,
) -> Iterator[Moment]:
    """Give the lowest points of a curve that lie apart from each other."""
    points = zip(values, centre_s, strict=True)
    known = sorted((v, t) for v, t in points if v is not None and t is not None)
    if not known:
        return
    usual = known[len(known) // 2][0]
    taken: list[float] = []
    for value, time_s in known:
        if len(taken) == most or value >= usual or value < limit:
            continue
        if any(abs(time_s - other) < 2 * span_s for other in taken):
            continue
        taken.append(time_s)
        yield Moment(
            chapter=chapter.number,
            start_s=max(0.0, time_s - span_s / 2),
            end_s=min(chapter.duration_s, time_s + span_s / 2),
            verdict=Verdict.PASS,
            reasons=[reason.format(value)],
            severity=min(0.99, (usual - value) / max(usual - limit, 1e-3)),
        )
