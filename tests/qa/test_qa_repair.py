"""Repair: which windows are read again, which take is kept and why, and that proof differs from choice."""

import pytest

from qa.audio import resampled
from qa.calibration.corpus import Clip, concatenate, read_clip
from qa.repair import Action, decide
from qa.takes import TakeScore, prove_take, score_take
from qa.thresholds import Thresholds

LIMITS = Thresholds()
GOOD = TakeScore(0, 40, 0.9)
TWO_WRONG = TakeScore(4, 40, 0.9)
STRANGER = TakeScore(0, 40, 0.5)
CLICKING = TakeScore(3, 40, 0.95, ("1 clicks",))


def test_a_faultless_take_is_accepted_at_once() -> None:
    decision = decide([TWO_WRONG, GOOD], LIMITS)
    assert (decision.action, decision.take) == (Action.ACCEPT, 2)
    assert decision.scores == (TWO_WRONG, GOOD)


def test_a_faulty_take_is_read_again_a_bounded_number_of_times() -> None:
    assert decide([TWO_WRONG], LIMITS).action is Action.AGAIN
    assert decide([TWO_WRONG] * 3, LIMITS, most_takes=4).action is Action.AGAIN
    assert decide([TWO_WRONG] * 4, LIMITS, most_takes=4).action is Action.KEEP_BEST
    assert "4 of 40 words" in decide([TWO_WRONG], LIMITS).reason


def test_the_best_take_is_kept_with_its_faults_named() -> None:
    decision = decide([TWO_WRONG, CLICKING, STRANGER], LIMITS, most_takes=3)
    assert (decision.action, decision.take) == (Action.KEEP_BEST, 2)
    assert "1 clicks" in decision.reason
    two = decide([STRANGER, TakeScore(0, 40, 0.6)], LIMITS, most_takes=2)
    assert two.take == 2
    data = decision.to_json()
    assert data["action"] == "keep best" and len(data["scores"]) == 3


def test_too_little_speech_for_the_voice_is_no_fault() -> None:
    assert decide([TakeScore(0, 3, None)], LIMITS).action is Action.ACCEPT
    with pytest.raises(ValueError, match="first take"):
        decide([], LIMITS)


def test_the_right_reading_beats_the_wrong_one_by_choice_and_by_proof(
    kathleen: list[Clip], librispeech: list[Clip]
) -> None:
    from qa.speaker import embed

    prompt = read_clip(kathleen[200].path)
    right = concatenate(kathleen[70:73])
    text = " ".join(right.sentences)
    wrong = concatenate([kathleen[70], kathleen[75], kathleen[72]])
    other = resampled(read_clip(librispeech[0].path), 22_050)
    vector = embed(prompt)
    scores = [score_take(a, text, vector, LIMITS) for a in (wrong.audio, right.audio)]
    assert decide(scores[1:], LIMITS).action is Action.ACCEPT
    assert decide(scores, LIMITS).take == 2
    good, bad = (prove_take(a, text, prompt) for a in (right.audio, wrong.audio))
    assert good.word_error_rate < bad.word_error_rate
    stranger = prove_take(other, text, prompt)
    assert good.spectrum_distance < stranger.spectrum_distance
    assert abs(good.pitch_semitones) < 2.0 < abs(stranger.pitch_semitones)
