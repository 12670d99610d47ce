"""Fit the table of `qa.rate`: `python -m qa.calibration.durations ../shared/data/speech`.

Ridge regression of the speech time of the long narrator's clips, learning half only, on their phones, words
and phrases (stretches between pauses), each clip weighed so that relative errors count alike.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from qa.calibration.bench import Bench, Half
from qa.calibration.corpus import Clip, read_clip
from qa.phones import phones
from qa.signal import pauses
from qa.text import printed_words, spoken_words

Floats = NDArray[np.float64]

_RIDGE = 10.0
_USUAL_PHONE_S = 0.07  # that the ridge draws phones to


def _counts(clip: Clip) -> tuple[Counter[str], float]:
    """Phones, words and phrases of a clip, and its speech time."""
    audio = read_clip(clip.path)
    silences = pauses(audio)
    words = [w.text for w in spoken_words(printed_words(clip.text))]
    counts = Counter(phone for word in words for phone in phones(word))
    inner = [p for p in silences if p.start_s > 0.05 and p.end_s < audio.duration_s - 0.05]
    counts |= Counter({"word": len(words), "phrase": len(inner) + 1})
    return counts, audio.duration_s - sum(p.duration_s for p in silences)


def fit(clips: list[Clip]) -> tuple[dict[str, float], float]:
    """Give the seconds that each phone, word and phrase takes, and the residual's standard deviation."""
    rows, spoken = zip(*(_counts(clip) for clip in clips), strict=True)
    names = sorted({name for row in rows for name in row})
    time = np.array(spoken)
    shares: Floats = np.array([[row[n] for n in names] for row in rows]) / time[:, None]
    prior = np.array([0.0 if n in ("word", "phrase") else _USUAL_PHONE_S for n in names])
    normal = shares.T @ shares + _RIDGE * np.eye(len(names))
    found = prior + np.linalg.solve(normal, shares.T @ (1.0 - shares @ prior))
    residual = np.log(shares @ found)
    return dict(zip(names, found.tolist(), strict=True)), float(residual.std())


def main(speech: Annotated[Path, typer.Argument(help="Folder of recordings.")]) -> None:
    """Print the table and how far single clips lie from it."""
    table, residual = fit(Bench(speech, Path()).narrator(Half.LEARN))
    print({name: round(seconds, 3) for name, seconds in table.items()}, f"{residual:.3f}")


if __name__ == "__main__":
    typer.run(main)
