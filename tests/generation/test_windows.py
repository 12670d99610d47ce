"""Window plans: they cover every unit once, end in pauses, and keep to their lengths."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from generation.script.units import INDEX, Pause
from generation.windows import LIMIT_S, expected_s, plan_windows

PHONE, COMMA, PERIOD, PARAGRAPH = (
    INDEX[s] for s in ("t", Pause.COMMA, Pause.PERIOD, Pause.PARAGRAPH)
)


def script(sentences: list[tuple[int, bool]]) -> tuple[list[int], list[bool]]:
    """Sentences of so many four-phoneme words, each perhaps ending a paragraph."""
    units: list[int] = []
    starts: list[bool] = []
    for words, ends_paragraph in sentences:
        for word in range(words):
            units += [PHONE] * 4
            starts += [True, False, False, False]
            if word % 9 == 8 and word + 1 < words:
                units.append(COMMA)
                starts.append(False)
        units += [PERIOD, PARAGRAPH] if ends_paragraph else [PERIOD]
        starts += [False, False] if ends_paragraph else [False]
    return units, starts


SENTENCES = st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=1, max_size=40)


@given(SENTENCES)
def test_windows_cover_the_script_once_and_fit(sentences: list[tuple[int, bool]]) -> None:
    units, starts = script(sentences)
    windows = plan_windows(units, starts)
    assert windows[0].start == 0
    assert windows[-1].end == len(units)
    assert [w.number for w in windows] == list(range(len(windows)))
    for before, after in pairwise(windows):
        assert before.end == after.start
    for window in windows:
        assert 0 < window.expected_s <= LIMIT_S
        assert abs(window.expected_s - expected_s(units, window.start, window.end)) < 1e-6


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=60))
def test_windows_of_short_sentences_end_with_whole_sentences(
    sentences: list[tuple[int, bool]],
) -> None:
    units, starts = script(sentences)
    for window in plan_windows(units, starts):
        assert units[window.end - 1] in (PERIOD, PARAGRAPH)
        assert window.end == len(units) or units[window.end] == PHONE


def test_a_sentence_without_any_pause_is_cut_before_a_word() -> None:
    units, starts = [PHONE] * 1600, [i % 4 == 0 for i in range(1600)]
    windows = plan_windows(units, starts)
    assert len(windows) > 4
    assert all(starts[w.start] for w in windows)
