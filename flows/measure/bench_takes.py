"""`lectern bench takes`: what a limit on a take's wrong words costs in takes, and what it gains in words.

Windows of held-out text are read several times over. For each limit `qa.repair.decide` chooses among the
takes as a shift does; what it kept is judged by the words that chose (Whisper's) and by those that did not
(Moonshine's). The limit in `qa.thresholds` comes from here.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from flows.measure.bench_repair import Judge, rendered
from flows.measure.heldout import passages
from generation.engine import Engine
from generation.narration import LANES, plan_chapter
from generation.voices import Cast
from qa.repair import decide
from qa.takes import Proof, TakeScore
from qa.thresholds import Thresholds

Say = Callable[[str], None]

LIMITS = (0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 1.0)
"""Shares of wrong words at which a window is read again; the last reads none again for its words."""


@dataclass(frozen=True)
class Taken:
    """One take of a window: what may choose it, and what only proves it."""

    score: TakeScore
    proof: Proof


@dataclass(frozen=True)
class Row:
    """What one limit does to all windows.

    Attributes
    ----------
    limit : share of wrong words over which a window is read again
    read_again : share of the windows
    takes : takes for each window
    word_errors, proof_word_errors : wrong words over words of the takes kept, by Whisper and Moonshine
    """

    limit: float
    read_again: float
    takes: float
    word_errors: float
    proof_word_errors: float


def row(windows: Sequence[Sequence[Taken]], limit: float) -> Row:
    """Choose among each window's takes with one limit; a window counts by its words."""
    limits = replace(Thresholds(), take_word_errors_most=limit)
    kept, made = [], []
    for takes in windows:
        for number in range(1, len(takes) + 1):
            found = decide([one.score for one in takes[:number]], limits, most_takes=len(takes))
            if found.take is not None:
                kept.append(takes[found.take - 1])
                made.append(number)
                break
    words = sum(one.score.words for one in kept)
    wrong = sum(one.score.word_errors for one in kept)
    proved = sum(one.proof.word_error_rate * one.score.words for one in kept)
    again = fmean(number > 1 for number in made)
    return Row(limit, again, fmean(made), wrong / words, proved / words)


def run(
    cast: Cast,
    books: Sequence[Path],
    words: int,
    takes: int,
    seed: int = 0,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Read held-out text `takes` times over, and try every limit of `LIMITS` on it.

    Parameters
    ----------
    cast
        The voice.
    books, words
        As `lectern evaluate`.
    takes
        Of each window.
    seed
        Of the readings.

    Raises
    ------
    LecternError
        A book cannot be used.
    """
    judge, engine = Judge(cast), Engine(cast.reader, cast.renderer, LANES)
    plans = [plan_chapter(p.chapter, cast.prompt_digest, seed) for p in passages(books, words)]
    by_key = {plan.job.key: plan for plan in plans}
    taken: dict[str, list[Taken]] = {}
    for number in range(1, takes + 1):
        say(f"reading every window, take {number}")
        jobs = [replace(plan.job, take=number) for plan in plans]
        reads = [(by_key[read.key], read) for read in engine.read(jobs)]
        for window in rendered(cast.renderer, reads):
            score = judge.score(window.wave, window.text)
            taken.setdefault(window.key, []).append(
                Taken(score, judge.prove(window.wave, window.text))
            )
    windows = list(taken.values())
    return {
        "windows": len(windows),
        "takes": takes,
        "rows": [asdict(row(windows, limit)) for limit in LIMITS],
    }
