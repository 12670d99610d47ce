"""Signal: clicks, clipping, noise and dead air put into real speech are found there and nowhere else."""

import numpy as np
import pytest

from generation.mastering.dynamics import Limiter
from qa.audio import Audio
from qa.base_pitch import BasePitch, base_pitch, powers
from qa.calibration.corpus import Clip, Recording, concatenate, read_clip
from qa.calibration.damages import (
    add_click,
    add_noise,
    change_pitch,
    clip_peaks,
    insert_pause,
    shifted,
)
from qa.calibration.trials import (
    click_findings,
    clipping_findings,
    noise_findings,
    overlapping,
    pause_findings,
)
from qa.findings import Verdict
from qa.pitch import pitch
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


def test_a_limiter_does_not_clip(minute: Recording) -> None:
    """It brings many peaks to one level, but leaves them round: 9 dB of it, where clipping at 3 is found."""
    rate_hz = minute.audio.rate_hz
    limiter = Limiter(20 * np.log10(np.abs(minute.audio.samples).max()) - 9, rate_hz)
    limited = np.concatenate([limiter.push(minute.audio.samples), limiter.finish()])
    assert clipping_findings(Audio(limited, rate_hz)) == []


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


def followed(audio: Audio) -> BasePitch:
    return base_pitch(pitch(audio).f0_hz, powers(audio))


def test_shifted_and_creeping_pitch_are_found(minute: Recording) -> None:
    assert judge_pitch(followed(minute.audio), LIMITS) == []
    damaged = change_pitch(minute, np.random.default_rng(5))
    found = judge_pitch(followed(damaged.audio), LIMITS)
    assert overlapping(found, ["pitch"], damaged)


def test_a_voice_that_creaks_and_a_lively_passage_are_no_other_pitch(minute: Recording) -> None:
    """The 20th percentile alone moves by over two semitones in them, a shift of two is found among them."""
    f0_hz, power = pitch(minute.audio).f0_hz, powers(minute.audio)
    n = min(len(f0_hz), len(power))
    f0_hz, power = np.tile(f0_hz[:n], 6), np.tile(power[:n], (6, 1))
    middle = np.median(f0_hz[f0_hz > 0])
    creaking = f0_hz.copy()
    for place in range(
        3
    ):  # in 20 s of each minute every third .3 s falls an octave, or all is livelier
        inside = np.arange(place * n, place * n + 2000)
        creaking[inside[inside // 30 % 3 == 0]] /= 2
        lively = slice((place + 3) * n, (place + 3) * n + 2000)
        voiced = f0_hz[lively] > 0
        creaking[lively][voiced] = middle * (f0_hz[lively][voiced] / middle) ** 1.5 * 1.1
    raw = np.percentile(creaking[:2000][creaking[:2000] > 0], 20)
    assert 12 * np.log2(np.percentile(f0_hz[f0_hz > 0], 20) / raw) > 2.0
    assert judge_pitch(base_pitch(creaking, power), LIMITS) == []
    shift = creaking.copy()
    shift[2 * n - 1000 : 2 * n + 1000] *= 2 ** (2 / 12)
    (found,) = judge_pitch(base_pitch(shift, power), LIMITS)
    assert found.start_s < 2 * n / 100 < found.end_s and found.value > 0


@pytest.mark.parametrize("semitones", [-1.5, 0.5, 2.0])
def test_shifting_multiplies_the_contour(minute: Recording, semitones: float) -> None:
    """What the drift trials rest on: they multiply contours instead of shifting ten minutes of sound."""
    rate = minute.audio.rate_hz
    samples = minute.audio.samples[: 20 * rate]
    clean, moved = (
        pitch(Audio(sound, rate)).median_hz
        for sound in (samples, shifted(samples, rate, semitones))
    )
    assert 12 * np.log2(moved / clean) == pytest.approx(semitones, abs=0.15)
