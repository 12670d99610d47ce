"""Audio and text in, judgement out; the review app is in `review`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qa.audio import Audio
    from qa.report import Report


def _taken(voice: "Path | str | NDArray[np.floating]", rate_hz: int) -> "Audio":
    from qa.audio import as_audio, read_audio

    return read_audio(voice) if isinstance(voice, (str, Path)) else as_audio(voice, rate_hz)


def judge_audio(
    source: "Path | str | NDArray[np.floating]",
    text: str | None = None,
    prompt: "Path | str | NDArray[np.floating] | None" = None,
    rate_hz: int = 22_050,
    threads: int = 1,
) -> "Report":
    """Judge a recording; see `qa.judge.judge` for everything that can be told to it.

    Parameters
    ----------
    source : a file, or (sample,) samples with full scale 1.0
    text : what should be said, if known
    prompt : the voice it should be, a file or samples, if known
    rate_hz : rate of samples given as arrays
    threads : CPU threads
    """
    from qa.audio import as_audio
    from qa.judge import Context, Settings, judge

    voice = None if prompt is None else _taken(prompt, rate_hz)
    recording = Path(source) if isinstance(source, (str, Path)) else as_audio(source, rate_hz)
    return judge(recording, Context(text=text, prompt=voice), Settings(threads=threads))
