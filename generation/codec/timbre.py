"""Timbre: how the spectra of a speaker lie from those that are spoken for them, and the step between the two.

A model that has heard a voice for three seconds keeps its manner better than its colour: on average the
spectra it writes lie beside the speaker's. That distance does not depend on what is said, so it is measured
once, when a voice is made, and taken away from all it ever says. It differs between kinds of sound, so it
is measured by class: the spectra of both, each about its own mean, are clustered together, and a class's
step is the difference of its means in both, the nearer to the step of all classes the fewer frames it has
(maximum a posteriori adaptation of means: Gauvain and Lee 1994, section III). The same words are not needed.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

# F envelope frames, M mel bands, K classes.

CLASSES = 8
PRIOR_FRAMES = 15.0
"""Frames that the step of all classes counts for beside the frames of one class."""
ACTIVE_NATS = 5.0
"""A frame with at most this many nats of power less than the loud ones is speech (22 dB)."""
FADED_NATS = 7.0
"""So far below the loud frames half a step is taken, a nat further down a quarter: silence stays silence."""


@dataclass(frozen=True)
class Timbre:
    """The step from what is spoken for a voice to the voice.

    Attributes
    ----------
    mean
        (M,) mean spectrum of what is spoken.
    centres
        (K, M) classes of spectra about it.
    steps
        (K, M) what is added to a class, in nats of amplitude.
    spread
        () mean squared distance of a frame to its class.
    loud
        () power of the loud frames, in nats.
    """

    mean: Tensor
    centres: Tensor
    steps: Tensor
    spread: Tensor
    loud: Tensor

    def __call__(self, envelope: Tensor) -> Tensor:
        """Bring spectra (F, M) to the voice."""
        apart = torch.cdist(envelope - self.mean, self.centres).square()
        share = torch.softmax(-apart / self.spread, -1)
        heard = torch.sigmoid(_power(envelope) - (self.loud - FADED_NATS))
        return envelope + heard[:, None] * (share @ self.steps)

    def to(self, device: torch.device) -> "Timbre":
        """Move to a device."""
        return Timbre(*(getattr(self, part.name).to(device) for part in fields(self)))

    def tensors(self) -> dict[str, Tensor]:
        """Return the parts by name, as a weight file keeps them."""
        return {f"timbre_{part.name}": getattr(self, part.name) for part in fields(self)}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> "Timbre | None":
        """Read what `tensors` returned; None where it is not there."""
        names = [f"timbre_{part.name}" for part in fields(cls)]
        return (
            cls(*(tensors[n].float() for n in names)) if all(n in tensors for n in names) else None
        )


def measure_timbre(own: Tensor, spoken: Tensor) -> Timbre:
    """Measure the step from what is spoken for a voice to the voice.

    Parameters
    ----------
    own
        (F, M) spectra of the speaker's recording, of the level the codec brings all speech to.
    spoken
        (F', M) spectra of what was spoken in their voice, whatever the words.
    """
    loud = _power(spoken).quantile(0.95)
    own, spoken = _active(own), _active(spoken)
    mean = spoken.mean(0)
    both = torch.cat([own - own.mean(0), spoken - mean])
    centres, member = kmeans2(
        both.double().numpy(), CLASSES, minit="++", rng=np.random.default_rng(0)
    )
    classes = torch.from_numpy(member)
    whole = own.mean(0) - mean
    steps = []
    for number in range(CLASSES):
        ours, theirs = own[classes[: len(own)] == number], spoken[classes[len(own) :] == number]
        frames = min(len(ours), len(theirs))
        step = ours.mean(0) - theirs.mean(0) if frames else whole
        steps.append((frames * step + PRIOR_FRAMES * whole) / (frames + PRIOR_FRAMES))
    placed = torch.from_numpy(centres).float()
    spread = (both - placed[classes]).square().sum(1).mean()
    return Timbre(mean, placed, torch.stack(steps), spread, loud)


def _power(envelope: Tensor) -> Tensor:
    """Power of frames (F, M), in nats: (F,)."""
    return torch.logsumexp(2 * envelope, -1)


def _active(envelope: Tensor) -> Tensor:
    power = _power(envelope)
    return envelope[power > power.quantile(0.95) - ACTIVE_NATS]
