"""The check that every window passes during a shift: cheap, on its own sound, by the plan of its text.

It decides which windows are read again and which take is kept. What proves the book is another thing: the
report on the mastered chapters (`flows.factory.report`), by measures that choose nothing here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generation.rates import SAMPLE_RATE_HZ
from qa.audio import as_audio
from qa.signal import clipped_peaks_per_s, levels, pauses
from qa.thresholds import Thresholds
from storage.models import Take
from storage.queue import Judgement, WindowLease

MAX_TAKES = 3
"""Takes of a window before the best is kept, faults and all."""

DURATION_SHARE = (0.5, 2.0)
"""Length over the plan's expectation; readings of one text vary by a fifth."""

PAUSE_MOST_S = 3.0
"""No pause is planned to last half as long (a scene break: 1.35 s)."""

SETTLED = "settled"
"""The measure that marks the take at which a window was accepted: later takes are another round."""


@dataclass(frozen=True)
class Heard:
    """What was found of one take: faults in words (none: it passes), and measures."""

    faults: tuple[str, ...]
    measures: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """`pass` or `fail`."""
        return "fail" if self.faults else "pass"


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


def judgement(lease: WindowLease, heard: Heard, takes: Sequence[Take]) -> Judgement:
    """Accept a take, send its window back for another, or keep the best where there were enough.

    `takes` are all takes of the window, this one last. A person who asks for another take begins a round:
    what was accepted before is not chosen again.
    """
    faults = list(heard.faults)
    if not faults:
        return Judgement(
            lease, heard.verdict, lease.take, {**heard.measures, "faults": [], SETTLED: True}
        )
    measures = {**heard.measures, "faults": faults}
    reason = "; ".join(faults)
    this_round = _round(takes)
    if len(this_round) < MAX_TAKES:
        return Judgement(lease, heard.verdict, None, measures, reason)
    best = min(
        this_round, key=lambda take: _badness(measures if take is takes[-1] else take.measures)
    )
    kept = f"the best of {len(this_round)} takes is kept: {reason}"
    return Judgement(lease, heard.verdict, best.number, {**measures, SETTLED: True}, kept)


def _round(takes: Sequence[Take]) -> Sequence[Take]:
    settled = [place for place, take in enumerate(takes[:-1]) if take.measures.get(SETTLED)]
    return takes[settled[-1] + 1 :] if settled else takes


def _badness(measures: Mapping[str, Any]) -> tuple[int, float]:
    """Order takes: fewer faults first, then the length that is nearest to the plan's."""
    share = float(measures.get("duration_share") or 1.0)
    return len(measures.get("faults", ())), abs(math.log(share))


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
