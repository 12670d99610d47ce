"""Joints: windows that begin too late are told by how they begin; sentences that begin by themselves pass."""

import numpy as np
import pytest

from qa.audio import Audio, frame_rms
from qa.calibration.corpus import Clip, Recording, concatenate
from qa.joints import compare_joints
from qa.signal import pauses
from qa.thresholds import Thresholds
from qa.verdicts import judge_joints

LIMITS = Thresholds()


@pytest.fixture(scope="module")
def three_minutes(kathleen: list[Clip]) -> Recording:
    return concatenate(kathleen[100:160], seed=2)


def begun_late(recording: Recording, late_s: float) -> tuple[Audio, list[float]]:
    """Cut the first moments off every sentence; also gives where they begin."""
    rate = recording.audio.rate_hz
    frame = rate // 200
    parts: list[np.ndarray] = []
    begins_s, end = [], 0
    for passage in recording.passages:
        start = round(passage.start_s * rate)
        clip = recording.audio.samples[start : round(passage.end_s * rate)]
        loud = 20 * np.log10(frame_rms(clip, frame) + 1e-9)
        onset = int(np.flatnonzero(loud > loud.max() - 32)[0]) * frame
        parts.append(recording.audio.samples[end:start])
        if late_s:
            clip = clip[onset + round(late_s * rate) :]
        begins_s.append((sum(map(len, parts)) + (0 if late_s else onset)) / rate)
        parts.append(clip)
        end = round(passage.end_s * rate)
    return Audio(np.concatenate(parts), rate), begins_s[1:]


@pytest.mark.parametrize(("late_s", "heard"), [(0.0, 0), (0.06, 1)])
def test_windows_begun_too_late_are_heard(
    three_minutes: Recording, late_s: float, heard: int
) -> None:
    audio, joints_s = begun_late(three_minutes, late_s)
    found = judge_joints(compare_joints(audio, joints_s, pauses(audio)), LIMITS)
    assert len(found) == heard
    assert all(f.check == "joints" for f in found)


def test_few_joints_are_not_judged(minute: Recording) -> None:
    silences = pauses(minute.audio)
    assert compare_joints(minute.audio, [10.0, 20.0], silences) is None
    assert judge_joints(None, LIMITS) == []
