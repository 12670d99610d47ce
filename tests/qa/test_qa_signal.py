"""Signal: clicks, clipping, noise and dead air put into real speech are found there and nowhere else."""

import numpy as np
import pytest

from qa.audio import Audio
from qa.calibration.corpus import Clip, Recording, concatenate, read_clip
from qa.calibration.damages import (
    add_click,
    add_noise,
    change_pitch,
    clip_peaks,
    drift,
    insert_pause,
)
from qa.calibration.trials import (
    click_findings,
    clipping_findings,
    noise_findings,
    overlapping,
    pause_findings,
)
from qa.findings import Verdict
from qa.pitch import base_pitch, pitch
from qa.signal import hum, levels
from qa.thresholds import Thresholds
from qa.verdicts import judge_levels, judge_pitch

LIMITS = Thresholds()


@pytest.mark.parametrize("seed", range(4))
def test_a_click_is_found_where_it_is(kathleen: list[Clip], seed: int) -> None:
    clean = concatenate(kathleen[10:15], seed=seed)
    assert click_findings(clean.audio) == []
    damaged = add_click(clean, np.random.default_rng(seed))
    assert damaged is not None
    found = click_findings(damaged.audio)
    assert len(found) == 1
    assert overlapping(found, ["click"], damaged) == found
    assert found[0].verdict is Verdict.FAIL


def test_clipping_is_found_at_any_level(minute: Recording) -> None:
    assert clipping_findings(minute.audio) == []
    damaged = clip_peaks(minute, np.random.default_rng(1))
    assert overlapping(clipping_findings(damaged.audio), ["clipping"], damaged)
    quiet = Audio(damaged.audio.samples * np.float32(0.2), damaged.audio.rate_hz)
    assert overlapping(clipping_findings(quiet), ["clipping"], damaged)


def test_noise_and_dead_air_are_found(minute: Recording) -> None:
    assert noise_findings(minute.audio) == []
    assert pause_findings(minute.audio) == []
    noisy = add_noise(minute, np.random.default_rng(2))
    assert overlapping(noise_findings(noisy.audio), ["noise"], noisy)
    paused = insert_pause(minute, np.random.default_rng(3))
    assert paused is not None
    (dead,) = pause_findings(paused.audio)
    assert overlapping([dead], ["dead_air"], paused)
    assert 2.0 <= dead.value < 3.2


def test_hum_is_told_from_a_steady_voice(minute: Recording, librispeech: list[Clip]) -> None:
    def checks(audio: Audio) -> list[str]:
        found = judge_levels(levels(audio), hum(audio), audio.duration_s, LIMITS)
        return [f.check for f in found]

    assert checks(minute.audio) == []
    time_s = np.arange(len(minute.audio.samples)) / minute.audio.rate_hz
    mains = 0.004 * np.sin(2 * np.pi * 50 * time_s) + 0.002 * np.sin(2 * np.pi * 150 * time_s)
    samples = minute.audio.samples + mains.astype(np.float32)
    assert checks(Audio(samples, minute.audio.rate_hz)) == ["hum"]
    assert "hum" not in checks(read_clip(librispeech[0].path))


def test_shifted_and_creeping_pitch_are_found(minute: Recording) -> None:
    assert judge_pitch(base_pitch(pitch(minute.audio)), LIMITS) == []
    damaged = change_pitch(minute, np.random.default_rng(5))
    found = judge_pitch(base_pitch(pitch(damaged.audio)), LIMITS)
    assert overlapping(found, ["pitch"], damaged)


def test_pitch_that_is_played_faster_is_multiplied(kathleen: list[Clip]) -> None:
    """What the drift trials rest on: a creeping pitch is the clean contour times one number a sentence."""
    recording = concatenate(kathleen[20:26], seed=4)
    crept = drift(recording, np.random.default_rng(0), length_s=0.0)
    assert crept is not None
    rate = recording.audio.rate_hz
    for passage in recording.passages[1:-1]:
        span = slice(round(passage.start_s * rate), round(passage.end_s * rate))
        clean, moved = (
            pitch(Audio(audio.samples[span], rate)).median_hz
            for audio in (recording.audio, crept.audio)
        )
        wanted = abs(2.0 * (passage.start_s + passage.end_s) / 2 / 600.0)
        assert abs(12 * np.log2(moved / clean)) == pytest.approx(wanted, abs=0.1)
