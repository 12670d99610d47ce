"""Are joints between windows heard? Steps of the spectrum there against the same places inside windows.

Windows meet in pauses, mostly where the next word begins, and there the spectrum steps however well they are
joined. So a joint is compared with pauses inside windows, at the same distance from the word that ends them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from qa.audio import Audio, Samples
from qa.signal import Pause

Floats = NDArray[np.float64]

_LEAST_JOINTS = 5
_LEAST_REFERENCES = 10
_REFERENCES = 4  # pauses that each joint is compared with, the nearest in time
_BEFORE_S, _AFTER_S = 0.05, 0.15
"""How far before a pause or after it a joint may lie to belong to it."""

_STEP_S, _WITHIN_S, _HOP_S = 0.04, 0.04, 0.01
_BANDS = 24


@dataclass(frozen=True, slots=True)
class JointComparison:
    """Steps of the log spectrum at joints beside those at like places inside windows.

    Attributes
    ----------
    at_joints_db, inside_db : mean step over 40 ms, the steepest within 40 ms of the place
    p_value : chance of joints this rough if they were like the places inside (one-sided Wilcoxon signed-rank)
    roughest_s : the joint that is furthest over its own references
    """

    at_joints_db: float
    inside_db: float
    p_value: float
    roughest_s: float

    @property
    def excess_db(self) -> float:
        """How much rougher the joints are."""
        return self.at_joints_db - self.inside_db


def compare_joints(
    audio: Audio, joints_s: Sequence[float], silences: Sequence[Pause]
) -> JointComparison | None:
    """Compare the joints with the pauses inside windows.

    Parameters
    ----------
    audio : the recording
    joints_s : where windows were joined
    silences : its pauses

    Returns
    -------
    None with fewer than five joints in pauses, or ten pauses inside windows
    """
    ends = np.array([p.end_s for p in silences])
    lengths = np.array([p.duration_s for p in silences])
    paired = _paired(joints_s, ends, lengths)
    taken = {place for _, place in paired}
    inside = np.array([k for k in range(len(ends)) if k not in taken], dtype=np.intp)
    if len(paired) < _LEAST_JOINTS or len(inside) < _LEAST_REFERENCES:
        return None
    places, at_joints, references = [], [], []
    for joint_s, place in paired:
        offset_s = joint_s - ends[place]
        like = inside[lengths[inside] > -offset_s]
        nearest = like[np.argsort(np.abs(ends[like] - joint_s))[:_REFERENCES]]
        if len(nearest):
            places.append(joint_s)
            at_joints.append(_steepest_db(audio, joint_s))
            references.append(np.mean([_steepest_db(audio, ends[k] + offset_s) for k in nearest]))
    if len(at_joints) < _LEAST_JOINTS:
        return None
    over = np.array(at_joints) - np.array(references)
    return JointComparison(
        float(np.mean(at_joints)),
        float(np.mean(references)),
        float(wilcoxon(over, alternative="greater").pvalue),
        float(places[int(over.argmax())]),
    )


def _paired(joints_s: Sequence[float], ends: Floats, lengths: Floats) -> list[tuple[float, int]]:
    """Joints that lie in a pause or right beside it, and its index."""
    found = []
    for joint_s in joints_s:
        near = np.flatnonzero((joint_s < ends + _AFTER_S) & (joint_s > ends - lengths - _BEFORE_S))
        if len(near):
            found.append((joint_s, int(near[np.abs(ends[near] - joint_s).argmin()])))
    return found


def _steepest_db(audio: Audio, at_s: float) -> float:
    return max(_step_db(audio, at_s + d) for d in np.arange(-_WITHIN_S, _WITHIN_S + 1e-9, _HOP_S))


def _step_db(audio: Audio, at_s: float) -> float:
    """Root mean square step of the log spectrum between the 40 ms before and after."""
    length = round(_STEP_S * audio.rate_hz)
    centre = round(at_s * audio.rate_hz)
    if centre < length or centre + length > len(audio.samples):
        return 0.0
    before, after = (_bands_db(audio.samples[a : a + length]) for a in (centre - length, centre))
    return float(np.sqrt(np.mean((before - after) ** 2)))


def _bands_db(samples: Samples) -> Floats:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    edges = np.unique(np.geomspace(3, len(power) - 1, _BANDS + 1).astype(int))
    return np.asarray(10 * np.log10(np.add.reduceat(power, edges[:-1]) + 1e-9))
