"""The one training loop of all four models.

An `Objective` says what the model is, how a batch becomes losses and how the model is judged; the
loop does the rest: AdamW, warm-up and cosine, clipping, a moving average of the weights,
checkpoints that survive a kill, and a log one can plot. Randomness comes from (seed, step) alone:
a run that was cut off and resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from generation.errors import WeightsError

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
MAX_BAD_STEPS = 50
"""Steps without a finite gradient in a row after which the run is given up."""


@dataclass(frozen=True)
class Step:
    """Where the training stands when a batch is asked for.

    Attributes
    ----------
    index
        Steps taken before this one, over all budgets.
    progress
        Part of the current budget that is spent, in [0, 1).
    rng
        Generator seeded by (seed, index): draw the batch from it and from nothing else. Torch's own
        generator is seeded likewise before each step.
    """

    index: int
    progress: float
    rng: np.random.Generator


class Objective(Protocol):
    """What is trained, on what, and how it is judged."""

    @property
    def model(self) -> nn.Module:
        """The module whose parameters are trained; already on its device."""
        ...

    batch_s: float
    """Seconds of audio in one batch, for the log's hours of audio seen."""

    def batch(self, step: Step) -> dict[str, Tensor]:
        """Losses (scalars) of one batch: ``loss`` is minimised, the others are logged."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Figures on held-out data (averaged weights in place, eval mode, no gradients)."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what must be kept across a restart besides the model (a discriminator, say)."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        ...


@dataclass(frozen=True)
class Budget:
    """How long to train: wall-clock minutes, or steps, or whichever is spent first.

    The schedule follows the part of the budget that is spent. A run started again with the same
    budget goes on in its schedule; with another budget, or after the end, a new schedule starts
    from the weights as they are.
    """

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ValueError("a budget needs minutes, steps, or both")

    def progress(self, seconds: float, steps: int) -> float:
        """Part spent after `seconds` and `steps`; 1 or more means finished."""
        parts = []
        if self.minutes is not None:
            parts.append(seconds / max(1e-9, 60 * self.minutes))
        if self.steps is not None:
            parts.append(steps / max(1, self.steps))
        return max(parts)


@dataclass(frozen=True)
class Recipe:
    """Optimisation settings; the defaults suit models of 5 to 30 M parameters."""

    learning_rate: float = 8e-4
    final_share: float = 0.05
    """Learning rate at the end as a share of the highest (1/20: SpeechSSM, section 4)."""
    warmup_steps: int = 200
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    log_steps: int = 50
    evaluate_s: float = 600.0
    checkpoint_s: float = 180.0


@dataclass
class Progress:
    """Counters of a run, kept in its checkpoint."""

    step: int = 0
    seconds: float = 0.0
    audio_s: float = 0.0
    phase_step: int = 0
    phase_s: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes
    ----------
    finished
        The budget was spent (False: the run was told to stop, and can be resumed).
    steps, seconds, audio_h
        Totals over all budgets.
    figures
        The last evaluation.
    """

    finished: bool
    steps: int
    seconds: float
    audio_h: float
    figures: dict[str, float]


