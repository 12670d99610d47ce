"""Aligning real recordings: which unit of a known script is heard at each token of a recording.

The tokenizer says, for every token, how likely each phoneme is; it was trained on speech whose units are
known to the frame, from features that hardly hear who speaks. The best monotone path of the pointer
through the script under those likelihoods (Viterbi) is the alignment, and its mean is how far to trust it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from generation.script.units import PAUSE_INDICES, SYMBOLS
from generation.tokenizer.features import TokenFeatures
from generation.tokenizer.model import Tokenizer, stack_features

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

ADVANCE_LOG = (-0.7, -0.7, -3.0, -5.0)
"""Log-probability of moving the pointer by 0 to 3 units in one token, rounded from teacher speech."""
_FLOOR = 1e-3
"""Share of every likelihood that is spread evenly: no single token may veto a path."""


@dataclass(frozen=True)
class Alignment:
    """`pointer` (T,) unit at each token; `surety` (T,) log-likelihood of that unit, at most 0."""

    pointer: Ints
    surety: Floats


def sound_classes() -> Ints:
    """Class of each unit's sound: stress and the kind of a pause are not heard in one token."""
    names = [
        "pause" if index in PAUSE_INDICES else symbol.rstrip("012")
        for index, symbol in enumerate(SYMBOLS)
    ]
    return np.array([names.index(name) for name in names], np.int64)


@torch.no_grad()
def likelihoods(tokenizer: Tokenizer, features: TokenFeatures) -> Floats:
    """Log-likelihood of every unit's sound at each token: (T, symbols)."""
    stacked = torch.from_numpy(stack_features(features))[None]
    share = tokenizer(stacked)[1][0].softmax(-1).numpy()
    classes = sound_classes()
    summed = np.zeros_like(share)
    np.add.at(summed.T, classes, share.T)
    smooth = (1 - _FLOOR) * summed[:, classes] + _FLOOR / len(set(classes.tolist()))
    return np.asarray(np.log(smooth), np.float32)


def align(units: Ints, likely: Floats) -> Alignment:
    """Find the best path of the pointer from the first unit to the last.

    Parameters
    ----------
    units
        (U,) unit indices of the script.
    likely
        (T, symbols), from `likelihoods`.

    Raises
    ------
    ValueError
        The recording is too short for so many units.
    """
    heard = likely[:, units]
    tokens, count = heard.shape
    if count - 1 > (len(ADVANCE_LOG) - 1) * (tokens - 1):
        raise ValueError(f"{count} units cannot be read in {tokens} tokens")
    best = np.full(count, -np.inf, np.float32)
    best[0] = heard[0, 0]
    moves = np.zeros((tokens, count), np.int8)
    for token in range(1, tokens):
        options = np.full((len(ADVANCE_LOG), count), -np.inf, np.float32)
        for advance, cost in enumerate(ADVANCE_LOG):
            options[advance, advance:] = best[: count - advance] + cost
        moves[token] = options.argmax(0)
        best = options.max(0) + heard[token]
    pointer = np.empty(tokens, np.int64)
    pointer[-1] = count - 1
    for token in range(tokens - 1, 0, -1):
        pointer[token - 1] = pointer[token] - moves[token, pointer[token]]
    return Alignment(pointer, heard[np.arange(tokens), pointer])
