"""The check of a window during a shift: what fails it, and which take is kept."""

import numpy as np
import pytest

from flows.factory.judging import MAX_TAKES, SETTLED, judgement, listen
from generation.rates import SAMPLE_RATE_HZ
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


def take(number: int, **measures: object) -> Take:
    return Take(number=number, measures=measures)


def test_plain_speech_passes() -> None:
    heard = listen(speech(), 10.0, 0, True)
    assert heard.faults == ()
    assert heard.verdict == "pass"


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
    heard = listen(waveform.astype(np.float32), expected_s, forced, complete)
    assert heard.verdict == "fail"
    assert any(fault in one for one in heard.faults), heard.faults


def test_a_fault_asks_for_another_take_until_there_were_enough() -> None:
    bad = listen(speech(), 10.0, 2, True)
    worse = {"faults": ["a", "b"], "duration_share": 1.0}
    asked = judgement(lease(0), bad, [take(0)])
    assert asked.chosen_take is None
    assert asked.reason
    takes = [take(n, **worse) for n in range(MAX_TAKES - 1)] + [take(MAX_TAKES - 1)]
    kept = judgement(lease(MAX_TAKES - 1), bad, takes)
    assert kept.chosen_take == MAX_TAKES - 1
    better = [take(0, faults=["a"], duration_share=1.0), *takes[1:]]
    assert judgement(lease(MAX_TAKES - 1), bad, better).chosen_take in {0, MAX_TAKES - 1}


def test_what_a_person_sent_back_is_not_chosen_again() -> None:
    bad = listen(speech(), 10.0, 2, True)
    fine = {"faults": [], "duration_share": 1.0, SETTLED: True}
    takes = [take(0, **fine), take(1)]
    assert judgement(lease(1), bad, takes).chosen_take is None
    takes = [take(0, **fine), take(1, faults=["a", "b"]), take(2, faults=["a", "b"]), take(3)]
    assert judgement(lease(3), bad, takes).chosen_take == 3
