"""Whose voice it is over time: embeddings of sliding windows, held against the prompt and each other.

No model is needed here; `qa.speaker` makes the embeddings.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qa.audio import ANALYSIS_RATE_HZ, Audio, frame_rms, resampled

Floats = NDArray[np.float64]
Embeddings = NDArray[np.float32]

WINDOW_S = 3.0
STEP_S = 0.5

_CHANGE_AT = 0.62  # where the cosine of a window half in another voice lies (49 swaps)
_SPEECH_BELOW_PEAK_DB = 35.0
"""A frame is speech when it is at most this far below the loud frames of the recording."""


@dataclass(frozen=True, slots=True)
class SpeakerTrack:
    """Whose voice it is over time.

    Attributes
    ----------
    centre_s : (window,) middle of each 3 s window
    embeddings : (window, dimension) unit vectors
    speech_share : (window,) share of the window that is speech, 0 to 1
    median : (dimension,) the recording's own voice, a unit vector
    to_median : (window,) cosine to the recording's own median voice
    to_prompt : (window,) cosine to the voice prompt; None without one
    drift_per_hour : least-squares change of the cosine (to the prompt if there is one, else to the
        recording's
        own first minute) over the windows that are mostly speech
    """

    centre_s: Floats
    embeddings: Embeddings
    speech_share: Floats
    median: Embeddings
    to_median: Floats
    to_prompt: Floats | None
    drift_per_hour: float

    def refined(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Find where another voice begins and ends inside a stretch of windows unlike the rest.

        A window whose middle lies on the change holds half of each voice: the change is where the cosine
        crosses between its least and its usual value, interpolated between windows.
        """
        inside = np.flatnonzero((self.centre_s >= start_s) & (self.centre_s <= end_s))
        lowest = int(inside[np.argmin(self.to_median[inside])])
        usual = float(np.median(self.to_median))
        level = float(self.to_median[lowest]) + _CHANGE_AT * (usual - float(self.to_median[lowest]))
        return self._crossing(lowest, -1, level), self._crossing(lowest, 1, level)

    def _crossing(self, lowest: int, step: int, level: float) -> float:
        k = lowest
        while 0 <= k + step < len(self.to_median):
            inner, outer = float(self.to_median[k]), float(self.to_median[k + step])
            if outer >= level:
                share = (level - inner) / (outer - inner)
                return float(self.centre_s[k] + share * step * STEP_S)
            k += step
        edge = self.centre_s[k] + step * WINDOW_S / 2
        return max(0.0, float(edge))


def speech_share(audio: Audio, centre_s: Floats) -> Floats:
    """Share of speech in the 3 s windows around the given times: (window,) array, 0 to 1."""
    samples = resampled(audio, ANALYSIS_RATE_HZ).samples
    starts = np.round((centre_s - WINDOW_S / 2) * ANALYSIS_RATE_HZ).astype(np.int64)
    window = round(WINDOW_S * ANALYSIS_RATE_HZ)
    frame = ANALYSIS_RATE_HZ // 50
    level = 20 * np.log10(np.maximum(frame_rms(samples, frame), 1e-7))
    if len(level) == 0:
        return np.zeros(len(starts))
    loud = np.percentile(level, 95)
    total = np.concatenate([[0], np.cumsum(level > loud - _SPEECH_BELOW_PEAK_DB)])
    first = np.minimum(starts // frame, len(level))
    last = np.minimum((starts + window) // frame, len(level))
    return np.asarray((total[last] - total[first]) / (window // frame), dtype=np.float64)


def follow(
    centre_s: Floats, vectors: Embeddings, share: Floats, prompt: Embeddings | None = None
) -> SpeakerTrack:
    """Hold the windows of a recording against its own median voice and the prompt's.

    Parameters
    ----------
    centre_s, vectors, share : see `SpeakerTrack`
    prompt : (dimension,) unit vector of the voice it should be
    """
    spoken = share >= 0.5 if (share >= 0.5).any() else np.ones(len(share), dtype=bool)
    median = np.median(vectors[spoken], axis=0)
    median = median / np.linalg.norm(median)
    to_prompt = None if prompt is None else (vectors @ prompt).astype(np.float64)
    reference = to_prompt if to_prompt is not None else _to_beginning(centre_s, vectors, spoken)
    slope = np.polyfit(centre_s[spoken], reference[spoken], 1)[0] * 3600 if spoken.sum() > 2 else 0
    return SpeakerTrack(
        centre_s=centre_s,
        embeddings=vectors,
        speech_share=share,
        median=median,
        to_median=(vectors @ median).astype(np.float64),
        to_prompt=to_prompt,
        drift_per_hour=float(slope),
    )


def _to_beginning(centre_s: Floats, vectors: Embeddings, spoken: NDArray[np.bool_]) -> Floats:
    early = spoken & (centre_s <= centre_s[spoken][0] + 60.0)
    mean = vectors[early].mean(axis=0)
    return np.asarray(vectors @ (mean / np.linalg.norm(mean)), dtype=np.float64)
