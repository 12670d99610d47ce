"""How fast is it read? The time that words take, and how fast the sound changes, along a recording.

Two measures that err in different ways are put together: speech time against the time that the phones, words
and phrases heard take on average, and the speed at which the spectrum moves, which needs no words. Either
alone varies by 4 to 5 % over 20 s without any change of tempo, both together by under 4 %. Only ratios within
a book are judged, so that the narrator of the table (kathleen, CMU ARCTIC prompts) sets no norm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from qa.audio import Audio
from qa.phones import phones
from qa.recognisers import HeardWord
from qa.signal import BAND_HOP_S, Pause, band_powers, local_pauses
from qa.text import spoken_words

Floats = NDArray[np.float64]

SPAN_S, STEP_S = 20.0, 1.0
"""A span holds what takes 20 s at the recording's average tempo: the same words, read faster or slower."""

_LEAST_WORDS = 15

_PHONE_S = {
    "AA": 0.066, "AE": 0.071, "AH": 0.033, "AO": 0.070, "AW": 0.101, "AY": 0.143, "B": 0.088, "CH": 0.068,
    "D": 0.079, "DH": 0.058, "EH": 0.073, "ER": 0.099, "EY": 0.103, "F": 0.054, "G": 0.054, "HH": 0.018,
    "IH": 0.049, "IY": 0.092, "JH": 0.144, "K": 0.023, "L": 0.081, "M": 0.057, "N": 0.058, "NG": 0.067,
    "OW": 0.072, "OY": 0.150, "P": 0.030, "R": 0.076, "S": 0.108, "SH": 0.114, "T": 0.029, "TH": 0.048,
    "UH": 0.040, "UW": 0.067, "V": 0.068, "W": 0.079, "Y": 0.064, "Z": 0.088, "ZH": 0.088,
}  # fmt: skip
_WORD_S, _PHRASE_S = 0.068, 0.082
"""Seconds that each adds, from `python -m qa.calibration.durations`."""

_OF_TIME, _OF_MOVEMENT = 0.62, 0.83
"""Weights of the logarithms of both measures: the least variance in the learning half for a sum that follows
a change of tempo in full (time follows nine tenths of it, movement six)."""

_MOVEMENTS = 12  # cepstral coefficients, the level left out
_FLOOR_DB = 60.0  # under the loudest band, what moves is no speech


@dataclass(frozen=True, slots=True)
class Tempo:
    """Tempo over time.

    Attributes
    ----------
    start_s, end_s : (span,) each span
    relative : (span,) tempo as a multiple of the recording's own median
    expected_ratio : tempo of the whole as a multiple of the table's narrator, by its words alone; not a
        number where little is said
    """

    start_s: Floats
    end_s: Floats
    relative: Floats
    expected_ratio: float


def expected_s(words: Sequence[str]) -> float:
    """Seconds of speech that the words take on average, phrases not counted."""
    spoken = spoken_words(words)
    return sum(_WORD_S + sum(_PHONE_S.get(p, 0.07) for p in phones(w.text)) for w in spoken)


def pace(words: Sequence[HeardWord], silences: Sequence[Pause], duration_s: float) -> float:
    """Give the tempo of a recording as a multiple of the table's narrator; not a number if little is said."""
    spoken_s = duration_s - sum(p.duration_s for p in silences)
    if len(words) < _LEAST_WORDS or spoken_s < 1.0:
        return float("nan")
    return (expected_s([w.text for w in words]) + _PHRASE_S * (len(silences) + 1)) / spoken_s


def tempo(words: Sequence[HeardWord], speech: Audio) -> Tempo:
    """Follow the tempo through a recording.

    Parameters
    ----------
    words : what was heard, with times
    speech : the recording at the rate of the models
    """
    silences = local_pauses(speech)
    whole = pace(words, silences, speech.duration_s)
    expected = np.array([expected_s([w.text]) for w in words])
    spans = _spans(words, expected, speech.duration_s) if np.isfinite(whole) else []
    moved = _Movement.of(speech, silences)
    rows = [
        (words[a].start_s, words[b].end_s, *_measured(words, expected, silences, moved, a, b))
        for a, b in spans
    ]
    start_s, end_s, time, movement = np.array(rows).reshape(-1, 4).T
    logs = _OF_TIME * _centred(np.log(time)) + _OF_MOVEMENT * _centred(np.log(movement))
    return Tempo(start_s, end_s, np.exp(logs), whole)


def _centred(logs: Floats) -> Floats:
    return logs - np.median(logs) if len(logs) else logs


def _spans(
    words: Sequence[HeardWord], expected: Floats, duration_s: float
) -> list[tuple[int, int]]:
    """First and last word of each span, the starts a second and more apart."""
    until = np.cumsum(expected)
    wanted = until[-1] * SPAN_S / duration_s
    found: list[tuple[int, int]] = []
    for first, word in enumerate(words):
        if found and word.start_s < words[found[-1][0]].start_s + STEP_S:
            continue
        last = int(np.searchsorted(until, until[first] - expected[first] + wanted))
        if last >= len(words):
            break
        if last - first + 1 >= _LEAST_WORDS:
            found.append((first, last))
    return found


def _measured(
    words: Sequence[HeardWord],
    expected: Floats,
    silences: Sequence[Pause],
    moved: "_Movement",
    first: int,
    last: int,
) -> tuple[float, float]:
    """Expected over actual speech time of a span, and how fast its spectrum moves."""
    start_s, end_s = words[first].start_s, words[last].end_s
    cuts = [p for p in silences if p.end_s > start_s and p.start_s < end_s]
    silent_s = sum(min(p.end_s, end_s) - max(p.start_s, start_s) for p in cuts)
    spoken_s = max(1.0, end_s - start_s - silent_s)
    wanted_s = float(expected[first : last + 1].sum()) + _PHRASE_S * (len(cuts) + 1)
    return wanted_s / spoken_s, moved.mean(start_s, end_s)


@dataclass(frozen=True, slots=True)
class _Movement:
    """How far the spectrum moves from frame to frame outside pauses, and those frames, summed up."""

    path: Floats
    frames: Floats

    @classmethod
    def of(cls, speech: Audio, silences: Sequence[Pause]) -> "_Movement":
        power = band_powers(speech)
        floor = 3 * np.percentile(power, 5, axis=0) + power.max() * 10 ** (-_FLOOR_DB / 10) + 1e-12
        cepstrum = dct(np.log(power + floor), norm="ortho", axis=1)[:, 1 : _MOVEMENTS + 1]
        steps = np.linalg.norm(np.diff(cepstrum, axis=0), axis=1)
        spoken = np.ones(len(steps))
        for p in silences:
            spoken[round(p.start_s / BAND_HOP_S) : round(p.end_s / BAND_HOP_S)] = 0.0
        zero = np.zeros(1)
        return cls(*(np.concatenate([zero, np.cumsum(x)]) for x in (steps * spoken, spoken)))

    def mean(self, start_s: float, end_s: float) -> float:
        """Mean step of the spoken frames of a stretch."""
        a, b = (min(round(t / BAND_HOP_S), len(self.path) - 1) for t in (start_s, end_s))
        return float(self.path[b] - self.path[a]) / max(1.0, float(self.frames[b] - self.frames[a]))
