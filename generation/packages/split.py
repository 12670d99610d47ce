"""Cuts at pauses: a chapter too long for one file into parts, and the retail sample out of the first one.

A cut falls between two paragraphs, at a change of scene where one is near.
"""

from bisect import bisect_left
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from generation.manuscript.book import Chapter
from generation.mastering import spec
from generation.mastering.chapter import MasteredChapter
from generation.mastering.errors import MasteringError
from generation.mastering.excerpt import excerpt
from generation.mastering.times import ChapterTimes, WindowEntry, WordEntry
from generation.packages.edition import scene_starts
from generation.rates import DELIVERY_RATE_HZ

PART_MAX_S = spec.DURATION_MAX_S - 60.0
"""Longest part: the spec's 120 minutes, less room for the tone at its ends and for a margin."""

SAMPLE_MAX_S = 290.0
"""The retail sample: at most five minutes, with its tail."""

_SCENE_WORTH_S = 600.0
"""How far out of the way a change of scene is preferred to a mere paragraph."""


def parts(
    chapter: MasteredChapter, text: Chapter | None, folder: Path, limit_s: float = PART_MAX_S
) -> list[MasteredChapter]:
    """Cut a chapter that is longer than `limit_s` into equal parts at scenes or paragraphs.

    Returns the chapter itself where it is short enough. The parts' archives are written to `folder`;
    their titles say which part each is.

    Raises
    ------
    MasteringError
        It has no paragraph to be cut at.
    """
    count = int(-(-chapter.duration_s // limit_s))
    if count == 1:
        return [chapter]
    cuts = _cuts(chapter, text, count, limit_s)
    edges = [0, *(round(cut * DELIVERY_RATE_HZ) for cut in cuts), chapter.samples]
    return [
        _cut_out(
            replace(chapter, title=f"{chapter.title}, part {number} of {len(edges) - 1}"),
            start,
            end,
            folder / f"{chapter.flac.stem}-{number}.flac",
        )
        for number, (start, end) in enumerate(pairwise(edges), 1)
    ]


def retail_sample(chapter: MasteredChapter, out: Path, limit_s: float = SAMPLE_MAX_S) -> None:
    """Write the first minutes of a chapter, up to a pause, as an archive; all of it where it is short."""
    end = chapter.samples
    if chapter.duration_s > limit_s:
        heard = [gap for gap in _gaps(chapter.times.words) if gap[1] < limit_s]
        ends = [gap for gap in heard if gap[2] and gap[1] > limit_s / 2] or heard
        if not ends:
            raise MasteringError(f"{chapter.title!r} has no pause in its first {limit_s:.0f} s")
        end = round(_middle(ends[-1]) * DELIVERY_RATE_HZ)
    excerpt(chapter.flac, chapter.samples, 0, end, out)


_Gap = tuple[float, float, bool]
"""When a word ends, when the next begins, and whether a paragraph ends between them."""


def _gaps(words: tuple[WordEntry, ...]) -> list[_Gap]:
    return [
        (a.end_s, b.start_s, (a.place.document, a.place.node) != (b.place.document, b.place.node))
        for a, b in pairwise(words)
    ]


def _middle(gap: _Gap) -> float:
    return (gap[0] + max(gap[0], gap[1])) / 2


def _cuts(
    chapter: MasteredChapter, text: Chapter | None, count: int, limit_s: float
) -> list[float]:
    """Choose where to cut: near equal parts, none longer than the limit."""
    words = chapter.times.words
    scenes = set(scene_starts(text, words)) if text else set()
    paragraphs = [gap for gap in _gaps(words) if gap[2]]
    cuts: list[float] = []
    while chapter.duration_s - (cuts[-1] if cuts else 0.0) > limit_s:
        begun = cuts[-1] if cuts else 0.0
        left = max(1, count - len(cuts))
        wanted = begun + max((chapter.duration_s - begun) / left, limit_s / 2)
        within = [gap for gap in paragraphs if begun + 1 < _middle(gap) <= begun + limit_s]
        if not within:
            raise MasteringError(
                f"chapter {chapter.number} ({chapter.title!r}) lasts {chapter.duration_s / 60:.0f} minutes"
                " and has no paragraph to be cut at; divide it in the manuscript"
            )
        best = min(
            within,
            key=lambda gap: abs(_middle(gap) - wanted) - _SCENE_WORTH_S * (gap[1] in scenes),
        )
        cuts.append(_middle(best))
    return cuts


def _cut_out(chapter: MasteredChapter, start: int, end: int, out: Path) -> MasteredChapter:
    """Write a part's archive; its words and windows in its own time."""
    shift, samples = excerpt(chapter.flac, chapter.samples, start, end, out)
    head_s = (start + shift) / DELIVERY_RATE_HZ  # what the tone in front adds
    first, last, by = start / DELIVERY_RATE_HZ, end / DELIVERY_RATE_HZ, shift / DELIVERY_RATE_HZ
    words = chapter.times.words
    heard = words[
        bisect_left(words, first, key=lambda word: word.start_s) : bisect_left(
            words, last, key=lambda word: word.start_s
        )
    ]
    return replace(
        chapter,
        flac=out,
        samples=samples,
        times=ChapterTimes(
            windows=tuple(
                WindowEntry(
                    number=window.number,
                    start_s=round(max(0.0, window.start_s - first) + head_s, 4),
                    end_s=round(min(window.end_s, last) + by, 4),
                )
                for window in chapter.times.windows
                if window.start_s < last and window.end_s > first
            ),
            words=tuple(
                word.model_copy(
                    update={
                        "start_s": round(word.start_s + by, 4),
                        "end_s": round(word.end_s + by, 4),
                    }
                )
                for word in heard
            ),
        ),
    )
