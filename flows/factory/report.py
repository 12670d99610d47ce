"""The report of a production: every mastered chapter judged with its text, its plan and the prompt."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from flows.factory.patience import patiently
from flows.factory.studio import PARTS, Production, Studio
from flows.services import Services
from generation.manuscript.book import Place
from generation.mastering.times import ChapterTimes, PlaceEntry
from generation.rates import SAMPLE_RATE_HZ
from generation.script.units import Pause, Script
from generation.voices import prompt_sound
from generation.windows import Window
from qa.audio import Audio, as_audio
from qa.book import ChapterAudio, judge_book
from qa.book_report import BookReport, TimedWord
from qa.findings import Question
from qa.judge import ALL_QUESTIONS, Settings
from storage import productions
from storage.models import Chapter
from storage.models import Production as ProductionRow
from storage.models import Window as WindowRow
from storage.objects import fetch

LONG_PAUSES = frozenset({Pause.HEADING, Pause.SCENE, Pause.CHAPTER})
"""After these a pause may be long."""


def write_report(services: Services, production_id: int) -> BookReport:
    """Judge a mastered production, chapter by chapter, with one chapter in memory at a time.

    Raises
    ------
    QAError
        A model of the judges is missing, or a chapter cannot be decoded.
    StorageError
        A mastered chapter is not in the store as it was written.
    """
    studio = Studio(services)
    with Session(services.engine, expire_on_commit=False) as session:
        row = productions.get(session, production_id)
        chapters = list(row.chapters)
        title, voice = row.manuscript.title, row.voice.name
    production = studio.production(production_id)
    with TemporaryDirectory(prefix="lectern-report-") as folder:
        return judge_book(
            title,
            voice,
            (_chapter(studio, production, chapter, Path(folder)) for chapter in chapters),
            _prompt(studio, production),
            row.content_digest or "",
            Settings(questions=_questions(row), threads=len(os.sched_getaffinity(0))),
        )


def _questions(row: ProductionRow) -> frozenset[Question]:
    asked = row.settings.get("questions")
    return frozenset(map(Question, asked)) if asked else ALL_QUESTIONS


def _prompt(studio: Studio, production: Production) -> Audio:
    """Return the voice's prompt as it sounds through its codec."""
    files = {part: studio.file(production, part) for part in PARTS}
    return as_audio(prompt_sound(production.codec, files), SAMPLE_RATE_HZ)


def _chapter(
    studio: Studio, production: Production, chapter: Chapter, folder: Path
) -> ChapterAudio:
    store = studio.services.store
    if chapter.audio_key is None or chapter.times_key is None:
        raise ValueError(f"chapter {chapter.number} is not mastered")
    audio_key, times_key = chapter.audio_key, chapter.times_key
    flac = folder / "chapter.flac"
    patiently(lambda: fetch(store, audio_key, flac, digest=chapter.audio_digest))
    times = ChapterTimes.model_validate_json(
        patiently(lambda: store.get(times_key, digest=chapter.times_digest))
    )
    script = studio.stored_script(chapter.script_key, chapter.script_digest)
    return ChapterAudio(
        number=chapter.number,
        title=chapter.title,
        audio=flac,
        text=" ".join(_spoken(studio, production, chapter, script)),
        words=[
            TimedWord(
                text=word.text,
                start_s=word.start_s,
                end_s=word.end_s,
                reference=_reference(word.place),
            )
            for word in times.words
        ],
        windows_s=tuple((window.start_s, window.end_s) for window in times.windows),
        long_pauses_s=tuple(_long_pauses(script, times)),
    )


def _spoken(
    studio: Studio, production: Production, chapter: Chapter, script: Script
) -> Iterator[str]:
    """Yield what is said for each word, as directed where a person asked for it."""
    with Session(studio.services.engine) as session:
        rows = [window for window, _ in productions.chosen_takes(session, chapter.id)]
    for row in rows:
        yield from _spoken_in(studio, production, chapter, script, row)


def _spoken_in(
    studio: Studio, production: Production, chapter: Chapter, script: Script, row: WindowRow
) -> Iterator[str]:
    planned = Window(row.number, row.unit_start, row.unit_end, 0.0)
    part = studio.part(script, planned, production, chapter.number, row.directions)
    said = [unit.word for unit in part.script.units[part.window.start : part.window.end]]
    for word in dict.fromkeys(number for number in said if number >= 0):
        yield part.script.words[word].spoken


def _long_pauses(script: Script, times: ChapterTimes) -> Iterator[tuple[float, float]]:
    """Yield the stretches between words in which a long pause is meant."""
    if len(times.words) != len(script.words):
        return
    last = -1
    for unit in script.units:
        if unit.word >= 0:
            last = unit.word
        elif Pause(unit.symbol) in LONG_PAUSES and 0 <= last < len(times.words) - 1:
            yield times.words[last].end_s, times.words[last + 1].start_s


def _reference(place: PlaceEntry | Place) -> str:
    return f"{place.document}#{place.node}:{place.start}-{place.end}"
