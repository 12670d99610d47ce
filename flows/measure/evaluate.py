"""`lectern evaluate`: how good the narration is, first take and unrepaired, beside Piper on the same text."""

import gc
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import psutil
import torch

from flows.measure.heldout import Passage, passages
from flows.measure.piper import read_by_piper
from generation.engine import Engine
from generation.mastering.stitch import Window, stitch
from generation.narration import LANES, plan_chapter
from generation.rates import SAMPLE_RATE_HZ
from generation.rendering import hand_back_memory
from generation.voices import Cast
from qa.audio import Audio, as_audio
from qa.naturalness import naturalness
from qa.recognisers import transcribe, transcribe_by_sphinx
from qa.speaker import track_speaker
from qa.statistics import Interval, wer_difference
from qa.words import ErrorCount, WordReport, compare

_SPOKEN = 0.8  # windows with more silence than that say little of the voice

Report = Callable[[str], None]


@dataclass(frozen=True)
class Words:
    """Words by one recogniser: errors of each sentence, and sentences missing or said twice."""

    by_sentence: tuple[ErrorCount, ...]
    missing: int
    doubled: int

    @property
    def wer(self) -> float:
        """Word error rate over all sentences."""
        words = sum(count.words for count in self.by_sentence)
        return sum(count.errors for count in self.by_sentence) / max(1, words)

    @property
    def missing_or_doubled_per_10k(self) -> float:
        """Sentences missing or doubled per ten thousand words."""
        words = sum(count.words for count in self.by_sentence)
        return (self.missing + self.doubled) * 10_000 / max(1, words)


@dataclass(frozen=True)
class Judgement:
    """What was measured of one narration of all passages.

    Attributes
    ----------
    whisper, sphinx
        Words by either recogniser.
    dnsmos, worst_minute
        DNSMOS OVRL: mean over all excerpts, lowest minute of any passage.
    similarity
        Mean GE2E cosine of 3 s windows to the voice prompt.
    audio_s, wall_s
        Seconds of speech, and seconds it took to make.
    """

    whisper: Words
    sphinx: Words
    dnsmos: float
    worst_minute: float
    similarity: float
    audio_s: float
    wall_s: float


@dataclass(frozen=True)
class SeedResult:
    """One seed: what was measured, and, where Piper was run, the comparison with it.

    Attributes
    ----------
    forced
        Advances that had to be forced.
    memory_mb
        Resident memory at rest after the narration, everything freed given back to the system.
    whisper_difference, sphinx_difference
        Word error rate minus Piper's, paired bootstrap by sentence.
    similarity_share
        Similarity to the prompt over that of Piper's own speech.
    time_ratio
        Time of the whole chain over Piper's (its start taken off).
    """

    seed: int
    judged: Judgement
    forced: int
    memory_mb: float
    whisper_difference: Interval | None
    sphinx_difference: Interval | None
    similarity_share: float | None
    time_ratio: float | None


@dataclass(frozen=True)
class PassageText:
    """Which text was read: book, number of its chapter, words."""

    book: str
    chapter: int
    words: int


@dataclass(frozen=True)
class Evaluation:
    """All seeds over all passages, beside Piper where it was run."""

    voice: str
    digests: dict[str, str]
    passages: tuple[PassageText, ...]
    seeds: tuple[SeedResult, ...]
    piper: Judgement | None

    @property
    def memory_mb_per_hour(self) -> float | None:
        """Growth of resident memory for each hour of audio after the first seed, which warms up."""
        return memory_growth([(s.judged.audio_s, s.memory_mb) for s in self.seeds])

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {**asdict(self), "memory_mb_per_hour": self.memory_mb_per_hour}


@dataclass(frozen=True)
class _Made:
    recordings: tuple[Audio, ...]
    wall_s: float
    forced: int
    memory_mb: float


def evaluate(
    cast: Cast,
    books: Sequence[Path],
    words: int,
    seeds: Sequence[int],
    piper: Path | None = None,
    report: Report = lambda step: None,
) -> Evaluation:
    """Narrate held-out text with every seed and measure it.

    Parameters
    ----------
    cast
        The voice and its models.
    books
        Books that the frozen list of held-out chapters names.
    words
        Least number of words to read, in equal shares of the books.
    seeds
        Each gives a reading of its own; take 1, nothing repaired.
    piper
        Piper's executable; without it nothing is compared.
    report
        Told what is being done.

    Raises
    ------
    LecternError
        A book cannot be used, a window could not be read, or Piper could not be run.
    """
    chosen = passages(books, words)
    prompt = as_audio(cast.renderer.codec.decode(cast.renderer.prompt.codes, 0), SAMPLE_RATE_HZ)
    rival = _judged_piper(piper, chosen, prompt, report) if piper else None
    results = tuple(_judged_seed(cast, chosen, prompt, seed, rival, report) for seed in seeds)
    return Evaluation(
        cast.voice.name,
        cast.digests,
        tuple(PassageText(p.book, p.source_number, p.chapter.words) for p in chosen),
        results,
        rival,
    )


def _judged_piper(
    piper: Path, chosen: Sequence[Passage], prompt: Audio, report: Report
) -> Judgement:
    report("Piper narrates")
    theirs = read_by_piper(piper, [passage.text for passage in chosen])
    report("judging Piper")
    return judge(theirs.recordings, chosen, prompt, max(theirs.wall_s - theirs.start_s, 1e-3))


