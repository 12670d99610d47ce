"""Training of SoundStorm: what it begins with, and where its prompts come from."""

from pathlib import Path

import numpy as np
import torch

from generation.soundstorm.model import SoundStorm, soundstorm_config
from generation.training.dataset import Example
from generation.training.soundstorm import _prompt, begin_with
from generation.weights import load_weights, save_weights


def test_a_model_begins_with_all_that_fits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    old = SoundStorm(soundstorm_config("tiny", semantic_codes=16, levels=2))
    save_weights(tmp_path / "old.safetensors", "soundstorm", {}, old.state_dict())
    new = SoundStorm(soundstorm_config("tiny", semantic_codes=20, levels=3))
    untouched = new.heads[2].weight.clone()  # type: ignore[union-attr, operator]
    fitting = begin_with(new, load_weights(tmp_path / "old.safetensors", "soundstorm"))
    ours, theirs = new.state_dict(), old.state_dict()
    assert "semantic.weight" not in fitting
    assert len(fitting) == len(theirs) - 1
    assert all(torch.allclose(ours[n], theirs[n], atol=1e-3, rtol=1e-3) for n in fitting)
    assert torch.equal(ours["heads.2.weight"], untouched)


def test_a_prompt_comes_from_another_clip_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    clips = [
        Example(
            "a",
            np.ones(9, np.int64),
            np.zeros(9, np.int64),
            np.zeros(90, np.int64),
            np.full(90, number),
            np.zeros((180, 2), np.int64),
        )
        for number in range(2)
    ]
    assert {int(_prompt(clips, clips[0], rng)[0][0]) for _ in range(20)} == {1}
    assert {int(_prompt(clips[:1], clips[0], rng)[0][0]) for _ in range(20)} == {0}
