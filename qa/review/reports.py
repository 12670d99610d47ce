"""What a page shows of a book's report: the moments to hear first, and curves over a chapter."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qa.book_report import BookReport, ChapterEntry, Moment, thresholds_of
from qa.findings import Verdict
from qa.worst_moments import worst_moments
from storage.listening import Stretches, heard_s

MOMENTS = 20
"""How many moments a page shows at least, whatever was found."""

MOST_MOMENTS = 200

POINTS = 500
"""Most points of a drawn curve: each is the lowest value of its stretch, so that no dip is lost."""

WIDTH, HEIGHT = 1000.0, 100.0
"""Of a curve's own coordinates."""

HEARD_SHARE, HEARD_S = 0.9, 60.0
"""A moment counts as heard after so much of it, or after a minute of one that is a whole chapter."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure over a chapter, ready to draw: `lines` are SVG polylines in a 1000 × 100 box.

    Attributes
    ----------
    name, unit : what it is
    limit : where a window begins to fail; `limit_y` in the box
    lowest, lowest_s : its lowest value, and where
    low, high : values at the bottom and the top of the box
    """

    name: str
    unit: str
    lines: list[str]
    limit: float
    limit_y: float
    lowest: float
    lowest_s: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Place:
    """A moment as a page lists it; `key` names it in a form."""

    key: str
    chapter: int
    chapter_title: str
    start_s: float
    end_s: float
    verdict: str
    reasons: list[str]
    heard: bool

    @property
    def failed(self) -> bool:
        """Whether QA failed it: an approval must accept it by name."""
        return self.verdict == Verdict.FAIL


def moments_of(report: BookReport) -> list[Moment]:
    """Return the moments to hear first: all that failed or could not be judged, and some more."""
    found = worst_moments(report, MOST_MOMENTS)
    judged = sum(moment.verdict is not Verdict.PASS for moment in found)
    return found[: max(MOMENTS, judged)]


def key_of(moment: Moment) -> str:
    """Return a moment's name in forms: stable for one report."""
    return f"{moment.chapter}-{moment.start_s:.2f}-{moment.end_s:.2f}"


def is_heard(moment: Moment, stretches: Stretches) -> bool:
    """Tell whether enough of a moment was heard."""
    wanted_s = min(HEARD_S, HEARD_SHARE * (moment.end_s - moment.start_s))
    return heard_s(stretches, moment.start_s, moment.end_s) >= wanted_s


def curves_of(chapter: ChapterEntry) -> list[Curve]:
    """Return the curves of a chapter that its report has: likeness to the narrator, naturalness."""
    report, limits = chapter.report, thresholds_of(chapter.report)
    curves = []
    if report.voice:
        voice = report.voice
        likeness = [
            None if share is None or share < limits.voice_speech_share_least else value
            for share, value in zip(voice.speech_share, voice.to_median, strict=True)
        ]
        points = _known(voice.centre_s, likeness)
        least = limits.voice_similarity_least
        curves += _curve("Narrator", "cosine", points, least, (0.5, 1.0), chapter.duration_s)
    if report.naturalness:
        part = report.naturalness
        points = _known(part.centre_s, part.overall)
        least = limits.naturalness_least
        curves += _curve("Naturalness", "DNSMOS", points, least, (1.0, 4.5), chapter.duration_s)
    return curves


Points = list[tuple[float, float]]


def _known(times: Sequence[float | None], values: Iterable[float | None]) -> Points:
    return [
        (time, value)
        for time, value in zip(times, values, strict=True)
        if time is not None and value is not None
    ]


def _curve(
    name: str, unit: str, points: Points, limit: float, span: tuple[float, float], duration_s: float
) -> list[Curve]:
    if not points or duration_s <= 0:
        return []
    lowest_s, lowest = min(points, key=lambda point: point[1])
    low, high = min(span[0], lowest), max(span[1], max(value for _, value in points))

    def y(value: float) -> float:
        return round(HEIGHT * (high - value) / (high - low), 1)

    usual_step = sorted(b[0] - a[0] for a, b in pairwise(points)) or [0.0]
    gap_s = 4 * max(usual_step[len(usual_step) // 2], duration_s / POINTS)
    lines: list[list[str]] = [[]]
    before = None
    for time, value in _thinned(points):
        if before is not None and time - before > gap_s:
            lines.append([])
        lines[-1].append(f"{round(WIDTH * time / duration_s, 1)},{y(value)}")
        before = time
    drawn = [" ".join(line) for line in lines]
    return [Curve(name, unit, drawn, limit, y(limit), lowest, lowest_s, low, high)]


def _thinned(points: Points) -> Points:
    size = -(-len(points) // POINTS)
    stretches = (points[start : start + size] for start in range(0, len(points), size))
    return [min(stretch, key=lambda point: point[1]) for stretch in stretches]
