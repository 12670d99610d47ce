"""The check of a window during a shift: what fails it, and which take is kept."""

import numpy as np
import pytest

from flows.factory.judging import SCORE, SETTLED, Heard, judgement, listen, scored
from generation.rates import SAMPLE_RATE_HZ
from qa.repair import MAX_TAKES
from qa.takes import TakeScore
from storage.models import Take
from storage.queue import WindowLease
from storage.states import Stage


def speech(seconds: float = 10.0, pause_s: float = 0.3) -> np.ndarray:
    """Noise in syllables, with a pause a second."""
    n = int(seconds * SAMPLE_RATE_HZ)
    time = np.arange(n) / SAMPLE_RATE_HZ
    loud = (np.sin(2 * np.pi * 4 * time) ** 2) * (time % 1.0 > pause_s)
    noise = np.random.default_rng(0).standard_normal(n)
    return (0.05 * loud * noise + 1e-5 * noise).astype(np.float32)


def lease(take: int) -> WindowLease:
    text: dict[str, str | None] = dict.fromkeys(
        ("entry_snapshot_key", "entry_snapshot_digest", "tokens_key", "tokens_digest"), None
    )
    return WindowLease(
        *(1, 1, Stage.JUDGING, 1, 1, 1, 0, 0, 10, take, 1, {}, "key", "digest"),
        **text,
        audio_key=None,
        audio_digest=None,
        duration_s=None,
    )


def take(number: int, *faults: str, errors: int = 0, settled: bool = False) -> Take:
    """A take that was judged before: of twenty words, so many wrong."""
    score = {"word_errors": errors, "words": 20, "similarity": 0.9, "faults": list(faults)}
    return Take(number=number, measures={SCORE: score, **({SETTLED: True} if settled else {})})


def new_take(number: int) -> Take:
    return Take(number=number, measures={"forced": 0})


def heard(*faults: str) -> Heard:
    return Heard(faults, {"duration_share": 1.0})


def test_plain_speech_passes() -> None:
    assert listen(speech(), 10.0, 0, True).faults == ()


@pytest.mark.parametrize(
    ("waveform", "expected_s", "forced", "complete", "fault"),
    [
        (speech() * 0, 10.0, 0, True, "silent"),
        (speech(), 30.0, 0, True, "as long as expected"),
        (np.clip(speech() * 40, -1, 1), 10.0, 0, True, "clips"),
        (np.concatenate([speech(4), speech(5) * 0, speech(4)]), 13.0, 0, True, "pauses"),
        (speech(), 10.0, 2, True, "forced"),
        (speech(), 10.0, 0, False, "given up"),
    ],
)
def test_each_fault_is_named(
    waveform: np.ndarray, expected_s: float, forced: int, complete: bool, fault: str
) -> None:
    faults = listen(waveform.astype(np.float32), expected_s, forced, complete).faults
    assert any(fault in one for one in faults), faults


def test_a_fault_asks_for_another_take_until_there_were_enough_and_the_best_is_kept() -> None:
    bad = scored(heard("a"))
    asked = judgement(lease(0), heard("a"), bad, [new_take(0)])
    assert (asked.chosen_take, asked.reason, asked.verdict) == (None, "a", "fail")
    last = MAX_TAKES - 1
    takes = [*(take(n, "a", "b") for n in range(last)), new_take(last)]
    kept = judgement(lease(last), heard("a"), bad, takes)
    assert kept.chosen_take == last
    assert kept.measures["decision"]["action"] == "keep best"
    assert "is the best, with faults: a" in (kept.reason or "")
    assert kept.measures[SETTLED]


def test_words_and_voice_decide_where_they_were_measured() -> None:
    sound = heard()
    misread = scored(sound, TakeScore(4, 20, 0.9))
    asked = judgement(lease(0), sound, misread, [new_take(0)])
    assert (asked.chosen_take, asked.reason) == (None, "4 of 20 words differ")
    unlike = judgement(lease(0), sound, scored(sound, TakeScore(0, 20, 0.2)), [new_take(0)])
    assert "unlike the voice" in (unlike.reason or "")
    better = judgement(
        lease(1), sound, scored(sound, TakeScore(0, 20, 0.9)), [take(0, errors=4), new_take(1)]
    )
    assert (better.chosen_take, better.verdict, better.reason) == (1, "pass", None)
    assert better.measures["decision"]["reason"] == "take 2 has no fault left"
    takes = [take(0, errors=9), take(1, errors=2), take(2, errors=5), new_take(3)]
    best = judgement(lease(3), sound, misread, takes)
    assert best.chosen_take == 1


def test_what_a_person_sent_back_is_not_chosen_again() -> None:
    bad = scored(heard("a"))
    takes = [take(0, settled=True), new_take(1)]
    assert judgement(lease(1), heard("a"), bad, takes).chosen_take is None
    takes = [take(0, settled=True), *(take(n, "a", "b") for n in range(1, MAX_TAKES))]
    again = judgement(lease(MAX_TAKES), heard("a"), bad, [*takes, new_take(MAX_TAKES)])
    assert again.chosen_take == MAX_TAKES
