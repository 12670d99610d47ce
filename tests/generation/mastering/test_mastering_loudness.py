"""The meters against ffmpeg's, against figures of the standards, and against slow references."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from mastering_tools import tool
from numpy.typing import NDArray

from generation.mastering.loudness import LevelMeter, LoudnessMeter, to_db, true_peaks
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
Speech = Callable[[str, float], Audio]


def _loudness(audio: Audio, rate_hz: int, blocks: int = 7) -> float:
    meter = LoudnessMeter(rate_hz)
    for block in np.array_split(audio, blocks):
        meter.push(block)
    return meter.integrated()


def _sine(level_dbfs: float, seconds: float, rate_hz: int = 48_000, hz: float = 997) -> Audio:
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return (10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * at)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [SAMPLE_RATE_HZ, DELIVERY_RATE_HZ, 48_000])
def test_a_full_scale_sine_reads_minus_3_01(rate_hz: int) -> None:
    assert _loudness(_sine(0, 5, rate_hz), rate_hz) == pytest.approx(-3.01, abs=0.05)


def test_gates_of_ebu_tech_3341_cases_3_and_4() -> None:
    """Cases 3 and 4 are for two channels: one channel alone must be 3.01 dB louder to read the same."""
    case_3 = [(-36, 10), (-23, 60), (-36, 10)]
    case_4 = [(-72, 10), *case_3, (-72, 10)]
    for case in (case_3, case_4):
        audio = np.concatenate([_sine(level + 3.01, seconds, hz=1000) for level, seconds in case])
        assert _loudness(audio, 48_000) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("corpus", ["ljspeech", "kathleen", "librispeech"])
@pytest.mark.parametrize("rate_hz", [SAMPLE_RATE_HZ, DELIVERY_RATE_HZ])
def test_real_speech_reads_as_in_ffmpeg(
    corpus: str, rate_hz: int, speech: Speech, ebur128: Callable[[Audio, int], tuple[float, float]]
) -> None:
    audio = speech(corpus, 40)
    assert _loudness(audio, rate_hz) == pytest.approx(ebur128(audio, rate_hz)[0], abs=0.1)


def test_a_gain_can_be_asked_about_without_measuring_again(speech: Speech) -> None:
    audio = speech("librispeech", 30)
    meter = LoudnessMeter(SAMPLE_RATE_HZ)
    meter.push(audio)
    for gain_db in (-30.0, 6.0):
        louder = (audio * 10 ** (gain_db / 20)).astype(np.float32)
        assert meter.integrated(gain_db) == pytest.approx(
            _loudness(louder, SAMPLE_RATE_HZ), abs=0.02
        )


def test_silence_and_a_blink_have_no_loudness() -> None:
    assert _loudness(np.zeros(48_000, np.float32), 48_000) == -np.inf
    assert _loudness(_sine(-6, 0.3), 48_000, 1) == -np.inf


def test_true_peaks_between_samples_are_found() -> None:
    """A sine at a quarter of the rate, 45 degrees off its samples, peaks 3.01 dB above them (BS.1770-4)."""
    at = np.arange(4800)
    audio = (0.5 * np.sin(np.pi / 2 * at + np.pi / 4)).astype(np.float32)
    assert np.abs(audio).max() == pytest.approx(0.5 / np.sqrt(2), abs=1e-4)
    assert to_db(float(true_peaks(audio)[20:-20].max()) ** 2) == pytest.approx(-6.02, abs=0.3)


@pytest.mark.parametrize("corpus", ["ljspeech", "librispeech"])
def test_true_peaks_of_speech_are_ffmpegs(
    corpus: str, speech: Speech, ebur128: Callable[[Audio, int], tuple[float, float]]
) -> None:
    audio = speech(corpus, 20)
    ours = to_db(float(true_peaks(audio).max()) ** 2)
    assert ours == pytest.approx(ebur128(audio, DELIVERY_RATE_HZ)[1], abs=0.25)


def test_levels_are_ffmpegs(speech: Speech, tmp_path: Path) -> None:
    audio = speech("kathleen", 30)
    meter = LevelMeter(DELIVERY_RATE_HZ)
    for block in np.array_split(audio, 11):
        meter.push(block)
    levels = meter.levels()
    sf.write(tmp_path / "a.wav", audio, DELIVERY_RATE_HZ, subtype="FLOAT")
    filters = "astats=measure_perchannel=none"
    command = [tool("ffmpeg"), "-i", str(tmp_path / "a.wav"), "-af", filters, "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stderr
    theirs = {
        line.split("] ")[1].split(": ")[0]: line.split(": ")[-1]
        for line in text.splitlines()
        if "dB: " in line
    }
    assert levels.rms_dbfs == pytest.approx(float(theirs["RMS level dB"]), abs=0.01)
    assert levels.peak_dbfs == pytest.approx(float(theirs["Peak level dB"]), abs=0.01)
    assert levels.duration_s == pytest.approx(len(audio) / DELIVERY_RATE_HZ)


def test_the_floor_is_the_quietest_half_second() -> None:
    random = np.random.default_rng(3)
    audio = (0.1 * random.standard_normal(10 * 44_100)).astype(np.float32)
    audio[200_000 : 200_000 + 30_000] *= 0.01
    meter = LevelMeter(44_100)
    for block in np.array_split(audio, 13):
        meter.push(block)
    steps = range(0, len(audio) - 22_050 + 1, 4410)
    slow = min(float(np.mean(np.square(audio[at : at + 22_050], dtype=np.float64))) for at in steps)
    assert meter.levels().floor_dbfs == pytest.approx(to_db(slow), abs=0.01)
    assert meter.levels().floor_dbfs == pytest.approx(-60, abs=0.3)
