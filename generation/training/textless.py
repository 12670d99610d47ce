"""Training textless SpeechSSM, or its Transformer baseline, on contiguous minutes of tokens.

The paper's recipe (arXiv 2412.18603, section 4.1) at the size of two CPU cores: segments of 4 minutes, the
next token's cross-entropy, warm-up and cosine to a twentieth. Both backbones take the same options, see the
same segments in the same order, and stop after the same number of steps.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from generation.longform.endless import Ints
from generation.longform.model import DESIGN, TextlessSpeech, textless_config
from generation.rates import TOKEN_RATE_HZ, tokens_in
from generation.training.endless import load_streams
from generation.training.loop import Budget, Recipe, Step, averaged_weights, train
from generation.weights import save_weights

SEGMENT_S = 240.0
"""Length of a training segment (section 4.1)."""


class TextlessObjective:
    """Cross-entropy of the next token on segments of one length."""

    def __init__(
        self,
        model: TextlessSpeech,
        training: Sequence[Ints],
        validation: Sequence[Ints],
        batch: int,
        device: str = "cpu",
        segment_s: float = SEGMENT_S,
    ) -> None:
        self.model = model.to(device)
        self.device = device
        self.size = batch
        self.length = tokens_in(segment_s)
        self.training = [stream for stream in training if len(stream) >= self.length]
        if not self.training:
            raise ValueError(f"no stream lasts {segment_s:g} s: make longer passages")
        spare = np.array([len(stream) - self.length + 1 for stream in self.training])
        self._share = spare / spare.sum()
        self.validation = [torch.from_numpy(stream[: self.length]) for stream in validation]
        self.batch_s = batch * self.length / TOKEN_RATE_HZ

    def batch(self, step: Step) -> dict[str, Tensor]:
        """Loss of one random batch."""
        segments = [self._draw(step.rng) for _ in range(self.size)]
        return {"loss": self._loss(torch.from_numpy(np.stack(segments)))}

    def evaluate(self) -> dict[str, float]:
        """Cross-entropy of the start of each validation stream, in nats a token."""
        losses = [float(self._loss(stream[None])) for stream in self.validation]
        return {"token": float(np.mean(losses))}

    def _draw(self, rng: np.random.Generator) -> Ints:
        stream = self.training[int(rng.choice(len(self.training), p=self._share))]
        start = int(rng.integers(len(stream) - self.length + 1))
        return stream[start : start + self.length]

    def _loss(self, tokens: Tensor) -> Tensor:
        tokens = tokens.to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            logits, _ = self.model(tokens)
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())

    def state(self) -> dict[str, Any]:
        """Nothing besides the model needs keeping."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="streams to train on")
    parser.add_argument("--valid", type=Path, required=True, help="streams to judge by")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--weights", type=Path, help="write the averaged weights to this file")
    parser.add_argument("--backbone", choices=("griffin", "transformer"), default="griffin")
    parser.add_argument("--preset", default="textless")
    parser.add_argument("--codes", type=int, required=True, help="semantic codes of the tokenizer")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = textless_config(args.preset, args.codes, args.backbone == "transformer")
    objective = TextlessObjective(
        TextlessSpeech(config),
        list(load_streams(args.train).values()),
        list(load_streams(args.valid).values()),
        args.batch,
        args.device,
    )
    recipe = Recipe(
        learning_rate=args.rate,
        warmup_steps=30,
        betas=(0.9, 0.95),
        weight_decay=0.05,
        ema_decay=0.98,
        log_steps=20,
        evaluate_s=900,
        checkpoint_s=60,
    )
    print(train(objective, recipe, Budget(steps=args.steps), args.out))
    if args.weights:
        print(save_weights(args.weights, DESIGN, config.to_dict(), averaged_weights(args.out)))


if __name__ == "__main__":
    main()
