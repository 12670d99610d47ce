"""Training the tokenizer on aligned teacher speech, and measuring what its tokens keep and lose."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generation.rates import TOKEN_RATE_HZ
from generation.script.units import SYMBOLS
from generation.tokenizer.features import FEATURE_DIM
from generation.tokenizer.model import Tokenizer, TokenizerConfig, stack_features, tokenizer_loss
from generation.training.corpus import load_passage
from generation.training.loop import Budget, Recipe, Step, averaged_weights, train
from generation.weights import save_weights

CROP_TOKENS = 160
PITCH_WEIGHT, REST_WEIGHT = 1.0, 1.0
NOISE = 0.3
"""Noise added to the recogniser's features while training, in their own deviations."""


class TokenizerObjective:
    """Phoneme, pitch, voicing and loudness through the bottleneck."""

    def __init__(
        self,
        model: Tokenizer,
        passages: Sequence[tuple[Tensor, Tensor]],
        held_out: Sequence[tuple[Tensor, Tensor]],
        batch: int = 12,
    ) -> None:
        self.model = model
        self.passages, self.held_out, self.size = passages, held_out, batch
        self.batch_s = batch * CROP_TOKENS / TOKEN_RATE_HZ

    def batch(self, step: Step) -> dict[str, Tensor]:
        """Losses of random crops."""
        features, phonemes = _crops(self.passages, self.size, step.rng)
        noisy = features.clone()
        noisy[..., :FEATURE_DIM] += (
            NOISE * self.model.scale * torch.randn_like(noisy[..., :FEATURE_DIM])
        )
        _, logits, prosody = self.model(noisy)
        phoneme, pitch, rest = tokenizer_loss(logits, prosody, features, phonemes)
        loss = phoneme + PITCH_WEIGHT * pitch + REST_WEIGHT * rest
        return {"loss": loss, "phoneme": phoneme, "pitch": pitch, "rest": rest}

    def evaluate(self) -> dict[str, float]:
        """Return phoneme accuracy, purity, pitch correlation and how evenly the codes are used."""
        features, phonemes = _crops(self.held_out, 200, np.random.default_rng(7))
        codes, logits, prosody = self.model(features)
        target = features[..., FEATURE_DIM:]
        voiced = target[..., 1] > 0.5
        pitch = torch.corrcoef(torch.stack([prosody[..., 0][voiced], target[..., 0][voiced]]))
        K = self.model.config.codes
        table = torch.zeros(K, len(SYMBOLS))
        table.index_put_((codes.flatten(), phonemes.flatten()), torch.tensor(1.0), accumulate=True)
        use = table.sum(1) / table.sum()
        entropy = -(use * use.clamp_min(1e-12).log()).sum()
        return {
            "accuracy": float((logits.argmax(-1) == phonemes).float().mean()),
            "purity": float(table.max(1).values.sum() / table.sum()),
            "pitch_correlation": float(pitch[0, 1]),
            "effective_codes": float(entropy.exp()),
        }

    def state(self) -> dict[str, Any]:
        """Nothing besides the model needs keeping."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


def _crops(
    passages: Sequence[tuple[Tensor, Tensor]], count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    features, phonemes = [], []
    for _ in range(count):
        held, units = passages[int(rng.integers(len(passages)))]
        start = int(rng.integers(len(units) - CROP_TOKENS))
        features.append(held[start : start + CROP_TOKENS])
        phonemes.append(units[start : start + CROP_TOKENS])
    return torch.stack(features), torch.stack(phonemes)


def load_training_passages(paths: Sequence[Path]) -> list[tuple[Tensor, Tensor]]:
    """Read passages as (features (T, 387), unit at the pointer (T,))."""
    out = []
    for path in paths:
        passage = load_passage(path)
        if len(passage.pointer) > CROP_TOKENS:
            units = torch.from_numpy(passage.units.astype(np.int64))
            stacked = torch.from_numpy(stack_features(passage.features))
            out.append((stacked, units[torch.from_numpy(passage.pointer).long()]))
    return out


def main() -> None:
    """Train from the command line and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=Path, required=True, help="folder of teacher passages")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--weights", type=Path, required=True, help="file to write")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    passages = load_training_passages(sorted(args.passages.glob("*.npz")))
    model = Tokenizer(TokenizerConfig())
    everything = torch.cat([f[..., :FEATURE_DIM] for f, _ in passages])
    model.mean.copy_(everything.mean(0))
    model.scale.copy_(everything.std(0) + 1e-3)
    objective = TokenizerObjective(model, passages[2:], passages[:2])
    recipe = Recipe(learning_rate=1e-3, warmup_steps=50, ema_decay=0.99)
    print(train(objective, recipe, Budget(minutes=args.minutes), args.out))
    digest = save_weights(
        args.weights, "tokenizer", asdict(model.config), averaged_weights(args.out)
    )
    print(f"wrote {args.weights}, digest {digest}")


if __name__ == "__main__":
    main()
