"""Judging a take during a shift: what is measured of it, and whether its window is read again.

Two depths. `signal`: its sound alone, against the plan of its text. `full`: also what was said, and in whose
voice, by the measures that may choose (`qa.takes`); `qa.repair` decides. What proves the book is another
thing: the report on the mastered chapters (`flows.factory.report`), by measures that choose nothing here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from generation.rates import SAMPLE_RATE_HZ
from qa.audio import as_audio
from qa.signal import clipped_peaks_per_s, levels, pauses
from qa.thresholds import Thresholds
from storage.models import Take
from storage.queue import Judgement, WindowLease

if TYPE_CHECKING:
    from qa.takes import TakeScore


class Depth(StrEnum):
    """What takes are judged by; part of an order, because it decides which takes are kept."""

    SIGNAL = "signal"
    FULL = "full"


DURATION_SHARE = (0.5, 2.0)
"""Length over the plan's expectation; readings of one text vary by a fifth."""

PAUSE_MOST_S = 3.0
"""No pause is planned to last half as long (a scene break: 1.35 s)."""

SETTLED = "settled"
"""The measure that marks the take at which a window was accepted: later takes are another round."""

SCORE = "score"
"""The measure that holds a take's `qa.takes.TakeScore`, for the decision on the next one."""


@dataclass(frozen=True)
class Heard:
    """What was found of one take: faults in words (none: it passes), and measures."""

    faults: tuple[str, ...]
    measures: Mapping[str, Any]


def listen(
    waveform: npt.NDArray[np.float32],
    expected_s: float,
    forced: int,
    complete: bool,
    limits: Thresholds | None = None,
) -> Heard:
    """Check a window's sound.

    Parameters
    ----------
    waveform
        (N,) at 22.05 kHz.
    expected_s
        Seconds its text is expected to last.
    forced, complete
        How the reading went, as in `generation.documents.Tokens`.
    limits
        The limits of speech level and clipping.
    """
    limits = limits or Thresholds()
    sound = as_audio(waveform, SAMPLE_RATE_HZ)
    share = sound.duration_s / expected_s if expected_s else 1.0
    speech_dbfs = levels(sound).speech_dbfs
    longest_s = max((pause.duration_s for pause in pauses(sound)), default=0.0)
    clipped = clipped_peaks_per_s(sound)
    found = {
        "the reading was given up before the text ended": not complete,
        f"{forced} advances had to be forced": forced > 0,
        f"it lasts {share:.2f} times as long as expected": not _within(share, DURATION_SHARE),
        f"it is silent ({speech_dbfs:.0f} dBFS)": speech_dbfs < limits.speech_least_dbfs,
        f"it pauses for {longest_s:.1f} s": longest_s > PAUSE_MOST_S,
        f"it clips {clipped:.1f} times a second": clipped > limits.clipped_peaks_most_per_s,
    }
    measures = {
        "duration_share": round(share, 3),
        "speech_dbfs": round(speech_dbfs, 1),
        "longest_pause_s": round(longest_s, 2),
        "clipped_peaks_per_s": round(clipped, 2),
    }
    return Heard(tuple(fault for fault, there in found.items() if there), measures)


def scored(heard: Heard, score: "TakeScore | None" = None) -> "TakeScore":
    """Put what was heard into one score with words and voice, where these were measured."""
    from qa.takes import TakeScore

    if score is None:
        return TakeScore(0, 0, None, heard.faults)
    return replace(score, faults=(*heard.faults, *score.faults))


def judgement(
    lease: WindowLease,
    heard: Heard,
    score: "TakeScore",
    takes: Sequence[Take],
    limits: Thresholds | None = None,
) -> Judgement:
    """Accept a take, send its window back for another, or keep the best where there were enough.

    `score` is of the last of `takes`, which are all takes of the window. A person who asks for another take
    begins a round: what was accepted before is not chosen again.
    """
    from qa.repair import Action, decide, faults

    limits = limits or Thresholds()
    this_round = _round(takes)
    decision = decide([*map(_score, this_round[:-1]), score], limits)
    wrong = faults(score, limits)
    measures = {
        **heard.measures,
        "faults": list(wrong),
        SCORE: asdict(score),
        "decision": {"action": decision.action.value, "reason": decision.reason},
    }
    verdict = "fail" if wrong else "pass"
    if decision.take is None:
        return Judgement(lease, verdict, None, measures, decision.reason)
    chosen = this_round[decision.take - 1].number
    trouble = decision.reason if decision.action is Action.KEEP_BEST else None
    return Judgement(lease, verdict, chosen, {**measures, SETTLED: True}, trouble)


def _score(take: Take) -> "TakeScore":
    """Return the score of a take that was judged before."""
    from qa.takes import TakeScore

    told = take.measures[SCORE]
    return TakeScore(**{**told, "faults": tuple(told["faults"])})


def _round(takes: Sequence[Take]) -> Sequence[Take]:
    settled = [place for place, take in enumerate(takes[:-1]) if take.measures.get(SETTLED)]
    return takes[settled[-1] + 1 :] if settled else takes


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
