"""`lectern demo`: narrates a short story that ships with Lectern, then has a recogniser hear the result."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.terminal import Json, errors_said, progress_bar

if TYPE_CHECKING:
    from flows.factory.narrate import Narration
    from qa.words import ErrorCount

REPORT_FILE = "qa-report.json"
STORY = Path(__file__).parent / "demo_story" / "story.md"


@dataclass(frozen=True)
class Demonstration:
    """The narrated story, and for each chapter how a recogniser's transcript keeps to what was said."""

    narration: "Narration"
    words: "tuple[ErrorCount, ...]"

    @property
    def word_error_rate(self) -> float:
        """Errors of all chapters against the words of all chapters."""
        return sum(c.errors for c in self.words) / max(1, sum(c.words for c in self.words))


def spoken_text(chapter_number: int) -> str:
    """Return what is said in a chapter of the story: its script's words, numbers and titles in full."""
    from generation.manuscript import read_manuscript
    from generation.script import write_script

    chapter = read_manuscript(STORY).chapters[chapter_number - 1]
    return " ".join(word.spoken for word in write_script(chapter).words)


def demonstrate(
    out: Path,
    chapters: str = "",
    report: Callable[[str, float], None] = lambda what, share: None,
) -> Demonstration:
    """Narrate the story with the default house voice and have the QA report hear it.

    Parameters
    ----------
    out
        Directory for the audiobook.
    chapters
        Which chapters, such as "1"; all where empty.
    report
        Called with what is being done and the share of the story that is narrated.

    Raises
    ------
    LecternError, QAError, StorageError
        The directory, the weights, the recogniser or the home's database cannot be used.
    """
    from flows.factory.intake import Wish, narrator_named
    from flows.factory.narrate import narrate
    from flows.services import services
    from flows.settings import Settings
    from generation.voices import DEFAULT_VOICE

    with services(Settings()) as opened:
        narration = narrate(
            opened,
            STORY,
            narrator_named(opened, DEFAULT_VOICE, "lectern demo"),
            out,
            Wish(chapters),
            report=lambda progress: report(progress.what, progress.share),
        )
    return Demonstration(narration, tuple(word_errors(out / REPORT_FILE)))


def word_errors(report: Path) -> "Iterator[ErrorCount]":
    """Yield the word errors of each chapter: Whisper's transcript against what should be said."""
    from qa.book_report import BookReport
    from qa.words import ErrorCount

    for chapter in BookReport.model_validate_json(report.read_bytes()).chapters:
        part = chapter.report.words
        if part is not None and part.words is not None:
            yield ErrorCount(
                part.words, part.substitutions or 0, part.deletions or 0, part.insertions or 0
            )


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the audiobook.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Narrate a short story that ships with Lectern, and check its words by a recogniser."""
    with errors_said(), progress_bar() as bar:
        task = bar.add_task("starting", total=1.0)
        shown = demonstrate(
            out, report=lambda what, share: bar.update(task, description=what, completed=share)
        )
    _say(shown, as_json)


def _say(shown: Demonstration, as_json: bool) -> None:
    release = shown.narration.release
    words, errors = sum(c.words for c in shown.words), sum(c.errors for c in shown.words)
    if as_json:
        print(json.dumps({"out": str(shown.narration.out), "duration_s": release.duration_s,
                          "words": words, "errors": errors, "wer": shown.word_error_rate,
                          "takes_again": shown.narration.takes_again,
                          "faulty_windows": shown.narration.faulty}))  # fmt: skip
        return
    minutes, seconds = divmod(round(release.duration_s), 60)
    print(f"{release.book.title}: {len(release.chapters)} chapters, {minutes}:{seconds:02d}")
    print(f"Audiobook:        {shown.narration.out.resolve()}")
    print(
        f"Word error rate:  {shown.word_error_rate:.1%} ({errors} of {words} words,"
        " heard by Whisper tiny.en; its own mistakes count too)"
    )
