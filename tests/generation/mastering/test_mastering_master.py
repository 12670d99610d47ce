"""Whole masters of real speech: loudness, peak, floor, head and tail by other readers, and no harm done."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from mastering_tools import lag_samples
from numpy.typing import NDArray
from speechmos import dnsmos

from generation.mastering import master, spec
from generation.mastering.errors import MasteringError
from generation.mastering.loudness import LevelMeter, to_db
from generation.mastering.master import HEAD_S, TAIL_S, Plan
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
Speech = Callable[[str, float], Audio]
Meter = Callable[[Audio, int], tuple[float, float]]
CORPORA = ("ljspeech", "kathleen", "librispeech")


def _master(audio: Audio, folder: Path, seed: int = 1) -> tuple[Audio, Plan]:
    """Master as `package` does: plan, render, tune."""
    spool = folder / "spool.f32"
    with spool.open("wb") as file:
        plan = master.plan(master.measure(np.array_split(audio, 7), file))
    for _ in range(4):
        mastered = np.concatenate(list(master.render(spool, plan, seed)))
        meter = LevelMeter(DELIVERY_RATE_HZ)
        meter.push(mastered)
        better = master.tuned(plan, meter.levels())
        if better is None:
            break
        plan = better
    return mastered, plan


def _level_dbfs(audio: Audio) -> float:
    return to_db(float(np.mean(np.square(audio, dtype=np.float64))))


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("gain_db", [0, -25])
def test_speech_comes_to_the_wanted_loudness_and_peak(
    corpus: str, gain_db: float, speech: Speech, ebur128: Meter, tmp_path: Path
) -> None:
    audio = (speech(corpus, 45) * 10 ** (gain_db / 20)).astype(np.float32)
    mastered, plan = _master(audio, tmp_path)
    assert len(mastered) == plan.samples
    loudness_lufs, peak_dbtp = ebur128(mastered, DELIVERY_RATE_HZ)
    rms_dbfs = _level_dbfs(mastered)
    assert spec.RMS_MIN_DBFS <= rms_dbfs <= spec.RMS_MAX_DBFS
    assert loudness_lufs == pytest.approx(spec.LOUDNESS_LUFS, abs=0.4)
    assert peak_dbtp <= spec.TRUE_PEAK_MAX_DBTP


@pytest.mark.parametrize("corpus", CORPORA)
def test_head_tail_and_gaps_hold_low_noise_and_never_silence(
    corpus: str, speech: Speech, tmp_path: Path
) -> None:
    audio = speech(corpus, 20)
    gap = np.zeros(SAMPLE_RATE_HZ, np.float32)
    mastered, _ = _master(np.concatenate([gap, audio, gap, audio, gap, gap]), tmp_path)
    head = mastered[: round((HEAD_S - 0.06) * DELIVERY_RATE_HZ)]
    tail = mastered[-round((TAIL_S - 0.06) * DELIVERY_RATE_HZ) :]
    for part in (head, tail):
        assert spec.FLOOR_MIN_DBFS < _level_dbfs(part) <= spec.FLOOR_MAX_DBFS
    runs = np.diff(np.flatnonzero(np.concatenate([[1], mastered, [1]])))
    assert runs.max() <= 3, "digital silence"
    steps = mastered[: len(mastered) // 4410 * 4410].reshape(-1, 4410)
    quietest_dbfs = min(_level_dbfs(step) for step in steps)
    assert quietest_dbfs > spec.FLOOR_MIN_DBFS


@pytest.mark.parametrize("lead_s", [0.0, 0.4, 3.0])
def test_head_and_tail_are_right_whatever_the_narration_begins_and_ends_with(
    lead_s: float, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    at = np.arange(10 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    voice = 0.1 * np.sign(np.sin(2 * np.pi * 150 * at)) * (np.sin(2 * np.pi * 1.5 * at) > 0)
    lead = np.zeros(round(lead_s * SAMPLE_RATE_HZ))
    audio = np.concatenate([lead, voice, lead])
    audio += 1e-4 * random.standard_normal(len(audio))
    mastered, plan = _master(audio.astype(np.float32), tmp_path)
    loud = np.flatnonzero(np.abs(mastered) > 0.03)
    sounding_s = loud[0] / DELIVERY_RATE_HZ, (len(mastered) - loud[-1]) / DELIVERY_RATE_HZ
    assert sounding_s[0] == pytest.approx(HEAD_S, abs=0.06)
    assert sounding_s[1] == pytest.approx(TAIL_S, abs=0.06)
    faded = 0 if lead_s else 220  # what begins at once is faded in over 5 ms
    assert loud[0] == pytest.approx(2 * (len(lead) + plan.shift), abs=4 + faded)


def test_a_noisy_room_is_turned_down_in_the_pauses(speech: Speech, tmp_path: Path) -> None:
    """Speech with room noise 32 dB under it: its pauses must reach -60 dBFS, its words must not move."""
    random = np.random.default_rng(2)
    clean = np.concatenate([speech("ljspeech", 15), np.zeros(SAMPLE_RATE_HZ, np.float32)] * 3)
    noise = 10 ** ((_level_dbfs(clean) - 32) / 20) * random.standard_normal(len(clean))
    mastered, plan = _master((clean + noise).astype(np.float32), tmp_path)
    start = 2 * (plan.shift + round(15.3 * SAMPLE_RATE_HZ))
    assert (
        _level_dbfs(mastered[start : start + round(0.5 * DELIVERY_RATE_HZ)]) <= spec.FLOOR_MAX_DBFS
    )


def test_rumble_and_dc_are_taken_out(speech: Speech, tmp_path: Path) -> None:
    audio = speech("ljspeech", 30)
    at = np.arange(len(audio)) / SAMPLE_RATE_HZ
    mastered, _ = _master(
        (audio + 0.1 + 0.1 * np.sin(2 * np.pi * 12 * at)).astype(np.float32), tmp_path
    )
    spectrum_db = 20 * np.log10(np.abs(np.fft.rfft(mastered)) / len(mastered) * 2 + 1e-12)
    hz = np.fft.rfftfreq(len(mastered), 1 / DELIVERY_RATE_HZ)
    assert abs(float(mastered.mean())) < 1e-4
    assert spectrum_db[(hz > 11) & (hz < 13)].max() < -45


@pytest.mark.parametrize("corpus", CORPORA)
def test_nothing_moves(corpus: str, speech: Speech, tmp_path: Path) -> None:
    audio = speech(corpus, 30)
    mastered, plan = _master(audio, tmp_path)
    doubled = soxr.resample(audio, SAMPLE_RATE_HZ, DELIVERY_RATE_HZ, quality="VHQ")
    for second in range(2, 28, 5):
        here = slice(second * DELIVERY_RATE_HZ, (second + 3) * DELIVERY_RATE_HZ)
        there = slice(here.start + 2 * plan.shift, here.stop + 2 * plan.shift)
        lag = lag_samples(doubled[here], mastered[there], DELIVERY_RATE_HZ)
        assert abs(lag) < 0.0005 * DELIVERY_RATE_HZ


@pytest.mark.parametrize("corpus", CORPORA)
def test_dnsmos_does_not_fall(corpus: str, speech: Speech, tmp_path: Path) -> None:
    """Judged at the level the recording had: 9 dB of gain alone cost 0.1 of DNSMOS on kathleen."""
    audio = speech(corpus, 40)
    mastered, plan = _master(audio, tmp_path)
    mastered = mastered * np.float32(10 ** (-plan.gain_db / 20))
    before: list[float] = []
    after: list[float] = []
    for second in range(1, 31, 10):
        length = round(9.01 * SAMPLE_RATE_HZ)
        here = audio[second * SAMPLE_RATE_HZ :][:length]
        there = mastered[2 * (second * SAMPLE_RATE_HZ + plan.shift) :][: 2 * length]
        for scores, part, rate_hz in (
            (before, here, SAMPLE_RATE_HZ),
            (after, there, DELIVERY_RATE_HZ),
        ):
            low = np.clip(soxr.resample(part, rate_hz, 16_000), -1, 1)
            scores.append(float(dnsmos.run(low, sr=16_000)["ovrl_mos"]))
    assert np.mean(after) >= np.mean(before) - 0.05, (before, after)


def test_the_same_narration_gives_the_same_master(speech: Speech, tmp_path: Path) -> None:
    audio = speech("kathleen", 10)
    first, again, other = (_master(audio, tmp_path, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("audio", [np.zeros(5 * SAMPLE_RATE_HZ), np.full(100, 0.1), np.zeros(0)])
def test_what_holds_no_speech_is_refused(audio: NDArray[np.float64], tmp_path: Path) -> None:
    with pytest.raises(MasteringError, match="holds no speech"):
        _master(audio.astype(np.float32), tmp_path)


def test_memory_does_not_grow_with_the_chapter(speech: Speech, tmp_path: Path) -> None:
    audio = speech("ljspeech", 20)

    def peak(times: int) -> int:
        def blocks() -> Iterator[Audio]:
            for _ in range(times):
                yield audio

        tracemalloc.start()
        with (tmp_path / "spool.f32").open("wb") as file:
            plan = master.plan(master.measure(blocks(), file))
        for _ in master.render(tmp_path / "spool.f32", plan, 1):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(16) < 1.1 * peak(4)


def _levels(**changed: float) -> spec.Levels:
    good = {
        "duration_s": 60.0, "rms_dbfs": -20.0, "peak_dbfs": -3.2, "floor_dbfs": -70.0, "loudness_lufs": -20.0
    }  # fmt: skip
    return spec.Levels(**{**good, **changed})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"rms_dbfs": -23.1}, "RMS -23.10 dBFS is below -23"),
        ({"rms_dbfs": -17.9}, "RMS -17.90 dBFS is above -18"),
        ({"peak_dbfs": -2.99}, "peak -2.99 dBFS is above -3"),
        ({"floor_dbfs": -59.0}, "noise floor -59.00 dBFS is above -60"),
        ({"floor_dbfs": -120.0}, "digital silence"),
        ({"duration_s": 7201.0}, "120.0 minutes are more than 120"),
    ],
)
def test_each_figure_of_the_spec_is_named_when_missed(changed: dict[str, float], says: str) -> None:
    found = spec.violations(_levels(**changed))
    assert (len(found) == 1 and says in found[0]) if says else found == ()


def test_a_plan_is_corrected_by_what_the_encoded_file_missed(
    speech: Speech, tmp_path: Path
) -> None:
    _, plan = _master(speech("ljspeech", 10), tmp_path)
    assert master.corrected(plan, _levels()) is None
    softer = master.corrected(plan, _levels(peak_dbfs=-2.5))
    assert softer is not None and softer.ceiling_dbtp == pytest.approx(plan.ceiling_dbtp - 0.6)
    quieter = master.corrected(plan, _levels(floor_dbfs=-58.0))
    assert quieter is not None and quieter.tone_dbfs == pytest.approx(plan.tone_dbfs - 3)
    assert quieter.expander_db > plan.expander_db
