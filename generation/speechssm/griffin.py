"""Griffin: gated linear recurrences with local attention, as a parallel pass and as a single step.

Both passes share one set of weights and one explicit state whose size does not grow with length.
Training runs the recurrence as a chunked scan; reading runs it step by step on fixed tensors.
Source: De et al., "Griffin", arXiv 2402.19427; blocks laid out as in RecurrentGemma (2404.07839).

Dimension letters:
    B batch (lanes when reading)   T steps         D model width         E recurrent width
    M MLP width                    H heads         C width of a head     W attention window
    N blocks of a span             R, A recurrent and attention blocks   U units   K codes
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

DECAY_SHARPNESS = 8.0
"""The constant c of the recurrent gate (Griffin, section 2.4)."""

DECAY_RANGE = (0.9, 0.999)
"""Range of a^c at the start of training (Griffin, section 2.4)."""

CONV_WIDTH = 4
"""Steps seen by the causal convolution in front of the recurrence (Griffin, section 2.3)."""

MAX_ROOT_GRADIENT = 1000.0
"""Bound on the gradient of √(1 − a²) as a → 1 (RecurrentGemma's reference code)."""

NORM_EPSILON = 1e-6

SCAN_CHUNK = 16
"""Steps a chunk of the scan; of 8 … 64 the fastest on a CPU core for 320 to 5,200 steps."""


@dataclass(frozen=True, slots=True)
class GriffinConfig:
    """Sizes of one backbone.

    Attributes
    ----------
    width, recurrent_width, mlp_width
        D, E and M.
    heads
        H: attention heads, and diagonal blocks of the recurrent gates; divides D and E.
    pattern
        One letter a block: R recurrent, A local attention.
    window
        W: steps a query sees, itself included.
    dropout
        Rate on the output of every block while training.
    """

    width: int
    recurrent_width: int
    mlp_width: int
    heads: int
    pattern: str
    window: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if self.width % self.heads or self.recurrent_width % self.heads:
            raise ValueError(
                f"{self.heads} heads must divide the widths {self.width} and {self.recurrent_width}"
            )
        if not self.pattern or set(self.pattern) - set("RA"):
            raise ValueError(f"the pattern {self.pattern!r} must be made of R and A")

    @property
    def head_width(self) -> int:
        """C, the width of one attention head."""
        return self.width // self.heads


STREAMS_AT_ONCE = 2048
"""Streams stepped at once on a CPU (one core, 454 k parameters: 36 k tokens a second; 33 k by 8,192)."""


class GriffinState(NamedTuple):
    """All that the backbone remembers, in fixed tensors; the second dimension of each is the batch.

    `hidden` and `tails` belong to recurrent blocks; `keys` and `values` are rings written at
    `position % W`.
    """

    hidden: Tensor
    """[R, B, E], fp32 whatever the weights are."""
    tails: Tensor
    """[R, B, CONV_WIDTH − 1, E], the last inputs of the convolutions, oldest first."""
    keys: Tensor
    """[A, B, W, C]."""
    values: Tensor
    """[A, B, W, C]."""
    position: Tensor
    """[1, B] int64, steps seen so far."""


def _scan(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    """Return y[t] = decay[t] · y[t−1] + drive[t], with y[−1] = `start` [B, E], chunk by chunk."""
    B, T, E = decay.shape
    if T <= SCAN_CHUNK:
        y = torch.empty_like(drive)
        before = start
        for a, b, out in zip(decay.unbind(1), drive.unbind(1), y.unbind(1), strict=True):
            before = torch.addcmul(b, a, before, out=out)
        return y
    spare = -T % SCAN_CHUNK
    if spare:
        decay, drive = F.pad(decay, (0, 0, 0, spare)), F.pad(drive, (0, 0, 0, spare))
    a_chunks = decay.reshape(B, -1, SCAN_CHUNK, E)
    b_chunks = drive.reshape(B, -1, SCAN_CHUNK, E)
    y, reach = torch.empty_like(b_chunks), torch.empty_like(a_chunks)
    y[:, :, 0], reach[:, :, 0] = b_chunks[:, :, 0], a_chunks[:, :, 0]
    a_steps, b_steps = a_chunks.unbind(2), b_chunks.unbind(2)
    y_steps, reach_steps = y.unbind(2), reach.unbind(2)
    for t in range(1, SCAN_CHUNK):
        torch.addcmul(b_steps[t], a_steps[t], y_steps[t - 1], out=y_steps[t])
        torch.mul(a_steps[t], reach_steps[t - 1], out=reach_steps[t])
    ends = _scan(reach[:, :, -1], y[:, :, -1], start)
    entries = torch.cat([start[:, None], ends[:, :-1]], dim=1)
    y.addcmul_(reach, entries[:, :, None])
    return y.view(B, -1, E)[:, :T]


class _LinearScan(torch.autograd.Function):
    """The scan with its exact gradient: the same recurrence, run from the end to the start."""

    @staticmethod
    def forward(ctx, decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        y = _scan(decay, drive, start)
        ctx.save_for_backward(decay, y, start)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[no-untyped-def]
        decay, y, start = ctx.saved_tensors
        later = F.pad(decay[:, 1:], (0, 0, 0, 1))
        grad = _scan(later.flip(1), grad_y.flip(1), torch.zeros_like(start)).flip(1)
        before = torch.cat([start[:, None], y[:, :-1]], dim=1)
        return grad * before, grad, grad[:, 0] * decay[:, 0]


def linear_scan(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    """Run the diagonal recurrence y[t] = decay[t] · y[t−1] + drive[t] over all steps at once.

    Parameters
    ----------
    decay, drive
        [B, T, E] of one floating type; decays within [0, 1] keep it exact to rounding.
    start
        [B, E], the value before the first step.

    Returns
    -------
    Tensor
        y, [B, T, E].
    """
    y: Tensor = _LinearScan.apply(decay, drive, start)  # type: ignore[no-untyped-call]
    return y


class _BoundedRoot(torch.autograd.Function):
    """A square root whose gradient stays below MAX_ROOT_GRADIENT."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        root = x.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        (root,) = ctx.saved_tensors
        bounded: Tensor = grad / (2 * root).clamp_min(1 / MAX_ROOT_GRADIENT)
        return bounded


def bounded_root(x: Tensor) -> Tensor:
    """Square root of `x` ≥ 0 with a gradient of at most MAX_ROOT_GRADIENT."""
    root: Tensor = _BoundedRoot.apply(x)  # type: ignore[no-untyped-call]
    return root


def _linear(inputs: int, outputs: int, bias: bool = True, gain: float = 1.0) -> nn.Linear:
    """Make a linear layer with weights of variance gain² / inputs and zero bias."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class RGLRU(nn.Module):
    """Real-gated linear recurrent unit (Griffin, section 2.4): gates see only the input.

    r, i = σ(block-diagonal linear(x)); a = exp(−c · r · softplus(Λ));
    h = a ⊙ h + √(1 − a²) ⊙ (i ⊙ x).
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        block = width // heads
        self.gate_weight = nn.Parameter(torch.randn(heads, block, 2 * block) * block**-0.5)
        self.gate_bias = nn.Parameter(torch.zeros(heads * 2 * block))
        low, high = DECAY_RANGE
        radius = (torch.rand(width) * (high**2 - low**2) + low**2).sqrt()
        self.decay_rate = nn.Parameter(torch.log(torch.expm1(-radius.log())))
        """Λ: softplus(Λ) = −log(a^c at the start) where r = 1/c; no weight decay on it."""

    def _coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From inputs [N, E] to a and √(1 − a²) ⊙ i ⊙ x, both [N, E] in fp32 or finer."""
        N, E = x.shape
        blocks = x.view(N, self.heads, -1).transpose(0, 1)
        bias = self.gate_bias.view(self.heads, 1, -1)
        gates = torch.baddbmm(bias, blocks, self.gate_weight).sigmoid().transpose(0, 1)
        recurrence, admission = gates.chunk(2, dim=-1)
        precise = torch.promote_types(x.dtype, torch.float32)
        rate = F.softplus(self.decay_rate.to(precise)).view(self.heads, -1)
        log_decay = recurrence.to(precise) * (-DECAY_SHARPNESS * rate)
        scale = bounded_root(-torch.expm1(2 * log_decay))
        drive = scale * (admission * x.view(N, self.heads, -1)).to(precise)
        return log_decay.exp().reshape(N, E), drive.reshape(N, E)

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Run over inputs [B, T, E] from `hidden` [B, E] to outputs and the last hidden."""
        decay, drive = self._coefficients(x.reshape(-1, x.shape[-1]))
        y = linear_scan(decay.view(x.shape), drive.view(x.shape), hidden.to(decay.dtype))
        return y.to(x.dtype), y[:, -1]

    def step(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Run one step from inputs to outputs [B, E], updating `hidden` [B, E] in place."""
        decay, drive = self._coefficients(x)
        hidden.mul_(decay).add_(drive)
        return hidden.to(x.dtype)


class RecurrentBlock(nn.Module):
    """Causal convolution and RG-LRU, multiplied by a gated branch (Griffin, section 2.3)."""

    def __init__(self, config: GriffinConfig):
        super().__init__()
        E = config.recurrent_width
        self.enter = _linear(config.width, 2 * E)
        self.conv_weight = nn.Parameter(torch.randn(CONV_WIDTH, E) * CONV_WIDTH**-0.5)
        self.conv_bias = nn.Parameter(torch.zeros(E))
        self.recurrence = RGLRU(E, config.heads)
        self.leave = _linear(E, config.width, gain=_final_gain(config))

    def forward(self, x: Tensor, hidden: Tensor, tail: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From x [B, T, D] and this block's state to outputs, the new hidden and the new tail."""
        gate, inner = self.enter(x).chunk(2, dim=-1)
        seen = torch.cat([tail.to(inner.dtype), inner], dim=1)
        T = x.shape[1]
        mixed = self.conv_bias + sum(
            seen[:, k : k + T] * self.conv_weight[k] for k in range(CONV_WIDTH)
        )
        y, hidden = self.recurrence(mixed, hidden)
        return self.leave(y * _gelu(gate)), hidden, seen[:, T:]

    def step(self, x: Tensor, hidden: Tensor, tail: Tensor) -> Tensor:
        """Run one step on x [B, D], updating `hidden` [B, E] and `tail` [B, 3, E] in place."""
        gate, inner = self.enter(x).chunk(2, dim=-1)
        seen = torch.cat([tail, inner[:, None]], dim=1)
        tail.copy_(seen[:, 1:])
        mixed = (seen * self.conv_weight).sum(dim=1) + self.conv_bias
        y = self.recurrence.step(mixed, hidden)
        stepped: Tensor = self.leave(y * _gelu(gate))
        return stepped


class AttentionBlock(nn.Module):
    """Multi-query attention over the last W steps, without any positional encoding."""

    def __init__(self, config: GriffinConfig):
        super().__init__()
        self.heads, self.head_width, self.window = config.heads, config.head_width, config.window
        self.project = _linear(config.width, config.width + 2 * config.head_width, bias=False)
        self.leave = _linear(config.width, config.width, gain=_final_gain(config))

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project x [..., D] to queries [..., D], keys [..., C] and values [..., C]."""
        sizes = (self.heads * self.head_width, self.head_width, self.head_width)
        query, key, value = self.project(x).split(sizes, dim=-1)
        return query, key, value

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend over x [B, T, D] and the rings [B, W, C] of what came before.

        Queries go in blocks of W (fewer if T is shorter): each sees its own block and the W keys
        before it, so that the cost grows with T · W and not with T².
        """
        B, T, _ = x.shape
        W, C = self.window, self.head_width
        query, key, value = self._split(x)
        # Slots in time order: `age` steps before the first of x, for age W … 1.
        order = (position[:, None] + torch.arange(W, device=x.device)) % W
        slots = order[..., None].expand(-1, -1, C)
        key = torch.cat([keys.gather(1, slots), key], dim=1)
        value = torch.cat([values.gather(1, slots), value], dim=1)
        block = min(W, T)
        N = -(-T // block)
        spare = N * block - T
        key_blocks, value_blocks = (
            F.pad(span, (0, 0, 0, spare))
            .unfold(1, W + block, block)
            .transpose(-1, -2)
            .flatten(0, 1)
            for span in (key, value)
        )
        query = F.pad(query, (0, 0, 0, spare)).view(B * N, block, self.heads, C).transpose(1, 2)
        mask = self._mask(position, N, block)
        y = F.scaled_dot_product_attention(
            query,
            key_blocks[:, None].expand(-1, self.heads, -1, -1),
            value_blocks[:, None].expand(-1, self.heads, -1, -1),
            attn_mask=mask,
        )
        y = y.transpose(1, 2).reshape(B, N * block, -1)[:, :T]
        rings = self._ring(key[:, -W:], position + T), self._ring(value[:, -W:], position + T)
        return self.leave(y), *rings

    def _mask(self, position: Tensor, N: int, block: int) -> Tensor:
        """Which of W + `block` keys each query of a block may see: [B · N, 1, block, W + block]."""
        W = self.window
        query = torch.arange(block, device=position.device)[:, None] + W
        key = torch.arange(W + block, device=position.device)
        near = (key <= query) & (key > query - W)
        start = torch.arange(N, device=position.device) * block
        lived = key + start[:, None] >= W - position[:, None, None]
        return (near & lived[:, :, None]).flatten(0, 1)[:, None]

    def _ring(self, recent: Tensor, position: Tensor) -> Tensor:
        """Lay the last W steps [B, W, C], oldest first, into slots as if written one by one."""
        W = self.window
        slot = (torch.arange(W, device=recent.device) - position[:, None]) % W
        return recent.gather(1, slot[..., None].expand_as(recent))

    def step(
        self, x: Tensor, keys: Tensor, values: Tensor, slot: Tensor, unlived: Tensor
    ) -> Tensor:
        """Run one step on x [B, D], writing the rings [B, W, C] in place.

        `slot` [B, 1, C] repeats the slot to write; `unlived` [B, 1, W] is −∞ where nothing was
        written yet.
        """
        query, key, value = self._split(x)
        keys.scatter_(1, slot, key[:, None])
        values.scatter_(1, slot, value[:, None])
        query = query.reshape(-1, self.heads, self.head_width) * self.head_width**-0.5
        weights = torch.baddbmm(unlived, query, keys.transpose(1, 2)).softmax(dim=-1)
        stepped: Tensor = self.leave(torch.bmm(weights, values).flatten(1))
        return stepped


class MLP(nn.Module):
    """The gated MLP block, GeGLU (Griffin, section 2.2)."""

    def __init__(self, config: GriffinConfig):
        super().__init__()
        self.enter = _linear(config.width, 2 * config.mlp_width)
        self.leave = _linear(config.mlp_width, config.width, gain=_final_gain(config))

    def forward(self, x: Tensor) -> Tensor:
        """From [..., D] to [..., D]."""
        gate, inner = self.enter(x).chunk(2, dim=-1)
        y: Tensor = self.leave(_gelu(gate) * inner)
        return y


def _gelu(x: Tensor) -> Tensor:
    return F.gelu(x)


def _final_gain(config: GriffinConfig) -> float:
    """Gain of a branch's last layer, so that the branches' sum keeps the variance of one."""
    return math.sqrt(2.0 / len(config.pattern))


class Griffin(nn.Module):
    """The residual stack: per block a temporal part (R or A) and an MLP, each behind an RMSNorm."""

    def __init__(self, config: GriffinConfig):
        super().__init__()
        self.config = config
        D, depth = config.width, len(config.pattern)
        self.temporal = nn.ModuleList(
            RecurrentBlock(config) if kind == "R" else AttentionBlock(config)
            for kind in config.pattern
        )
        self.mlps = nn.ModuleList(MLP(config) for _ in range(depth))
        self.temporal_norms = nn.ModuleList(nn.RMSNorm(D, eps=NORM_EPSILON) for _ in range(depth))
        self.mlp_norms = nn.ModuleList(nn.RMSNorm(D, eps=NORM_EPSILON) for _ in range(depth))
        self.final_norm = nn.RMSNorm(D, eps=NORM_EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def initial_state(self, batch: int) -> GriffinState:
        """Make the state before anything was seen, on the weights' device and in their type."""
        weight, config = self.final_norm.weight, self.config
        R, A = config.pattern.count("R"), config.pattern.count("A")
        E, W, C = config.recurrent_width, config.window, config.head_width
        precise = torch.promote_types(weight.dtype, torch.float32)
        return GriffinState(
            hidden=weight.new_zeros(R, batch, E, dtype=precise),
            tails=weight.new_zeros(R, batch, CONV_WIDTH - 1, E),
            keys=weight.new_zeros(A, batch, W, C),
            values=weight.new_zeros(A, batch, W, C),
            position=weight.new_zeros(1, batch, dtype=torch.int64),
        )

    def forward(self, x: Tensor, state: GriffinState | None = None) -> tuple[Tensor, GriffinState]:
        """Run over all steps at once.

        Parameters
        ----------
        x
            [B, T, D].
        state
            What came before; nothing if left out. It is not changed.

        Returns
        -------
        tuple[Tensor, GriffinState]
            Outputs [B, T, D] behind the final norm, and the state after the last step.
        """
        state = self.initial_state(x.shape[0]) if state is None else state
        position = state.position[0]
        rings: list[tuple[Tensor, Tensor]] = []
        recurrent: list[tuple[Tensor, Tensor]] = []
        for i, block in enumerate(self.temporal):
            normed = self.temporal_norms[i](x)
            if isinstance(block, RecurrentBlock):
                r = len(recurrent)
                y, *kept = block(normed, state.hidden[r], state.tails[r])
                recurrent.append((kept[0], kept[1]))
            else:
                a = len(rings)
                y, *kept = block(normed, state.keys[a], state.values[a], position)
                rings.append((kept[0], kept[1]))
            x = x + self.dropout(y)
            x = x + self.dropout(self.mlps[i](self.mlp_norms[i](x)))
        after = GriffinState(
            _stack([hidden for hidden, _ in recurrent], state.hidden),
            _stack([tail for _, tail in recurrent], state.tails),
            _stack([keys for keys, _ in rings], state.keys),
            _stack([values for _, values in rings], state.values),
            state.position + x.shape[1],
        )
        return self.final_norm(x), after

    def step(self, x: Tensor, state: GriffinState) -> Tensor:
        """Run one step from x to outputs [B, D], updating the tensors of `state` in place.

        On a CPU thousands of streams go through in slices, whose activations stay in the cache.
        """
        B = x.shape[0]
        if x.device.type != "cpu" or B <= STREAMS_AT_ONCE:
            return self._step(x, state)
        slices = [slice(first, first + STREAMS_AT_ONCE) for first in range(0, B, STREAMS_AT_ONCE)]
        parts = [self._step(x[s], GriffinState(*(t[:, s] for t in state))) for s in slices]
        return torch.cat(parts)

    def _step(self, x: Tensor, state: GriffinState) -> Tensor:
        W, C = self.config.window, self.config.head_width
        position = state.position[0]
        slot = (position % W)[:, None, None].expand(-1, 1, C)
        unlived = x.new_zeros(x.shape[0], 1, W)
        unlived.masked_fill_(torch.arange(W, device=x.device) > position[:, None, None], -torch.inf)
        r = a = 0
        for i, block in enumerate(self.temporal):
            normed = self.temporal_norms[i](x)
            if isinstance(block, RecurrentBlock):
                x = x + block.step(normed, state.hidden[r], state.tails[r])
                r += 1
            elif isinstance(block, AttentionBlock):
                x = x + block.step(normed, state.keys[a], state.values[a], slot, unlived)
                a += 1
            x = x + self.mlps[i](self.mlp_norms[i](x))
        state.position.add_(1)
        y: Tensor = self.final_norm(x)
        return y


def _stack(parts: list[Tensor], empty: Tensor) -> Tensor:
    """Stack the parts of a state, or keep the empty tensor where the pattern has no such block."""
    return torch.stack(parts) if parts else empty
