"""The backbone against slow, obvious references: scan, recurrence, attention, and step against pass."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from generation.speechssm.griffin import (
    CONV_WIDTH,
    DECAY_RANGE,
    DECAY_SHARPNESS,
    MAX_ROOT_GRADIENT,
    RGLRU,
    AttentionBlock,
    Griffin,
    GriffinConfig,
    GriffinState,
    RecurrentBlock,
    bounded_root,
    linear_scan,
)

CONFIG = GriffinConfig(
    width=32, recurrent_width=48, mlp_width=64, heads=4, pattern="RRAR", window=12
)


def slow_scan(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    outputs, y = [], start
    for a, b in zip(decay.unbind(1), drive.unbind(1), strict=True):
        y = a * y + b
        outputs.append(y)
    return torch.stack(outputs, dim=1)


def coefficients(B: int, T: int, E: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(T)
    decay = torch.rand(B, T, E, generator=generator, dtype=dtype) ** 0.1
    drive = torch.randn(B, T, E, generator=generator, dtype=dtype)
    return decay, drive, torch.randn(B, E, generator=generator, dtype=dtype)


def block_diagonal(x: Tensor, unit: RGLRU) -> tuple[Tensor, Tensor]:
    """Both gates of one step, block by block, before the sigmoid."""
    size = x.shape[-1] // unit.heads
    bias = unit.gate_bias.view(unit.heads, 2 * size)
    r, i = [], []
    for h in range(unit.heads):
        both = x[:, h * size : (h + 1) * size] @ unit.gate_weight[h] + bias[h]
        r.append(both[:, :size])
        i.append(both[:, size:])
    return torch.cat(r, dim=1), torch.cat(i, dim=1)


def slow_rg_lru(unit: RGLRU, x: Tensor, hidden: Tensor) -> Tensor:
    """Griffin, section 2.4, one step after the other, as printed."""
    outputs = []
    for t in range(x.shape[1]):
        r, i = (torch.sigmoid(gate) for gate in block_diagonal(x[:, t], unit))
        a = torch.sigmoid(-unit.decay_rate) ** (DECAY_SHARPNESS * r)
        hidden = a * hidden + torch.sqrt(1 - a**2) * (i * x[:, t])
        outputs.append(hidden)
    return torch.stack(outputs, dim=1)


def slow_attention(block: AttentionBlock, x: Tensor) -> Tensor:
    """Every query over the last W keys, one at a time."""
    B, T, D = x.shape
    H, C, W = block.heads, block.head_width, block.window
    query, key, value = block.project(x).split((D, C, C), dim=-1)
    y = torch.zeros_like(x)
    for b in range(B):
        for t in range(T):
            first = max(0, t - W + 1)
            for h in range(H):
                scores = key[b, first : t + 1] @ query[b, t, h * C : (h + 1) * C] / math.sqrt(C)
                y[b, t, h * C : (h + 1) * C] = scores.softmax(0) @ value[b, first : t + 1]
    left: Tensor = block.leave(y)
    return left


def griffin(dtype: torch.dtype = torch.float64, config: GriffinConfig = CONFIG) -> Griffin:
    torch.manual_seed(3)
    return Griffin(config).to(dtype).eval()


def run_steps(model: Griffin, x: Tensor, state: GriffinState) -> Tensor:
    return torch.stack([model.step(x[:, t], state) for t in range(x.shape[1])], dim=1)


@pytest.mark.parametrize("T", [1, 2, 15, 16, 17, 255, 256, 257, 700])
def test_scan_equals_the_recurrence_step_by_step(T: int) -> None:
    decay, drive, start = coefficients(2, T, 5, torch.float64)
    torch.testing.assert_close(
        linear_scan(decay, drive, start), slow_scan(decay, drive, start), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("T", [1, 16, 33, 300])
def test_scan_gradient_equals_autograd_through_the_recurrence(T: int) -> None:
    inputs = [tensor.requires_grad_() for tensor in coefficients(2, T, 3, torch.float64)]
    weights = torch.randn(2, T, 3, dtype=torch.float64)
    fast = torch.autograd.grad((linear_scan(*inputs) * weights).sum(), inputs)
    slow = torch.autograd.grad((slow_scan(*inputs) * weights).sum(), inputs)
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("T", [3, 20])
def test_scan_passes_gradcheck(T: int) -> None:
    inputs = [tensor.requires_grad_() for tensor in coefficients(2, T, 2, torch.float64)]
    assert torch.autograd.gradcheck(linear_scan, inputs)


def test_scan_in_single_precision_stays_exact_over_four_minutes() -> None:
    decay, drive, start = coefficients(1, 5200, 32, torch.float32)
    slowest = torch.full_like(decay, DECAY_RANGE[1])
    for a in (decay, slowest):
        driven = drive * torch.sqrt(1 - a**2)
        inputs = [tensor.requires_grad_() for tensor in (a, driven, start)]
        precise = [tensor.detach().double().requires_grad_() for tensor in inputs]
        y, reference = linear_scan(*inputs), slow_scan(*precise)
        assert (y - reference).abs().max() < 1e-5 * reference.abs().max()
        grads = torch.autograd.grad(y.square().mean(), inputs)
        references = torch.autograd.grad(reference.square().mean(), precise)
        for ours, theirs in zip(grads, references, strict=True):
            assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_rg_lru_is_the_paper_formula() -> None:
    torch.manual_seed(1)
    unit = RGLRU(24, heads=3).double()
    torch.nn.init.normal_(unit.gate_bias)
    x, hidden = torch.randn(2, 40, 24, dtype=torch.float64), torch.randn(2, 24, dtype=torch.float64)
    y, last = unit(x, hidden)
    reference = slow_rg_lru(unit, x, hidden)
    torch.testing.assert_close(y, reference, rtol=0, atol=1e-12)
    torch.testing.assert_close(last, reference[:, -1], rtol=0, atol=1e-12)


def test_rg_lru_passes_gradcheck() -> None:
    torch.manual_seed(1)
    unit = RGLRU(4, heads=2).double()
    x = torch.randn(1, 18, 4, dtype=torch.float64, requires_grad=True)
    hidden = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    parameters = tuple(unit.parameters())

    def run(x: Tensor, hidden: Tensor, *_: Tensor) -> Tensor:
        y: Tensor = unit(x, hidden)[0]
        return y

    assert torch.autograd.gradcheck(run, (x, hidden, *parameters))


def test_decay_starts_within_the_paper_range() -> None:
    unit = RGLRU(4096, heads=2)
    radius = torch.exp(-F.softplus(unit.decay_rate.detach()))
    low, high = DECAY_RANGE
    assert low - 1e-4 <= radius.min() < low + 0.01
    assert high - 0.01 < radius.max() <= high + 1e-4


def test_root_is_exact_and_its_gradient_bounded() -> None:
    x = torch.tensor([0.0, 1e-12, 0.25, 4.0], dtype=torch.float64, requires_grad=True)
    root = bounded_root(x)
    (grad,) = torch.autograd.grad(root.sum(), x)
    assert torch.equal(root, x.sqrt())
    assert grad[0] == grad[1] == MAX_ROOT_GRADIENT
    torch.testing.assert_close(grad[2:], torch.tensor([1.0, 0.25], dtype=torch.float64))


@pytest.mark.parametrize("T", [1, 5, 12, 13, 40])
def test_attention_sees_exactly_its_window(T: int) -> None:
    torch.manual_seed(2)
    block = AttentionBlock(CONFIG).double()
    x = torch.randn(2, T, CONFIG.width, dtype=torch.float64)
    empty = griffin().initial_state(2)
    y, _, _ = block(x, empty.keys[0], empty.values[0], empty.position[0])
    torch.testing.assert_close(y, slow_attention(block, x), rtol=0, atol=1e-12)


def test_convolution_is_causal_and_four_wide() -> None:
    torch.manual_seed(2)
    block = RecurrentBlock(CONFIG).double()
    torch.nn.init.zeros_(block.recurrence.decay_rate)
    state = griffin().initial_state(1)
    x = torch.randn(1, 9, CONFIG.width, dtype=torch.float64)
    inner = block.enter(x).chunk(2, dim=-1)[1]
    mixed = torch.zeros_like(inner)
    for t in range(9):
        for k in range(CONV_WIDTH):
            past = t - (CONV_WIDTH - 1 - k)
            if past >= 0:
                mixed[:, t] += block.conv_weight[k] * inner[:, past]
    y = slow_rg_lru(block.recurrence, mixed + block.conv_bias, state.hidden[0])
    gate = F.gelu(block.enter(x).chunk(2, dim=-1)[0])
    torch.testing.assert_close(
        block(x, state.hidden[0], state.tails[0])[0], block.leave(y * gate), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("pattern", ["RRAR", "R", "A"])
@pytest.mark.parametrize("T", [1, 12, 50])
def test_steps_equal_the_parallel_pass_and_leave_the_same_state(pattern: str, T: int) -> None:
    config = GriffinConfig(32, 48, 64, 4, pattern, window=12)
    model = griffin(config=config)
    x = torch.randn(3, T, 32, dtype=torch.float64)
    y, after = model(x)
    state = model.initial_state(3)
    torch.testing.assert_close(run_steps(model, x, state), y, rtol=0, atol=1e-11)
    for ours, theirs in zip(state, after, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("cuts", [(1,), (7, 8), (12, 24, 25), (40,)])
def test_a_pass_in_pieces_equals_the_whole(cuts: tuple[int, ...]) -> None:
    model = griffin()
    x = torch.randn(2, 60, 32, dtype=torch.float64)
    whole, after = model(x)
    state, pieces = None, []
    for piece in x.tensor_split(cuts, dim=1):
        y, state = model(piece, state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-11)
    assert state is not None
    for ours, theirs in zip(state, after, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


def test_a_given_state_is_not_changed_by_the_parallel_pass() -> None:
    model = griffin()
    _, state = model(torch.randn(2, 20, 32, dtype=torch.float64))
    before = [tensor.clone() for tensor in state]
    model(torch.randn(2, 30, 32, dtype=torch.float64), state)
    assert all(torch.equal(a, b) for a, b in zip(before, state, strict=True))


def test_slices_of_streams_step_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = griffin()
    x = torch.randn(5, 40, 32, dtype=torch.float64)
    state, sliced = model.initial_state(5), model.initial_state(5)
    y = run_steps(model, x, state)
    monkeypatch.setattr("generation.speechssm.griffin.STREAMS_AT_ONCE", 2)
    torch.testing.assert_close(run_steps(model, x, sliced), y, rtol=0, atol=1e-12)
    for mine, theirs in zip(sliced, state, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_lanes_of_different_age_step_together_as_they_would_alone() -> None:
    model = griffin()
    old, young = torch.randn(1, 45, 32).double(), torch.randn(1, 25, 32).double()
    lane_old, lane_young = model(old[:, :35])[1], model(young[:, :15])[1]
    both = GriffinState(*(torch.cat(p, dim=1) for p in zip(lane_old, lane_young, strict=True)))
    y = run_steps(model, torch.cat([old[:, 35:], young[:, 15:]]), both)
    torch.testing.assert_close(y[:1], model(old)[0][:, 35:], rtol=0, atol=1e-11)
    torch.testing.assert_close(y[1:], model(young)[0][:, 15:], rtol=0, atol=1e-11)


def test_the_whole_stack_passes_gradcheck() -> None:
    model = griffin(config=GriffinConfig(4, 4, 6, 2, "RA", window=3))
    x = torch.randn(1, 8, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x)[0], (x,))


def test_hidden_state_stays_in_single_precision_under_half_precision_weights() -> None:
    model = griffin(torch.bfloat16)
    y, after = model(torch.randn(2, 20, 32, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    assert after.hidden.dtype == torch.float32
    state = model.initial_state(2)
    model.step(torch.randn(2, 32, dtype=torch.bfloat16), state)
    assert state.hidden.dtype == torch.float32


def test_memory_does_not_grow_with_length() -> None:
    model = griffin(torch.float32)
    short, long = model(torch.randn(1, 3, 32))[1], model(torch.randn(1, 300, 32))[1]
    assert [t.shape for t in short] == [t.shape for t in long]


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide"):
        GriffinConfig(30, 48, 64, 4, "RRA", window=4)
    with pytest.raises(ValueError, match="made of R and A"):
        GriffinConfig(32, 48, 64, 4, "RXA", window=4)
