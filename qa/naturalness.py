"""Natural, and stays so? DNSMOS P.835 over time, in fixed excerpts of equal length.

The listening test behind the idea (N-MOS-T of SpeechSSM, arXiv 2412.18603, section 5) rates equal
excerpts at several times of a long reading; DNSMOS stands in for the listeners (Reddy et al.,
ICASSP 2022), run from the ONNX file of the `speechmos` package, in batches.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.errors import MissingModelError

Floats = NDArray[np.float64]

EXCERPT_S = 9.01
"""Length of audio the model rates (Reddy et al. 2022, section 3)."""

MINUTE_S = 60.0

_EXCERPT = int(EXCERPT_S * ANALYSIS_RATE_HZ)
_BATCH = 16

_OVERALL = np.polynomial.Polynomial([0.04602535, 1.11546468, -0.06766283])
_SIGNAL = np.polynomial.Polynomial([0.0052439, 1.22083953, -0.08397278])
_BACKGROUND = np.polynomial.Polynomial([-0.39604546, 1.60915514, -0.13166888])
"""Raw model output to the scale of listeners: the fits published with the model (speechmos,
dnsmos.py)."""


@dataclass(frozen=True, slots=True)
class Naturalness:
    """Mean opinion scores (1 to 5) over time.

    Attributes
    ----------
    centre_s : (excerpt,) middle of each excerpt
    overall, signal, background : (excerpt,) DNSMOS P.835 OVRL, SIG and BAK
    mean_overall : mean of `overall`
    worst_minute_overall : lowest mean of `overall` in any minute (of the whole, when that is
        shorter)
    worst_minute_start_s : where that minute begins
    slope_per_hour : least-squares change of `overall` an hour; 0 with fewer than three excerpts
    """

    centre_s: Floats
    overall: Floats
    signal: Floats
    background: Floats
    mean_overall: float
    worst_minute_overall: float
    worst_minute_start_s: float
    slope_per_hour: float


@lru_cache(maxsize=2)
def _session(threads: int) -> Any:
    """Load the P.835 model of the `speechmos` wheel, once a process."""
    import onnxruntime

    try:
        import speechmos
    except ImportError as error:
        raise MissingModelError("naturalness needs the speechmos package; install it") from error
    path = Path(speechmos.__file__).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    if not path.is_file():
        raise MissingModelError(f"{path}: holds no DNSMOS model; reinstall speechmos")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _starts(samples: int) -> NDArray[np.int64]:
    """First samples of the excerpts; the last excerpt ends with the recording."""
    if samples <= _EXCERPT:
        return np.zeros(1, dtype=np.int64)
    regular = np.arange(0, samples - _EXCERPT + 1, _EXCERPT, dtype=np.int64)
    last = samples - _EXCERPT
    return regular if regular[-1] == last else np.append(regular, last)


def naturalness(audio: Audio, threads: int = 1) -> Naturalness:
    """Rate a recording of any length.

    One shorter than an excerpt is repeated to fill it, as the original does.

    Parameters
    ----------
    audio : the recording at any rate
    threads : CPU threads of the model
    """
    speech = np.clip(resampled(audio, ANALYSIS_RATE_HZ).samples, -1.0, 1.0)
    if len(speech) < _EXCERPT:
        speech = np.tile(speech, -(-_EXCERPT // len(speech)))[:_EXCERPT]
    starts = _starts(len(speech))
    raw = []
    for first in range(0, len(starts), _BATCH):
        batch = np.stack([speech[s : s + _EXCERPT] for s in starts[first : first + _BATCH]])
        raw.append(_session(threads).run(None, {"input_1": batch})[0])
    signal, background, overall = np.concatenate(raw).astype(np.float64).T
    centre_s = (starts + min(_EXCERPT, len(speech)) / 2) / ANALYSIS_RATE_HZ
    return _summary(centre_s, _OVERALL(overall), _SIGNAL(signal), _BACKGROUND(background))


def _summary(centre_s: Floats, overall: Floats, signal: Floats, background: Floats) -> Naturalness:
    worst, start_s = worst_minute(centre_s, overall)
    slope = float(np.polyfit(centre_s, overall, 1)[0]) * 3600 if len(overall) > 2 else 0.0
    return Naturalness(
        centre_s, overall, signal, background, float(overall.mean()), worst, start_s, slope
    )


def worst_minute(centre_s: Floats, score: Floats) -> tuple[float, float]:
    """Find the lowest mean score of the excerpts in one minute, and where it begins (s)."""
    half = EXCERPT_S / 2
    begin, end = centre_s - half, centre_s + half
    last = np.searchsorted(end, begin + MINUTE_S + 1e-6, side="right")
    if last[0] >= len(score):
        return float(score.mean()), float(max(0.0, begin[0]))
    total = np.concatenate([[0.0], np.cumsum(score)])
    first = np.flatnonzero(begin + MINUTE_S <= end[-1] + 1e-6)
    means = (total[last[first]] - total[first]) / (last[first] - first)
    return float(means.min()), float(begin[first[means.argmin()]])
