"""The model as trained and as stepped, its causality, its modes, its loss, and its sizes."""

import pytest
import torch
from torch import Tensor

from generation.errors import WeightsError
from generation.script.units import SYMBOLS
from generation.speechssm.model import (
    ADVANCES,
    MAX_DWELL,
    NO_ADVANCE,
    SpeechConfig,
    SpeechSSM,
    dwell_steps,
    reading_loss,
)
from generation.speechssm.presets import BACKBONES, PAPER_CODES, speech_config

K = 24

Recorded = dict[str, Tensor]


@pytest.fixture(scope="module")
def model() -> SpeechSSM:
    torch.manual_seed(9)
    return SpeechSSM(speech_config("tiny", K)).double().eval()


def recorded(B: int, T: int, seed: int = 0, stay: float = 0.6) -> Recorded:
    """Make readings as the data hold them: a random walk of the pointer, random tokens."""
    generator = torch.Generator().manual_seed(seed)
    moves = torch.rand(B, T, generator=generator)
    advances = (moves > stay).long() + (moves > 0.9).long() + (moves > 0.97).long()
    pointer = advances.cumsum(1) - advances
    U = int(pointer.max()) + 1
    return {
        "units": torch.randint(1, len(SYMBOLS), (B, U), generator=generator),
        "word_starts": torch.rand(B, U, generator=generator) < 0.25,
        "pointer": pointer,
        "tokens": torch.randint(K, (B, T), generator=generator),
        "advances": advances,
    }


def piece(batch: Recorded, first: int, last: int) -> Recorded:
    text = {name: batch[name] for name in ("units", "word_starts")}
    return text | {n: batch[n][:, first:last] for n in ("pointer", "tokens", "advances")}


