"""Training SoundStorm: masked codes of whole windows behind a prompt from another clip of the speaker.

Masking as in SoundStorm (arXiv 2305.09636, section 3.3): a level drawn for each example, a cosine share
of it masked, all finer levels masked, loss on the masked of that level alone.

Where the codec is a residual quantiser, its geometry helps twice: tables and heads start as projections of
the code vectors, so that near codes are near from the first step; and a draft of the whole vector is asked of
every masked frame beside the codes. The draft is thrown away after training.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generation.codec.soundstream import SoundStreamCodec
from generation.rates import (
    FRAMES_PER_TOKEN,
    PROMPT_S,
    PROMPT_TOKENS,
    TOKEN_RATE_HZ,
    WINDOW_S,
    WINDOW_TOKENS,
    tokens_in,
)
from generation.soundstorm.model import SoundStorm, soundstorm_config
from generation.training.dataset import CropSampler, Example, frame_text, load_examples
from generation.training.loop import Budget, Recipe, Step, averaged_weights, train
from generation.weights import Weights, load_weights

FIRST_LEVEL_SHARE = 0.5
"""Share of examples trained on level 0, the one the words depend on."""
FULL_MASK_SHARE = 0.7
"""Share of the finer levels' examples that are masked whole: decoding gives them a single pass."""
DROP_TEXT, DROP_SEMANTIC = 0.1, 0.1
DRAFT_WEIGHT = 1.0
"""Weight of the draft's squared error (in shares of the vectors' variance) beside the codes' nats."""


