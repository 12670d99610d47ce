"""Productions for the review tests: real recordings, taken through the real queue to a filed report.

The sound is real speech (CC0); its windows are sentences. The measures in the reports are made up, because
what is tested is how they are shown and decided on, not how they are measured.
"""

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scenarios
import soundfile
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from qa.book_report import ChapterEntry, combine
from qa.calibration.corpus import Clip
from qa.findings import Finding, Question, Verdict
from qa.report import NaturalnessPart, Report, Source, VoicePart, threshold_entries, verdict_parts
from qa.thresholds import Thresholds
from storage import keys, productions
from storage.database import transaction
from storage.objects import ObjectStore, put_once
from storage.queue import ChapterLease, Mastering, Queue, Rendering, WindowLease

RATE_HZ = 22050
PAUSE_S = 0.35
WINDOWS = (3, 3)
"""Windows of each chapter; every window is three sentences."""
SENTENCES = 3


@dataclass(frozen=True)
class Sentence:
    """A recorded sentence."""

    text: str
    samples: NDArray[np.float32]


@dataclass(frozen=True)
class Made:
    """A production that waits for review; `digest` is its report's."""

    id: int
    digest: str


def sentences(clips: Sequence[Clip]) -> list[Sentence]:
    """Read clips at one rate and one level."""
    found = []
    for clip in clips:
        samples, rate_hz = soundfile.read(clip.path, dtype="float32")
        assert rate_hz == RATE_HZ
        found.append(Sentence(clip.text, samples * np.float32(0.5 / np.abs(samples).max())))
    return found


def _spoken(said: Sequence[Sentence], gain: float) -> bytes:
    pause = np.zeros(round(PAUSE_S * RATE_HZ), dtype=np.float32)
    pieces = [part for sentence in said for part in (sentence.samples * gain, pause)]
    return _flac(np.concatenate(pieces))