def learning_rate(recipe: Recipe, phase_step: int, progress: float) -> float:
    """Linear warm-up over steps, then a cosine over the part of the budget spent.

    Parameters
    ----------
    recipe
        The settings.
    phase_step
        Steps taken since this budget began.
    progress
        Part of the budget spent.
    """
    warm = min(1.0, (phase_step + 1) / max(1, recipe.warmup_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return recipe.learning_rate * warm * (recipe.final_share + (1 - recipe.final_share) * cosine)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters into those with weight decay and those without.

    Vectors and scalars (biases, norms, layer scales, the RG-LRU's Λ) are never decayed, nor is any
    parameter that carries the attribute ``no_weight_decay = True``.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        spare = parameter.ndim < 2 or getattr(parameter, "no_weight_decay", False)
        (free if spare else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


class MovingAverage:
    """Exponential moving average of a model's floating-point state.

    Early on the decay is (1 + n) / (10 + n), so that the initial weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {n: t.detach().clone() for n, t in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's present weights."""
        decay = min(self.decay, (1 + step) / (10 + step))
        floats, present = [], []
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                floats.append(self.shadow[name])
                present.append(tensor)
            else:
                self.shadow[name].copy_(tensor)
        torch._foreach_lerp_(floats, present, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Hold the averaged weights in the model inside a ``with`` block."""
        kept = {n: t.detach().clone() for n, t in model.state_dict().items()}
        model.load_state_dict(self.shadow)
        try:
            yield
        finally:
            model.load_state_dict(kept)


def averaged_weights(folder: Path) -> dict[str, Tensor]:
    """Return the averaged weights in a run's folder: what is shipped.

    Raises
    ------
    WeightsError
        There is no checkpoint in the folder.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise WeightsError(f"no checkpoint in {folder}: train first")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["ema"]
    return weights


class _Stop:
    """Turns SIGTERM and SIGINT into a request to stop after the present step."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def _request(self, number: int, frame: object) -> None:
        self.requested = True

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


class _Run:
    """State of one training run: everything a checkpoint holds, and how a step changes it."""

    def __init__(self, objective: Objective, recipe: Recipe, budget: Budget, folder: Path) -> None:
        self.objective, self.recipe, self.budget, self.folder = objective, recipe, budget, folder
        self.model = objective.model
        self.optimiser = torch.optim.AdamW(
            parameter_groups(self.model, recipe.weight_decay),
            lr=recipe.learning_rate,
            betas=recipe.betas,
        )
        self.average = MovingAverage(self.model, recipe.ema_decay)
        self.at = Progress()
        self.figures: dict[str, float] = {}
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).is_file():
            self._load()

    @property
    def progress(self) -> float:
        at = self.at
        return self.budget.progress(at.seconds - at.phase_s, at.step - at.phase_step)

    def _load(self) -> None:
        held = torch.load(self.folder / CHECKPOINT, map_location="cpu", weights_only=True)
        try:
            self.model.load_state_dict(held["model"])
        except RuntimeError as error:
            raise WeightsError(
                f"the checkpoint in {self.folder} is of another model; name another folder: {error}"
            ) from error
        self.optimiser.load_state_dict(held["optimiser"])
        for name, tensor in held["ema"].items():
            self.average.shadow[name].copy_(tensor)
        self.objective.restore(held["objective"])
        self.at = Progress(**held["at"])
        if held["budget"] != asdict(self.budget) or self.progress >= 1:
            self.at.phase_step, self.at.phase_s = self.at.step, self.at.seconds

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        partial = self.folder / (CHECKPOINT + ".partial")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "ema": self.average.shadow,
                "objective": self.objective.state(),
                "at": asdict(self.at),
                "budget": asdict(self.budget),
            },
            partial,
        )
        partial.replace(self.folder / CHECKPOINT)

    def step(self) -> None:
        """Take one step."""
        at, recipe = self.at, self.recipe
        rate = learning_rate(recipe, at.step - at.phase_step, self.progress)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(recipe.seed * 1_000_003 + at.step)
        rng = np.random.default_rng([recipe.seed, at.step])
        losses = self.objective.batch(Step(at.step, min(self.progress, 1.0), rng))
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        bad = self._clip()
        self.optimiser.step()
        self.average.update(self.model, at.step)
        self._count({**losses, "bad_steps": bad, "lr": torch.tensor(rate)})
        at.step += 1
        at.audio_s += self.objective.batch_s

    def _clip(self) -> Tensor:
        """Clip the gradient's norm; one that is not finite becomes zero (without a sync)."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        finite = torch.isfinite(norm)
        scale = (self.recipe.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.copy_(torch.where(finite, gradient * scale, torch.zeros_like(gradient)))
        return (~finite).float()

    def _count(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            value = value.detach().float()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.summed += 1

    def log(self, extra: dict[str, float] | None = None) -> None:
        """Append one line to the log: means since the last line.

        Raises
        ------
        WeightsError
            Every gradient since the last line was not finite: the training has diverged.
        """
        if self.summed == 0 and not extra:
            return
        means = {n: float(v) / self.summed for n, v in self.sums.items()} if self.summed else {}
        if self.summed >= MAX_BAD_STEPS and means["bad_steps"] == 1:
            raise WeightsError(
                f"the training diverged: no finite gradient in {self.summed} steps, at step "
                f"{self.at.step} in {self.folder}; start again with a lower learning rate"
            )
        line = {
            "step": self.at.step,
            "seconds": round(self.at.seconds, 1),
            "audio_h": round(self.at.audio_s / 3600, 3),
            "progress": round(self.progress, 4),
            **{n: float(f"{v:.5g}") for n, v in means.items()},
            **(extra or {}),
        }
        with (self.folder / LOG).open("a") as handle:
            handle.write(json.dumps(line) + "\n")
        self.sums, self.summed = {}, 0

    def evaluate(self) -> None:
        """Judge the averaged weights and log the figures."""
        training = self.model.training
        self.model.eval()
        with self.average.applied(self.model), torch.no_grad():
            self.figures = self.objective.evaluate()
        self.model.train(training)
        self.log({f"eval_{n}": round(v, 5) for n, v in self.figures.items()})


def train(objective: Objective, recipe: Recipe, budget: Budget, folder: Path) -> Outcome:
    """Train until the budget is spent or the process is told to stop.

    Parameters
    ----------
    objective
        What to train.
    recipe
        Optimisation settings.
    budget
        How long.
    folder
        Holds ``checkpoint.pt`` and ``log.jsonl``; a checkpoint found there is gone on from.

    Returns
    -------
    Outcome
        How it ended. The averaged weights are in `averaged_weights(folder)`.

    Raises
    ------
    WeightsError
        The checkpoint is of another model, or the training diverged.
    """
    run = _Run(objective, recipe, budget, folder)
    run.model.train()
    clock = saved = evaluated = time.monotonic()
    with _Stop() as stop:
        while run.progress < 1 and not stop.requested:
            run.step()
            now = time.monotonic()
            run.at.seconds += now - clock
            clock = now
            if run.at.step % recipe.log_steps == 0:
                run.log()
            if now - evaluated > recipe.evaluate_s:
                run.evaluate()
                # Judging is not training: its time is not taken from the budget.
                evaluated = clock = time.monotonic()
            if now - saved > recipe.checkpoint_s:
                run.save()
                saved = clock = time.monotonic()
        finished = run.progress >= 1
        if finished:
            run.evaluate()
        else:
            run.log()
        run.save()
    at = run.at
    return Outcome(finished, at.step, at.seconds, at.audio_s / 3600, run.figures)
