"""`lectern evaluate-voices`: how like their speakers voices by prompt are, on speakers kept out of training.

One held-out text is read once and spoken with every speaker's prompt. A prompt is cut from the beginning of
the speaker's recording; the rest of it, which no model hears, says how alike one person's own speech is.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.measure.heldout import passages
from generation.engine import Engine
from generation.errors import NarrationError, VoicePromptError
from generation.narration import LANES, plan_chapter, spoken_words
from generation.prompt import Checked, Recording, check
from generation.rates import SAMPLE_RATE_HZ
from generation.rendering import WindowReading
from generation.training.codec_data import heldout_paths, manifest, read_recording
from generation.tuning import PromptMaker
from generation.voices import Cast
from qa.audio import Audio, as_audio
from qa.naturalness import naturalness
from qa.recognisers import transcribe
from qa.speaker import Embeddings, embed, identify, similarity
from qa.words import ErrorCount, compare

Floats = npt.NDArray[np.float32]

PROMPT_PARTS_S = (4.5, 5.5, 6.5)
"""Beginnings of a recording that its prompt is cut from: the first that holds 3 s of speech."""
LEAST_REST_S = 4.0
PER_SPEAKER_S = 20.0
"""Recordings of one speaker are joined to at most this."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class SpeakerFigures:
    """One speaker's narration.

    Attributes
    ----------
    similarity
        GE2E cosine of the narration to speech of the speaker that no model heard.
    ceiling
        The same of the prompt's own recording.
    named
        Whether the narration is nearer to this speaker than to any other.
    word_errors, dnsmos
        By Whisper tiny.en; OVRL.
    """

    speaker: str
    similarity: float
    ceiling: float
    named: bool
    word_errors: ErrorCount
    dnsmos: float

    @property
    def share(self) -> float:
        """Similarity as a share of the ceiling."""
        return self.similarity / self.ceiling


@dataclass(frozen=True)
class CorpusFigures:
    """All speakers of one corpus that were kept out, and the text they were made to read."""

    corpus: str
    text: str
    speakers: tuple[SpeakerFigures, ...]

    @property
    def word_error_rate(self) -> float:
        """Errors of all against the words of all."""
        counts = [speaker.word_errors for speaker in self.speakers]
        return sum(c.errors for c in counts) / max(1, sum(c.words for c in counts))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {**asdict(self), "word_error_rate": self.word_error_rate}


def evaluate_voices(
    cast: Cast,
    data: Path,
    books: Sequence[Path],
    corpus: str,
    seed: int = 0,
    report: Report = lambda step: None,
) -> CorpusFigures:
    """Narrate a held-out text with every kept-out speaker of a corpus and measure it.

    Parameters
    ----------
    cast
        Any voice of the `soundstream` codec: its models speak, its own prompt is not used.
    data
        Folder that holds ``speech/manifest.tsv``.
    books
        Books that the frozen list names: the text is the first window of their first passage.
    corpus
        Name in the manifest.
    seed
        Of the reading.
    report
        Told what is being done.

    Raises
    ------
    LecternError
        Data, book or models cannot be used.
    """
    reading, text = _read(cast, books, seed)
    maker = PromptMaker(cast)
    spoken: dict[str, Audio] = {}
    own: dict[str, Embeddings] = {}
    rest: dict[str, Embeddings] = {}
    for speaker, waveform in kept_out(data, corpus):
        report(f"narrating as {speaker}")
        parts = _parted(waveform, speaker)
        if parts is None:
            report(f"{speaker} is left out: too little speech")
            continue
        checked, cut = parts
        voice = cast.renderer.speaking_as(maker.make(checked))
        ((_, sound),) = voice.render([reading])
        spoken[speaker] = as_audio(sound, SAMPLE_RATE_HZ)
        own[speaker] = embed(as_audio(waveform[:cut], SAMPLE_RATE_HZ))
        rest[speaker] = embed(as_audio(waveform[cut:], SAMPLE_RATE_HZ))
    report("judging")
    heard = {speaker: embed(audio) for speaker, audio in spoken.items()}
    names = identify(list(heard.values()), list(rest.values()))
    figures = [
        SpeakerFigures(
            speaker,
            similarity(heard[speaker], rest[speaker]),
            similarity(own[speaker], rest[speaker]),
            int(names[place]) == place,
            compare([text], transcribe(audio)).total,
            naturalness(audio).mean_overall,
        )
        for place, (speaker, audio) in enumerate(spoken.items())
    ]
    return CorpusFigures(corpus, text, tuple(figures))


def _parted(waveform: Floats, speaker: str) -> tuple[Checked, int] | None:
    """Find the shortest beginning that holds a prompt and leaves enough behind it, and its samples."""
    for seconds in PROMPT_PARTS_S:
        cut = round(seconds * SAMPLE_RATE_HZ)
        if len(waveform) < cut + LEAST_REST_S * SAMPLE_RATE_HZ:
            return None
        with suppress(VoicePromptError):
            return check(Recording(waveform[:cut], speaker)), cut
    return None


def kept_out(data: Path, corpus: str) -> Iterator[tuple[str, Floats]]:
    """Yield each kept-out speaker of a corpus with their recordings joined (22.05 kHz)."""
    held = heldout_paths()
    gathered: dict[str, list[Floats]] = defaultdict(list)
    for row in manifest(data):
        if row["corpus"] == corpus and row["path"] in held:
            length = sum(len(waveform) for waveform in gathered[row["speaker"]])
            if length < PER_SPEAKER_S * SAMPLE_RATE_HZ:
                gathered[row["speaker"]].append(read_recording(data, row)[0])
    for speaker, waveforms in gathered.items():
        yield speaker, np.concatenate(waveforms)


def markdown(figures: CorpusFigures) -> str:
    """Render figures as one row a speaker and one of means."""
    rows = [
        f"| {s.speaker} | {s.similarity:.3f} | {s.ceiling:.3f} | {s.share:.2f} | "
        f"{'yes' if s.named else 'no'} | {s.word_errors.errors} of {s.word_errors.words} | {s.dnsmos:.2f} |"
        for s in figures.speakers
    ]
    some = figures.speakers
    named = sum(s.named for s in some)
    mean = (
        f"| all {len(some)} | {fmean(s.similarity for s in some):.3f} | {fmean(s.ceiling for s in some):.3f} "
        f"| {fmean(s.share for s in some):.2f} | {named} of {len(some)} | WER {figures.word_error_rate:.3f} "
        f"| {fmean(s.dnsmos for s in some):.2f} |"
    )
    head = [
        f"Corpus {figures.corpus}, speakers kept out of training, {len(figures.text.split())} words each.",
        "",
        "| speaker | similarity | own speech | share | named | word errors | DNSMOS |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    return "\n".join([*head, *rows, mean]) + "\n"


def _read(cast: Cast, books: Sequence[Path], seed: int) -> tuple[WindowReading, str]:
    """Read the first window of the first passage; return it with its words."""
    chapter = passages(books, 40)[0].chapter
    plan = plan_chapter(chapter, "evaluate-voices", seed)
    for read in islice(Engine(cast.reader, cast.renderer, LANES).read([plan.opening]), 1):
        words = spoken_words(plan.script, read.window, read.reading)
        return read.reading, " ".join(word.text for word in words)
    raise NarrationError(f"chapter {chapter.title!r} has no window to read")