class SoundStormObjective:
    """Masked-code cross-entropy on crops as long as a window, prompt included."""

    def __init__(
        self,
        model: SoundStorm,
        training: Sequence[Example],
        validation: Sequence[Example],
        batch: int,
        device: str = "cpu",
        crop_tokens: int = WINDOW_TOKENS - PROMPT_TOKENS,
        codebooks: Tensor | None = None,
    ) -> None:
        self.model = Lesson(model, codebooks).to(device)
        self.device = device
        self.size = batch
        self.sampler = CropSampler(training, crop_tokens)
        self.judge = CropSampler(validation, WINDOW_TOKENS - PROMPT_TOKENS)
        self.prompts = _by_speaker(training)
        self.judge_prompts = _by_speaker(validation)
        self.batch_s = batch * self.sampler.length / TOKEN_RATE_HZ

    def batch(self, step: Step) -> dict[str, Tensor]:
        """Losses of one random batch."""
        rng = step.rng
        return self._losses(self.sampler, self.prompts, self.size, rng, None, drop=True)

    def evaluate(self) -> dict[str, float]:
        """Cross-entropy of every level at fixed maskings of fixed crops, in nats a frame."""
        figures: dict[str, float] = {}
        for level in range(self.model.soundstorm.config.levels):
            rng = np.random.default_rng([7, level])
            losses = [
                self._losses(self.judge, self.judge_prompts, 4, rng, level, drop=False)["codes"]
                for _ in range(2 if level == 0 else 1)
            ]
            figures[f"level_{level}"] = float(torch.stack(losses).mean())
        return figures

    def _losses(
        self,
        sampler: CropSampler,
        prompts: dict[str, list[Example]],
        size: int,
        rng: np.random.Generator,
        level: int | None,
        drop: bool,
    ) -> dict[str, Tensor]:
        model = self.model.soundstorm
        drawn = [sampler.draw(rng) for _ in range(size)]
        crops = [c for _, c in drawn]
        fronts = [_prompt(prompts[e.speaker], e, rng) for e, _ in drawn]
        text = frame_text(crops, PROMPT_TOKENS * FRAMES_PER_TOKEN)
        semantic = torch.from_numpy(
            np.stack([np.concatenate([f[0], c.tokens]) for f, c in zip(fronts, crops, strict=True)])
        )
        codes = torch.from_numpy(
            np.stack([np.concatenate([f[1], c.codes]) for f, c in zip(fronts, crops, strict=True)])
        )[..., : model.config.levels]
        if drop:
            without = torch.from_numpy(rng.random(size) < DROP_TEXT)
            text = replace(text, spoken=text.spoken & ~without[:, None])
            silent = torch.from_numpy(rng.random(size) < DROP_SEMANTIC) & ~without
            semantic = semantic.masked_fill(silent[:, None], model.config.semantic_codes)
        levels = [
            _draw_level(model.config.levels, rng) if level is None else level for _ in range(size)
        ]
        masked = torch.from_numpy(
            np.stack([_draw_mask(codes.shape[1], chosen, rng) for chosen in levels])
        )
        given = codes.clone()
        for row, chosen in enumerate(levels):
            given[row, :, chosen].masked_fill_(masked[row], model.mask)
            given[row, PROMPT_TOKENS * FRAMES_PER_TOKEN :, chosen + 1 :] = model.mask
        moved = [t.to(self.device) for t in (semantic, given, codes, masked)]
        semantic, given, codes, masked = moved
        text = type(text)(*(getattr(text, n).to(self.device) for n in text.__dataclass_fields__))
        with torch.autocast(self.device, torch.bfloat16):
            context = model.context(text, semantic, PROMPT_TOKENS * FRAMES_PER_TOKEN)
            features = model(context, given)
        losses = _level_losses(model, features, codes, masked, levels)
        losses["loss"] = losses["codes"]
        if self.model.draft is not None:
            losses["draft"] = self.model.draft(features[masked].float(), codes[masked])
            losses["loss"] = losses["loss"] + DRAFT_WEIGHT * losses["draft"]
        return losses

    def state(self) -> dict[str, Any]:
        """Nothing besides the model needs keeping."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


class Lesson(nn.Module):
    """What is trained: the SoundStorm that ships and, beside a residual quantiser, its draft.

    Parameters
    ----------
    soundstorm
        The model.
    codebooks
        (Q, V, E) of the residual quantiser whose codes it speaks; none for other codecs.
    """

    def __init__(self, soundstorm: SoundStorm, codebooks: Tensor | None = None) -> None:
        super().__init__()
        self.soundstorm = soundstorm
        self.draft = Draft(soundstorm.config.width, codebooks) if codebooks is not None else None


class Draft(nn.Module):
    """A linear guess of the vector that a frame's codes stand for, judged by its squared error."""

    codebooks: Tensor
    variance: Tensor

    def __init__(self, width: int, codebooks: Tensor) -> None:
        super().__init__()
        self.guess = nn.Linear(width, codebooks.shape[-1])
        self.register_buffer("codebooks", codebooks.clone(), persistent=False)
        self.register_buffer("variance", codebooks[0].var(0).sum(), persistent=False)

    def forward(self, features: Tensor, codes: Tensor) -> Tensor:
        """Mean squared error of (N, D) features at (N, Q) codes, as a share of the vectors' variance."""
        vectors = torch.stack([book[codes[:, q]] for q, book in enumerate(self.codebooks)]).sum(0)
        error = (self.guess(features) - vectors).square().sum(-1).mean()
        share: Tensor = error / self.variance
        return share


@torch.no_grad()
def lay_out_codes(model: SoundStorm, codebooks: Tensor) -> None:
    """Start a model's code tables and heads as projections of the code vectors (Q, V, E).

    All levels share one projection, on the main axes of the code vectors, and one scale: the sum of a frame's
    embeddings is the projection of the vector that its codes stand for.
    """
    every = codebooks.flatten(0, 1)
    axes = torch.linalg.svd(every - every.mean(0), full_matrices=False).Vh[: model.config.width].T
    axes = F.pad(axes, (0, model.config.width - axes.shape[1]))
    scale = ((codebooks[0] - codebooks[0].mean(0)) @ axes).std()
    for level, book in enumerate(codebooks[: model.config.levels]):
        placed = (book - book.mean(0)) @ axes
        table = cast(nn.Embedding, model.codes[level])
        table.weight[:-1] = 0.3 * placed / scale
        table.weight[-1] = 0
        head = cast(nn.Linear, model.heads[level])
        head.weight.copy_(0.1 * placed / placed.std().clamp_min(1e-6))
        head.bias.zero_()


def soundstorm_weights(folder: Path) -> dict[str, Tensor]:
    """Return a run's averaged weights of the SoundStorm alone: what is shipped."""
    return {
        name.removeprefix("soundstorm."): tensor
        for name, tensor in averaged_weights(folder).items()
        if name.startswith("soundstorm.")
    }


