"""A book read by the teacher instead of the models: sound in seconds, with every word's exact time.

The teacher reads in our own units, so each word's time is known to a frame of 12 ms. Packages, publishing and
their tests are measured on it; it is no narration of Lectern's.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from flows.factory.desk import mastering
from flows.services import Services
from generation.codec.latent import LATENT_HOP_SAMPLES
from generation.manuscript.book import Chapter
from generation.mastering import MasteredChapter, NarratedWindow, SpokenWord
from generation.rates import SAMPLE_RATE_HZ
from generation.script import write_script
from generation.script.units import Script
from generation.training.corpus import BREAK_S, SENTENCE_PAUSE_S, SilencePool
from generation.training.teacher import Teacher, sentences
from storage import keys, productions
from storage.database import transaction
from storage.objects import put_once
from storage.queue import (
    ChapterLease,
    Judgement,
    Mastering,
    Queue,
    Reading,
    Rendering,
    WindowLease,
)

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


# Through the factory ----------------------------------------------------------------------------------


def make_by_teacher(
    services: Services, production_id: int, masters: Mapping[int, MasteredChapter]
) -> str:
    """Make a planned production of chapters that the teacher read; returns the report's digest.

    Every stage is leased and completed as a worker does it; only the sound comes from elsewhere, so the
    tokens and the windows' audio are mere names.
    """
    queue, store = Queue(services.engine, "teacher"), services.store

    def kept(lease: ChapterLease | WindowLease, name: str) -> tuple[str, str]:
        key = f"{keys.PRODUCTIONS}{lease.production_id}/teacher/{lease.id}-{lease.lease}-{name}"
        stored = put_once(store, key, f"{lease.id} {name}".encode())
        return stored.key, stored.digest

    while reading := queue.lease_reading(8):
        going_on = reading
        while going_on:
            done = [
                Reading(one, 0, *kept(one, f"{one.cursor}-t"), *kept(one, f"{one.cursor}-s"))
                for one in going_on
            ]
            going_on, _ = queue.commit_readings(done)
    while rendering := queue.lease_rendering(64):
        queue.complete_renderings([Rendering(one, *kept(one, "a"), 20.0) for one in rendering])
    while judging := queue.lease_judging(64):
        queue.complete_judgements([Judgement(one, "pass", one.take, {}) for one in judging])
    while mastering := queue.lease_mastering(4):
        queue.complete_masterings([_delivered(services, one, masters) for one in mastering])
    with transaction(services.engine, actor="teacher", reason="all is mastered") as session:
        productions.finish(session, production_id)
    report = put_once(store, keys.report(production_id, "teacher"), b'{"by": "the teacher"}\n')
    with transaction(services.engine, actor="teacher", reason="reported") as session:
        productions.file_report(
            session, production_id, digest=report.digest, key=report.key, verdict="pass"
        )
    return report.digest


def _delivered(
    services: Services, lease: ChapterLease, masters: Mapping[int, MasteredChapter]
) -> Mastering:
    chapter = masters[lease.number]
    audio_key, times_key = (
        keys.chapter_part(lease.production_id, lease.number, lease.lease, name)
        for name in ("audio", "times")
    )
    audio = put_once(services.store, audio_key, chapter.flac)
    times = put_once(services.store, times_key, chapter.times_json())
    with Session(services.engine) as session:
        return mastering(lease, chapter, audio, times, productions.chosen_takes(session, lease.id))


def approve(services: Services, production_id: int, report: str, reviewer: str) -> None:
    """Approve a production by its report's digest."""
    with transaction(services.engine, actor=reviewer, reason="heard and found good") as session:
        productions.decide(
            session, production_id, report_digest=report, approved=True, reviewer=reviewer
        )
