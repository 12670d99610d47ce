"""Held-out chapters read by the teacher, laid out as a copy of LibriSpeech: long speech to test against.

There is no long recording here, so long-form measures take their real speech from the teacher: chapters
that the frozen list keeps out of all training, read on end with one setting, then cut between sentences
into utterances of a few seconds (`split/speaker/chapter/speaker-chapter-NNNN.flac` and a `.trans.txt`).
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from generation.rates import SAMPLE_RATE_HZ, TOKEN_RATE_HZ, TOKEN_SAMPLES, tokens_in
from generation.script import write_script
from generation.script.units import BREAK_INDICES, SENTENCE_INDICES, Script
from generation.training.corpus import Passage, SilencePool, read_passage
from generation.training.heldout import split_chapters
from generation.training.teacher import Teacher

UTTERANCE_S = 12.0
"""An utterance ends with the first sentence after this; LibriSpeech's last 2 to 35 s."""

UNITS_PER_S = 11.0
"""Units the teacher reads in a second, a little over its average, so that a stretch is long enough."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive chapters of one book as one run of units: (U,) indices, word starts and words.

    `words[i]` is what is said from unit `i` on if a printed word starts there, else empty.
    """

    units: list[int]
    word_starts: list[bool]
    words: list[str]


def stretches(book: Path, seconds: float) -> Iterator[Stretch]:
    """Cut the held-out chapters of a book into stretches of at least `seconds`, between sentences."""
    wanted = round(seconds * UNITS_PER_S)
    stretch = Stretch([], [], [])
    for chapter in split_chapters(book)[1]:
        script = write_script(chapter)
        said = _words_by_unit(script)
        for place, unit in enumerate(script.units):
            ended = bool(stretch.units) and _ends(stretch.units[-1]) and not _ends(unit.index)
            if ended and len(stretch.units) >= wanted:
                yield stretch
                stretch = Stretch([], [], [])
            stretch.units.append(unit.index)
            stretch.word_starts.append(unit.word_start)
            stretch.words.append(said.get(place, ""))


def _ends(unit: int) -> bool:
    return unit in SENTENCE_INDICES or unit in BREAK_INDICES


def _words_by_unit(script: Script) -> dict[int, str]:
    first: dict[int, int] = {}
    for place, unit in enumerate(script.units):
        if unit.word >= 0:
            first.setdefault(unit.word, place)
    return {place: script.words[word].spoken for word, place in first.items()}


def utterances(stretch: Stretch, pointer: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    """Cut a stretch as it was read: (first token, end token, transcript) of each utterance.

    Parameters
    ----------
    stretch
        What was read.
    pointer
        The unit of each token (`Passage.pointer`).
    """
    path = np.asarray(pointer)
    start, first = 0, 0
    for unit in range(len(stretch.units)):
        last = unit + 1 == len(stretch.units)
        if not last and not (_ends(stretch.units[unit]) and not _ends(stretch.units[unit + 1])):
            continue
        end = len(path) if last else int(np.searchsorted(path, unit, side="right"))
        if last or end - start >= tokens_in(UTTERANCE_S):
            words = " ".join(filter(None, stretch.words[first : unit + 1]))
            if end > start and words:
                yield start, end, words.upper()
            start, first = end, unit + 1


def write_copy(
    out: Path, split: str, speaker: str, chapter: str, stretch: Stretch, passage: Passage
) -> int:
    """Write one stretch as the utterances of one chapter; return how many there are."""
    folder = out / split / speaker / chapter
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (start, end, words) in enumerate(utterances(stretch, passage.pointer.tolist())):
        name = f"{speaker}-{chapter}-{number:04}"
        samples = passage.waveform[start * TOKEN_SAMPLES : end * TOKEN_SAMPLES]
        soundfile.write(folder / f"{name}.flac", samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        lines.append(f"{name} {words}\n")
    (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines), "utf-8")
    return len(lines)


def main() -> None:
    """Read stretches of held-out chapters from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", type=Path, nargs="+", help="books that the held-out list names")
    parser.add_argument("--out", type=Path, required=True, help="folder of the LibriSpeech copy")
    parser.add_argument("--split", default="test-teacher")
    parser.add_argument("--minutes", type=float, default=16.5, help="length of a stretch")
    parser.add_argument("--each", type=int, default=1, help="stretches of each book")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    teacher, silence = Teacher(args.threads), SilencePool()
    for number, book in enumerate(args.books):
        for place, stretch in zip(
            range(args.each), stretches(book, 60 * args.minutes), strict=False
        ):
            rng = np.random.default_rng([number, place])
            passage = read_passage(teacher, stretch.units, stretch.word_starts, rng, silence)
            chapter = f"{number + 1}{place:03}"
            count = write_copy(args.out, args.split, "1", chapter, stretch, passage)
            minutes = len(passage.pointer) / TOKEN_RATE_HZ / 60
            print(
                f"{book.name}: chapter {chapter}, {count} utterances, {minutes:.1f} min", flush=True
            )


if __name__ == "__main__":
    main()
