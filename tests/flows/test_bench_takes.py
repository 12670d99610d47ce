"""A limit on a take's wrong words: how many takes it costs, and what it keeps, worked out by hand."""

import pytest

from flows.measure.bench_takes import Taken, row
from qa.takes import Proof, TakeScore


def taken(errors: int, proof: float, words: int = 100) -> Taken:
    return Taken(TakeScore(errors, words, 0.9), Proof(proof, 1.0, 0.0))


WINDOWS = [
    [taken(2, 0.2), taken(0, 0.9), taken(0, 0.9)],  # good at once
    [taken(12, 0.5), taken(3, 0.1), taken(1, 0.9)],  # the second is good
    [taken(30, 0.6), taken(20, 0.3), taken(25, 0.9)],  # the best of three is kept
]


def test_a_window_is_read_until_a_take_passes_or_there_are_no_more() -> None:
    found = row(WINDOWS, 0.05)
    assert found.takes == pytest.approx((1 + 2 + 3) / 3)
    assert found.read_again == pytest.approx(2 / 3)
    assert found.word_errors == pytest.approx((2 + 3 + 20) / 300)
    assert found.proof_word_errors == pytest.approx((0.2 + 0.1 + 0.3) / 3)


def test_without_a_limit_the_first_take_is_kept() -> None:
    found = row(WINDOWS, 1.0)
    assert (found.takes, found.read_again) == (1, 0)
    assert found.word_errors == pytest.approx((2 + 12 + 30) / 300)


def test_a_voice_that_fails_is_read_again_whatever_it_says() -> None:
    other = Taken(TakeScore(0, 100, 0.2), Proof(0.0, 9.0, 9.0))
    assert row([[other, taken(0, 0.1)]], 1.0).takes == 2
