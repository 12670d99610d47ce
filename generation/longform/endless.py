"""Tokens of speech that do not say where the recording stops.

The tokenizer hears windows of 30 s in both directions, so the last tokens of a recording know that silence
follows; a model trained on them learns to fall silent after as long as its examples last. The cure is the
paper's (arXiv 2412.18603, section 3, the implicit end of sequence): the last window is filled up with the
recording's own start, and of training examples the last 10 s are dropped.
"""

import numpy as np
import numpy.typing as npt

from generation.rates import SAMPLE_RATE_HZ, TOKEN_SAMPLES, tokens_in
from generation.tokenizer.features import OVERLAP_S, WINDOW_S, extract
from generation.tokenizer.model import Tokenizer

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

DROPPED_S = 10.0
"""What is dropped from a training example's end (the same section)."""


def last_window_s(seconds: float) -> float:
    """Find where the tokenizer's last window of a recording begins, in seconds."""
    hop = WINDOW_S - OVERLAP_S
    return max(0.0, float(np.ceil((seconds - OVERLAP_S) / hop) - 1) * hop)


def filled_up(waveform: Floats) -> Floats:
    """Fill a (N,) waveform's last window up with its own start, again and again where it is short."""
    wanted = round((last_window_s(len(waveform) / SAMPLE_RATE_HZ) + WINDOW_S) * SAMPLE_RATE_HZ)
    return np.resize(waveform, max(wanted, len(waveform)))


def endless_tokens(waveform: Floats, tokenizer: Tokenizer, threads: int = 1) -> Ints:
    """Tokens (N // 1024,) of a (N,) waveform at 22.05 kHz as if it went on after its end."""
    tokens: Ints = tokenizer.encode(extract(filled_up(waveform), threads)).numpy()
    return tokens[: len(waveform) // TOKEN_SAMPLES]


def without_end(tokens: Ints) -> Ints:
    """Drop what may still know of the end: the last 10 s."""
    return tokens[: max(0, len(tokens) - tokens_in(DROPPED_S))]