def _level_losses(
    model: SoundStorm, features: Tensor, codes: Tensor, masked: Tensor, levels: list[int]
) -> dict[str, Tensor]:
    total, count = features.new_zeros(()), 0
    out: dict[str, Tensor] = {}
    for level in sorted(set(levels)):
        rows = torch.tensor([i for i, chosen in enumerate(levels) if chosen == level])
        where = masked[rows]
        logits = model.heads[level](features[rows][where].float())
        loss = F.cross_entropy(logits, codes[rows, :, level][where], reduction="sum")
        total, count = total + loss, count + int(where.sum())
        if level == 0:
            out["level_0"] = (loss / where.sum()).detach()
    out["codes"] = total / count
    return out


def _draw_level(levels: int, rng: np.random.Generator) -> int:
    if levels == 1 or rng.random() < FIRST_LEVEL_SHARE:
        return 0
    return int(rng.integers(1, levels))


def _draw_mask(frames: int, level: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Mask a cosine share of the frames behind the prompt, at least one."""
    prompt = PROMPT_TOKENS * FRAMES_PER_TOKEN
    share = math.cos(math.pi / 2 * rng.random())
    if level > 0 and rng.random() < FULL_MASK_SHARE:
        share = 1.0
    masked = rng.random(frames) < max(share, 0.02)
    masked[:prompt] = False
    masked[prompt + int(rng.integers(frames - prompt))] = True
    return masked


def _by_speaker(examples: Sequence[Example]) -> dict[str, list[Example]]:
    grouped: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if len(example) > PROMPT_TOKENS:
            grouped[example.speaker].append(example)
    return grouped


def _prompt(
    clips: Sequence[Example], spoken: Example, rng: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draw (tokens, codes) of a prompt from another clip of the speaker, or from the only one."""
    others = [clip for clip in clips if clip is not spoken] or clips
    clip = others[int(rng.integers(len(others)))]
    start = int(rng.integers(len(clip) - PROMPT_TOKENS))
    stop = start + PROMPT_TOKENS
    codes = clip.codes[start * FRAMES_PER_TOKEN : stop * FRAMES_PER_TOKEN]
    return clip.tokens[start:stop], codes


def begin_with(model: SoundStorm, weights: Weights) -> list[str]:
    """Load every tensor of another SoundStorm whose name and shape fit; return their names."""
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in weights.tensors.items()
        if name in own and own[name].shape == tensor.shape
    }
    model.load_state_dict({**own, **fitting})
    return sorted(fitting)


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="examples to train on")
    parser.add_argument("--valid", type=Path, required=True, help="examples to judge by")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--codes", type=int, required=True, help="semantic codes of the tokenizer")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=float, default=WINDOW_S - PROMPT_S, help="seconds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--codebooks", type=Path, help="weights of the `latent` codec, if it is that"
    )
    parser.add_argument(
        "--codec", type=Path, help="weights of the `soundstream` codec, if it is that"
    )
    parser.add_argument(
        "--init", type=Path, help="weights of a SoundStorm to start from, as they fit"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    training = [example for path in args.train for example in load_examples(path)]
    validation = load_examples(args.valid)
    config = soundstorm_config(args.preset, args.codes, training[0].codes.shape[1])
    model = SoundStorm(config)
    if args.init:
        fitting = begin_with(model, load_weights(args.init, "soundstorm"))
        print(f"{len(fitting)} tensors begin as in {args.init.name}")
    codebooks = None
    if args.codebooks:
        codebooks = load_weights(args.codebooks, "latent").tensors["codebooks"].float()
    if args.codec:
        codebooks = SoundStreamCodec.load(args.codec, levels=config.levels).code_vectors()
    if codebooks is not None:
        lay_out_codes(model, codebooks)
    objective = SoundStormObjective(
        model,
        training,
        validation,
        args.batch,
        args.device,
        tokens_in(args.crop),
        codebooks,
    )
    recipe = Recipe(learning_rate=1e-3, warmup_steps=60, evaluate_s=300, betas=(0.9, 0.98))
    print(train(objective, recipe, Budget(minutes=args.minutes), args.out))


if __name__ == "__main__":
    main()
