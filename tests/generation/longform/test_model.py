"""Both backbones alike: steps against the whole pass, parameters, weights on disk, and learning."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from generation.errors import WeightsError
from generation.longform.model import (
    DESIGN,
    TextlessConfig,
    TextlessSpeech,
    load_textless,
    textless_config,
)
from generation.longform.perplexity import perplexity, repeated_share, token_losses
from generation.speechssm.transformer import Transformer, TransformerConfig
from generation.weights import save_weights

CODES = 32


def some_tokens(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, CODES, (2, length), generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_steps_score_what_the_whole_pass_scores(model: TextlessSpeech) -> None:
    tokens = some_tokens(70)
    whole, _ = model(tokens)
    _, state = model(tokens[:, :40])
    for t in range(40, 70):
        torch.testing.assert_close(model.step(state), whole[:, t], atol=2e-5, rtol=1e-4)
        state.token = tokens[:, t]


@torch.inference_mode()
def test_a_pass_in_parts_is_the_whole_pass_and_leaves_its_start_alone(
    model: TextlessSpeech,
) -> None:
    tokens = some_tokens(300)
    whole, _ = model(tokens)
    _, middle = model(tokens[:, :270])
    kept = middle.copy()
    rest, _ = model(tokens[:, 270:], middle)
    torch.testing.assert_close(rest, whole[:, 270:], atol=2e-5, rtol=1e-4)
    again, _ = model(tokens[:, 270:], middle)
    assert torch.equal(again, rest)
    torch.testing.assert_close(model.step(middle), model.step(kept))


@torch.inference_mode()
def test_only_the_transformers_memory_grows(
    griffin: TextlessSpeech, transformer: TextlessSpeech
) -> None:
    sizes = {}
    for name, model in (("griffin", griffin), ("transformer", transformer)):
        sizes[name] = [model(some_tokens(length))[1].bytes for length in (20, 600, 2400)]
    assert len(set(sizes["griffin"])) == 1
    assert sizes["transformer"][2] > 3 * sizes["transformer"][1] > 6 * sizes["transformer"][0]


@torch.inference_mode()
def test_the_transformer_looks_back_without_a_limit_and_never_ahead() -> None:
    torch.manual_seed(1)
    model = Transformer(TransformerConfig(16, 32, 2, 2)).eval()
    x = torch.randn(1, 90, 16)
    before, _ = model(x)
    x[0, 3] += 1
    after, _ = model(x)
    assert torch.equal(before[0, :3], after[0, :3])
    assert not torch.allclose(before[0, 89], after[0, 89], atol=1e-6)


@pytest.mark.parametrize("preset", ["textless", "tiny", "small", "2b"])
def test_the_baseline_is_as_large_as_what_it_is_compared_with(preset: str) -> None:
    with torch.device("meta"):
        ours, theirs = (
            sum(p.numel() for p in TextlessSpeech(config).backbone.parameters())
            for config in (textless_config(preset, 8), textless_config(preset, 8, True))
        )
    assert abs(ours - theirs) < 0.01 * ours


def test_weights_come_back_and_others_are_refused(tmp_path: Path, model: TextlessSpeech) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, DESIGN, model.config.to_dict(), model.state_dict())
    loaded, weights = load_textless(path)
    assert loaded.config == model.config
    assert weights.design == DESIGN
    tokens = some_tokens(20)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(tokens)[0], model(tokens)[0], atol=2e-2, rtol=2e-2)
    with pytest.raises(WeightsError, match="another design"):
        TextlessConfig.from_dict({**model.config.to_dict(), "kind": "lstm"})
    with pytest.raises(ValueError, match="no textless preset"):
        textless_config("huge", CODES)


@pytest.mark.parametrize("transformer", [False, True])
def test_both_backbones_learn_a_pattern_and_perplexity_says_so(transformer: bool) -> None:
    torch.manual_seed(0)
    model = TextlessSpeech(textless_config("tiny", CODES, transformer))
    pattern = (torch.arange(120) * 5 % 13)[None].repeat(4, 1)
    before = perplexity(token_losses(model, pattern[0].numpy(), chunk=50))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(40):
        logits, _ = model(pattern)
        loss = F.cross_entropy(logits.flatten(0, 1), pattern.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    losses = token_losses(model, pattern[0].numpy(), chunk=50)
    assert before > 20
    assert perplexity(losses[5:]) < 1.5
    whole = token_losses(model, pattern[0].numpy(), chunk=120)
    assert losses == pytest.approx(whole, abs=1e-3)


def test_repetitions_are_counted_without_lengthened_sounds() -> None:
    assert repeated_share([1, 1, 1, 1, 1, 1, 2, 3, 4, 5]) == 0
    assert repeated_share(["a", "b", "c", "d"] * 3) == pytest.approx(5 / 9)
    assert repeated_share([7] * 50) == 0
    assert repeated_share([]) == 0
