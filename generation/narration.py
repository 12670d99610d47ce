"""A book's narration from script to windows with timed words: what `lectern narrate` plays in order.

Pure functions and generators; nothing here knows of files, queues or clocks.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from generation.engine import ChapterJob, Engine, WindowSound
from generation.manuscript.book import Chapter
from generation.mastering.chapter import NarratedChapter, NarratedWindow, SpokenWord
from generation.rates import tokens_to_s
from generation.rendering import WindowReading
from generation.script import write_script
from generation.script.lexicon import Lexicon
from generation.script.units import Script
from generation.windows import Window, plan_windows

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


def plan_chapter(
    chapter: Chapter, voice_digest: str, seed: int, lexicon: Lexicon | None = None
) -> ChapterPlan:
    """Write a chapter's script and plan its windows.

    The seeds of its windows come from the script, the voice and the chapter's place in the source, so
    that a chapter sounds the same whether it is read alone or with the whole book.
    """
    script = write_script(chapter, lexicon)
    units = np.array([unit.index for unit in script.units], np.int64)
    starts = np.array([unit.word_start for unit in script.units], np.int64)
    digest = hashlib.sha256(units.tobytes() + starts.tobytes()).hexdigest()
    windows = plan_windows(units.tolist(), starts.astype(bool).tolist())
    job = ChapterJob(
        key=str(chapter.number),
        units=units,
        word_starts=starts,
        windows=windows,
        seed_text=f"{digest} {voice_digest} {chapter.number} {seed}",
    )
    return ChapterPlan(chapter, script, job)


def narrate_chapters(
    engine: Engine, plans: Sequence[ChapterPlan], heard: Callable[[WindowSound], None]
) -> list[NarratedChapter]:
    """Narrate planned chapters; `heard` is called with every window as it is rendered."""
    sounds: dict[str, list[WindowSound]] = defaultdict(list)
    for sound in engine.narrate(plan.job for plan in plans):
        sounds[sound.read.key].append(sound)
        heard(sound)
    return [
        NarratedChapter(
            plan.chapter.number,
            plan.chapter.title,
            [
                NarratedWindow(
                    sound.waveform, spoken_words(plan.script, sound.read.window, sound.read.reading)
                )
                for sound in sounds[plan.job.key]
            ],
        )
        for plan in plans
    ]


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
