"""`lectern demo`: narrates a short story that ships with Lectern, then has a recogniser hear the result."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.terminal import Json, failed, progress_bar

if TYPE_CHECKING:
    from flows.narrate import Narration
    from qa.words import ErrorCount

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
    report: Callable[[str, float, float], None] = lambda what, done, total: None,
) -> Demonstration:
    """Narrate the story with the default house voice and transcribe the delivered FLAC files.

    Parameters
    ----------
    out
        Directory for the audiobook.
    chapters
        Which chapters, such as "1"; all where empty.
    report
        Called with what is being done, how much of it is done and how much there is.

    Raises
    ------
    LecternError
        The directory or the weights cannot be used.
    QAError
        A delivered file cannot be read, or the recogniser's model is missing.
    """
    from flows.narrate import default_device, narrate
    from generation.voices import DEFAULT_VOICE, house_voices, load_cast

    cast = load_cast(house_voices()[DEFAULT_VOICE], default_device())
    narration = narrate(
        STORY, cast, out, chapters, report=lambda p: report("narrating", p.made_s, p.expected_s)
    )
    delivered = narration.release.chapters
    counts = []
    for done, chapter in enumerate(delivered):
        report("listening", done, len(delivered))
        flac = next(file.path for file in chapter.files if file.path.endswith(".flac"))
        counts.append(word_errors(out / flac, spoken_text(chapter.number)))
    report("listening", len(delivered), len(delivered))
    return Demonstration(narration, tuple(counts))


def word_errors(recording: Path, text: str) -> "ErrorCount":
    """Count the word errors of Whisper's transcript of a recording against what it should say."""
    from qa.audio import read_audio
    from qa.recognisers import transcribe
    from qa.words import compare

    transcript = transcribe(read_audio(recording), threads=os.cpu_count() or 1)
    return compare([text], transcript).total


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the audiobook.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Narrate a short story that ships with Lectern, and check its words by a recogniser."""
    from generation.errors import LecternError
    from qa.errors import QAError

    try:
        with progress_bar() as bar:
            task = bar.add_task("loading", total=None)
            shown = demonstrate(
                out,
                report=lambda what, done, total: bar.update(
                    task, description=what, completed=done, total=total
                ),
            )
    except (LecternError, QAError) as error:
        raise failed(error) from error
    _say(shown, as_json)


def _say(shown: Demonstration, as_json: bool) -> None:
    release = shown.narration.release
    words, errors = sum(c.words for c in shown.words), sum(c.errors for c in shown.words)
    if as_json:
        print(json.dumps({"out": str(shown.narration.out), "duration_s": release.duration_s,
                          "words": words, "errors": errors, "wer": shown.word_error_rate,
                          "forced": shown.narration.forced}))  # fmt: skip
        return
    minutes, seconds = divmod(round(release.duration_s), 60)
    print(f"{release.book.title}: {len(release.chapters)} chapters, {minutes}:{seconds:02d}")
    print(f"Audiobook:        {shown.narration.out.resolve()}")
    print(
        f"Word error rate:  {shown.word_error_rate:.1%} ({errors} of {words} words,"
        " heard by Whisper tiny.en; its own mistakes count too)"
    )
