"""Tempo on real speech: a stretch read faster or slower is found, and its measure follows the change."""

import numpy as np
import pytest

from qa import verdicts
from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.calibration.corpus import Clip, Recording, concatenate, read_clip
from qa.calibration.damages import stretched
from qa.errors import AlignmentError
from qa.forced_alignment import align
from qa.rate import pace, tempo
from qa.recognisers import HeardWord
from qa.signal import local_pauses, pauses
from qa.thresholds import Thresholds

LIMITS = Thresholds()


@pytest.fixture(scope="module")
def reading(kathleen: list[Clip]) -> tuple[Recording, list[HeardWord]]:
    """Two minutes of kathleen with the times of her words."""
    clips = kathleen[200:238]
    recording = concatenate(clips, seed=3)
    words: list[HeardWord] = []
    for clip, passage in zip(clips, recording.passages, strict=True):
        try:
            said = align(read_clip(clip.path), clip.text)
        except AlignmentError:
            continue
        at_s = passage.start_s
        words += [HeardWord(w.text, w.start_s + at_s, w.end_s + at_s, 1.0) for w in said]
    return recording, words


def at_speed(speech: Audio, words: list[HeardWord], speed: float) -> tuple[Audio, list[HeardWord]]:
    """Read the stretch from 60 to 80 s at another speed."""
    start_s, end_s = 60.0, 80.0
    first, last = (round(t * speech.rate_hz) for t in (start_s, end_s))
    new = stretched(speech.samples[first:last], speech.rate_hz, speed)
    longer_s = (len(new) - (last - first)) / speech.rate_hz

    def moved(at_s: float) -> float:
        inside = start_s + (at_s - start_s) / speed
        return at_s if at_s < start_s else at_s + longer_s if at_s >= end_s else inside

    samples = np.concatenate([speech.samples[:first], new, speech.samples[last:]])
    heard = [HeardWord(w.text, moved(w.start_s), moved(w.end_s), 1.0) for w in words]
    return Audio(samples, speech.rate_hz), heard


def test_an_even_reading_passes(reading: tuple[Recording, list[HeardWord]]) -> None:
    recording, words = reading
    even = tempo(words, resampled(recording.audio, ANALYSIS_RATE_HZ))
    assert len(even.relative) > 60
    assert 0.9 < even.expected_ratio < 1.1
    assert not verdicts.judge_tempo(even, LIMITS)


@pytest.mark.parametrize(("speed", "way"), [(1.2, "faster"), (0.8, "slower")])
def test_twenty_seconds_at_another_speed_are_found(
    reading: tuple[Recording, list[HeardWord]], speed: float, way: str
) -> None:
    recording, words = reading
    changed, heard = at_speed(resampled(recording.audio, ANALYSIS_RATE_HZ), words, speed)
    pace_there = tempo(heard, changed)
    found = verdicts.judge_tempo(pace_there, LIMITS)
    assert len(found) == 1 and way in found[0].reason
    assert found[0].start_s < 70.0 < found[0].end_s
    assert abs(np.log1p(found[0].value) - np.log(speed)) < 0.07


def test_a_recording_of_few_words_has_no_tempo() -> None:
    silence = Audio(np.zeros(5 * ANALYSIS_RATE_HZ, dtype=np.float32), ANALYSIS_RATE_HZ)
    nothing = tempo([HeardWord("well", 1.0, 1.3, 1.0)], silence)
    assert len(nothing.relative) == 0 and np.isnan(nothing.expected_ratio)
    assert np.isnan(pace([], pauses(silence), 5.0))
    assert not verdicts.judge_tempo(nothing, LIMITS)


def test_pauses_of_a_loud_room_count_as_pauses(kathleen: list[Clip]) -> None:
    """Noise 25 dB under the speech fills the pauses of a half; the time of speech stays the same."""
    recording = concatenate(kathleen[300:312], seed=1)
    speech = resampled(recording.audio, ANALYSIS_RATE_HZ)
    half = len(speech.samples) // 2
    level = np.sqrt(np.mean(speech.samples**2)) * 10 ** (-25 / 20)
    noise = np.random.default_rng(0).standard_normal(half).astype(np.float32) * level
    loud = Audio(
        np.concatenate([speech.samples[:half], speech.samples[half:][:half] + noise]), 16_000
    )

    def paused_s(audio: Audio) -> float:
        return sum(p.duration_s for p in local_pauses(audio) if p.start_s > half / 16_000)

    assert paused_s(loud) == pytest.approx(paused_s(speech), rel=0.2)
