"""A take of a window, measured twice: by what may choose among takes, and by what only proves the choice.

A measure that chooses looks better than it is on what it chose. So takes are chosen by Whisper's words and
the GE2E voice, and proved by Moonshine's words and by the voice's spectrum and pitch, which choose nothing:
a recogniser with other weights from other data, other features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.clicks import clicks
from qa.moonshine import transcribe_by_moonshine
from qa.pitch import pitch
from qa.recognisers import transcribe
from qa.signal import band_power, clipped_peaks_per_s, pauses
from qa.thresholds import Thresholds
from qa.words import compare

Floats = NDArray[np.float64]

_COEFFICIENTS = 13  # of the cepstrum, the level left out
_SPEECH_BELOW_LOUD_DB = 25.0


@dataclass(frozen=True, slots=True)
class TakeScore:
    """What may choose a take.

    Attributes
    ----------
    word_errors, words : of Whisper's transcript against the window's text
    similarity : cosine of the GE2E embedding to the voice prompt's; None where there is too little speech
    faults : what else is wrong with its sound, in words
    """

    word_errors: int
    words: int
    similarity: float | None
    faults: tuple[str, ...] = ()

    @property
    def word_error_rate(self) -> float:
        """Word errors against the words of the text."""
        return self.word_errors / max(1, self.words)


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves a take and never chooses one.

    Attributes
    ----------
    word_error_rate : of Moonshine's transcript
    spectrum_distance : Euclidean distance of the mean cepstra of take and prompt
    pitch_semitones : median pitch of the take against the prompt's; not a number if either is unvoiced
    """

    word_error_rate: float
    spectrum_distance: float
    pitch_semitones: float


def score_take(
    audio: Audio,
    text: str,
    prompt_embedding: NDArray[np.float32] | None,
    limits: Thresholds,
    threads: int = 1,
) -> TakeScore:
    """Measure what may choose a take.

    Parameters
    ----------
    audio : the window's sound
    text : what it should say
    prompt_embedding : `qa.speaker.embed` of the voice prompt; None leaves the voice out
    limits : thresholds for clicks, clipping and pauses
    threads : CPU threads
    """
    total = compare(text, transcribe(audio, threads)).total
    similarity = None
    if prompt_embedding is not None and _speech_s(audio) >= limits.window_least_s:
        from qa.speaker import embed
        from qa.speaker import similarity as likeness

        similarity = likeness(embed(audio), prompt_embedding)
    return TakeScore(total.errors, total.words, similarity, _faults(audio, limits))


def _speech_s(audio: Audio) -> float:
    return audio.duration_s - sum(pause.duration_s for pause in pauses(audio))


def _faults(audio: Audio, limits: Thresholds) -> tuple[str, ...]:
    found = []
    impulses = clicks(audio, limits)
    if impulses:
        found.append(f"{len(impulses)} clicks")
    flat = clipped_peaks_per_s(audio)
    if flat > limits.clipped_peaks_most_per_s:
        found.append(f"clipped: {flat:.1f} peaks a second reach the same ceiling")
    inner = [p for p in pauses(audio) if p.start_s > 0.05 and p.end_s < audio.duration_s - 0.05]
    longest_s = max((p.duration_s for p in inner), default=0.0)
    if longest_s > limits.pause_most_s:
        found.append(f"dead air for {longest_s:.1f} s")
    return tuple(found)


def prove_take(audio: Audio, text: str, prompt: Audio) -> Proof:
    """Measure what proves a take.

    Parameters
    ----------
    audio : the window's sound
    text : what it should say
    prompt : the voice it should be
    """
    words = compare(text, transcribe_by_moonshine(audio)).total
    distance = float(np.linalg.norm(cepstrum(audio) - cepstrum(prompt)))
    ours, theirs = (pitch(one).median_hz for one in (audio, prompt))
    semitones = 12 * np.log2(ours / theirs) if ours and theirs else np.nan
    return Proof(words.rate, distance, float(semitones))


def cepstrum(audio: Audio) -> Floats:
    """Mean cepstrum of the loud frames, 20 bands from 100 Hz: the voice's average spectrum, (13,) array."""
    power = band_power(resampled(audio, ANALYSIS_RATE_HZ))
    level = 10 * np.log10(power.sum(axis=1) + 1e-12)
    spoken = power[level > np.percentile(level, 95) - _SPEECH_BELOW_LOUD_DB]
    logs = np.log(spoken + 1e-10)
    return np.asarray(dct(logs, norm="ortho", axis=1)[:, 1 : _COEFFICIENTS + 1].mean(axis=0))
