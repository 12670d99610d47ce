"""Judge a book chapter by chapter, one in memory at a time, and combine the chapters' reports."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from qa.audio import Audio
from qa.book_report import BookReport, ChapterEntry, TimedWord, combine
from qa.judge import Context, Settings, judge


@dataclass(frozen=True, slots=True)
class ChapterAudio:
    """A chapter to judge.

    Attributes
    ----------
    number, title : as the book has them
    audio : a file of any format that FFmpeg reads, or samples
    text : what should be said: the script's spoken words; None if unknown
    words : timed words for whoever listens; not judged
    windows_s : spans of the planned windows; cut at pauses if empty
    long_pauses_s : stretches in which a long pause is meant (after a heading, between scenes)
    """

    number: int
    title: str
    audio: Path | Audio
    text: str | None = None
    words: Sequence[TimedWord] = ()
    windows_s: tuple[tuple[float, float], ...] = ()
    long_pauses_s: tuple[tuple[float, float], ...] = ()


def judge_chapter(
    chapter: ChapterAudio, prompt: Audio | None = None, settings: Settings | None = None
) -> ChapterEntry:
    """Judge one chapter; joints between windows are where one window ends and the next begins.

    Raises
    ------
    QAError
        If the audio cannot be read or a model is missing.
    """
    context = Context(
        text=chapter.text,
        prompt=prompt,
        windows_s=chapter.windows_s,
        joints_s=tuple((a[1] + b[0]) / 2 for a, b in pairwise(chapter.windows_s)),
        long_pauses_s=chapter.long_pauses_s,
    )
    named = replace(settings or Settings(), name=chapter.title)
    report = judge(chapter.audio, context, named)
    return ChapterEntry(
        number=chapter.number,
        title=chapter.title,
        duration_s=report.source.duration_s,
        words=list(chapter.words),
        report=report,
    )


def judge_book(
    title: str,
    voice: str,
    chapters: Iterable[ChapterAudio],
    prompt: Audio | None = None,
    content_digest: str = "",
    settings: Settings | None = None,
) -> BookReport:
    """Judge a whole production; chapters may be made while they are taken.

    Parameters
    ----------
    title, voice : of the production
    chapters : in the order of the book
    prompt : the voice it should be
    content_digest : of the release that is judged
    settings : questions, limits, threads

    Raises
    ------
    QAError
        If a chapter's audio cannot be read or a model is missing.
    ValueError
        If there is no chapter.
    """
    entries = [judge_chapter(chapter, prompt, settings) for chapter in chapters]
    return combine(title, voice, entries, content_digest)
