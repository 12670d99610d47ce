"""The book report: the chapters' reports of one production in one document, and what only a whole book shows.

It needs no models and no audio: chapters are judged one by one (`qa.book`), and their reports are combined
here, so that a chapter judged again changes the book's verdict without the others being heard again.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from qa.findings import Finding, Question, Verdict, by_question, overall
from qa.places import Confusion, Misheard, Stretch, Suspect, learn_confusions, unexplained
from qa.report import (
    Column,
    FindingEntry,
    MaybeColumn,
    MaybeNumber,
    Number,
    Part,
    Report,
    Signed,
    verdict_parts,
)
from qa.thresholds import Thresholds
from qa.word_verdicts import judge_words

Floats = NDArray[np.float64]


class TimedWord(Part):
    """A word as printed, when it is said, and where it stands in the source, in the source's own terms."""

    text: str
    start_s: Number
    end_s: Number
    reference: str = ""


class ChapterEntry(Part):
    """A chapter: what should be heard, when, and what QA found in it.

    Curves over time (`report.voice`, `report.naturalness`, `report.signal`) are columns beside the times of
    their centres, in seconds of the chapter.
    """

    number: int
    title: str
    duration_s: Number
    words: list[TimedWord] = Field(default=[], description="timed words of the script, if known")
    report: Report


class BookFindingEntry(FindingEntry):
    """Something that only the whole book shows."""

    chapter: int | None = Field(description="its number; null: times are of the whole book")

    def finding(self) -> Finding:
        """Return it without its chapter."""
        return Finding(**self.model_dump(exclude={"chapter"}))


class ConfusionEntry(Part):
    """A word that the recogniser, not the narrator, gets wrong throughout the book."""

    expected: str
    heard: str


class BookVoicePart(Part):
    """The narrator over the book: one value a chapter, in order."""

    chapter_start_s: Column
    to_book: Column = Field(description="cosine of the chapter's voice to the median of all")
    to_prompt: MaybeColumn = Field(description="mean cosine to the voice prompt")
    base_semitones: Column = Field(description="base pitch against the median of all")
    relative_tempo: Column = Field(description="tempo against the median of all")
    drift_per_hour: MaybeNumber = Field(
        description="change of the cosine (to the prompt, else to the first chapter) an hour"
    )


class BookReport(Signed):
    """Everything QA found in one production; an approval names its digest."""

    schema_version: Literal[1] = 1
    title: str
    voice: str
    content_digest: str = Field(description="of the release that was judged; empty if none")
    duration_s: Number
    verdict: Verdict
    questions: dict[Question, Verdict]
    findings: list[BookFindingEntry] = Field(description="what only the whole book shows")
    narrator: BookVoicePart | None
    confusions: list[ConfusionEntry]
    chapters: list[ChapterEntry]


class Moment(Part):
    """A place worth a reviewer's ear; `severity` orders them, the worst highest."""

    chapter: int
    start_s: Number
    end_s: Number
    verdict: Verdict
    reasons: list[str]
    severity: Number


def combine(
    title: str, voice: str, chapters: Sequence[ChapterEntry], content_digest: str = ""
) -> BookReport:
    """Make the report of a book from those of its chapters.

    The recogniser's habits are learned from all chapters and each chapter's words judged again in their
    light; then each chapter's voice, pitch and tempo are held against the book's own.

    Parameters
    ----------
    title, voice : of the production
    chapters : in the order of the book
    content_digest : of the release that was judged

    Raises
    ------
    ValueError
        If there is no chapter.
    """
    if not chapters:
        raise ValueError("a book report needs at least one chapter's report")
    learned = learn_confusions(
        Misheard(**m.model_dump())
        for c in chapters
        if c.report.words
        for m in c.report.words.misheard
    )
    judged = [c.model_copy(update={"report": reconsidered(c.report, learned)}) for c in chapters]
    narrator, findings = _narrator(judged)
    said = [f.finding() for c in judged for f in c.report.findings]
    said += [f.finding() for f in findings]
    return BookReport(
        title=title,
        voice=voice,
        content_digest=content_digest,
        duration_s=sum(c.duration_s for c in judged),
        verdict=overall(said),
        questions=by_question({q for c in judged for q in c.report.questions}, said),
        findings=findings,
        narrator=narrator,
        confusions=[ConfusionEntry(expected=e, heard=h) for e, h in sorted(learned)],
        chapters=judged,
    ).signed()


