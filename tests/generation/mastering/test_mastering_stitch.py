"""Stitching: exact places, constant power at the joints, meeting in the middle, one window at a time."""

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from generation.mastering.errors import MasteringError
from generation.mastering.stitch import FADE_SAMPLES, LEAD_SAMPLES, Placement, Window, stitch
from generation.rates import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]


def _joined(windows: list[Window]) -> tuple[Audio, list[Placement]]:
    pieces = list(stitch(windows))
    return np.concatenate([p.audio for p in pieces]), [p.placement for p in pieces]


def _led_in(window: Window) -> Window:
    """Mirror the first 40 ms, 45 dB lower where they begin, and share them with the window before."""
    lead = [
        window.audio[k] * 10 ** (-45 / 20 * k / LEAD_SAMPLES) for k in range(LEAD_SAMPLES, 0, -1)
    ]
    return Window(np.concatenate([lead, window.audio]), LEAD_SAMPLES)


def _reference(windows: list[Window]) -> Audio:
    """Join the obvious way: every window weighted by its fades and added into a whole chapter."""
    windows = [windows[0], *(w if w.overlap else _led_in(w) for w in windows[1:])]
    starts = [0]
    for before, after in pairwise(windows):
        starts.append(starts[-1] + len(before.audio) - (after.overlap or FADE_SAMPLES))
    chapter = np.zeros(starts[-1] + len(windows[-1].audio))
    for i, window in enumerate(windows):
        weight = np.ones(len(window.audio))
        if i:
            fade_from = ((window.overlap or FADE_SAMPLES) - FADE_SAMPLES) // 2
            for k in range(len(weight)):
                at = (k - fade_from + 0.5) / FADE_SAMPLES
                weight[k] *= np.sin(np.clip(at, 0, 1) * np.pi / 2)
        if i + 1 < len(windows):
            shared = windows[i + 1].overlap or FADE_SAMPLES
            fade_from = len(weight) - shared + (shared - FADE_SAMPLES) // 2
            for k in range(len(weight)):
                at = (k - fade_from + 0.5) / FADE_SAMPLES
                weight[k] *= np.cos(np.clip(at, 0, 1) * np.pi / 2)
        chapter[starts[i] : starts[i] + len(weight)] += weight * window.audio
    return chapter.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1500, 4000), st.sampled_from([0, 0, 400, 701])),
        min_size=1,
        max_size=6,
    )
)
def test_any_windows_join_as_the_slow_reference_says(shapes: list[tuple[int, int]]) -> None:
    random = np.random.default_rng(1)
    windows = [
        Window(random.standard_normal(length).astype(np.float32), overlap if i else 0)
        for i, (length, overlap) in enumerate(shapes)
    ]
    chapter, placements = _joined(windows)
    np.testing.assert_allclose(chapter, _reference(windows), atol=1e-5)
    assert len(placements) == len(windows)


def test_a_sample_of_a_window_is_where_its_placement_says() -> None:
    windows = []
    for i in range(5):
        audio = np.zeros(5 * SAMPLE_RATE_HZ + 137 * i, np.float32)
        audio[20_000 + 1000 * i] = 1
        windows.append(Window(audio, overlap=4000 if i == 3 else 0))
    chapter, placements = _joined(windows)
    found = np.flatnonzero(chapter == 1)
    assert list(found) == [p.start + 20_000 + 1000 * i for i, p in enumerate(placements)]


def test_noise_keeps_its_power_through_a_joint() -> None:
    random = np.random.default_rng(2)
    joints = []
    for _ in range(400):
        first, second = random.standard_normal((2, 1000)).astype(np.float32)
        chapter, placements = _joined([Window(first), Window(second, FADE_SAMPLES)])
        joints.append(chapter[placements[1].start : placements[1].start + FADE_SAMPLES])
    power_db = 10 * np.log10(np.mean(np.square(joints), axis=0))
    assert np.abs(np.convolve(power_db, np.full(15, 1 / 15), "valid")).max() < 0.4


def test_the_first_sound_of_a_window_is_whole_and_rises_from_the_pause() -> None:
    random = np.random.default_rng(3)
    pause = np.zeros(4000, np.float32)
    speech = random.standard_normal(4000).astype(np.float32)
    chapter, placements = _joined([Window(pause), Window(speech)])
    start = placements[1].start
    assert start == len(pause) and len(chapter) == len(pause) + len(speech)
    np.testing.assert_array_equal(chapter[start:], speech)
    rise_db = [
        20 * np.log10(chapter[a : a + 110].std() + 1e-9)
        for a in range(start - LEAD_SAMPLES, start - 100, 110)
    ]
    assert rise_db[0] < -100 and -12 < rise_db[-1] < 0 and rise_db == sorted(rise_db)


def test_windows_that_share_four_seconds_meet_in_the_middle() -> None:
    overlap = 4 * SAMPLE_RATE_HZ
    first = np.full(10 * SAMPLE_RATE_HZ, 0.25, np.float32)
    second = np.full(10 * SAMPLE_RATE_HZ, -0.5, np.float32)
    chapter, placements = _joined([Window(first), Window(second, overlap)])
    assert len(chapter) == 16 * SAMPLE_RATE_HZ
    middle = 8 * SAMPLE_RATE_HZ
    assert (chapter[: middle - FADE_SAMPLES] == 0.25).all()
    assert (chapter[middle + FADE_SAMPLES :] == -0.5).all()
    assert abs(placements[0].end - middle) <= 1
    assert placements[1].start + placements[1].first == placements[0].end


def test_no_more_than_two_windows_are_ever_asked_for_ahead() -> None:
    taken = 0

    def windows() -> Iterator[Window]:
        nonlocal taken
        for _ in range(30):
            taken += 1
            yield Window(np.zeros(3000, np.float32))

    for given_out, _ in enumerate(stitch(windows())):
        assert taken <= given_out + 2


def test_memory_does_not_grow_with_the_chapter() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in stitch(Window(np.zeros(20 * SAMPLE_RATE_HZ, np.float32)) for _ in range(count)):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(60) < 1.05 * peak(6)


def test_no_windows_are_no_chapter() -> None:
    assert list(stitch([])) == []


@pytest.mark.parametrize(
    ("window", "says"),
    [
        (Window(np.zeros(3000, np.float64)), "window 1 .* float64"),
        (Window(np.full(3000, np.nan, np.float32)), "window 1"),
        (Window(np.zeros((2, 3000), np.float32)), "window 1"),
        (Window(np.zeros(100, np.float32)), "window 1 .* 883 samples"),
        (Window(np.zeros(3000, np.float32), overlap=4000), "share 4000 samples"),
        (Window(np.zeros(400, np.float32)), "window 1 .* too short"),
    ],
)
def test_a_window_that_cannot_be_joined_is_named(window: Window, says: str) -> None:
    good = Window(np.zeros(3000, np.float32))
    with pytest.raises(MasteringError, match=says):
        list(stitch([good, window, good]))
