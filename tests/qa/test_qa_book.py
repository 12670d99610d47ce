"""The book report: two real chapters judged and combined, its digest, its habits, its worst moments."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from qa.book import ChapterAudio, judge_book
from qa.book_report import BookReport, ChapterEntry, combine
from qa.calibration.corpus import Clip, Recording, concatenate, read_clip
from qa.calibration.damages import swap_speaker
from qa.findings import Finding, Question, Verdict
from qa.report import FindingEntry, MisheardEntry, Report, SuspectEntry, json_schema, verdict_parts
from qa.worst_moments import worst_moments

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def spoilt(kathleen: list[Clip], librispeech: list[Clip]) -> Recording:
    """Half a minute of kathleen with three seconds of another voice."""
    clean = concatenate(kathleen[70:78], seed=2)
    damaged = swap_speaker(librispeech[:5])(clean, np.random.default_rng(3))
    assert damaged is not None
    return replace(clean, audio=damaged.audio)


@pytest.fixture(scope="module")
def book(
    kathleen: list[Clip],
    spoilt: Recording,
    tmp_path_factory: pytest.TempPathFactory,
) -> BookReport:
    """Two chapters: a clean one with its text, and a spoilt one without."""
    clean = concatenate(kathleen[40:48], seed=1)
    first = tmp_path_factory.mktemp("book") / "1.flac"
    soundfile.write(first, clean.audio.samples, clean.audio.rate_hz)
    chapters = [
        ChapterAudio(1, "One", first, text=" ".join(clean.sentences)),
        ChapterAudio(2, "Two", spoilt.audio),
    ]
    return judge_book("Kathleen", "kathleen", chapters, prompt=read_clip(kathleen[200].path))


def test_a_book_is_as_bad_as_its_worst_chapter(book: BookReport) -> None:
    one, two = (c.report for c in book.chapters)
    assert one.questions[Question.VOICE] is Verdict.PASS
    assert two.questions[Question.VOICE] is Verdict.FAIL
    assert book.questions[Question.VOICE] is Verdict.FAIL
    assert book.verdict is Verdict.FAIL
    assert book.duration_s == pytest.approx(sum(c.duration_s for c in book.chapters))


def test_without_a_text_words_are_never_passed(book: BookReport) -> None:
    two = book.chapters[1].report
    assert two.questions[Question.WORDS] is Verdict.INCONCLUSIVE
    assert [f.check for f in two.findings if f.question is Question.WORDS] == ["no_text"]
    assert two.words is not None and two.words.word_error_rate is None
    assert not any("no text" in reason for w in two.windows for reason in w.reasons)


def test_curves_have_their_times(book: BookReport) -> None:
    for chapter in book.chapters:
        voice, natural = chapter.report.voice, chapter.report.naturalness
        assert voice is not None and natural is not None and voice.to_prompt is not None
        assert len(voice.centre_s) == len(voice.to_median) == len(voice.to_prompt) > 40
        assert len(natural.centre_s) == len(natural.overall) >= 2
        assert 0 < voice.centre_s[0] < voice.centre_s[-1] < chapter.duration_s  # type: ignore[operator]
    assert book.narrator is not None
    assert min(v for v in book.narrator.to_book if v is not None) > 0.9


def test_the_worst_moment_is_the_other_voice(book: BookReport) -> None:
    worst = worst_moments(book, 4)
    assert worst[0].chapter == 2
    assert any("another voice" in reason for reason in worst[0].reasons)
    assert len(worst) == 4
    ranks = [m.severity for m in worst]
    assert ranks == sorted(ranks, reverse=True)
    assert any(m.verdict is Verdict.PASS and "nothing failed" in m.reasons[0] for m in worst)


def test_the_digest_is_of_the_content(book: BookReport) -> None:
    assert book.is_intact()
    again = BookReport.model_validate_json(book.to_json())
    assert again == book and again.is_intact()
    changed = book.model_copy(update={"title": "Another"})
    assert not changed.is_intact()
    same = combine(book.title, book.voice, book.chapters)
    assert same.digest == book.digest


def test_the_schemas_are_published() -> None:
    assert (DOCS / "qa-report.schema.json").read_text("utf-8") == json_schema(Report)
    assert (DOCS / "qa-book-report.schema.json").read_text("utf-8") == json_schema(BookReport)


def misheard(entry: ChapterEntry, sentence: int) -> ChapterEntry:
    """Let a chapter's report say that a name was heard as another word."""
    report = entry.report
    assert report.words is not None
    suspect = SuspectEntry(
        expected="pemberley", heard="humbly", sentence=sentence, start_s=2.0, end_s=2.5,
        doubt_nats=20.0, phone_distance=0.9, confirmed=True, unspoken_share=0.0,
    )  # fmt: skip
    words = report.words.model_copy(
        update={
            "suspects": [suspect],
            "misheard": [MisheardEntry(expected="pemberley", heard="humbly", places=1, stands=1)],
        }
    )
    said = Finding(
        Question.WORDS, "substitution", Verdict.FAIL, "humbly", 2.0, 2.5, 20.0, 9.0, "nats"
    )
    windows = [(w.start_s, w.end_s) for w in report.windows]
    parts = verdict_parts(report.questions, windows, [said])
    return entry.model_copy(
        update={"report": report.model_copy(update={"words": words, **parts}).signed()}
    )


def test_a_name_misheard_in_two_chapters_no_longer_fails(book: BookReport) -> None:
    one = misheard(book.chapters[0], 3)
    alone = combine("B", "v", [one])
    assert alone.questions[Question.WORDS] is Verdict.FAIL
    two = one.model_copy(update={"number": 2})
    both = combine("B", "v", [one, two])
    assert [(c.expected, c.heard) for c in both.confusions] == [("pemberley", "humbly")]
    assert both.questions[Question.WORDS] is Verdict.PASS
    assert all(c.report.is_intact() for c in both.chapters)


def test_a_chapter_in_another_voice_is_found(book: BookReport) -> None:
    entry = book.chapters[0]
    voice = entry.report.voice
    assert voice is not None
    other = np.roll(np.array(voice.embedding), 40).tolist()
    strange = voice.model_copy(update={"embedding": other, "base_pitch_hz": 240.0})
    changed = entry.report.model_copy(update={"voice": strange})
    chapters = [entry.model_copy(update={"number": n}) for n in (1, 2, 3)]
    chapters.append(entry.model_copy(update={"number": 4, "report": changed}))
    found = combine("B", "v", chapters).findings
    assert {(f.chapter, f.check) for f in found} == {(4, "narrator"), (4, "book_pitch")}


def test_findings_keep_their_fields_through_a_report(book: BookReport) -> None:
    entries = [f for c in book.chapters for f in c.report.findings]
    assert entries
    for entry in entries:
        assert FindingEntry.model_validate(entry.finding()) == entry
