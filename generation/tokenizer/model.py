"""The tokenizer: a small bottleneck on recogniser features that keeps phoneme, melody and loudness.

Whisper's encoder features, normalised pitch and energy pass through convolutions into a finite scalar
quantisation (FSQ, arXiv 2309.15505): each of a few dimensions is rounded to a few levels, and the levels
together are the token. It is trained to give back what a reading is made of (the phoneme at the pointer,
the pitch against the speaker's own, loudness) and nothing else, so that who spoke has no room.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generation.script.units import SYMBOLS
from generation.tokenizer.features import FEATURE_DIM, TokenFeatures
from generation.weights import load_into, load_weights

PROSODY_DIM = 3
_PITCH_SCALE = 5.0
"""Log-pitch times this has about unit variance inside one speaker's reading."""


@dataclass(frozen=True)
class TokenizerConfig:
    """Shape of the tokenizer: `levels` of each FSQ dimension (their product is the number of codes)."""

    levels: tuple[int, ...] = (8, 8, 4, 4)
    width: int = 256
    layers: int = 3

    @property
    def codes(self) -> int:
        """Number of different tokens."""
        return prod(self.levels)


class FiniteScalarQuantizer(nn.Module):
    """Rounds each bounded dimension to its levels, passing gradients straight through (FSQ, section 3)."""

    reach: Tensor
    basis: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("reach", (torch.tensor(levels, dtype=torch.float32) - 1) / 2, False)
        basis = torch.cumprod(torch.tensor([1, *levels[:-1]]), 0)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Quantise (..., d); return values in [-1, 1] of the same shape, and codes (...)."""
        bounded = (torch.tanh(x) + 1) * self.reach
        rounded = bounded.round()
        codes = (rounded.long() * self.basis).sum(-1)
        straight = bounded + (rounded - bounded).detach()
        return straight / self.reach - 1, codes


class ConvBlock(nn.Module):
    """LayerNorm, convolution, GELU, linear; residual. (B, T, width) to the same."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y = self.conv(self.norm(x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.out(F.gelu(y))
        return out


class Tokenizer(nn.Module):
    """Features in, tokens out; the decoder half is only for training and for measuring."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(FEATURE_DIM))
        self.register_buffer("scale", torch.ones(FEATURE_DIM))
        width = config.width
        self.enter = nn.Linear(FEATURE_DIM + PROSODY_DIM, width)
        self.encoder = nn.Sequential(*(ConvBlock(width, 3) for _ in range(config.layers)))
        self.to_code = nn.Linear(width, len(config.levels))
        self.quantizer = FiniteScalarQuantizer(config.levels)
        self.from_code = nn.Linear(len(config.levels), width)
        self.decoder = nn.Sequential(*(ConvBlock(width, 3) for _ in range(2)))
        self.to_phoneme = nn.Linear(width, len(SYMBOLS))
        self.to_prosody = nn.Linear(width, PROSODY_DIM)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return codes (B, T), phoneme logits (B, T, symbols), prosody (B, T, 3) of (B, T, 387)."""
        heard = (features[..., :FEATURE_DIM] - self.mean) / self.scale
        x = self.enter(torch.cat([heard, features[..., FEATURE_DIM:]], -1))
        quantised, codes = self.quantizer(self.to_code(self.encoder(x)))
        decoded = self.decoder(self.from_code(quantised))
        return codes, self.to_phoneme(decoded), self.to_prosody(decoded)

    @torch.no_grad()
    def encode(self, features: TokenFeatures) -> Tensor:
        """Tokens (T,) of the features of T positions."""
        stacked = torch.from_numpy(stack_features(features))[None].to(self.mean.device)
        codes: Tensor = self(stacked)[0][0]
        return codes


def stack_features(features: TokenFeatures) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Put recogniser features, speaker-normalised pitch, voicing and loudness side by side: (T, 387).

    Pitch is taken against the recording's own median, loudness against its own loud parts, so that a deep
    and a high voice reading alike look alike.
    """
    voiced = features.voicing > 0
    median = float(np.median(features.log_pitch[voiced])) if voiced.any() else 0.0
    pitch = np.where(voiced, (features.log_pitch - median) * _PITCH_SCALE, 0.0)
    loud = float(np.percentile(features.energy, 80))
    energy = np.clip((features.energy - loud) / 2.0, -4, 2)
    prosody = np.stack([np.clip(pitch, -4, 4), features.voicing, energy], -1)
    return np.concatenate([features.encoder, prosody], -1).astype(np.float32)


def tokenizer_loss(
    phoneme_logits: Tensor, prosody: Tensor, features: Tensor, phonemes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (cross-entropy of phonemes, error of pitch where voiced, error of voicing and loudness).

    `features` (B, T, 387) are the inputs; `phonemes` (B, T) the unit at the pointer, -1 where unknown.
    """
    phoneme = F.cross_entropy(phoneme_logits.flatten(0, 1), phonemes.flatten(), ignore_index=-1)
    target = features[..., FEATURE_DIM:]
    voiced = target[..., 1]
    pitch = (F.smooth_l1_loss(prosody[..., 0], target[..., 0], reduction="none") * voiced).sum()
    rest = F.mse_loss(prosody[..., 1:], target[..., 1:])
    return phoneme, pitch / voiced.sum().clamp_min(1), rest


def load_tokenizer(path: Path) -> Tokenizer:
    """Build the tokenizer from its weight file; raises WeightsError where it is of another design."""
    weights = load_weights(path, "tokenizer")
    model = Tokenizer(
        TokenizerConfig(**{**weights.config, "levels": tuple(weights.config["levels"])})
    )
    load_into(model, weights)
    return model.eval()
