"""`lectern longform backbones`: what length costs SpeechSSM and a Transformer of its size."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from flows.measure.longform_plots import table
from generation.errors import LecternError
from generation.longform.backbones import (
    GIBIBYTE,
    StepCost,
    Throughput,
    advanced,
    interleaved_ratios,
    median_interval,
    step_cost,
    throughput,
)
from generation.longform.model import TextlessSpeech
from generation.numerics import one_thread
from generation.rates import TOKEN_RATE_HZ, tokens_in

LENGTHS_MIN = (1.0, 4.0, 8.0, 12.0, 16.0)
"""Where one stream's step is measured."""

DECODED_TOKENS = 16_384
"""Length of the batched decoding (arXiv 2412.18603, section 6)."""

BATCH_LENGTHS = (256, 4096, 8192, DECODED_TOKENS - 8)

EARLY_S, LATE_S = 60.0, 3 * 3600.0


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    `steps`: one stream's cost by model and length; `batched`: throughput by model; `snapshot_ratio`: median
    time of a step at hour 3 over one at minute 1, with its 95 % interval.
    """

    parameters: dict[str, int]
    steps: dict[str, tuple[StepCost, ...]]
    batched: dict[str, Throughput]
    snapshot_ratio: tuple[float, float, float]

    @property
    def speed_up(self) -> float:
        """SpeechSSM's tokens a second over the Transformer's, at equal memory."""
        return self.batched["SpeechSSM"].tokens_per_s / self.batched["Transformer"].tokens_per_s

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        rates = {name: each.tokens_per_s for name, each in self.batched.items()}
        return {**asdict(self), "tokens_per_s": rates, "speed_up": self.speed_up}


def compare(
    ours: TextlessSpeech, baseline: TextlessSpeech, tokens: Path, memory_gib: float = 4.0
) -> Comparison:
    """Measure both models on one thread.

    Raises
    ------
    LecternError
        The tokens cannot be read, or the machine has too little memory left.
    """
    try:
        real = np.load(tokens).astype(np.int64)
    except (OSError, ValueError) as error:
        raise LecternError(f"{tokens}: no array of tokens ({error})") from error
    _check_memory(memory_gib)
    models = {"SpeechSSM": ours, "Transformer": baseline}
    with one_thread():
        lengths = [tokens_in(60 * minutes) for minutes in LENGTHS_MIN]
        steps = {
            name: tuple(step_cost(model, length, repeats=100) for length in lengths)
            for name, model in models.items()
        }
        ratios = interleaved_ratios(
            ours,
            advanced(ours, real, tokens_in(EARLY_S)),
            advanced(ours, real, tokens_in(LATE_S)),
        )
        memory = int(memory_gib * GIBIBYTE)
        batched = {
            name: throughput(model, DECODED_TOKENS, memory, BATCH_LENGTHS)
            for name, model in models.items()
        }
    counts = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    return Comparison(counts, steps, batched, median_interval(ratios))


def _check_memory(memory_gib: float) -> None:
    free = psutil.virtual_memory().available / GIBIBYTE
    if free < 1.6 * memory_gib:
        raise LecternError(
            f"{free:.1f} GiB of memory are free, {1.6 * memory_gib:.1f} are needed: ask for less by --memory"
        )


def backbone_tables(done: Comparison) -> str:
    """Return the tables of a comparison."""
    rows = [
        [
            name,
            f"{done.parameters[name]:,}",
            *(
                f"{1000 * cost.seconds:.1f} ms, {cost.state_bytes / 2**20:.2f} MiB"
                for cost in costs
            ),
        ]
        for name, costs in done.steps.items()
    ]
    one = table(["one stream", "parameters", *(f"{m:g} min" for m in LENGTHS_MIN)], rows)
    batched = table(
        ["batched", "streams that fit", "seconds a step at …", "mean tokens/s"],
        [
            [
                name,
                f"{each.batch:,}",
                ", ".join(f"{cost.length}: {cost.seconds:.2f}" for cost in each.costs),
                f"{each.tokens_per_s:,.0f}",
            ]
            for name, each in done.batched.items()
        ],
    )
    median, low, high = done.snapshot_ratio
    return (
        f"{one}\n{batched}\nSpeechSSM decodes {done.speed_up:.1f} times as many tokens a second.\n\n"
        f"Steps from the state of hour 3 take {median:.3f} (95 % interval {low:.3f} to {high:.3f}) times as "
        "long as from that of minute 1.\n"
    )


def draw_backbones(done: Comparison, out: Path) -> None:
    """Draw memory and time of a step against length, and batched throughput, as `backbones.png`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for name, costs in done.steps.items():
        minutes = [cost.length / TOKEN_RATE_HZ / 60 for cost in costs]
        axes[0].plot(minutes, [c.state_bytes / 2**20 for c in costs], marker=".", label=name)
        axes[1].plot(minutes, [1000 * c.seconds for c in costs], marker=".", label=name)
    axes[0].set(title="state of one stream, MiB", xlabel="minutes", yscale="log")
    axes[1].set(title="one step of one stream, ms", xlabel="minutes", ylim=(0, None))
    rates = {name: each.tokens_per_s for name, each in done.batched.items()}
    axes[2].bar(list(rates), list(rates.values()))
    memory = next(iter(done.batched.values())).memory_bytes / GIBIBYTE
    axes[2].set(title=f"tokens/s, {memory:g} GiB of states", yscale="log")
    for axis in axes[:2]:
        axis.legend(fontsize=8)
    figure.savefig(out / "backbones.png", dpi=90)
    pyplot.close(figure)
