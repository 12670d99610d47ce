"""The read-along of a narration beside an independent aligner, and that aligner's own error.

The aligner is pocketsphinx, forced along the text (`qa.forced_alignment`): it knows nothing of the models
that read. It is given stretches of about 15 s, cut in pauses, so a highlight wrong by a sentence would
make an alignment fail (`refused`) rather than err. Its own error is measured by the same function on the
teacher's reading, whose times are exact.
"""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from lxml import etree

from flows.factory.intake import chosen
from flows.measure.teacher_book import teacher_windows
from generation.manuscript import read_manuscript
from generation.packages.credits import CLOSING_NUMBER, OPENING_NUMBER
from generation.packages.release import RELEASE_FILE, Release
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ
from generation.training.teacher import Teacher
from qa.audio import as_audio
from qa.errors import AlignmentError
from qa.forced_alignment import align
from qa.text import printed_words

STRETCH_S, PAUSE_S, MARGIN_S = 15.0, 0.25, 0.12
"""A stretch ends at the first pause after so long; so much sound is left around it."""

_SMIL = "{http://www.w3.org/ns/SMIL}"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word as printed, and when it is said to begin and to end, in seconds."""

    text: str
    start_s: float
    end_s: float


Stretch = tuple[npt.NDArray[np.float32], int, Sequence[Spoken]]
"""Samples, their rate in Hz, and the words said in them, in its own time."""


@dataclass(frozen=True)
class Apart:
    """How far word beginnings lie from where the aligner hears them, in milliseconds.

    `bias_ms` is the median with its sign: above nought the aligner hears words later. `levelled_p95_ms` is
    the 95th percentile once the aligner's own bias, known from exact times, is taken off. `refused` counts
    stretches whose text could not be laid over their sound.
    """

    words: int
    bias_ms: float
    median_ms: float
    p95_ms: float
    levelled_p95_ms: float
    stretches: int
    refused: int


def apart(stretches: Iterable[Stretch], bias_ms: float | None = None) -> Apart:
    """Compare words' beginnings with the aligner's, whose own bias is `bias_ms`; none: the one found here."""
    found: list[float] = []
    count = refused = 0
    for sound, rate_hz, words in stretches:
        count += 1
        try:
            found += _lags(sound, rate_hz, words)
        except AlignmentError:
            refused += 1
    lags = 1000 * np.asarray(found)
    own_bias = float(np.median(lags))
    levelled = np.abs(lags - (own_bias if bias_ms is None else bias_ms))
    return Apart(
        len(lags),
        own_bias,
        float(np.median(np.abs(lags))),
        float(np.percentile(np.abs(lags), 95)),
        float(np.percentile(levelled, 95)),
        count,
        refused,
    )


def _lags(sound: npt.NDArray[np.float32], rate_hz: int, words: Sequence[Spoken]) -> Iterator[float]:
    """Yield by how much later the aligner hears each word that it can place."""
    tokens = [
        (token, word.start_s if not place else None)
        for word in words
        for place, token in enumerate(printed_words(word.text))
    ]
    waiting = iter(tokens)
    for heard in align(as_audio(sound, rate_hz), " ".join(token for token, _ in tokens)):
        at_s = next(at_s for token, at_s in waiting if token == heard.text)
        if at_s is not None:
            yield heard.start_s - at_s


def stretches(
    sound: npt.NDArray[np.float32], rate_hz: int, words: Sequence[Spoken]
) -> Iterator[Stretch]:
    """Cut a chapter in pauses into stretches of `STRETCH_S` or a little more."""
    held: list[Spoken] = []
    for word in words:
        pause_s = word.start_s - held[-1].end_s if held else 0.0
        if held and pause_s >= PAUSE_S and held[-1].end_s - held[0].start_s >= STRETCH_S:
            yield _cut(sound, rate_hz, held)
            held = []
        held.append(word)
    if held:
        yield _cut(sound, rate_hz, held)


def _cut(sound: npt.NDArray[np.float32], rate_hz: int, words: Sequence[Spoken]) -> Stretch:
    first = max(0, round((words[0].start_s - MARGIN_S) * rate_hz))
    last = round((words[-1].end_s + MARGIN_S) * rate_hz)
    by_s = first / rate_hz
    moved = [Spoken(word.text, word.start_s - by_s, word.end_s - by_s) for word in words]
    return sound[first:last], rate_hz, moved


def of_release(folder: Path, bias_ms: float, every: int = 1) -> Apart:
    """Measure the overlays of a release's EPUB on the MP3s inside it; only every n-th stretch.

    `bias_ms` is the aligner's own.
    """
    release = Release.model_validate_json((folder / RELEASE_FILE).read_bytes())
    epub = next(folder / file.path for file in release.files if file.path.endswith(".epub"))
    with zipfile.ZipFile(epub) as book:
        taken = [
            stretch
            for chapter in release.chapters
            if chapter.number not in (OPENING_NUMBER, CLOSING_NUMBER)
            for stretch in list(_in_epub(book, chapter))[::every]
        ]
    return apart(taken, bias_ms)


def _in_epub(book: zipfile.ZipFile, chapter: Any) -> Iterator[Stretch]:
    """Yield a chapter's stretches: its words' beginnings as its overlay has them."""
    stem = Path(chapter.files[0].path).stem
    overlay = etree.fromstring(book.read(f"EPUB/text/{stem}.smil"))
    begins = [float(audio.get("clipBegin", "0s")[:-1]) for audio in overlay.iter(f"{_SMIL}audio")]
    words = [
        Spoken(word.text, begin, word.end_s)
        for word, begin in zip(chapter.words, begins, strict=True)
    ][1:]  # the first clip begins at nought
    with book.open(f"EPUB/audio/{stem}.mp3") as file, av.open(file) as container:
        sound = np.concatenate(
            [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        )
    yield from stretches(sound, DELIVERY_RATE_HZ, words)


def of_teacher(book: Path, chapters: str, minutes: float) -> Apart:
    """Measure the aligner's own error: on the teacher's reading, whose times are exact."""
    teacher = Teacher()
    return apart(
        stretch
        for chapter in chosen(read_manuscript(book), chapters)
        for window in teacher_windows(chapter, teacher, limit_s=60 * minutes)
        for stretch in stretches(
            window.audio,
            SAMPLE_RATE_HZ,
            [Spoken(word.text, word.start_s, word.end_s) for word in window.words],
        )
    )


def run(release: Path, book: Path, chapters: str, minutes: float, every: int) -> dict[str, Any]:
    """Measure a narration's release and, on so much of the same chapters, the aligner itself."""
    own = of_teacher(book, chapters, minutes)
    narration = of_release(release, own.bias_ms, every)
    return {
        "passes": True,
        **{f"narration_{name}": value for name, value in asdict(narration).items()},
        **{f"aligner_{name}": value for name, value in asdict(own).items()},
    }
