"""What length costs: states that grow or do not, throughput put together from parts, states compared."""

import numpy as np
import pytest
import torch

from generation.longform.backbones import (
    StepCost,
    Throughput,
    advanced,
    interleaved_ratios,
    largest_batch,
    median_interval,
    state_at,
    step_cost,
    throughput,
)
from generation.longform.model import TextlessSpeech


def test_a_step_is_measured_at_the_length_asked_for(
    griffin: TextlessSpeech, transformer: TextlessSpeech
) -> None:
    for model in (griffin, transformer):
        cost = step_cost(model, length=700, batch=3, repeats=2)
        assert (cost.length, cost.batch) == (700, 3)
        assert cost.seconds > 0
        assert cost.state_bytes == state_at(model, 700).bytes


def test_many_more_recurrent_states_fit_in_a_memory(
    griffin: TextlessSpeech, transformer: TextlessSpeech
) -> None:
    memory = 64 * 2**20
    ours, theirs = (largest_batch(m, 16_384, memory) for m in (griffin, transformer))
    assert ours > 100 * theirs > 0
    assert ours * state_at(griffin, 1).bytes <= memory
    done = throughput(transformer, 1024, 2**20, (256, 1000), repeats=1)
    assert [cost.length for cost in done.costs] == [256, 1000]
    assert done.batch == largest_batch(transformer, 1024, 2**20)
    assert len(throughput(griffin, 1024, 2**20, (256, 1000), repeats=1).costs) == 1


def test_throughput_is_the_integral_of_measured_steps() -> None:
    costs = (StepCost(0, 10, 1.0, 1), StepCost(100, 10, 3.0, 1))
    done = Throughput(1, 101, 10, costs)
    assert done.tokens_per_s == pytest.approx(10 / 2.0)


def test_a_state_is_advanced_over_repeated_tokens(griffin: TextlessSpeech) -> None:
    tokens = np.arange(20) % 32
    state = advanced(griffin, tokens, 50)
    with torch.inference_mode():
        _, wanted = griffin(torch.from_numpy(np.resize(tokens, 50))[None])
    assert int(state.backbone.position[0, 0]) == 50
    torch.testing.assert_close(state.backbone.hidden, wanted.backbone.hidden)
    assert torch.equal(state.token, wanted.token)


def test_steps_of_two_states_are_taken_in_turns_and_leave_them_alone(
    griffin: TextlessSpeech,
) -> None:
    early, late = (advanced(griffin, np.arange(9), n) for n in (9, 900))
    before = late.backbone.hidden.clone()
    ratios = interleaved_ratios(griffin, early, late, steps=30)
    assert len(ratios) == 30
    assert (ratios > 0).all()
    assert torch.equal(late.backbone.hidden, before)


def test_the_medians_interval_holds_it_and_narrows() -> None:
    rng = np.random.default_rng(0)
    for count in (30, 1000):
        median, low, high = median_interval(1 + 0.1 * rng.normal(size=count))
        assert low <= median <= high
        assert high - low < 0.6 / np.sqrt(count)
