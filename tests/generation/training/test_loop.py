"""The training loop: it learns, resumes to the bit, stops when told, survives bad gradients."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generation.errors import WeightsError
from generation.training.loop import (
    Budget,
    Recipe,
    Step,
    averaged_weights,
    learning_rate,
    parameter_groups,
    train,
)


class Line(nn.Module):
    """A small regression with a norm, so that all kinds of parameters are there."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.linear = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.drop(torch.tanh(self.norm(self.linear(x)))))
        return y


class Regression:
    """Learn the sum of four numbers; optionally hurt by a NaN or a signal at given steps."""

    batch_s = 2.0

    def __init__(self, nan_at: tuple[int, ...] = (), kill_at: int | None = None) -> None:
        self.model: nn.Module = Line()
        self.nan_at, self.kill_at, self.seen = nan_at, kill_at, 0

    def batch(self, step: Step) -> dict[str, Tensor]:
        x = torch.from_numpy(step.rng.standard_normal((32, 4))).float()
        error = (self.model(x)[:, 0] - x.sum(1)).pow(2).mean()
        self.seen += 1
        if step.index in self.nan_at:
            error = error * float("nan")
        if step.index == self.kill_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"loss": error, "mse": error}

    def evaluate(self) -> dict[str, float]:
        x = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
        return {"mse": float((self.model(x)[:, 0] - x.sum(1)).pow(2).mean())}

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


RECIPE = Recipe(learning_rate=2e-2, warmup_steps=5, ema_decay=0.9, log_steps=10)


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_it_learns_and_logs(tmp_path: Path) -> None:
    outcome = train(Regression(), RECIPE, Budget(steps=300), tmp_path)
    lines = log_of(tmp_path)
    assert outcome.finished and outcome.steps == 300
    assert outcome.figures["mse"] < 0.3 < lines[0]["mse"]
    assert outcome.audio_h == pytest.approx(300 * 2 / 3600)
    assert {"step", "seconds", "audio_h", "lr", "loss", "bad_steps"} <= lines[0].keys()
    assert lines[-1]["eval_mse"] == pytest.approx(outcome.figures["mse"], abs=1e-5)


def test_a_run_cut_off_and_resumed_takes_the_same_steps(tmp_path: Path) -> None:
    train(Regression(), RECIPE, Budget(steps=60), tmp_path / "whole")
    cut = train(Regression(kill_at=24), RECIPE, Budget(steps=60), tmp_path / "cut")
    assert not cut.finished and cut.steps == 25
    objective = Regression()
    resumed = train(objective, RECIPE, Budget(steps=60), tmp_path / "cut")
    assert resumed.finished and resumed.steps == 60 and objective.seen == 60
    whole, again = averaged_weights(tmp_path / "whole"), averaged_weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_new_budget_starts_a_new_schedule_from_the_same_weights(tmp_path: Path) -> None:
    train(Regression(), RECIPE, Budget(steps=40), tmp_path)
    outcome = train(Regression(), RECIPE, Budget(steps=41), tmp_path)
    assert outcome.steps == 81
    rates = [line["lr"] for line in log_of(tmp_path) if "lr" in line]
    assert max(rates[5:]) > 3 * rates[3]


def test_a_minute_budget_ends(tmp_path: Path) -> None:
    outcome = train(Regression(), RECIPE, Budget(minutes=0.005), tmp_path)
    assert outcome.finished and 0.3 <= outcome.seconds < 5


def test_bad_gradients_leave_finite_weights(tmp_path: Path) -> None:
    outcome = train(Regression(nan_at=(10, 11, 30)), RECIPE, Budget(steps=200), tmp_path)
    assert outcome.figures["mse"] < 0.5
    assert all(torch.isfinite(t).all() for t in averaged_weights(tmp_path).values())
    assert sum(round(line.get("bad_steps", 0) * 10) for line in log_of(tmp_path)) == 3


def test_divergence_is_an_error(tmp_path: Path) -> None:
    recipe = Recipe(learning_rate=1e-3, log_steps=50)
    with pytest.raises(WeightsError, match="diverged"):
        train(Regression(nan_at=tuple(range(500))), recipe, Budget(steps=200), tmp_path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    train(Regression(), RECIPE, Budget(steps=3), tmp_path)
    other = Regression()
    other.model = nn.Linear(4, 2)
    with pytest.raises(WeightsError, match="another model"):
        train(other, RECIPE, Budget(steps=5), tmp_path)


def test_vectors_are_not_decayed() -> None:
    model = Line()
    model.head.weight.no_weight_decay = True  # type: ignore[assignment]
    decayed, free = parameter_groups(model, 0.1)
    assert [tuple(p.shape) for p in decayed["params"]] == [(8, 4)]
    assert len(free["params"]) == 5 and free["weight_decay"] == 0


def test_the_schedule_warms_up_and_falls_to_its_floor() -> None:
    recipe = Recipe(learning_rate=1.0, warmup_steps=10, final_share=0.05)
    assert learning_rate(recipe, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(recipe, 50, 0.0) == pytest.approx(1.0)
    assert learning_rate(recipe, 500, 1.0) == pytest.approx(0.05)
