"""Real recordings as examples: aligned on speech whose times are known, left out where the text is wrong."""

from pathlib import Path

import numpy as np
import pytest

from generation.rates import FRAMES_PER_TOKEN, TOKEN_SAMPLES
from generation.script.units import INDEX, SYMBOLS
from generation.tokenizer.features import extract
from generation.tokenizer.model import Tokenizer, load_tokenizer
from generation.training.alignment import align, likelihoods
from generation.training.codec_data import manifest
from generation.training.corpus import SilencePool, read_passage
from generation.training.dataset import Example
from generation.training.recordings import (
    LEAST_SURETY,
    PROMPT_PART,
    Clip,
    Maker,
    clip_units,
    joined,
    long_examples,
    read_clip,
    stretches,
)
from generation.training.teacher import Teacher
from generation.voices import WEIGHTS, load_codec

DATA = Path(__file__).parents[4] / "shared" / "data"
TEXT = (
    "The rain had stopped before the boat came in. Nobody on the quay looked up, and nobody spoke."
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(WEIGHTS / "tokenizer.safetensors")


@pytest.mark.parametrize(("noise", "length"), [(0.1, 0.85), (0.667, 1.25)])
def test_units_are_found_where_the_teacher_put_them(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, noise: float, length: float
) -> None:
    monkeypatch.setattr("generation.training.corpus.NOISE_RANGE", (noise, noise))
    monkeypatch.setattr("generation.training.corpus.LENGTH_RANGE", (length, length))
    units, starts = clip_units(TEXT)
    silence = SilencePool()
    teacher = Teacher(seed=3)
    silence.learn(teacher.read(*_sentence("Well, the old man said.")))
    passage = read_passage(
        teacher, units.tolist(), starts.astype(bool).tolist(), np.random.default_rng(0), silence
    )
    likely = likelihoods(tokenizer, extract(passage.waveform))
    found = align(passage.units.astype(np.int64), likely)
    count = np.arange(int(passage.pointer[-1]) + 1)
    late = np.searchsorted(found.pointer, count) - np.searchsorted(passage.pointer, count)
    assert np.abs(late).mean() < 0.6, "more than 28 ms off on average"
    assert np.percentile(np.abs(late), 95) <= 2
    assert found.surety.mean() > LEAST_SURETY
    other = clip_units(
        "Seven hundred soldiers marched through the town at noon, singing as they went by."
    )
    assert align(other[0], likely).surety.mean() < LEAST_SURETY


def _sentence(text: str) -> tuple[list[int], list[bool]]:
    units, starts = clip_units(text)
    return units[:-1].tolist(), starts[:-1].astype(bool).tolist()


def test_too_many_units_for_a_recording_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        align(np.ones(40, np.int64), np.zeros((5, len(SYMBOLS)), np.float32))


def test_a_clip_ends_as_a_paragraph() -> None:
    units, starts = clip_units("Good night, Tom.")
    assert units[-1] == INDEX["¶"]
    assert units[-2] == INDEX["."]
    assert starts.sum() == 3


def test_real_clips_are_kept_and_one_with_a_wrong_text_is_left_out(tokenizer: Tokenizer) -> None:
    rows = [row for row in manifest(DATA) if row["corpus"] == "kathleen"][:8:2]
    clips = [clip for row in rows if (clip := read_clip(DATA, row)) is not None]
    assert len(clips) == 4
    wrong = clip_units("Twelve quick questions about the geography of Peru.")
    clips[2] = Clip("kathleen", clips[2].waveform, *wrong)
    (together,) = stretches(clips)
    maker = Maker(tokenizer, load_codec("soundstream", levels=3))  # type: ignore[arg-type]
    kept = maker.recorded(together)
    assert [len(e.units) for e in kept] == [len(clips[i].units) for i in (0, 1, 3)]
    for example in kept:
        assert example.codes.shape == (len(example) * FRAMES_PER_TOKEN, 3)
        assert example.pointer[0] == 0
        assert set(np.diff(example.pointer)) <= {0, 1, 2, 3}
    spoken = sum(len(e) for e in kept) * TOKEN_SAMPLES
    assert spoken > 0.8 * sum(len(clips[i].waveform) for i in (0, 1, 3))


def example(tokens: int, seed: int = 0) -> Example:
    rng = np.random.default_rng(seed)
    return Example(
        "a",
        rng.integers(1, 50, tokens // 2),
        np.zeros(tokens // 2, np.int64),
        np.minimum(np.arange(tokens) // 2, tokens // 2 - 1),
        rng.integers(0, 9, tokens),
        rng.integers(0, 9, (2 * tokens, 3)),
    )


def test_examples_are_joined_unit_by_unit() -> None:
    one, two = example(20, 1), example(30, 2)
    both = joined([one, two])
    assert len(both) == 50
    assert (both.units[both.pointer][20:] == two.units[two.pointer]).all()
    assert (both.codes[40:] == two.codes).all()


def test_a_lone_clip_gives_a_prompt_that_is_not_spoken_and_a_long_example() -> None:
    clip = example(300)
    prompt, long = long_examples([clip])
    assert len(prompt) == PROMPT_PART
    assert len(long) > 1000
    rest = clip.tokens[PROMPT_PART:]
    assert (long.tokens[: len(rest)] == rest).all()
    assert (long.units[long.pointer][: len(rest)] == clip.units[clip.pointer][PROMPT_PART:]).all()
    assert long_examples([example(2 * PROMPT_PART - 1)]) == []
