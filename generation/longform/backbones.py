"""What length costs: memory, time and batched throughput of a backbone, and two states of one compared.

A Transformer's cache grows with every step, a recurrent state does not. Every figure is measured by stepping
the model: throughput over a long decoding is measured at several lengths and put together by integration,
since the cost of a step changes slowly with length.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from generation.longform.endless import Ints
from generation.longform.model import TextlessSpeech, TextlessState
from generation.longform.perplexity import CHUNK_TOKENS
from generation.packed import packed
from generation.speechssm.griffin import GriffinState
from generation.speechssm.transformer import TransformerState

GIBIBYTE = 2**30


@dataclass(frozen=True)
class StepCost:
    """One step of `batch` streams after `length` steps: median seconds, and bytes of state a stream."""

    length: int
    batch: int
    seconds: float
    state_bytes: int


@dataclass(frozen=True)
class Throughput:
    """Batched decoding of `steps` steps in a memory of `memory_bytes` for states.

    `batch` streams fit; `costs` were measured; `tokens_per_s` is the mean over the whole decoding.
    """

    memory_bytes: int
    steps: int
    batch: int
    costs: tuple[StepCost, ...]

    @property
    def tokens_per_s(self) -> float:
        """Tokens of all streams in a second, the time between measured lengths interpolated."""
        lengths = [cost.length for cost in self.costs]
        seconds = [cost.seconds for cost in self.costs]
        total_s = float(np.interp(np.arange(self.steps), lengths, seconds).sum())
        return self.batch * self.steps / total_s


def state_at(model: TextlessSpeech, length: int, batch: int = 1) -> TextlessState:
    """Make a state of `length` steps filled with noise: what a step costs depends on its size alone."""
    state = model.initial_state(batch)
    if isinstance(state.backbone, TransformerState):
        state.backbone.reserve(length + 1)
        state.backbone.keys.normal_()
        state.backbone.values.normal_()
        state.backbone.position = length
    else:
        state.backbone.position.fill_(length)
    state.token.zero_()
    return state


@torch.inference_mode()
def step_cost(model: TextlessSpeech, length: int, batch: int = 1, repeats: int = 20) -> StepCost:
    """Time one step after `length` steps; the median of so many."""
    runner = packed(model, rows=batch)
    state = state_at(model, length, batch)
    size = state.bytes // batch
    runner.step(state)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        runner.step(state)
        seconds.append(time.perf_counter() - started)
    return StepCost(length, batch, float(np.median(seconds)), size)


def largest_batch(model: TextlessSpeech, steps: int, memory_bytes: int) -> int:
    """Count the streams of `steps` steps whose states fit in so much memory."""
    state = model.initial_state(1)
    if isinstance(state.backbone, TransformerState):
        state.backbone.reserve(steps)
    return memory_bytes // state.bytes


def throughput(
    model: TextlessSpeech,
    steps: int,
    memory_bytes: int,
    lengths: Sequence[int],
    repeats: int = 5,
) -> Throughput:
    """Measure batched decoding with the largest batch whose states fit when they are longest."""
    batch = largest_batch(model, steps, memory_bytes)
    if isinstance(model.initial_state(1).backbone, GriffinState):
        lengths = lengths[-1:]
    costs = tuple(step_cost(model, length, batch, repeats) for length in lengths)
    return Throughput(memory_bytes, steps, batch, costs)


@torch.inference_mode()
def advanced(model: TextlessSpeech, tokens: Ints, length: int) -> TextlessState:
    """Return the true state after `length` tokens: `tokens` read from the start again and again."""
    state = model.initial_state(1)
    left = length
    while left > 0:
        for part in torch.split(torch.from_numpy(tokens[:left]), CHUNK_TOKENS):
            _, state = model(part[None].to(model.bias.device), state)
        left -= min(left, len(tokens))
    return state


@torch.inference_mode()
def interleaved_ratios(
    model: TextlessSpeech, early: TextlessState, late: TextlessState, steps: int = 1000
) -> npt.NDArray[np.float64]:
    """Step two states in turns; return the time of each late step over that of its early neighbour.

    Which of a pair goes first alternates, so that neither gains by its place.
    """
    runner = packed(model, rows=1)
    states = {"early": early.copy(), "late": late.copy()}
    for state in states.values():
        runner.step(state)
    ratios = []
    for number in range(steps):
        taken = {}
        for name in ("early", "late") if number % 2 else ("late", "early"):
            started = time.perf_counter()
            runner.step(states[name])
            taken[name] = time.perf_counter() - started
        ratios.append(taken["late"] / taken["early"])
    return np.array(ratios)


def median_interval(
    values: npt.NDArray[np.float64], draws: int = 2000
) -> tuple[float, float, float]:
    """Median, and the 95 % interval of its bootstrap."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (draws, len(values))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(np.median(values)), float(low), float(high)
