"""SoundStorm: a conformer that fills in a window's codec codes level by level (arXiv 2305.09636).

Every frame is the sum of its codebooks' embeddings (a mask where not known yet), its semantic token, the
unit at the reading pointer, and where in that unit it lies. In front of each window stand the frames of
a fixed 3 s voice prompt, whose codes are known and whose text is not given.

Dimension letters: B batch, F frames, T tokens (F = 2 T), Q codebooks, V codes a book, U units, D width.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS
from generation.speechssm.text_encoder import TextEncoder

PLACE_BUCKETS = 12
"""Frames since a unit's start, and until its end, told apart up to this many."""

_FAR = 1e30
"""Taken off the score of a frame that is not heard: its weight is then exactly 0."""


@dataclass(frozen=True)
class SoundStormConfig:
    """Shape of a SoundStorm; `semantic_codes`, `levels` and `codes` come from tokenizer and codec."""

    semantic_codes: int
    levels: int
    codes: int = 1024
    width: int = 256
    layers: int = 6
    heads: int = 4
    feed_forward: int = 512
    kernel: int = 5
    attention_block: int = 128
    text_width: int = 256
    dropout: float = 0.05

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain data."""
        return asdict(self)


PRESETS: dict[str, dict[str, int | float]] = {
    "tiny": {"width": 64, "layers": 2, "heads": 2, "feed_forward": 128, "text_width": 64},
    "light": {"width": 192, "layers": 3, "heads": 3, "feed_forward": 256, "text_width": 192},
    "small": {},
    "base": {"width": 768, "layers": 12, "heads": 12, "feed_forward": 3072, "text_width": 512},
    "paper": {"width": 1024, "layers": 12, "heads": 16, "feed_forward": 4096, "text_width": 1024},
}
"""`paper` is section 3.3 of arXiv 2305.09636 (350 M parameters with its codebooks)."""


def soundstorm_config(preset: str, semantic_codes: int, levels: int) -> SoundStormConfig:
    """Describe a SoundStorm by the name of its size; raises ValueError for an unknown name."""
    if preset not in PRESETS:
        raise ValueError(f"no SoundStorm preset {preset!r}: choose one of {', '.join(PRESETS)}")
    return SoundStormConfig(semantic_codes, levels, **PRESETS[preset])  # type: ignore[arg-type]


@dataclass(frozen=True)
class FrameText:
    """What the reading says of each frame of a batch of windows, prompt frames included.

    `units` (B, U) and `word_starts` (B, U): the windows' units, with the text encoder's margin on both
    sides; `pointer` (B, F) into them; `since` and `until` (B, F) frames from the unit's start and to its
    end; `spoken` (B, F) false where there is no text (the prompt, textless reading, padding).
    """

    units: Tensor
    word_starts: Tensor
    pointer: Tensor
    since: Tensor
    until: Tensor
    spoken: Tensor


def frame_pointer(pointer: Tensor) -> Tensor:
    """Spread a pointer per token (..., T) to frames (..., F): a skipped unit takes the second frame."""
    ahead = torch.cat([pointer[..., 1:], pointer[..., -1:]], -1)
    second = pointer + ((ahead - pointer) >= FRAMES_PER_TOKEN).to(pointer.dtype)
    return torch.stack([pointer, second], -1).flatten(-2)


def place_in_unit(pointer: Tensor) -> tuple[Tensor, Tensor]:
    """Frames since the unit at (..., F) began and until it ends, both clipped to the buckets."""
    frames = torch.arange(pointer.shape[-1], device=pointer.device).expand_as(pointer)
    new = torch.ones_like(pointer, dtype=torch.bool)
    new[..., 1:] = pointer[..., 1:] != pointer[..., :-1]
    begins = torch.where(new, frames, 0).cummax(-1).values
    last = torch.ones_like(new)
    last[..., :-1] = new[..., 1:]
    ends = torch.where(last, frames, pointer.shape[-1]).flip(-1).cummin(-1).values.flip(-1)
    limit = PLACE_BUCKETS - 1
    return (frames - begins).clamp_max(limit), (ends - frames).clamp_max(limit)


class SoundStorm(nn.Module):
    """Context (computed once a window) and trunk (computed once a pass)."""

    def __init__(self, config: SoundStormConfig) -> None:
        super().__init__()
        self.config = config
        D = config.width
        self.text_encoder = TextEncoder(config.text_width, D, config.dropout)
        self.no_text = nn.Parameter(torch.zeros(D))
        self.since = nn.Embedding(PLACE_BUCKETS, D)
        self.until = nn.Embedding(PLACE_BUCKETS, D)
        self.semantic = nn.Embedding(config.semantic_codes + 1, D)
        self.parity = nn.Embedding(FRAMES_PER_TOKEN, D)
        self.prompt = nn.Embedding(2, D)
        self.codes = nn.ModuleList(nn.Embedding(config.codes + 1, D) for _ in range(config.levels))
        self.blocks = nn.ModuleList(ConformerBlock(config) for _ in range(config.layers))
        self.heads = nn.ModuleList(nn.Linear(D, config.codes) for _ in range(config.levels))
        for table in (self.semantic, self.since, self.until, self.parity, self.prompt, *self.codes):
            nn.init.normal_(table.weight, std=0.3)

    @property
    def mask(self) -> int:
        """The code that means "not known yet"."""
        return self.config.codes

    def context(self, text: FrameText, semantic: Tensor, prompt_frames: int) -> Tensor:
        """Sum what does not change from pass to pass: (B, F, D).

        Parameters
        ----------
        text
            The reading of each frame.
        semantic
            (B, T) tokens, `semantic_codes` where dropped.
        prompt_frames
            Frames in front that belong to the voice prompt.
        """
        vectors = self.text_encoder(text.units, text.word_starts)
        vectors = vectors.gather(1, text.pointer[..., None].expand(-1, -1, vectors.shape[-1]))
        vectors = vectors + self.since(text.since) + self.until(text.until)
        vectors = torch.where(text.spoken[..., None], vectors, self.no_text)
        frames = torch.arange(vectors.shape[1], device=vectors.device)
        x = vectors + self.semantic(semantic).repeat_interleave(FRAMES_PER_TOKEN, 1)
        x = x + self.parity(frames % FRAMES_PER_TOKEN)
        summed: Tensor = x + self.prompt((frames < prompt_frames).long())
        return summed

    def forward(self, context: Tensor, codes: Tensor, valid: Tensor | None = None) -> Tensor:
        """Run the trunk: (B, F, D) features of codes (B, F, Q); `valid` (B, F) is false on padding."""
        x = context
        for level, table in enumerate(self.codes):
            x = x + table(codes[..., level])
        frames = x.shape[1]
        rotation = rotary_angles(frames, self.config.width // self.config.heads, x.device)
        if valid is None:
            valid = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        near = Neighbourhood(valid, self.config.attention_block)
        for block in self.blocks:
            x = block(x, rotation, near)
        return x


def rotary_angles(frames: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines (F, head_width / 2) of rotary positions (RoFormer, arXiv 2104.09864)."""
    half = head_width // 2
    rates = 10_000.0 ** (-torch.arange(half, device=device) / half)
    angles = torch.arange(frames, device=device)[:, None] * rates
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotation
    first, second = x.chunk(2, -1)
    turned = torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)
    return turned.to(x.dtype)


