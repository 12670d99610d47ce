"""The limiter and the expander: what they must reach, what they must not touch, and slow references."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from generation.mastering.dynamics import Expander, Limiter
from generation.mastering.loudness import to_db, true_peaks
from generation.mastering.roomtone import FRAME, QuietMeter, RoomTone
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
RATE = DELIVERY_RATE_HZ


def _through(stage: Limiter | Expander, audio: Audio, blocks: int = 9) -> Audio:
    parts = [stage.push(block) for block in np.array_split(audio, blocks)]
    return np.concatenate([*parts, stage.finish()])


def _slow_limiter(audio: Audio, ceiling_dbtp: float) -> Audio:
    """Limit sample by sample, from the definition."""
    ceiling, look = 10 ** (ceiling_dbtp / 20), round(0.005 * RATE)
    padded = np.concatenate([np.zeros(11, np.float32), audio, np.zeros(look + 11, np.float32)])
    between = true_peaks(padded)  # between[i] lies between padded[i + 5] and padded[i + 6]
    length = len(audio) + look
    needed = [
        20 * np.log10(max(between[i + 5], between[i + 6], abs(padded[i + 11]), ceiling) / ceiling)
        for i in range(length)
    ]
    for i in range(1, length):
        needed[i] = max(needed[i], needed[i - 1] - Limiter.RELEASE_DB_S / RATE)
    ahead = [max(needed[i : i + look + 1]) for i in range(len(audio))]
    spread = [sum(ahead[max(0, i - look) : i + 1]) / (look + 1) for i in range(len(audio))]
    return np.array([x * 10 ** (-s / 20) for x, s in zip(audio, spread, strict=True)], np.float32)


def test_the_limiter_is_the_slow_one() -> None:
    random = np.random.default_rng(4)
    audio = (0.3 * random.standard_normal(6000)).astype(np.float32)
    audio[4000:] *= 0.1
    audio[1500:1600] = 0
    ours = _through(Limiter(-6, RATE), audio)
    # The slow one starts without a past, so its first look-ahead is averaged over fewer samples.
    np.testing.assert_allclose(ours[500:], _slow_limiter(audio, -6)[500:], atol=2e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 20_000), st.floats(0.05, 3))
def test_no_block_size_matters_and_nothing_passes_the_ceiling(
    blocks: int, length: int, level: float
) -> None:
    audio = (level * np.random.default_rng(length).standard_normal(length)).astype(np.float32)
    whole = _through(Limiter(-3.4, RATE), audio, 1)
    assert len(whole) == length
    np.testing.assert_allclose(_through(Limiter(-3.4, RATE), audio, blocks), whole, atol=1e-6)
    assert np.abs(whole).max() <= 10 ** (-3.4 / 20) * 1.0001


@pytest.mark.parametrize("gain", [1, 3, 8])
def test_speech_is_limited_by_true_peak_as_ffmpeg_measures_it(
    gain: float,
    speech: Callable[[str, float], Audio],
    ebur128: Callable[[Audio, int], tuple[float, float]],
) -> None:
    audio = soxr.resample(gain * speech("ljspeech", 20), SAMPLE_RATE_HZ, RATE, quality="VHQ")
    limited = _through(Limiter(-3, RATE), audio, 33)
    # Four times oversampling reads up to 0.17 dB low at a quarter of the rate (BS.1770-4, annex 2,
    # attachment 1), where speech at 22.05 kHz ends; ffmpeg prints tenths.
    assert ebur128(limited, RATE)[1] <= -3 + 0.22


def test_what_is_under_the_ceiling_passes_bit_for_bit(
    speech: Callable[[str, float], Audio],
) -> None:
    audio = speech("ljspeech", 10)
    audio *= np.float32(0.5 / np.abs(audio).max())
    np.testing.assert_array_equal(_through(Limiter(-3, RATE), audio), audio)


def _speech_with_pauses() -> tuple[Audio, NDArray[np.bool_]]:
    """Bursts of loud noise in quiet noise at -50 dBFS, and where the bursts are."""
    random = np.random.default_rng(5)
    audio = (10 ** (-50 / 20) * random.standard_normal(20 * SAMPLE_RATE_HZ)).astype(np.float32)
    loud = np.zeros(len(audio), bool)
    for second in range(0, 20, 2):
        loud[second * SAMPLE_RATE_HZ : (second + 1) * SAMPLE_RATE_HZ] = True
    audio[loud] += (0.1 * random.standard_normal(int(loud.sum()))).astype(np.float32)
    return audio, loud


def test_the_expander_turns_down_pauses_by_its_range_and_leaves_sound_alone() -> None:
    audio, loud = _speech_with_pauses()
    ours = _through(Expander(-50, 12), audio, 17)
    assert len(ours) == len(audio)
    np.testing.assert_array_equal(ours[loud], audio[loud])
    beside = round(0.06 * SAMPLE_RATE_HZ)  # also just before and just after sound
    near = np.convolve(loud, np.ones(2 * beside + 1), "same") > 0.5
    np.testing.assert_array_equal(ours[near], audio[near])
    deep = np.convolve(loud, np.ones(round(0.5 * SAMPLE_RATE_HZ)), "same") < 0.5
    before, after = (to_db(float(np.mean(np.square(x[deep])))) for x in (audio, ours))
    assert before - after == pytest.approx(12, abs=0.3)


def test_the_expanders_gain_never_steps() -> None:
    audio, _ = _speech_with_pauses()
    gain_db = 20 * np.log10(
        np.maximum(np.abs(_through(Expander(-50, 18), audio)), 1e-9) / np.abs(audio)
    )
    assert np.abs(np.diff(gain_db)).max() < 0.1  # dB a sample


@pytest.mark.parametrize("blocks", [1, 7, 2000])
def test_the_expander_does_not_know_blocks(blocks: int) -> None:
    audio, _ = _speech_with_pauses()
    audio = audio[:-77]
    whole = _through(Expander(-50, 12), audio, 3)
    np.testing.assert_allclose(_through(Expander(-50, 12), audio, blocks), whole, atol=1e-7)


def test_room_tone_has_the_recordings_spectrum_and_unit_power() -> None:
    random = np.random.default_rng(6)
    hum = np.convolve(random.standard_normal(30 * SAMPLE_RATE_HZ), np.ones(8) / 8, "same")
    quiet = (0.001 * hum).astype(np.float32)
    meter = QuietMeter()
    for block in np.array_split(quiet, 9):
        meter.push(block)
    assert meter.floor_dbfs() == pytest.approx(to_db(float(np.mean(quiet**2))), abs=1)
    tone = RoomTone(meter.spectrum(), 7).next(30 * SAMPLE_RATE_HZ)
    assert float(np.mean(tone**2)) == pytest.approx(1, abs=0.05)

    def bands(audio: Audio) -> NDArray[np.float64]:
        frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME) * np.hanning(FRAME)
        power = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0)[1:]
        return np.asarray([10 * np.log10(part.mean()) for part in np.array_split(power, 32)])

    difference = bands(tone) - bands(quiet)
    assert np.abs(difference - difference.mean()).max() < 3


def test_room_tone_is_the_same_for_a_seed_however_it_is_asked_for() -> None:
    spectrum = QuietMeter().spectrum()  # nothing heard: the default
    whole = RoomTone(spectrum, 8).next(20_000)
    tone = RoomTone(spectrum, 8)
    parts = np.concatenate([tone.next(n) for n in (1, 499, 3000, 6500, 10_000)])
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert np.abs(RoomTone(spectrum, 9).next(20_000) - whole).max() > 0.1
