"""Shifted pitch in long narration: `python -m qa.calibration.shifts FILE… --cases 110`.

Any finished recording will do, ours too: kathleen reads single sentences, a story is told. Each file is
judged as it is, then with twenty seconds of it shifted by two semitones, in a new place each case, where only
those are measured again.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from qa import verdicts
from qa.audio import ANALYSIS_RATE_HZ, Audio, read_audio, resampled
from qa.base_pitch import base_pitch, powers
from qa.calibration.corpus import Recording
from qa.calibration.damages import change_pitch
from qa.calibration.trials import LIMITS, overlapping, pitch_patched
from qa.pitch import pitch
from qa.statistics import wilson


def main(
    files: Annotated[list[Path], typer.Argument(help="Recordings of some minutes and more.")],
    cases: Annotated[int, typer.Option(help="Shifts put into each file.")] = 110,
) -> None:
    """Print the alarms of each file as it is, and how many shifts are found in it."""
    for path in files:
        speech = resampled(read_audio(path), ANALYSIS_RATE_HZ)
        alarms, found = _judged(speech, cases)
        hours, bound = speech.duration_s / 3600, wilson(found, cases)
        print(
            f"{path.name}: {alarms} alarms in {hours:.2f} h, {alarms / hours:.1f} an hour;"
            f" {found} of {cases} shifts found, lower Wilson bound {bound.low:.1%}",
            flush=True,
        )


def _judged(speech: Audio, cases: int) -> tuple[int, int]:
    """Alarms of a recording, and how many of the shifts put into it are found."""
    f0_hz = pitch(speech).f0_hz
    alarms = verdicts.judge_pitch(base_pitch(f0_hz, powers(speech)), LIMITS)
    recording, found = Recording(speech, ()), 0
    for case in range(cases):
        damaged = change_pitch(recording, np.random.default_rng(case))
        contour = pitch_patched(f0_hz, speech.duration_s, damaged)
        base = base_pitch(contour, powers(damaged.audio))
        found += bool(overlapping(verdicts.judge_pitch(base, LIMITS), ["pitch"], damaged))
    return len(alarms), found


if __name__ == "__main__":
    typer.run(main)
