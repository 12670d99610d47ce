"""The baseline: a Transformer of the same parts as Griffin, whose memory grows with every step.

Multi-query attention over everything before, with the rotary positions that such models need (the MQA
baseline of Griffin, arXiv 2402.19427, section 3; Gemma, the Transformer that arXiv 2412.18603 compares
with); the same gated MLP, norms and initialisation, and the same interface: a parallel pass, a single step,
an explicit state. It is here to be measured against, and speaks nowhere.

Dimension letters are those of `griffin`; N counts blocks, L steps cached.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generation.speechssm.griffin import MLP, NORM_EPSILON, GriffinConfig

CACHE_BLOCK = 256
"""Steps by which the cache is made longer: seldom enough that copying it costs little."""

ROTARY_BASE = 10_000.0
"""RoFormer, arXiv 2104.09864, section 3.2.2."""


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Sizes of one baseline: D, M, H, and how many blocks."""

    width: int
    mlp_width: int
    heads: int
    blocks: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if self.width % (2 * self.heads):
            raise ValueError(f"{self.heads} heads of even width must divide {self.width}")

    @property
    def head_width(self) -> int:
        """C, the width of one attention head."""
        return self.width // self.heads

    @property
    def parts(self) -> GriffinConfig:
        """The same sizes as Griffin's parts take them."""
        return GriffinConfig(
            self.width, self.width, self.mlp_width, self.heads, "A" * self.blocks, 1, self.dropout
        )


@dataclass
class TransformerState:
    """The cache: `keys` and `values` [N, B, L, C], of which the first `position` steps are lived."""

    keys: Tensor
    values: Tensor
    position: int = 0

    def reserve(self, steps: int) -> None:
        """Make room for so many more steps, in blocks."""
        lacking = self.position + steps - self.keys.shape[2]
        if lacking > 0:
            more = -(-lacking // CACHE_BLOCK) * CACHE_BLOCK
            self.keys = F.pad(self.keys, (0, 0, 0, more))
            self.values = F.pad(self.values, (0, 0, 0, more))

    def copy(self) -> "TransformerState":
        """Return a cache that can be written without changing this one."""
        return TransformerState(self.keys.clone(), self.values.clone(), self.position)

    @property
    def bytes(self) -> int:
        """Memory held, in bytes."""
        return 2 * self.keys.numel() * self.keys.element_size()


def rotary(head_width: int, first: int, steps: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, C / 2] of the positions `first` … `first + steps − 1`."""
    half = head_width // 2
    rates = ROTARY_BASE ** (-torch.arange(half, device=like.device, dtype=torch.float32) / half)
    places = torch.arange(first, first + steps, device=like.device, dtype=torch.float32)
    angles = places[:, None] * rates
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn x [..., T, C] by the angles of its positions."""
    cosine, sine = rotation
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)


