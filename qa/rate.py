"""How fast is it read? Speech time against the time that its phones, words and phrases take on average.

Words of long and short phones, and pauses, make words a minute a poor measure of tempo: a window of 20 s
varies by 10 % without any change of tempo, against the expected time by under 4 %. Only ratios within a book
are judged, so that the narrator of the table (kathleen, CMU ARCTIC prompts) sets no norm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qa.phones import phones
from qa.recognisers import HeardWord
from qa.signal import Pause
from qa.text import spoken_words

Floats = NDArray[np.float64]

SPAN_S, STEP_S = 25.0, 1.0
"""In the learning half 20 s vary by 5.1 % without any change of tempo, 25 s by 4.3 %."""

_LEAST_WORDS = 15

_PHONE_S = {
    "AA": 0.080, "AE": 0.081, "AH": 0.039, "AO": 0.088, "AW": 0.101, "AY": 0.130, "B": 0.079, "CH": 0.084,
    "D": 0.068, "DH": 0.036, "EH": 0.069, "ER": 0.089, "EY": 0.103, "F": 0.039, "G": 0.055, "HH": 0.018,
    "IH": 0.050, "IY": 0.104, "JH": 0.132, "K": 0.028, "L": 0.070, "M": 0.053, "N": 0.058, "NG": 0.074,
    "OW": 0.109, "OY": 0.153, "P": 0.038, "R": 0.065, "S": 0.106, "SH": 0.146, "T": 0.026, "TH": 0.082,
    "UH": 0.038, "UW": 0.081, "V": 0.058, "W": 0.046, "Y": 0.046, "Z": 0.091, "ZH": 0.102,
}  # fmt: skip
_WORD_S, _PHRASE_S = 0.075, 0.065
"""Seconds that each adds: ridge regression of the speech time of 1,082 kathleen clips on their phones, words
and phrases (stretches between pauses); residual 4.2 % over six sentences."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """Tempo over time.

    Attributes
    ----------
    centre_s : (span,) middle of each 25 s span
    relative : (span,) tempo as a multiple of the recording's own median; not a number where a span holds
        under 15 words
    expected_ratio : the recording's median as a multiple of the table's narrator
    """

    centre_s: Floats
    relative: Floats
    expected_ratio: float


def expected_s(words: Sequence[str]) -> float:
    """Seconds of speech that the words take on average, phrases not counted."""
    spoken = spoken_words(words)
    return sum(_WORD_S + sum(_PHONE_S.get(p, 0.07) for p in phones(w.text)) for w in spoken)


def tempo(words: Sequence[HeardWord], silences: Sequence[Pause], duration_s: float) -> Tempo:
    """Follow the tempo through a recording.

    Parameters
    ----------
    words : what was heard, with times
    silences : its pauses
    duration_s : its length
    """
    middle = np.array([(w.start_s + w.end_s) / 2 for w in words])
    expected = np.array([expected_s([w.text]) for w in words])
    starts = np.arange(0.0, max(duration_s - SPAN_S, 0.0) + 1e-9, STEP_S)
    ratios = np.array(
        [_ratio(middle, expected, silences, s, min(s + SPAN_S, duration_s)) for s in starts]
    )
    known = ratios[np.isfinite(ratios)]
    median = float(np.median(known)) if len(known) else float("nan")
    return Tempo(starts + min(SPAN_S, duration_s) / 2, ratios / median, median)


def _ratio(
    middle: Floats, expected: Floats, silences: Sequence[Pause], start_s: float, end_s: float
) -> float:
    """Divide the expected by the actual speech time of a span."""
    inside = (middle >= start_s) & (middle < end_s)
    if inside.sum() < _LEAST_WORDS:
        return float("nan")
    cuts = [p for p in silences if p.end_s > start_s and p.start_s < end_s]
    silent_s = sum(min(p.end_s, end_s) - max(p.start_s, start_s) for p in cuts)
    spoken_s = end_s - start_s - silent_s
    if spoken_s < 1.0:
        return float("nan")
    return float(expected[inside].sum() + _PHRASE_S * (len(cuts) + 1)) / spoken_s
