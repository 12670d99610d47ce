"""Training SpeechSSM: the next token and advance along aligned readings, text dropped now and then."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generation.rates import TOKEN_RATE_HZ, tokens_in
from generation.speechssm.model import ReadingLoss, SpeechSSM, reading_loss
from generation.speechssm.presets import speech_config
from generation.training.dataset import Crop, CropSampler, Example, load_examples, pad_units
from generation.training.loop import Budget, Recipe, Step, train

CROP_S = 48.0
"""Well over a window, so that the state is trained to carry paragraphs."""
DROP_TEXT = 0.1
"""Share of examples read without text, which keeps textless continuation as a mode (DESIGN, section 3)."""
MAX_ADVANCE = 3


class SpeechSSMObjective:
    """Cross-entropies of token and advance."""

    def __init__(
        self,
        model: SpeechSSM,
        training: Sequence[Example],
        validation: Sequence[Example],
        batch: int,
        device: str = "cpu",
        crop_s: float = CROP_S,
    ) -> None:
        self.model = model.to(device)
        self.device = device
        self.size = batch
        length = tokens_in(crop_s)
        self.sampler = CropSampler(training, length)
        self.judge = CropSampler(validation, length)
        self.batch_s = batch * length / TOKEN_RATE_HZ

    def batch(self, step: Step) -> dict[str, Tensor]:
        """Losses of one random batch."""
        crops = [self.sampler.draw(step.rng)[1] for _ in range(self.size)]
        textless = torch.from_numpy(step.rng.random(self.size) < DROP_TEXT)
        return _named(self._loss(crops, textless))

    def evaluate(self) -> dict[str, float]:
        """Cross-entropies on fixed crops, with and without text, in nats a token."""
        rng = np.random.default_rng(7)
        crops = [self.judge.draw(rng)[1] for _ in range(16)]
        read = self._loss(crops, torch.zeros(16, dtype=torch.bool))
        free = self._loss(crops, torch.ones(16, dtype=torch.bool))
        return {
            "token": float(read.token),
            "advance": float(read.advance),
            "textless_token": float(free.token),
        }

    def _loss(self, crops: Sequence[Crop], textless: Tensor) -> ReadingLoss:
        units, starts = pad_units(crops)
        pointer = torch.from_numpy(np.stack([c.pointer for c in crops]))
        tokens = torch.from_numpy(np.stack([c.tokens for c in crops]))
        following = torch.tensor([[c.next_pointer] for c in crops])
        advances = (torch.cat([pointer[:, 1:], following], 1) - pointer).clamp(0, MAX_ADVANCE)
        moved = [t.to(self.device) for t in (units, starts, pointer, tokens, advances, textless)]
        units, starts, pointer, tokens, advances, textless = moved
        with torch.autocast(self.device, torch.bfloat16):
            token_logits, advance_logits, _ = self.model(
                units, starts, pointer, tokens, advances, textless=textless
            )
        valid = torch.ones_like(tokens, dtype=torch.bool)
        return reading_loss(token_logits, advance_logits, tokens, advances, valid, textless)

    def state(self) -> dict[str, Any]:
        """Nothing besides the model needs keeping."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


def _named(loss: ReadingLoss) -> dict[str, Tensor]:
    return {"loss": loss.total, "token": loss.token.detach(), "advance": loss.advance.detach()}


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="examples to train on")
    parser.add_argument("--valid", type=Path, required=True, help="examples to judge by")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--codes", type=int, required=True, help="semantic codes of the tokenizer")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--crop", type=float, default=CROP_S, help="seconds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    objective = SpeechSSMObjective(
        SpeechSSM(speech_config(args.preset, args.codes)),
        load_examples(args.train),
        load_examples(args.valid),
        args.batch,
        args.device,
        args.crop,
    )
    recipe = Recipe(
        learning_rate=1.2e-3, warmup_steps=60, evaluate_s=300, betas=(0.9, 0.95), weight_decay=0.05
    )
    print(train(objective, recipe, Budget(minutes=args.minutes), args.out))


if __name__ == "__main__":
    main()