def reconsidered(report: Report, learned: Collection[Confusion]) -> Report:
    """Judge the words of a report again, knowing which confusions are the recogniser's."""
    part = report.words
    if part is None or part.words is None or not learned:
        return report
    left = unexplained([Suspect(**s.model_dump()) for s in part.suspects], learned)
    missing, doubled = (
        [Stretch(**s.model_dump()) for s in stretches] for stretches in (part.missing, part.doubled)
    )
    limits = thresholds_of(report)
    kept = [
        f.finding()
        for f in report.findings
        if f.question is not Question.WORDS or f.check == "loop"
    ]
    findings = [*kept, *judge_words(missing, doubled, left, limits)]
    windows = [(w.start_s, w.end_s) for w in report.windows]
    return report.model_copy(update=verdict_parts(report.questions, windows, findings)).signed()


def _narrator(
    chapters: Sequence[ChapterEntry],
) -> tuple[BookVoicePart | None, list[BookFindingEntry]]:
    """Hold each chapter's voice against the book's own, and follow it over the book."""
    if any(c.report.voice is None for c in chapters):
        return None, []
    voices = [c.report.voice for c in chapters if c.report.voice]
    vectors = np.array([v.embedding for v in voices], dtype=np.float64)
    to_book = vectors @ _unit(np.median(vectors, axis=0))
    pitch = 12 * np.log2(_numbers(v.base_pitch_hz for v in voices))
    tempo = _numbers(v.tempo for v in voices)
    prompts = [v.mean_to_prompt for v in voices]
    starts = np.concatenate([[0.0], np.cumsum([c.duration_s for c in chapters])])
    part = BookVoicePart(
        chapter_start_s=starts[:-1].tolist(),
        to_book=to_book.tolist(),
        to_prompt=None if None in prompts else prompts,
        base_semitones=(pitch - _median(pitch)).tolist(),
        relative_tempo=(tempo / _median(tempo)).tolist(),
        drift_per_hour=_drift_per_hour(chapters, starts, vectors),
    )
    return part, _across(chapters, part)


def _drift_per_hour(
    chapters: Sequence[ChapterEntry], starts: Floats, vectors: Floats
) -> float | None:
    """Least-squares change of the voice's likeness over the windows of the whole book."""
    times, likeness = [], []
    for chapter, start_s, vector in zip(chapters, starts, vectors, strict=False):
        voice = chapter.report.voice
        assert voice is not None
        if voice.to_prompt is None:
            times.append(np.array([start_s + chapter.duration_s / 2]))
            likeness.append(np.array([vector @ vectors[0]]))
            continue
        spoken = _numbers(voice.speech_share) >= 0.5
        times.append(_numbers(voice.centre_s)[spoken] + start_s)
        likeness.append(_numbers(voice.to_prompt)[spoken])
    time_s, value = np.concatenate(times), np.concatenate(likeness)
    return float(np.polyfit(time_s, value, 1)[0]) * 3600.0 if len(time_s) > 2 else None


def _across(chapters: Sequence[ChapterEntry], part: BookVoicePart) -> list[BookFindingEntry]:
    """Find chapters whose voice, pitch or tempo is not the book's."""
    found = []
    for chapter, likeness, pitch, tempo in zip(
        chapters, part.to_book, part.base_semitones, part.relative_tempo, strict=True
    ):
        limits = thresholds_of(chapter.report)
        if likeness is not None and likeness < limits.voice_chapter_least:
            reason = f"another voice than in the rest of the book: likeness {likeness:.2f}"
            found.append(
                _entry(chapter, "narrator", reason, likeness, limits.voice_chapter_least, "cosine")
            )
        most = limits.pitch_chapter_most_semitones
        if pitch is not None and abs(pitch) > most:
            way = "higher" if pitch > 0 else "lower"
            reason = f"the voice is {abs(pitch):.1f} semitones {way} than in the rest of the book"
            found.append(_entry(chapter, "book_pitch", reason, pitch, most, "semitones"))
        most = limits.tempo_chapter_most_share
        if tempo is not None and abs(np.log(tempo)) > np.log1p(most):
            way = "faster" if tempo > 1 else "slower"
            reason = f"read {abs(tempo - 1):.0%} {way} than the rest of the book"
            found.append(_entry(chapter, "book_tempo", reason, tempo - 1, most, "share"))
    return found


def _entry(
    chapter: ChapterEntry, check: str, reason: str, value: float, limit: float, unit: str
) -> BookFindingEntry:
    question = Question.SIGNAL if check == "book_tempo" else Question.VOICE
    return BookFindingEntry(
        question=question, check=check, verdict=Verdict.FAIL, reason=reason, start_s=0.0,
        end_s=chapter.duration_s, value=value, limit=limit, unit=unit, chapter=chapter.number,
    )  # fmt: skip


def thresholds_of(report: Report) -> Thresholds:
    """Return the limits that a report was judged by."""
    return Thresholds(**{name: entry.value for name, entry in report.thresholds.items()})


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def _numbers(values: Iterable[float | None]) -> Floats:
    """Make an array of numbers; null becomes not a number."""
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
