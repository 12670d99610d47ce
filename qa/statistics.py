"""How sure are we? A paired bootstrap of word error rates, and Wilson's bound for a share."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from qa.words import ErrorCount

RESAMPLES = 10_000
CONFIDENCE = 0.95
_BLOCK = 250  # resamples held at once


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that holds it with the stated confidence."""

    estimate: float
    low: float
    high: float
    confidence: float


def wer_difference(
    ours: Sequence[ErrorCount],
    theirs: Sequence[ErrorCount],
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Compare the word error rates of two readings of the same sentences by paired bootstrap.

    Sentences are drawn with replacement, the same for both readings (Bisani and Ney, ICASSP 2004,
    section 3), and the interval holds the central `confidence` of the resampled differences.

    Parameters
    ----------
    ours, theirs : (sentence,) errors of each sentence
    seed : of the draw

    Raises
    ------
    ValueError
        If the readings are not of the same sentences, or of none.
    """
    words = np.array([c.words for c in ours])
    if len(words) == 0 or not np.array_equal(words, [c.words for c in theirs]):
        raise ValueError(
            "a paired comparison needs two readings of the same sentences, at least one"
        )
    surplus = np.array([a.errors - b.errors for a, b in zip(ours, theirs, strict=True)])
    draw = np.random.default_rng(seed)
    n = len(words)
    differences = []
    for first in range(0, resamples, _BLOCK):
        picks = draw.integers(0, n, size=(min(_BLOCK, resamples - first), n))
        differences.append(surplus[picks].sum(axis=1) / np.maximum(1, words[picks].sum(axis=1)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(differences), [tail, 1 - tail])
    return Interval(float(surplus.sum() / max(1, words.sum())), float(low), float(high), confidence)


def wilson(hits: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval for a share of `hits` in `trials` (Wilson 1927, equation 3)."""
    if not 0 <= hits <= trials or trials == 0:
        raise ValueError(f"expected 0 <= hits <= trials, trials > 0; got {hits}/{trials}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = (
        z / (1 + z * z / trials) * (share * (1 - share) / trials + z * z / (4 * trials**2)) ** 0.5
    )
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), confidence)
