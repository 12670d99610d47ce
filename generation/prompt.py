"""A voice prompt from a recording: checked, cleaned, and cut to its best 3 s, as tokens and codes.

What a listener would refuse is refused here, with what to do about it: too little speech, silence,
clipping. Whether two people speak is for a speaker encoder to say, which this room has not.
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch

from generation.codec import Codec
from generation.denoise import noise_spectrum, reduce_noise
from generation.errors import VoicePromptError
from generation.rates import (
    FRAMES_PER_TOKEN,
    PROMPT_S,
    PROMPT_TOKENS,
    SAMPLE_RATE_HZ,
    TOKEN_SAMPLES,
    samples_to_s,
)
from generation.rendering import VoicePrompt
from generation.tokenizer.features import extract
from generation.tokenizer.model import Tokenizer
from generation.weights import save_weights

Floats = npt.NDArray[np.float32]

LONGEST_S = 600.0
"""Longest recording that is looked through for its best 3 s."""
LEAST_RATE_HZ = 16_000
SILENT_DBFS = -55.0
"""A recording whose loud frames stay below this holds no voice."""
SPEECH_BELOW_PEAK_DB = 35.0
"""A frame is speech when it is at most this far below the loud frames (as in the codec's level)."""
BREATH_S = 0.5
"""Pauses up to this long count as speech."""
CLIPPED_SHARE = 5e-4
"""Share of samples in flat tops above which a recording counts as clipped."""
CLEAN_BELOW_SPEECH_DB = 45.0
"""Noise that lies this far below the speech is left alone."""

_FRAME = TOKEN_SAMPLES // 4
_FLAT_RUN = 3
_QUIETEST_DB = -60.0
_NOISE_COST = 0.01
"""Share of speech that a decibel of noise is weighed against where 3 s are chosen."""


@dataclass(frozen=True)
class Recording:
    """A recording that may become a prompt.

    Attributes
    ----------
    waveform
        (N,) float32 at 22.05 kHz, one channel.
    digest
        SHA-256 of the file.
    """

    waveform: Floats
    digest: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return samples_to_s(len(self.waveform))


@dataclass(frozen=True)
class Checked:
    """A usable recording and what was measured of it.

    Attributes
    ----------
    recording
        The recording, cleaned where it was noisy.
    given
        (N,) the recording as it was given: cleaning takes a little of the voice's colour as well.
    speech_s
        Seconds of speech in it.
    noise_below_speech_db
        How far its quiet frames lie below its speech, before cleaning.
    start_s
        Where its best 3 s begin.
    """

    recording: Recording
    given: Floats
    speech_s: float
    noise_below_speech_db: float
    start_s: float

    @property
    def prompt_waveform(self) -> Floats:
        """The best 3 s: (66560,)."""
        start = round(self.start_s * SAMPLE_RATE_HZ)
        return self.recording.waveform[start : start + PROMPT_TOKENS * TOKEN_SAMPLES]


def read_recording(path: Path) -> Recording:
    """Read a WAV or FLAC file; several channels become one.

    Raises
    ------
    VoicePromptError
        There is no such file, it is no audio, its rate is below 16 kHz, or it is far too long.
    """
    try:
        data = path.read_bytes()
        with soundfile.SoundFile(path) as file:
            rate, frames = file.samplerate, file.frames
            if rate < LEAST_RATE_HZ:
                raise VoicePromptError(
                    f"{path} has {rate} samples a second: record it at {LEAST_RATE_HZ} or more"
                )
            if frames > LONGEST_S * rate:
                raise VoicePromptError(
                    f"{path} lasts {frames / rate:.0f} s: cut it to at most {LONGEST_S:.0f} s"
                )
            samples = file.read(dtype="float32", always_2d=True)
    except OSError as error:
        raise VoicePromptError(f"the voice prompt {path} cannot be read: {error}") from error
    except soundfile.LibsndfileError as error:
        raise VoicePromptError(
            f"{path} is no audio that can be read ({error}): give a WAV or FLAC file"
        ) from error
    if not np.isfinite(samples).all():
        raise VoicePromptError(f"{path} holds samples that are no numbers: export it again")
    _refuse_clipped(samples)
    waveform = soxr.resample(samples.mean(1), rate, SAMPLE_RATE_HZ, quality="VHQ")
    return Recording(np.asarray(waveform, np.float32), hashlib.sha256(data).hexdigest())


def check(recording: Recording) -> Checked:
    """Check a recording, clean it and find its best 3 s.

    Raises
    ------
    VoicePromptError
        It is silent, or holds less than 3 s of speech.
    """
    level = _levels(recording.waveform)
    loud = float(np.percentile(level, 95)) if len(level) else -np.inf
    if loud < SILENT_DBFS:
        raise VoicePromptError(
            f"the voice prompt is silent (its loudest parts lie at {loud:.0f} dBFS): "
            "record it again, nearer to the microphone"
        )
    speech = _speech(level)
    speech_s = float(speech.sum()) * _FRAME / SAMPLE_RATE_HZ
    if speech_s + _FRAME / SAMPLE_RATE_HZ < PROMPT_S:
        raise VoicePromptError(
            f"the voice prompt holds {speech_s:.1f} s of speech in {recording.duration_s:.1f} s: "
            f"give at least {PROMPT_S:.0f} s, better 10"
        )
    below = float(level[speech].mean() - np.percentile(level, 5))
    waveform = recording.waveform
    if below < CLEAN_BELOW_SPEECH_DB:
        waveform = reduce_noise(waveform, noise_spectrum([waveform]))
    lacking = max(0, PROMPT_TOKENS * TOKEN_SAMPLES - len(waveform))
    cleaned = Recording(np.pad(waveform, (0, lacking)), recording.digest)
    return Checked(cleaned, recording.waveform, speech_s, below, _best_start_s(cleaned.waveform))


def make_prompt(checked: Checked, tokenizer: Tokenizer, codec: Codec) -> VoicePrompt:
    """Turn the best 3 s of a recording into tokens and codes.

    The whole recording is analysed, so that the speaker's usual pitch and level are known.
    """
    waveform = checked.recording.waveform
    whole = waveform[: len(waveform) // TOKEN_SAMPLES * TOKEN_SAMPLES]
    with torch.inference_mode():
        tokens = tokenizer.encode(extract(whole)).numpy()
    codes = codec.encode(whole)
    first = round(checked.start_s * SAMPLE_RATE_HZ / TOKEN_SAMPLES)
    last = first + PROMPT_TOKENS
    return VoicePrompt(
        tokens[first:last], codes[first * FRAMES_PER_TOKEN : last * FRAMES_PER_TOKEN]
    )


def save_prompt(path: Path, prompt: VoicePrompt, source: str) -> str:
    """Write a prompt as a weight file; `source` says what it was made of. Returns its digest."""
    tensors = {"tokens": torch.from_numpy(prompt.tokens), "codes": torch.from_numpy(prompt.codes)}
    tensors |= prompt.timbre.tensors() if prompt.timbre else {}
    return save_weights(
        path, "prompt", {"source": source}, {n: t.contiguous() for n, t in tensors.items()}
    )


def _refuse_clipped(samples: Floats) -> None:
    """Raise where too many samples of any channel stand in flat tops at its extremes."""
    for channel in samples.T:
        peak = float(np.abs(channel).max(initial=0))
        if peak <= 0:
            continue
        flat = np.abs(channel) >= 0.999 * peak
        edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        share = float(runs[runs >= _FLAT_RUN].sum()) / len(channel)
        if share > CLIPPED_SHARE:
            raise VoicePromptError(
                f"the voice prompt is clipped ({share:.1%} of its samples lie in flat tops): "
                "record it again at a lower level"
            )


def _levels(waveform: Floats) -> Floats:
    """Level of frames of 256 samples in dBFS."""
    frames = waveform[: len(waveform) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = (frames.astype(np.float64) ** 2).mean(1)
    return np.asarray(10 * np.log10(power + 1e-12), np.float32)


def _speech(level: Floats) -> npt.NDArray[np.bool_]:
    """Which frames are speech, short pauses between them included."""
    speech = level > np.percentile(level, 95) - SPEECH_BELOW_PEAK_DB
    spoken = np.flatnonzero(speech)
    breath = BREATH_S * SAMPLE_RATE_HZ / _FRAME
    for before, after in pairwise(spoken):
        if after - before <= breath:
            speech[before:after] = True
    return np.asarray(speech)


def _best_start_s(waveform: Floats) -> float:
    """Where the 3 s with the most speech and the least noise begin, on the grid of tokens."""
    level = _levels(waveform)
    speech = _speech(level).astype(np.float64)
    loud = float(np.percentile(level, 95))
    size, step = PROMPT_TOKENS * 4, 4
    best, best_score = 0, -np.inf
    for start in range(0, len(level) - size + 1, step):
        inside = slice(start, start + size)
        floor = max(float(np.percentile(level[inside], 5)) - loud, _QUIETEST_DB)
        score = float(speech[inside].mean()) - _NOISE_COST * (floor - _QUIETEST_DB)
        if score > best_score + 1e-9:
            best, best_score = start, score
    return samples_to_s(best * _FRAME)