class Neighbourhood:
    """Which frames hear which: blocks of frames hear themselves, both neighbours, and the prompt.

    The paper's attention is over the whole window. Here text and tokens already say what is where, and
    the voice is in the prompt: hearing 3 to 6 s around and the prompt costs 40 % of the work.

    Parameters
    ----------
    valid
        (B, F), false on padding.
    block
        Frames of a block.
    """

    def __init__(self, valid: Tensor, block: int) -> None:
        self.valid, self.block = valid, block
        frames = valid.shape[1]
        self.blocks = -(-frames // block)
        prompt = torch.arange(min(PROMPT_TOKENS * FRAMES_PER_TOKEN, frames), device=valid.device)
        first = torch.arange(-1, self.blocks - 1, device=valid.device)[:, None] * block
        around = first + torch.arange(3 * block, device=valid.device)
        inside = (around >= len(prompt)) & (around < frames)
        front = prompt.expand(self.blocks, -1)
        places = torch.cat([front, around.clamp(0, frames - 1)], -1)
        self.places = places.flatten()
        self.heard = torch.cat([torch.ones_like(front, dtype=torch.bool), inside], -1)
        self.heard = self.heard & valid[:, places]
        """(B, blocks, heard frames)."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Scaled dot-product attention of (B, H, F, d) among neighbours."""
        B, heads, frames, width = query.shape
        asking = F.pad(query, (0, 0, 0, self.blocks * self.block - frames))
        asking = asking.reshape(B * heads, self.blocks, self.block, width)
        key, value = (
            part.reshape(B * heads, frames, width)
            .index_select(1, self.places)
            .view(B * heads, self.blocks, -1, width)
            for part in (key, value)
        )
        mask = self.heard[:, None].expand(-1, heads, -1, -1).reshape(B * heads, self.blocks, 1, -1)
        heard = _attention(asking, key, value, mask)
        return heard.view(B, heads, -1, width)[:, :, :frames]


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attend within (N, blocks, ·, d), hearing what `mask` (N, blocks, 1, heard) says.

    In bf16 on a CPU plain matrix products beat PyTorch's fused attention (6.3 against 9.9 ms for 991
    frames); everywhere else that is the faster one.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    unheard = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -_FAR).flatten(0, 1)
    asking, asked = query.flatten(0, 1), key.flatten(0, 1).transpose(1, 2)
    weights = torch.baddbmm(unheard, asking, asked, alpha=query.shape[-1] ** -0.5).softmax(-1)
    return torch.bmm(weights.to(query.dtype), value.flatten(0, 1)).view_as(query)


