"""A chapter's narration in pure functions: its script and windows, its seeds, and the times of its words.

Nothing here knows of files, queues or clocks.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from generation.engine import ChapterJob
from generation.errors import NarrationError
from generation.manuscript.book import Chapter
from generation.mastering.chapter import SpokenWord
from generation.rates import tokens_to_s
from generation.rendering import WindowReading
from generation.script import write_script
from generation.script.lexicon import Lexicon
from generation.script.units import Script
from generation.windows import Window, expected_s, plan_windows

LANES = 8


@dataclass(frozen=True)
class ChapterPlan:
    """A chapter ready to be read: its script and the job the engine gets."""

    chapter: Chapter
    script: Script
    job: ChapterJob

    @property
    def expected_s(self) -> float:
        """Seconds the chapter is expected to last."""
        return sum(window.expected_s for window in self.job.windows)

    @property
    def opening(self) -> ChapterJob:
        """The job of the chapter's first window alone."""
        return replace(self.job, windows=self.job.windows[:1])


def plan_chapter(
    chapter: Chapter, voice_digest: str, seed: int, lexicon: Lexicon | None = None
) -> ChapterPlan:
    """Write a chapter's script and plan its windows.

    The seeds of its windows come from the script, the voice and the chapter's place in the source, so
    that a chapter sounds the same whether it is read alone or with the whole book.
    """
    script = write_script(chapter, lexicon)
    units, starts = unit_arrays(script)
    windows = plan_windows(units.tolist(), starts.astype(bool).tolist())
    job = ChapterJob(
        key=str(chapter.number),
        units=units,
        word_starts=starts,
        windows=windows,
        seed_text=seed_text(script, voice_digest, chapter.number, seed),
    )
    return ChapterPlan(chapter, script, job)


def unit_arrays(script: Script) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return a script's units by index and its word starts, (U,) each."""
    units = np.array([unit.index for unit in script.units], np.int64)
    return units, np.array([unit.word_start for unit in script.units], np.int64)


def seed_text(script: Script, voice_digest: str, number: int, seed: int) -> str:
    """Return what the seeds of a chapter's windows are made from: its content and place, no row ids."""
    units, starts = unit_arrays(script)
    digest = hashlib.sha256(units.tobytes() + starts.tobytes()).hexdigest()
    return f"{digest} {voice_digest} {number} {seed}"


def said_otherwise(
    chapter: Chapter, lexicon: Lexicon, script: Script, window: Window
) -> tuple[Script, Window]:
    """Write a chapter's script with another lexicon and find a window of the old script in it.

    The window's words stay the same, so that its neighbours fit; how they are said may change, and with it
    where the window begins and ends in units.

    Raises
    ------
    NarrationError
        The lexicon parts words in another way, or the window begins or ends inside a printed word.
    """
    fresh = write_script(chapter, lexicon)
    words = [unit.word for unit in script.units]
    inside = {word for word in words[window.start : window.end] if word >= 0}
    outside = {*words[: window.start], *words[window.end :]}
    if [w.text for w in fresh.words] != [w.text for w in script.words] or inside & outside:
        raise NarrationError(
            f"window {window.number} of {chapter.title!r} cannot be said otherwise: choose a "
            "pronunciation for a single word"
        )
    starts = {unit.word: at for at, unit in reversed(list(enumerate(fresh.units)))}
    start = starts[min(inside)] if window.start else 0
    end = starts.get(max(inside) + 1, len(fresh.units))
    units = [unit.index for unit in fresh.units]
    return fresh, Window(window.number, start, end, expected_s(units, start, end))


def spoken_words(script: Script, window: Window, reading: WindowReading) -> list[SpokenWord]:
    """Time the words of one window by the pointer's path, in seconds from the window's first sample."""
    arrivals = np.searchsorted(reading.pointer, np.arange(window.start, window.end + 1))
    spans: dict[int, tuple[int, int]] = {}
    for unit in range(window.start, window.end):
        word = script.units[unit].word
        if word >= 0:
            spans[word] = (spans.get(word, (unit, unit))[0], unit)
    words = []
    for word, (first, last) in spans.items():
        start = tokens_to_s(int(arrivals[first - window.start]))
        end = tokens_to_s(int(arrivals[last + 1 - window.start]))
        printed = script.words[word]
        words.append(SpokenWord(printed.text, start, end, printed.place))
    return words