def _flac(samples: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


@dataclass
class Studio:
    """Workers that read a production with real recordings."""

    engine: Engine
    store: ObjectStore
    said: Sequence[Sentence]

    def of(self, chapter: int, window: int) -> Sequence[Sentence]:
        start = (sum(WINDOWS[: chapter - 1]) + window) * SENTENCES
        return [self.said[n % len(self.said)] for n in range(start, start + SENTENCES)]

    def render(self, lease: WindowLease) -> Rendering:
        gain = 1.0 - 0.2 * lease.take  # another take sounds otherwise
        data = _spoken(self.of(lease.chapter_number, lease.number), gain)
        place = lease.production_id, lease.chapter_number, lease.number, lease.take, lease.lease
        stored = put_once(self.store, keys.window_part(*place, "audio.flac"), data)
        seconds = len(soundfile.read(io.BytesIO(data))[0]) / RATE_HZ
        return Rendering(lease, stored.key, stored.digest, seconds)

    def master(self, lease: ChapterLease) -> Mastering:
        with self.engine.connect() as connection:
            found = connection.execute(
                text(
                    'SELECT w.number, t.audio_key FROM "window" w JOIN take t ON t.window_id = w.id'
                    " AND t.number = w.chosen_take WHERE w.chapter_id = :id ORDER BY w.number"
                ),
                {"id": lease.id},
            ).all()
        sounds, windows, words, at_s = [], [], [], 0.0
        for number, key in found:
            samples = soundfile.read(io.BytesIO(self.store.get(key)), dtype="float32")[0]
            start_s = at_s
            for line, sentence in enumerate(self.of(lease.number, number)):
                words += _timed(sentence, at_s, number * SENTENCES + line)
                at_s += len(sentence.samples) / RATE_HZ + PAUSE_S
            sounds.append(samples)
            windows.append({"number": number, "start_s": start_s, "end_s": at_s})
        times = json.dumps({"windows": windows, "words": words}).encode()
        parts = {"chapter.flac": _flac(np.concatenate(sounds)), "times.json": times}
        stored = {
            name: put_once(
                self.store,
                keys.chapter_part(lease.production_id, lease.number, lease.lease, name),
                data,
            )
            for name, data in parts.items()
        }
        audio, timed = stored["chapter.flac"], stored["times.json"]
        return Mastering(
            lease, audio.key, audio.digest, timed.key, timed.digest, at_s, audio.digest
        )

    def work(self) -> None:
        """Do all that there is to do."""
        queue = Queue(self.engine, "worker")
        while self._round(queue):
            pass

    def _round(self, queue: Queue) -> bool:
        reading = queue.lease_reading(4)
        while reading:
            reading, _ = queue.commit_readings(
                [scenarios.read(self.store, lease) for lease in reading]
            )
            reading = reading or queue.lease_reading(4)
        again = queue.lease_rereading(8)
        queue.complete_rereadings([scenarios.reread(self.store, lease) for lease in again])
        rendering = queue.lease_rendering(16)
        queue.complete_renderings([self.render(lease) for lease in rendering])
        judging = queue.lease_judging(16)
        queue.complete_judgements([scenarios.judge(lease) for lease in judging])
        mastering = queue.lease_mastering(4)
        queue.complete_masterings([self.master(lease) for lease in mastering])
        return bool(again or rendering or judging or mastering)


def _timed(sentence: Sentence, at_s: float, block: int) -> list[dict[str, object]]:
    """Share a sentence's time among its words by their letters: near enough to follow."""
    words = sentence.text.split()
    letters = [len(word) + 1 for word in words]
    share = len(sentence.samples) / RATE_HZ / sum(letters)
    timed, start_s, place = [], at_s, 0
    for word, length in zip(words, letters, strict=True):
        where = {
            "document": "",
            "node": str(block // SENTENCES),
            "start": place,
            "end": place + len(word),
        }
        end_s = start_s + length * share
        timed.append({"text": word, "start_s": start_s, "end_s": end_s, "place": where})
        start_s, place = end_s, place + length
    return timed


def waiting(
    engine: Engine,
    store: ObjectStore,
    said: Sequence[Sentence],
    *,
    title: str = "The Danger Trail",
    clean: bool = False,
    **order: object,
) -> Made:
    """Take a production to its review; unless `clean`, its report holds failures."""
    voice = scenarios.enrol_voice(engine, store, "kathleen")
    production = scenarios.producing(engine, store, WINDOWS, title=title, voice=voice, **order)
    return judged(engine, store, said, production.id, clean=clean)


def judged(
    engine: Engine,
    store: ObjectStore,
    said: Sequence[Sentence],
    production_id: int,
    *,
    clean: bool = False,
) -> Made:
    """Do a production's work and file a report on it."""
    Studio(engine, store, said).work()
    [content_digest] = scenarios.finish(engine, [production_id])
    with transaction(engine, actor="tester", reason="judged") as session:
        production = productions.get(session, production_id)
        title, voice = production.manuscript.title, production.voice.name
        chapters = [(c.number, c.title, c.duration_s or 0.0) for c in production.chapters]
    entries = [_chapter(*chapter, clean=clean) for chapter in chapters]
    report = combine(title, voice, entries, content_digest)
    stored = put_once(store, keys.report(production_id, report.digest), report.to_json().encode())
    with transaction(engine, actor="tester", reason="reported") as session:
        productions.file_report(
            session,
            production_id,
            digest=report.digest,
            key=stored.key,
            verdict=report.verdict.value,
        )
    return Made(production_id, report.digest)


def _chapter(number: int, title: str, duration_s: float, *, clean: bool) -> ChapterEntry:
    findings = [] if clean else _findings(number)
    centre_s = [0.5 * n + 1.5 for n in range(int(2 * (duration_s - 3)))]
    likeness = [0.9 + 0.02 * math.sin(t) for t in centre_s]
    natural_s = [t for t in centre_s if t % 2 < 0.5]
    natural = [3.3 + 0.15 * math.cos(t / 3) for t in natural_s]
    if not clean and number == 2:
        likeness = [
            v - 0.3 * math.exp(-(((t - 9) / 1.5) ** 2))
            for t, v in zip(centre_s, likeness, strict=True)
        ]
    limits = Thresholds()
    report = Report(
        source=Source(
            name=title,
            duration_s=duration_s,
            rate_hz=RATE_HZ,
            pcm_sha256="0" * 64,
            text_sha256=None,
            prompt_sha256=None,
        ),
        words=None,
        voice=VoicePart(
            embedding=[1.0, 0.0],
            centre_s=centre_s,
            speech_share=[1.0] * len(centre_s),
            to_median=likeness,
            to_prompt=None,
            mean_to_prompt=None,
            drift_per_hour=0.0,
            pitch_centre_s=[],
            base_semitones=[],
            base_pitch_hz=180.0,
            median_pitch_hz=200.0,
            pitch_spread_semitones=3.0,
            tempo_centre_s=[],
            relative_tempo=[],
            tempo=1.0,
        ),
        naturalness=NaturalnessPart(
            centre_s=natural_s,
            overall=natural,
            signal=natural,
            background=natural,
            mean_overall=3.3,
            worst_minute_overall=3.2,
            worst_minute_start_s=0.0,
            slope_per_hour=0.0,
        ),
        signal=None,
        spec=None,
        thresholds=threshold_entries(limits),
        models={"test": "1"},
        **verdict_parts(
            [Question.VOICE, Question.WORDS, Question.NATURALNESS, Question.SIGNAL],
            [(0.0, duration_s)],
            findings,
        ),
    ).signed()
    return ChapterEntry(number=number, title=title, duration_s=duration_s, report=report)


def _findings(chapter: int) -> list[Finding]:
    voice = Finding(
        Question.VOICE, "speaker", Verdict.FAIL, "another voice for 2.1 s: likeness 0.59",
        8.0, 10.1, 0.59, 0.775, "cosine",
    )  # fmt: skip
    word = Finding(
        Question.WORDS, "substitution", Verdict.FAIL, "heard “wittmore” where “Whittemore” stands",
        4.2, 5.6, 12.0, 9.0, "nats",
    )  # fmt: skip
    click = Finding(
        Question.SIGNAL, "click", Verdict.INCONCLUSIVE, "perhaps a click, 6 dB over its surroundings",
        15.0, 15.4, 6.0, 12.0, "dB",
    )  # fmt: skip
    near = replace(
        click, check="dead_air", start_s=15.2, end_s=15.5, reason="a quiet stretch of 0.3 s"
    )
    return [word, click, near] if chapter == 1 else [voice]