class FullAttention(nn.Module):
    """Multi-query attention over all steps so far."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        D, C = config.width, config.head_width
        self.heads, self.head_width = config.heads, C
        self.project = nn.Linear(D, D + 2 * C, bias=False)
        self.leave = nn.Linear(D, D)
        nn.init.normal_(self.project.weight, std=D**-0.5)
        nn.init.normal_(self.leave.weight, std=math.sqrt(2.0 / config.blocks) * D**-0.5)
        nn.init.zeros_(self.leave.bias)

    def _split(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Project x [B, T, D] to queries [B, H, T, C], keys [B, T, C] and values [B, T, C]."""
        B, T, D = x.shape
        query, key, value = self.project(x).split((D, self.head_width, self.head_width), dim=-1)
        query = query.view(B, T, self.heads, self.head_width).transpose(1, 2)
        return _rotate(query, rotation), _rotate(key, rotation), value

    def forward(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], keys: Tensor, values: Tensor, seen: int
    ) -> Tensor:
        """Attend over x [B, T, D] and `seen` cached steps; write x's into the cache [B, L, C]."""
        B, T, D = x.shape
        query, key, value = self._split(x, rotation)
        if not self.training:
            keys[:, seen : seen + T], values[:, seen : seen + T] = key, value
        mask = None
        if seen:
            key, value = keys[:, : seen + T], values[:, : seen + T]
            ages = torch.arange(T, device=x.device)[:, None] + seen
            mask = torch.arange(seen + T, device=x.device) <= ages
        y = F.scaled_dot_product_attention(
            query,
            key[:, None].expand(-1, self.heads, -1, -1),
            value[:, None].expand(-1, self.heads, -1, -1),
            attn_mask=mask,
            is_causal=mask is None,
        )
        attended: Tensor = self.leave(y.transpose(1, 2).reshape(B, T, D))
        return attended

    def step(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], keys: Tensor, values: Tensor, seen: int
    ) -> Tensor:
        """Run one step on x [B, D], writing the cache [B, L, C] in place."""
        query, key, value = self._split(x[:, None], rotation)
        keys[:, seen], values[:, seen] = key[:, 0], value[:, 0]
        weights = torch.bmm(query[:, :, 0] * self.head_width**-0.5, keys[:, : seen + 1].mT)
        stepped: Tensor = self.leave(
            torch.bmm(weights.softmax(dim=-1), values[:, : seen + 1]).flatten(1)
        )
        return stepped


class Transformer(nn.Module):
    """The residual stack: per block attention and an MLP, each behind an RMSNorm."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        D, N = config.width, config.blocks
        self.attention = nn.ModuleList(FullAttention(config) for _ in range(N))
        self.mlps = nn.ModuleList(MLP(config.parts) for _ in range(N))
        self.attention_norms = nn.ModuleList(nn.RMSNorm(D, eps=NORM_EPSILON) for _ in range(N))
        self.mlp_norms = nn.ModuleList(nn.RMSNorm(D, eps=NORM_EPSILON) for _ in range(N))
        self.final_norm = nn.RMSNorm(D, eps=NORM_EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def initial_state(self, batch: int) -> TransformerState:
        """Make the empty cache, on the weights' device and in their type."""
        empty = self.final_norm.weight.new_zeros(
            self.config.blocks, batch, 0, self.config.head_width
        )
        return TransformerState(empty, empty.clone())

    def forward(
        self, x: Tensor, state: TransformerState | None = None
    ) -> tuple[Tensor, TransformerState]:
        """Run over all steps at once.

        Parameters
        ----------
        x
            [B, T, D].
        state
            What came before; nothing if left out. It is not changed.

        Returns
        -------
        tuple[Tensor, TransformerState]
            Outputs [B, T, D] behind the final norm, and the cache after the last step (empty while
            training, where nobody reads it).
        """
        after = self.initial_state(x.shape[0]) if state is None else state.copy()
        T, seen = x.shape[1], after.position
        if not self.training:
            after.reserve(T)
        rotation = rotary(self.config.head_width, seen, T, x)
        for i, attention in enumerate(self.attention):
            normed = self.attention_norms[i](x)
            x = x + self.dropout(attention(normed, rotation, after.keys[i], after.values[i], seen))
            x = x + self.dropout(self.mlps[i](self.mlp_norms[i](x)))
        if not self.training:
            after.position = seen + T
        return self.final_norm(x), after

    def step(self, x: Tensor, state: TransformerState) -> Tensor:
        """Run one step from x to outputs [B, D], writing the cache in place."""
        state.reserve(1)
        seen = state.position
        rotation = rotary(self.config.head_width, seen, 1, x)
        for i, attention in enumerate(self.attention):
            normed = self.attention_norms[i](x)
            step: Callable[..., Tensor] = attention.step  # type: ignore[assignment]
            x = x + step(normed, rotation, state.keys[i], state.values[i], seen)
            x = x + self.mlps[i](self.mlp_norms[i](x))
        state.position = seen + 1
        y: Tensor = self.final_norm(x)
        return y
