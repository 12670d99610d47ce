"""Tables and plots of a long-form run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flows.measure.longform import BIN_S, Curve, LongformRun, Perplexities
from flows.measure.longform_scores import Drift, Scores, change

Row = Sequence[str]

SEGMENT_MIN = 4
"""Minutes of a training segment, marked in the plots."""


_CHANGE = "its change in 16 min"
_HELD = ["recording", "minutes", "DNSMOS", _CHANGE, "similarity", _CHANGE]


def table(heading: Row, rows: Sequence[Row]) -> str:
    """Lay out a Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _given(values: Sequence[float], form: str = ".2f") -> str:
    return format(float(np.mean(values)), form) if values else "–"


def _change(centre_s: Sequence[float], values: Sequence[float]) -> str:
    found = change(centre_s, values)
    return f"{found.estimate:+.3f} ± {found.high - found.estimate:.3f}" if found else "–"


def drift_table(recordings: Sequence[Drift]) -> str:
    """Lay out how finished recordings hold up."""
    return table(_HELD, [_held(drift) for drift in recordings])


def _held(found: Drift | Scores) -> list[str]:
    """Lay out how one recording holds its sound and its voice, under `_HELD`."""
    return [
        found.name,
        f"{found.duration_s / 60:.1f}",
        _given(found.dnsmos),
        _change(found.centre_s, found.dnsmos),
        _given(found.speaker, ".3f"),
        _change(found.centre_s, found.speaker),
    ]


def run_tables(done: LongformRun) -> str:
    """Return the tables of a run: scores of every recording, and perplexity by quarter."""
    tables = [_score_table(done), perplexity_table(done.foreseen)]
    spans = [s for s in (*done.real, *done.continued) if s.coherence]
    if spans:
        tables.append(_coherence_table(spans))
    return "\n".join(tables)


def perplexity_table(done: Perplexities) -> str:
    """Return perplexity by quarter, and the last over the first."""
    rows = [
        [name, *(f"{value:.1f}" for value in values), _ratio(values)]
        for name, values in done.quarters.items()
    ]
    count = max((len(values) for values in done.quarters.values()), default=0)
    heads = [f"{4 * i}–{4 * i + 4} min" for i in range(count)]
    name = f"perplexity of real tokens ({done.hours:.1f} h)"
    return table([name, *heads, "last / first"], rows)


def _ratio(values: Sequence[float]) -> str:
    return f"{values[-1] / values[0]:.3f}" if len(values) > 1 else "–"


def _score_table(done: LongformRun) -> str:
    heading = [
        *_HELD, "speech, %", "repeated 4-grams of tokens, %", "of words, %", "words a minute",
    ]  # fmt: skip
    rows = [
        [
            *_held(scores),
            f"{100 * scores.speech:.0f}",
            f"{100 * max(scores.repeated_tokens):.1f}",
            f"{100 * max(scores.repeated_words):.1f}",
            f"{60 * scores.words / scores.duration_s:.0f}",
        ]
        for scores in (*done.real, *done.continued)
    ]
    said = [share for scores in done.real for share in scores.repeated_words]
    note = (
        "Repetitions are those of the worst stretch of 4 minutes. Real speech's 95th percentile: "
        f"{100 * np.percentile(done.repeated, 95):.1f} % of tokens' 4-grams (in {len(done.repeated)}), "
        f"{100 * np.percentile(said, 95):.1f} % of words' ({len(said)}).\n"
    )
    return table(heading, rows) + "\n" + note


def _coherence_table(spans: Sequence[Scores]) -> str:
    longest = max(len(scores.coherence) for scores in spans)
    places = list(range(0, longest, max(1, longest // 4)))
    rows = [
        [s.name, *(f"{s.coherence[i]:.3f}" if i < len(s.coherence) else "–" for i in places)]
        for s in spans
    ]
    return table(["SC-L at word", *(str(100 * i) for i in places)], rows)


def _draw_curves(axis: Any, curves: Sequence[Curve]) -> None:
    for curve in curves:
        minutes = (np.arange(len(curve.values)) + 0.5) * BIN_S / 60
        axis.plot(minutes, curve.values, marker=".", label=curve.name)
    axis.axvline(SEGMENT_MIN, color="grey", linewidth=0.8, linestyle=":")
    axis.set(title=f"perplexity (trained on {SEGMENT_MIN} min)", xlabel="minutes", ylim=(0, None))


def draw_perplexities(done: Perplexities, out: Path) -> None:
    """Draw perplexity over time as `perplexity.png`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    _draw_curves(axis, done.curves)
    axis.legend(fontsize=8)
    figure.savefig(out / "perplexity.png", dpi=90)
    pyplot.close(figure)


def draw_drift(recordings: Sequence[Drift], out: Path) -> None:
    """Draw naturalness and similarity over time as `drift.png`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 1, figsize=(9, 5), layout="constrained", sharex=True)
    for drift in recordings:
        minutes = np.array(drift.centre_s) / 60
        axes[0].plot(minutes, drift.dnsmos, label=drift.name, linewidth=0.7)
        axes[1].plot(minutes, drift.speaker, label=drift.name, linewidth=0.7)
    axes[0].set(title="DNSMOS OVRL of 9 s excerpts", ylim=(1, 4))
    axes[1].set(title="GE2E cosine to the voice prompt", xlabel="minutes", ylim=(0, 1))
    axes[1].legend(fontsize=7)
    figure.savefig(out / "drift.png", dpi=90)
    pyplot.close(figure)


def draw_run(done: LongformRun, out: Path) -> None:
    """Draw perplexity, naturalness, similarity and coherence over time as `longform.png`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    _draw_curves(axes[0, 0], (*done.foreseen.curves, *done.own))
    for scores in (*done.real, *done.continued):
        minutes = np.array(scores.centre_s) / 60
        name = scores.name.split(": ")[0]
        axes[0, 1].plot(minutes, scores.dnsmos, label=name, linewidth=0.9)
        axes[1, 0].plot(minutes, scores.speaker, label=name, linewidth=0.9)
        if scores.coherence:
            axes[1, 1].plot(scores.coherence_words, scores.coherence, label=name, linewidth=0.9)
    axes[0, 1].set(title="DNSMOS OVRL of 9 s excerpts", xlabel="minutes", ylim=(1, 4))
    axes[1, 0].set(title="GE2E cosine to the voice prompt", xlabel="minutes", ylim=(0, 1))
    axes[1, 1].set(title="SC-L (MiniLM) of spans of 100 words", xlabel="words")
    for axis in axes.flat:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7)
    figure.savefig(out / "longform.png", dpi=90)
    pyplot.close(figure)