def test_steps_give_the_scores_of_training(model: SpeechSSM) -> None:
    batch = recorded(3, 90, stay=0.9)
    token_logits, advance_logits, after = model(**batch)
    vectors = model.text_encoder(batch["units"], batch["word_starts"])
    state = model.initial_state(3)
    with torch.no_grad():
        for t in range(90):
            features = model.step(vectors[torch.arange(3), batch["pointer"][:, t]], state)
            tokens = batch["tokens"][:, t]
            torch.testing.assert_close(
                model.token_head(features), token_logits[:, t], rtol=0, atol=1e-10
            )
            torch.testing.assert_close(
                model.advance_logits(features, tokens), advance_logits[:, t], rtol=0, atol=1e-10
            )
            state.token[0].copy_(tokens)
            state.advance[0].copy_(batch["advances"][:, t])
    for ours, theirs in zip(state[1:], after[1:], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("cut", [1, 37, 99])
def test_a_reading_scored_in_pieces_equals_the_whole(model: SpeechSSM, cut: int) -> None:
    batch = recorded(2, 100, stay=0.95)
    tokens, advances, _ = model(**batch)
    *first, state = model(**piece(batch, 0, cut))
    *second, _ = model(**piece(batch, cut, 100), state=state)
    torch.testing.assert_close(torch.cat([first[0], second[0]], 1), tokens, rtol=0, atol=1e-10)
    torch.testing.assert_close(torch.cat([first[1], second[1]], 1), advances, rtol=0, atol=1e-10)


def test_nothing_is_heard_before_it_is_said(model: SpeechSSM) -> None:
    batch, t = recorded(1, 60), 30
    changed = {name: values.clone() for name, values in batch.items()}
    changed["tokens"][:, t] = (batch["tokens"][:, t] + 1) % K
    tokens, advances, _ = model(**batch)
    other_tokens, other_advances, _ = model(**changed)
    assert torch.equal(tokens[:, : t + 1], other_tokens[:, : t + 1])
    assert torch.equal(advances[:, :t], other_advances[:, :t])
    assert not torch.allclose(tokens[:, t + 1], other_tokens[:, t + 1])
    assert not torch.allclose(advances[:, t], other_advances[:, t]), "advances must know the token"


def test_stays_are_counted_as_one_would_count_them() -> None:
    generator = torch.Generator().manual_seed(4)
    advances = (torch.rand(3, 200, generator=generator) > 0.98).long()
    last = torch.tensor([0, 5, MAX_DWELL])
    counted = []
    for row, dwell in zip(advances.tolist(), last.tolist(), strict=True):
        stays = []
        for advance in row:
            dwell = 0 if advance else min(dwell + 1, MAX_DWELL)
            stays.append(dwell)
        counted.append(stays)
    assert dwell_steps(advances, last).tolist() == counted
    assert max(map(max, counted)) == MAX_DWELL


def test_a_stay_is_heard(model: SpeechSSM) -> None:
    """Two states that differ only in how long the pointer has stayed score the next step apart."""
    state = model.initial_state(2)
    state.advance.fill_(0)
    state.dwell.copy_(torch.tensor([[1, 9]]))
    features = model.step(torch.ones(2, 64, dtype=torch.float64), state)
    assert not torch.allclose(features[0], features[1])


def test_without_text_the_text_and_the_pointer_are_ignored(model: SpeechSSM) -> None:
    batch, other = recorded(2, 40, seed=1), recorded(2, 40, seed=2)
    other["tokens"] = batch["tokens"]
    without = torch.tensor([True, True])
    assert torch.equal(model(**batch, textless=without)[0], model(**other, textless=without)[0])
    assert not torch.allclose(model(**batch)[0], model(**other)[0])


def test_dropping_one_example_text_leaves_the_other(model: SpeechSSM) -> None:
    batch = recorded(2, 40)
    mixed = model(**batch, textless=torch.tensor([False, True]))[0]
    torch.testing.assert_close(mixed[0], model(**batch)[0][0], rtol=0, atol=1e-10)
    assert not torch.allclose(mixed[1], model(**batch)[0][1])


def test_previous_tokens_are_masked_in_training_only() -> None:
    config = speech_config("tiny", K)
    batch = recorded(1, 40)
    torch.manual_seed(0)
    deaf = SpeechSSM(SpeechConfig(config.backbone, K, 64, 32, token_dropout=1.0))
    other = {**batch, "tokens": (batch["tokens"] + 1) % K}
    assert torch.equal(deaf(**batch)[0], deaf(**other)[0])
    deaf.eval()
    assert not torch.equal(deaf(**batch)[0], deaf(**other)[0])


def test_the_loss_judges_what_is_valid_and_advances_only_with_text() -> None:
    torch.manual_seed(0)
    tokens, advances = torch.randint(K, (2, 10)), torch.randint(ADVANCES, (2, 10))
    token_logits, advance_logits = torch.randn(2, 10, K), torch.randn(2, 10, ADVANCES)
    valid = torch.ones(2, 10, dtype=torch.bool)
    valid[1, 6:] = False
    loss = reading_loss(
        token_logits, advance_logits, tokens, advances, valid, torch.tensor([True, False])
    )
    token_terms = [
        -token_logits[b, t].log_softmax(-1)[tokens[b, t]]
        for b in range(2)
        for t in range(10)
        if valid[b, t]
    ]
    advance_terms = [-advance_logits[1, t].log_softmax(-1)[advances[1, t]] for t in range(6)]
    torch.testing.assert_close(loss.token, torch.stack(token_terms).mean())
    torch.testing.assert_close(loss.advance, torch.stack(advance_terms).mean())
    torch.testing.assert_close(loss.total, loss.token + loss.advance)
    nothing = reading_loss(
        token_logits, advance_logits, tokens, advances, valid, torch.tensor([True, True])
    )
    assert nothing.advance == 0


def test_every_parameter_is_trained() -> None:
    torch.manual_seed(0)
    trained = SpeechSSM(speech_config("tiny", K))
    batch = recorded(2, 60)
    tokens, advances, _ = trained(**batch, textless=torch.tensor([False, True]))
    valid = torch.ones_like(batch["tokens"], dtype=torch.bool)
    loss = reading_loss(tokens, advances, batch["tokens"], batch["advances"], valid)
    names, parameters = zip(*trained.named_parameters(), strict=True)
    for name, grad in zip(names, torch.autograd.grad(loss.total, parameters), strict=True):
        assert grad.abs().sum() > 0, name


def test_a_tiny_model_learns_to_read() -> None:
    """The token is a function of the unit: soon the model says it, and it could not by guessing."""
    torch.manual_seed(0)
    config = speech_config("tiny", K)
    model = SpeechSSM(SpeechConfig(config.backbone, K, 64, 32, token_dropout=0.3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(60):
        batch = recorded(4, 64, seed=step)
        batch["tokens"] = batch["units"].gather(1, batch["pointer"]) % K
        tokens, advances, _ = model(**batch)
        valid = torch.ones_like(batch["tokens"], dtype=torch.bool)
        loss = reading_loss(tokens, advances, batch["tokens"], batch["advances"], valid)
        optimizer.zero_grad()
        torch.autograd.backward(loss.total)
        optimizer.step()
    assert loss.token < 0.5


def test_a_configuration_survives_being_written_down() -> None:
    config = speech_config("small", 512)
    assert SpeechConfig.from_dict(config.to_dict()) == config
    with pytest.raises(WeightsError, match="another design"):
        SpeechConfig.from_dict(config.to_dict() | {"layers": 3})
    with pytest.raises(WeightsError, match="another design"):
        SpeechConfig.from_dict({"codes": 512})


def test_the_first_step_knows_that_nothing_came_before(model: SpeechSSM) -> None:
    state = model.initial_state(2)
    assert state.token.tolist() == [[K, K]]
    assert state.advance.tolist() == [[NO_ADVANCE, NO_ADVANCE]]


def parameters(preset: str, codes: int) -> tuple[int, int]:
    """Parameters of a preset and of its backbone, counted without making them."""
    with torch.device("meta"):
        model = SpeechSSM(speech_config(preset, codes))
    whole = sum(p.numel() for p in model.parameters())
    return whole, sum(p.numel() for p in model.backbone.parameters())


@pytest.mark.parametrize(
    ("preset", "published", "digits"), [("2b", 2.683e9, 6), ("9b", 19.25e9 / 2 - 1.0486e9, 7)]
)
def test_the_paper_sizes_match_the_published_counts(
    preset: str, published: float, digits: int
) -> None:
    """Counts published for RecurrentGemma, whose tied embedding has 256,000 words."""
    backbone = parameters(preset, PAPER_CODES)[1] + 256_000 * BACKBONES[preset].width
    assert round(backbone, -digits) == pytest.approx(round(published, -digits), abs=10**digits)


@pytest.mark.parametrize(
    ("preset", "least", "most"), [("tiny", 0, 0.5e6), ("small", 6e6, 12e6), ("base", 1e8, 3e8)]
)
def test_our_own_sizes_are_what_they_say(preset: str, least: float, most: float) -> None:
    assert least < parameters(preset, 512)[0] < most


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of tiny, small"):
        speech_config("huge", 512)