class ConformerBlock(nn.Module):
    """Half feed-forward, self-attention, convolution, half feed-forward (arXiv 2005.08100)."""

    def __init__(self, config: SoundStormConfig) -> None:
        super().__init__()
        D = config.width
        self.heads = config.heads
        self.first = _feed_forward(D, config.feed_forward, config.dropout)
        self.last = _feed_forward(D, config.feed_forward, config.dropout)
        self.attention_norm = nn.LayerNorm(D)
        self.query_key_value = nn.Linear(D, 3 * D, bias=False)
        self.attention_out = nn.Linear(D, D)
        self.conv_norm = nn.LayerNorm(D)
        self.conv_enter = nn.Linear(D, 2 * D)
        self.conv = nn.Conv1d(D, D, config.kernel, padding=config.kernel // 2, groups=D)
        self.conv_middle = nn.LayerNorm(D)
        self.conv_out = nn.Linear(D, D)
        self.norm = nn.LayerNorm(D)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], near: Neighbourhood) -> Tensor:
        """(B, F, D) to the same."""
        x = x + 0.5 * self.first(x)
        x = x + self.dropout(self._attend(self.attention_norm(x), rotation, near))
        x = x + self.dropout(self._convolve(self.conv_norm(x), near.valid))
        out: Tensor = self.norm(x + 0.5 * self.last(x))
        return out

    def _attend(self, x: Tensor, rotation: tuple[Tensor, Tensor], near: Neighbourhood) -> Tensor:
        """Attend from every block of frames to itself, its neighbours, and the prompt."""
        B, frames, D = x.shape
        packed = self.query_key_value(x).view(B, frames, 3, self.heads, D // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        heard = near.attend(_rotate(query, rotation), _rotate(key, rotation), value)
        out: Tensor = self.attention_out(heard.transpose(1, 2).reshape(B, frames, D))
        return out

    def _convolve(self, x: Tensor, valid: Tensor) -> Tensor:
        y = F.glu(self.conv_enter(x), -1) * valid[..., None]
        # As an image of one line, whose frames may stay where they lie: a tenth of conv1d's time.
        line = y.transpose(1, 2)[:, :, None]
        kernel, reach = self.conv.weight[:, :, None], self.conv.kernel_size[0] // 2
        line = F.conv2d(line, kernel, self.conv.bias, padding=(0, reach), groups=y.shape[-1])
        y = line[:, :, 0].transpose(1, 2)
        out: Tensor = self.conv_out(F.silu(self.conv_middle(y)))
        return out


def _feed_forward(width: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden),
        nn.SiLU(),
        nn.Linear(hidden, width),
        nn.Dropout(dropout),
    )
