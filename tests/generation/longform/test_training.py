"""Textless training: contiguous segments, equal for both backbones, and held-out chapters read aloud."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from generation.longform.model import TextlessSpeech, textless_config
from generation.rates import TOKEN_SAMPLES, tokens_in
from generation.script.units import INDEX
from generation.tokenizer.features import TokenFeatures
from generation.training.corpus import Passage
from generation.training.loop import Budget, Recipe, Step, train
from generation.training.readaloud import Stretch, utterances, write_copy
from generation.training.textless import TextlessObjective

CODES = 32


def objective(transformer: bool) -> TextlessObjective:
    streams = [np.arange(n) % CODES for n in (900, 400, 30)]
    model = TextlessSpeech(textless_config("tiny", CODES, transformer))
    return TextlessObjective(model, streams, streams[:1], batch=2, segment_s=8.0)


def test_segments_are_contiguous_and_the_same_for_both_backbones() -> None:
    ours, theirs = objective(False), objective(True)
    assert ours.batch_s == pytest.approx(16, abs=0.1)
    assert len(ours.training) == 2
    for index in range(3):
        drawn = [each._draw(np.random.default_rng(index)) for each in (ours, theirs)]
        assert np.array_equal(*drawn)
        assert len(drawn[0]) == tokens_in(8.0)
        assert (np.diff(drawn[0]) % CODES == 1).all()


def test_streams_shorter_than_a_segment_are_refused() -> None:
    model = TextlessSpeech(textless_config("tiny", CODES))
    with pytest.raises(ValueError, match="make longer passages"):
        TextlessObjective(model, [np.arange(50)], [], batch=1)


@pytest.mark.parametrize("transformer", [False, True])
def test_training_lowers_the_loss(tmp_path: Path, transformer: bool) -> None:
    made = objective(transformer)
    before = made.evaluate()["token"]
    losses = made.batch(Step(0, 0.0, np.random.default_rng(0)))
    assert float(losses["loss"]) == pytest.approx(before, rel=0.2)
    recipe = Recipe(learning_rate=1e-2, warmup_steps=2, ema_decay=0.5)
    outcome = train(made, recipe, Budget(steps=25), tmp_path)
    assert outcome.figures["token"] < 0.5 * before


def test_a_stretch_read_aloud_is_cut_between_sentences(tmp_path: Path) -> None:
    period = INDEX["."]
    sentence = [5, 6, 7, period]
    stretch = Stretch(sentence * 6, [True, False, False, False] * 6, ["one", "", "", ""] * 6)
    each = 100  # tokens of a unit: a sentence takes 18.6 s
    pointer = np.repeat(np.arange(24), each)
    cuts = list(utterances(stretch, pointer))
    assert [(start, end) for start, end, _ in cuts] == [(400 * i, 400 * i + 400) for i in range(6)]
    assert cuts[0][2] == "ONE"
    waveform = np.sin(np.arange(2400 * TOKEN_SAMPLES) / 30).astype(np.float32) / 2
    nothing = np.zeros(0, np.float32)
    features = TokenFeatures(nothing, nothing, nothing, nothing)
    passage = Passage(nothing, nothing, pointer, nothing, features, waveform)
    assert write_copy(tmp_path, "test", "1", "7", stretch, passage) == 6
    folder = tmp_path / "test" / "1" / "7"
    lines = (folder / "1-7.trans.txt").read_text().splitlines()
    assert lines[5] == "1-7-0005 ONE"
    read = np.concatenate([soundfile.read(p)[0] for p in sorted(folder.glob("*.flac"))])
    assert read == pytest.approx(waveform, abs=1e-4)
