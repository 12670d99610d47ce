"""The bootstrap against a slow one and a known truth; Wilson's bound against published values."""

import numpy as np
import pytest

from qa.statistics import wer_difference, wilson
from qa.words import ErrorCount


def readings(rate: float, seed: int, n: int = 400) -> list[ErrorCount]:
    draw = np.random.default_rng(seed)
    words = np.random.default_rng(7).integers(5, 25, size=n)
    return [ErrorCount(int(w), int(draw.binomial(w, rate)), 0, 0) for w in words]


def test_the_interval_holds_the_true_difference() -> None:
    inside = 0
    for seed in range(40):
        interval = wer_difference(readings(0.10, seed), readings(0.06, 1000 + seed), resamples=600)
        inside += interval.low <= 0.04 <= interval.high
    assert inside >= 34


def test_it_agrees_with_an_obvious_bootstrap() -> None:
    ours, theirs = readings(0.2, 1, 60), readings(0.1, 2, 60)
    fast = wer_difference(ours, theirs, seed=3, resamples=4000)
    draw = np.random.default_rng(11)
    slow = []
    for _ in range(4000):
        picks = draw.integers(0, 60, size=60)
        words = sum(ours[k].words for k in picks)
        slow.append(sum(ours[k].errors - theirs[k].errors for k in picks) / words)
    low, high = np.quantile(slow, [0.025, 0.975])
    assert fast.low == pytest.approx(low, abs=0.006)
    assert fast.high == pytest.approx(high, abs=0.006)


def test_it_is_seeded_and_paired() -> None:
    ours, theirs = readings(0.2, 1), readings(0.1, 2)
    assert wer_difference(ours, theirs, seed=5) == wer_difference(ours, theirs, seed=5)
    same = wer_difference(ours, ours)
    assert (same.estimate, same.low, same.high) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="same sentences"):
        wer_difference(ours, theirs[:-1])


def test_wilson_matches_published_values() -> None:
    interval = wilson(81, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662
    assert interval.low == pytest.approx(0.2553, abs=5e-5)
    assert interval.high == pytest.approx(0.3662, abs=5e-5)
    assert wilson(0, 20).low == 0.0
    with pytest.raises(ValueError, match="trials"):
        wilson(3, 2)
