"""An evaluation as a Markdown table: mean and worst over the seeds, Piper beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from flows.measure.evaluate import Evaluation, Judgement, SeedResult
from qa.statistics import Interval


@dataclass(frozen=True)
class _Row:
    """A measure: its name, how it is shown, which end is worst, and where it is found."""

    name: str
    form: str
    worst: Callable[[Sequence[float]], float]
    ours: Callable[[SeedResult], float | None]
    piper: Callable[[Judgement], float] | None = None


def _high(interval: Interval | None) -> float | None:
    return 100 * interval.high if interval else None


def _estimate(interval: Interval | None) -> float | None:
    return 100 * interval.estimate if interval else None


_ROWS = (
    _Row("WER by Whisper tiny.en, %", ".2f", max, lambda s: 100 * s.judged.whisper.wer,
         lambda p: 100 * p.whisper.wer),
    _Row("… minus Piper's, points", "+.2f", max, lambda s: _estimate(s.whisper_difference)),
    _Row("… upper end of the 95 % interval", "+.2f", max, lambda s: _high(s.whisper_difference)),
    _Row("WER by pocketsphinx, %", ".2f", max, lambda s: 100 * s.judged.sphinx.wer,
         lambda p: 100 * p.sphinx.wer),
    _Row("… minus Piper's, points", "+.2f", max, lambda s: _estimate(s.sphinx_difference)),
    _Row("… upper end of the 95 % interval", "+.2f", max, lambda s: _high(s.sphinx_difference)),
    _Row("sentences missing or doubled per 10 k words", ".1f", max,
         lambda s: s.judged.whisper.missing_or_doubled_per_10k,
         lambda p: p.whisper.missing_or_doubled_per_10k),
    _Row("forced advances", ".0f", max, lambda s: s.forced),
    _Row("DNSMOS OVRL, mean", ".2f", min, lambda s: s.judged.dnsmos, lambda p: p.dnsmos),
    _Row("DNSMOS OVRL, worst minute", ".2f", min, lambda s: s.judged.worst_minute,
         lambda p: p.worst_minute),
    _Row("GE2E similarity to the prompt", ".3f", min, lambda s: s.judged.similarity,
         lambda p: p.similarity),
    _Row("… as a share of Piper's own", ".3f", min, lambda s: s.similarity_share),
    _Row("speech, minutes", ".1f", min, lambda s: s.judged.audio_s / 60, lambda p: p.audio_s / 60),
    _Row("time of the whole chain, s", ".1f", max, lambda s: s.judged.wall_s, lambda p: p.wall_s),
    _Row("… over Piper's", ".2f", max, lambda s: s.time_ratio),
    _Row("resident memory at rest, MB", ".0f", max, lambda s: s.memory_mb),
)  # fmt: skip


def markdown(evaluation: Evaluation) -> str:
    """Render an evaluation as a Markdown table with a line on what was read."""
    words = sum(passage.words for passage in evaluation.passages)
    books = len({passage.book for passage in evaluation.passages})
    seeds = ", ".join(str(result.seed) for result in evaluation.seeds)
    lines = [
        f"Voice {evaluation.voice}: {words} words in {len(evaluation.passages)} held-out passages of "
        f"{books} books, take 1, nothing repaired, seeds {seeds}."
        + ("" if evaluation.piper else " Piper was not run: its columns are empty."),
        "",
        "| measure | mean | worst | Piper |",
        "| --- | ---: | ---: | ---: |",
    ]
    rows = [_line(row, evaluation) for row in _ROWS]
    if (growth := evaluation.memory_mb_per_hour) is not None:
        rows.append(
            f"| memory growth after the first seed, MB per hour of audio | {growth:+.1f} | | |"
        )
    return "\n".join([*lines, *rows]) + "\n"


def _line(row: _Row, evaluation: Evaluation) -> str:
    values = [value for s in evaluation.seeds if (value := row.ours(s)) is not None]
    ours = [format(fmean(values), row.form), format(row.worst(values), row.form)] if values else []
    piper = evaluation.piper
    theirs = format(row.piper(piper), row.form) if row.piper and piper else ""
    return f"| {' | '.join([row.name, *(ours or ['', '']), theirs])} |"
