"""Does SoundStorm listen to the semantic tokens? One text rendered with the tokens of two takes.

Melody and timing must follow the tokens: with take B's tokens under take A's text and seed they should
change far more than when take A is rendered again with another SoundStorm seed.
"""

from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from generation.engine import Engine
from generation.errors import NarrationError
from generation.manuscript.book import Chapter
from generation.narration import LANES, ChapterPlan, plan_chapter, spoken_words
from generation.rates import SAMPLE_RATE_HZ
from generation.rendering import WindowReading
from generation.voices import Cast
from generation.windows import Window
from qa.audio import Audio, as_audio
from qa.errors import AlignmentError
from qa.forced_alignment import align
from qa.pitch import compare_contours, pitch


@dataclass(frozen=True)
class Change:
    """How far a rendering is from another of the same text.

    Attributes
    ----------
    pitch_correlation, pitch_distance_semitones
        Of the two pitch contours (`qa.pitch.compare_contours`).
    duration_change_s
        Difference in length.
    word_start_change_s
        Mean distance of the words' starts by forced alignment; None where the text could not be laid
        over one of the two.
    """

    pitch_correlation: float
    pitch_distance_semitones: float
    duration_change_s: float
    word_start_change_s: float | None


@dataclass(frozen=True)
class Ablation:
    """One window of text: what other tokens change, and what only another SoundStorm seed changes."""

    words: int
    other_tokens: Change
    other_seed: Change

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self)


def ablate(cast: Cast, chapter: Chapter, seed: int = 0) -> Ablation:
    """Render a chapter's first window with its own and with another take's semantic tokens.

    Raises
    ------
    NarrationError
        The window could not be read.
    """
    plan = plan_chapter(chapter, cast.prompt_digest, seed)
    window = plan.job.windows[0]
    own, other = (_read(cast, plan, take) for take in (1, 2))
    swapped = replace(own, tokens=other.tokens, pointer=other.pointer)
    again = replace(own, seed=other.seed)
    rendered = dict(cast.renderer.render([own, swapped, again]))
    first, with_tokens, with_seed = (as_audio(rendered[i], SAMPLE_RATE_HZ) for i in range(3))
    text = _text(plan, window, own)
    return Ablation(
        len(text.split()), _change(first, with_tokens, text), _change(first, with_seed, text)
    )


def _read(cast: Cast, plan: ChapterPlan, take: int) -> WindowReading:
    job = replace(plan.opening, take=take)
    for read in islice(Engine(cast.reader, cast.renderer, LANES).read([job]), 1):
        return read.reading
    raise NarrationError(f"chapter {plan.chapter.title!r} has no window to read")


def _text(plan: ChapterPlan, window: Window, reading: WindowReading) -> str:
    return " ".join(word.text for word in spoken_words(plan.script, window, reading))


def _change(ours: Audio, other: Audio, text: str) -> Change:
    contours = compare_contours(pitch(ours), pitch(other))
    return Change(
        contours.correlation,
        contours.distance_semitones,
        abs(ours.duration_s - other.duration_s),
        _word_start_change_s(ours, other, text),
    )


def _word_start_change_s(ours: Audio, other: Audio, text: str) -> float | None:
    try:
        starts = [[word.start_s for word in align(audio, text)] for audio in (ours, other)]
    except AlignmentError:
        return None
    if not starts[0] or len(starts[0]) != len(starts[1]):
        return None
    return float(np.mean(np.abs(np.subtract(starts[0], starts[1]))))
