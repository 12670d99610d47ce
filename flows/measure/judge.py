"""`lectern qa`: any finished audio, ours or not, judged file by file beside its text where there is one."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from rich.table import Table

from generation.errors import LecternError
from generation.manuscript import read_manuscript
from generation.mastering.times import WordEntry
from generation.packages.release import RELEASE_FILE, ReleaseChapter, read_release
from qa.audio import read_audio
from qa.book import ChapterAudio, judge_book
from qa.book_report import BookReport, ChapterEntry, TimedWord
from qa.findings import Question, Verdict
from qa.judge import ALL_QUESTIONS, Settings
from qa.worst_moments import worst_moments

AUDIO_SUFFIXES = frozenset({".flac", ".mp3", ".wav", ".ogg", ".opus", ".m4a", ".m4b", ".aac"})
TEXT_SUFFIXES = (".txt", ".md", ".epub", ".docx")
_PREFERRED = (".flac", ".wav", ".mp3")  # a release holds each chapter in several formats
_STYLE = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}


def judge_path(
    audio: Path,
    text: Path | None = None,
    prompt: Path | None = None,
    spec: bool = False,
    report: Callable[[str, int, int], None] = lambda title, done, total: None,
) -> BookReport:
    """Judge one file, a release of ours, or every audio file of a directory in the order of their names.

    Parameters
    ----------
    audio
        File or directory; one with `release.json` is judged against the words it lists.
    text
        Text of the file; for a directory, a directory with texts of the same names.
    prompt
        A recording of the voice it should be.
    spec
        Whether to hold the files against the figures of a store as well.
    report
        Called with the title of the file that is next, how many are done, and how many there are.

    Raises
    ------
    LecternError
        There is no audio, or the text cannot be paired or read.
    QAError
        A file cannot be decoded.
    """
    title, speaker, digest = audio.stem, "", ""
    if (audio / RELEASE_FILE).is_file() and text is None:
        release = read_release(audio)
        title, speaker, digest = release.book.title, release.voice.name, release.content_digest
        chapters = [_released(audio, chapter) for chapter in release.chapters]
    else:
        chapters = _found(audio, text)

    def announced() -> Iterator[ChapterAudio]:
        for done, chapter in enumerate(chapters):
            report(chapter.title, done, len(chapters))
            yield chapter
        report("", len(chapters), len(chapters))

    voice = None if prompt is None else read_audio(prompt)
    asked = Settings(questions=ALL_QUESTIONS | ({Question.SPEC} if spec else set()))
    return judge_book(title, speaker, announced(), voice, digest, asked)


def _released(folder: Path, chapter: ReleaseChapter) -> ChapterAudio:
    """Take a chapter of a release of ours, with the words it lists."""
    paths = [folder / file.path for file in chapter.files]
    ranked = [p for suffix in _PREFERRED for p in paths if p.suffix == suffix]
    if not ranked:
        raise LecternError(f"{folder / RELEASE_FILE} lists no audio for chapter {chapter.number}")
    return ChapterAudio(
        chapter.number,
        chapter.title,
        ranked[0],
        text=" ".join(word.text for word in chapter.words),
        words=[_timed(word) for word in chapter.words],
        long_pauses_s=tuple(
            (before.end_s, after.start_s)
            for before, after in pairwise(chapter.words)
            if (before.place.document, before.place.node)
            != (after.place.document, after.place.node)
        ),
    )


def _timed(word: WordEntry) -> TimedWord:
    place = word.place
    reference = f"{place.document}#{place.node}:{place.start}-{place.end}"
    return TimedWord(text=word.text, start_s=word.start_s, end_s=word.end_s, reference=reference)


def _found(audio: Path, text: Path | None) -> list[ChapterAudio]:
    """Take the files as the chapters of a book."""
    if audio.is_dir():
        paths = sorted(p for p in audio.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES)
    else:
        paths = [audio]
    if not paths:
        raise LecternError(f"{audio} holds no audio file ({', '.join(sorted(AUDIO_SUFFIXES))})")
    return [
        ChapterAudio(k, path.name, path, text=_text_of(path, text, len(paths)))
        for k, path in enumerate(paths, start=1)
    ]


def _text_of(path: Path, text: Path | None, files: int) -> str | None:
    if text is None:
        return None
    if text.is_dir():
        named = [p for s in TEXT_SUFFIXES if (p := text / f"{path.stem}{s}").is_file()]
        if not named:
            raise LecternError(f"{text} holds no text named {path.stem} for {path.name}")
        text = named[0]
    elif files > 1:
        raise LecternError(f"one text, {text.name}, for {files} files: give a directory of texts")
    body = read_manuscript(text).body
    return "\n\n".join(block.text for chapter in body for block in chapter.blocks if block.text)


def chapter_table(report: BookReport) -> Table:
    """Show a row a chapter: its length, and the verdict on each question that was asked."""
    table = Table(title=report.title, title_justify="left")
    table.add_column("chapter", no_wrap=True)
    for column in ("length", *report.questions, "WER", "DNSMOS", "verdict"):
        table.add_column(str(column))
    for chapter in report.chapters:
        minutes, seconds = divmod(round(chapter.duration_s), 60)
        asked = [_styled(chapter.report.questions.get(q)) for q in report.questions]
        verdict = _styled(chapter.report.verdict)
        figures = (_errors(chapter), _mean_score(chapter))
        table.add_row(chapter.title, f"{minutes}:{seconds:02d}", *asked, *figures, verdict)
    return table


def moment_table(report: BookReport, n: int) -> Table:
    """Show what a reviewer should hear first."""
    table = Table(title="listen here first", title_justify="left")
    for column in ("chapter", "from", "to", "verdict", "why"):
        table.add_column(column)
    for moment in worst_moments(report, n):
        where = (str(moment.chapter), f"{moment.start_s:.1f} s", f"{moment.end_s:.1f} s")
        table.add_row(*where, _styled(moment.verdict), "\n".join(moment.reasons))
    return table


def _styled(verdict: Verdict | None) -> str:
    return "" if verdict is None else f"[{_STYLE[verdict]}]{verdict.value}[/]"


def _errors(chapter: ChapterEntry) -> str:
    """Give the recogniser's word error rate, its own mistakes included."""
    part = chapter.report.words
    return "" if part is None or part.word_error_rate is None else f"{part.word_error_rate:.1%}"


def _mean_score(chapter: ChapterEntry) -> str:
    part = chapter.report.naturalness
    return "" if part is None else f"{part.mean_overall:.2f}"
