"""Scores of long speech over time: naturalness, similarity, coherence, share of speech, repetitions.

Naturalness and similarity are taken on equal excerpts at equal distances (the idea of the paper's N-MOS-T,
with DNSMOS for the listeners and GE2E for its speaker embedding). What the paper measures by other means
has the same shape here, not the same scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import linregress, t

from generation.longform.endless import Ints
from generation.longform.perplexity import repeated_share
from generation.rates import tokens_in
from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.naturalness import EXCERPT_S, naturalness
from qa.recognisers import transcribe
from qa.speaker import Embeddings, embed, similarity
from qa.statistics import CONFIDENCE, Interval

EXCERPT_STEP_S = 10.0
"""Distance between the excerpts that are judged."""

LEAST_EXCERPTS = 3
CHANGE_S = 960.0
"""Changes are told for 16 minutes, whatever the length of the recording."""

STRETCH_S = 240.0
"""Repetitions are counted in stretches of 4 minutes: more of them come with length, whoever speaks."""

SPAN_WORDS = 100
"""Words of a span of SC-L (arXiv 2412.18603, section 5)."""


@dataclass(frozen=True)
class Scores:
    """What one recording scores.

    `centre_s`: middles of the excerpts, in seconds; `dnsmos`, `speaker`: DNSMOS OVRL of each and cosine of
    its GE2E embedding to the voice prompt's; `speech`: share of the whole that is speech (Silero);
    `repeated_tokens`, `repeated_words`: share of 4-grams that occurred before, one for each stretch of 4
    minutes; `words`: words recognised in all; `coherence_words`, `coherence`: first word of each span of
    100 and its SC-L.
    """

    name: str
    duration_s: float
    centre_s: list[float]
    dnsmos: list[float]
    speaker: list[float]
    speech: float
    repeated_tokens: list[float]
    repeated_words: list[float]
    words: int
    coherence_words: list[int]
    coherence: list[float]

    def to_json(self) -> dict[str, Any]:
        """Return the scores as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Drift:
    """How one recording holds its sound and its voice: `centre_s`, `dnsmos`, `speaker` as in `Scores`."""

    name: str
    duration_s: float
    centre_s: list[float]
    dnsmos: list[float]
    speaker: list[float]

    @classmethod
    def of(cls, name: str, audio: Audio, voice: Embeddings) -> "Drift":
        """Judge excerpts of a recording at equal distances; `voice`: the embedding it should have."""
        speech = resampled(audio, ANALYSIS_RATE_HZ)
        length = round(EXCERPT_S * ANALYSIS_RATE_HZ)
        step = round(EXCERPT_STEP_S * ANALYSIS_RATE_HZ)
        starts = np.arange(0, len(speech.samples) - length + 1, step)
        excerpts = [Audio(speech.samples[s : s + length], ANALYSIS_RATE_HZ) for s in starts]
        return cls(
            name,
            audio.duration_s,
            [float(s / ANALYSIS_RATE_HZ + EXCERPT_S / 2) for s in starts],
            [naturalness(excerpt).mean_overall for excerpt in excerpts],
            [similarity(embed(excerpt), voice) for excerpt in excerpts],
        )


def change(centre_s: Sequence[float], values: Sequence[float]) -> Interval | None:
    """Change of a score in 16 minutes: least squares over excerpts, with the 95 % interval of its slope.

    The interval takes excerpts to be independent, and speaks of excerpts of this one recording alone. None
    for fewer than three.
    """
    if len(values) < LEAST_EXCERPTS:
        return None
    line = linregress(centre_s, values)
    half = float(line.stderr * t.ppf(0.5 + CONFIDENCE / 2, len(values) - 2)) * CHANGE_S
    slope = float(line.slope) * CHANGE_S
    return Interval(slope, slope - half, slope + half, CONFIDENCE)


def score(
    name: str,
    audio: Audio,
    tokens: Ints,
    voice: Embeddings,
    prompt_text: str,
    coherence: Callable[[str, str], list[float]] | None,
    prompt_s: float = 0.0,
) -> Scores:
    """Score one recording.

    Parameters
    ----------
    name
        What it is called in tables.
    audio
        The recording.
    tokens
        Its semantic tokens.
    voice
        Embedding of the voice it should be.
    prompt_text
        Transcript of what it continues.
    coherence
        SC-L of a continuation's transcript, span by span, given (prompt, continuation); None: not measured.
    prompt_s
        How much of the recording is the prompt itself, which coherence leaves out.
    """
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    drift = Drift.of(name, speech, voice)
    found = transcribe(speech).words
    words = [word.text for word in found]
    said = " ".join(word.text for word in found if word.start_s >= prompt_s)
    spans = coherence(prompt_text, said) if coherence and said and prompt_text else []
    return Scores(
        name=name,
        duration_s=audio.duration_s,
        centre_s=drift.centre_s,
        dnsmos=drift.dnsmos,
        speaker=drift.speaker,
        speech=share_of_speech(speech),
        repeated_tokens=repeated_tokens(tokens),
        repeated_words=[repeated_share(part) for part in _word_stretches(words, audio.duration_s)],
        words=len(words),
        coherence_words=[SPAN_WORDS * i for i in range(len(spans))],
        coherence=spans,
    )


def repeated_tokens(tokens: Ints) -> list[float]:
    """Share of 4-grams that occurred before, in whole stretches of 4 minutes; a shorter recording is one."""
    length = tokens_in(STRETCH_S)
    count = max(1, len(tokens) // length)
    return [repeated_share(tokens[i * length : (i + 1) * length]) for i in range(count)]


def _word_stretches(words: list[str], duration_s: float) -> list[list[str]]:
    count = max(1, int(duration_s // STRETCH_S))
    plain = ["".join(c for c in word.lower() if c.isalnum()) for word in words]
    return [part.tolist() for part in np.array_split(np.array(plain, object), count)]


@lru_cache(maxsize=1)
def _vad() -> Any:
    from faster_whisper.vad import get_speech_timestamps

    return get_speech_timestamps


def share_of_speech(audio: Audio) -> float:
    """Share of a recording that is speech, by the Silero detector inside faster-whisper."""
    samples: npt.NDArray[np.float32] = resampled(audio, ANALYSIS_RATE_HZ).samples
    found = _vad()(samples)
    speech: int = sum(part["end"] - part["start"] for part in found)
    return speech / max(1, len(samples))