def _judged_seed(
    cast: Cast,
    chosen: Sequence[Passage],
    prompt: Audio,
    seed: int,
    rival: Judgement | None,
    report: Report,
) -> SeedResult:
    report(f"narrating, seed {seed}")
    made = _narrate(cast, chosen, seed)
    report(f"judging, seed {seed}")
    judged = judge(made.recordings, chosen, prompt, made.wall_s)
    return _compared(seed, made, judged, rival)


def _narrate(cast: Cast, chosen: Sequence[Passage], seed: int) -> _Made:
    """Narrate the passages; windows wait on disk, so that only the engine's own memory is seen."""
    with tempfile.TemporaryDirectory(prefix="lectern-evaluate-") as name:
        folder, counts = Path(name), defaultdict[str, int](int)
        forced = 0
        began = time.perf_counter()
        plans = [plan_chapter(p.chapter, cast.prompt_digest, seed) for p in chosen]
        engine = Engine(cast.reader, cast.renderer, LANES)
        for sound in engine.narrate(plan.job for plan in plans):
            key = sound.read.key
            np.save(folder / f"{key}-{counts[key]}.npy", sound.waveform)
            counts[key] += 1
            forced += sound.read.forced
        narrated_s = time.perf_counter() - began
        del engine
        memory_mb = _memory_at_rest_mb()
        began = time.perf_counter()
        recordings = tuple(_stitched(folder, plan.job.key, counts[plan.job.key]) for plan in plans)
        wall_s = narrated_s + time.perf_counter() - began
    return _Made(recordings, wall_s, forced, memory_mb)


def _stitched(folder: Path, key: str, count: int) -> Audio:
    def windows() -> Iterator[Window]:
        for number in range(count):
            yield Window(np.load(folder / f"{key}-{number}.npy"))

    return as_audio(np.concatenate([piece.audio for piece in stitch(windows())]), SAMPLE_RATE_HZ)


def _memory_at_rest_mb() -> float:
    gc.collect()
    hand_back_memory()
    return float(psutil.Process(os.getpid()).memory_info().rss) / 1e6


def memory_growth(readings: Sequence[tuple[float, float]]) -> float | None:
    """Megabytes of memory gained for each hour of audio after the first reading (least squares).

    Parameters
    ----------
    readings
        (seconds of audio, resident megabytes after it) of each, in order. With fewer than three nothing
        can be said.
    """
    if len(readings) < 3:
        return None
    audio_s, resident_mb = np.array(readings).T
    return float(np.polyfit(np.cumsum(audio_s)[1:], resident_mb[1:], 1)[0]) * 3600


@dataclass(frozen=True)
class _Heard:
    """What was measured of one recording."""

    overall: list[float]
    worst_minute: float
    cosines: list[float]
    whisper: WordReport
    sphinx: WordReport


def judge(
    recordings: Sequence[Audio], chosen: Sequence[Passage], prompt: Audio, wall_s: float
) -> Judgement:
    """Measure recordings of the passages, one each, in their order; a process for each core."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        texts = [passage.sentences for passage in chosen]
        heard = list(pool.map(_hear, recordings, texts, repeat(prompt)))
    return Judgement(
        _words([one.whisper for one in heard]),
        _words([one.sphinx for one in heard]),
        fmean(score for one in heard for score in one.overall),
        min(one.worst_minute for one in heard),
        fmean(cosine for one in heard for cosine in one.cosines),
        sum(recording.duration_s for recording in recordings),
        wall_s,
    )


def _hear(recording: Audio, sentences: Sequence[str], prompt: Audio) -> _Heard:
    torch.set_num_threads(1)
    rated = naturalness(recording)
    return _Heard(
        rated.overall.tolist(),
        rated.worst_minute_overall,
        _to_prompt(recording, prompt),
        compare(sentences, transcribe(recording)),
        compare(sentences, transcribe_by_sphinx(recording)),
    )


def _to_prompt(recording: Audio, prompt: Audio) -> list[float]:
    """Cosine of each spoken 3 s to the prompt."""
    track = track_speaker(recording, prompt)
    spoken = track.speech_share >= _SPOKEN
    assert track.to_prompt is not None
    kept = track.to_prompt[spoken] if spoken.any() else track.to_prompt
    return [float(cosine) for cosine in kept]


def _words(reports: Sequence[WordReport]) -> Words:
    return Words(
        tuple(count for report in reports for count in report.by_sentence),
        sum(len(report.missing) for report in reports),
        sum(len(report.doubled) for report in reports),
    )


def _compared(seed: int, made: _Made, judged: Judgement, rival: Judgement | None) -> SeedResult:
    if rival is None:
        nothing = (None, None, None, None)
        return SeedResult(seed, judged, made.forced, made.memory_mb, *nothing)
    return SeedResult(
        seed,
        judged,
        made.forced,
        made.memory_mb,
        wer_difference(judged.whisper.by_sentence, rival.whisper.by_sentence),
        wer_difference(judged.sphinx.by_sentence, rival.sphinx.by_sentence),
        judged.similarity / rival.similarity,
        judged.wall_s / rival.wall_s,
    )
