"""Packages measured on teacher speech: time against audio, read-along against the teacher's exact durations.

The teacher reads chapters of a real book in our own units, so every word's time is known to 12 ms; what the
packages say of the words is then compared with where they are heard in the decoded files.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from generation.codec.latent import LATENT_HOP_SAMPLES
from generation.manuscript.book import Chapter
from generation.mastering import NarratedWindow, SpokenWord
from generation.rates import SAMPLE_RATE_HZ
from generation.script import write_script
from generation.script.units import Script
from generation.training.corpus import BREAK_S, SENTENCE_PAUSE_S, SilencePool
from generation.training.teacher import Teacher, sentences

WINDOW_S = 20.0

Audio = npt.NDArray[np.float32]


def teacher_windows(
    chapter: Chapter, teacher: Teacher, seed: int = 0, limit_s: float = float("inf")
) -> Iterator[NarratedWindow]:
    """Have the teacher read a chapter; yield windows of about 20 s with its words' exact times.

    Stops after the sentence at which `limit_s` seconds are passed.
    """
    script = write_script(chapter)
    rng, silence = np.random.default_rng(seed), SilencePool()
    waves: list[Audio] = []
    words: list[SpokenWord] = []
    base = read_samples = 0
    for units, starts, breaks in sentences(
        [unit.index for unit in script.units], [unit.word_start for unit in script.units]
    ):
        reading = teacher.read(units, starts, noise=0.1)
        silence.learn(reading)
        at = sum(map(len, waves))
        words += _words(script, base, at, reading.lead, reading.durations)
        base += len(units) + len(breaks)
        pause_s = SENTENCE_PAUSE_S[0] + sum(BREAK_S[unit][0] for unit in breaks)
        waves.append(reading.waveform)
        waves.append(_quiet(silence, round(pause_s * SAMPLE_RATE_HZ), rng))
        length = sum(map(len, waves))
        over = read_samples + length >= limit_s * SAMPLE_RATE_HZ
        if length >= WINDOW_S * SAMPLE_RATE_HZ or over:
            yield NarratedWindow(np.concatenate(waves), words)
            read_samples += length
            waves, words = [], []
        if over:
            return
    if words:
        yield NarratedWindow(np.concatenate(waves), words)


def _words(
    script: Script, base: int, at: int, lead: int, durations: npt.NDArray[np.int32]
) -> list[SpokenWord]:
    """Time the words of one sentence whose first unit is the script's unit `base`."""
    ends = at + (lead + np.cumsum(durations)) * LATENT_HOP_SAMPLES
    starts = ends - durations * LATENT_HOP_SAMPLES
    spans: dict[int, tuple[int, int]] = {}
    for i in range(len(durations)):
        word = script.units[base + i].word
        if word >= 0:
            spans[word] = (spans.get(word, (i, i))[0], i)
    return [
        SpokenWord(
            script.words[word].text,
            float(starts[first]) / SAMPLE_RATE_HZ,
            float(ends[last]) / SAMPLE_RATE_HZ,
            script.words[word].place,
        )
        for word, (first, last) in spans.items()
    ]


def _quiet(silence: SilencePool, samples: int, rng: np.random.Generator) -> Audio:
    try:
        wave, _ = silence.draw(-(-samples // LATENT_HOP_SAMPLES), rng)
    except ValueError:
        return (1e-4 * rng.standard_normal(samples)).astype(np.float32)
    return wave[:samples]
