"""How well a textless model knows what comes next, over the length of a recording."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from generation.longform.endless import Ints
from generation.longform.model import TextlessSpeech

CHUNK_TOKENS = 5168
"""Tokens scored at once: as long as a training segment."""


@torch.inference_mode()
def token_losses(
    model: TextlessSpeech, tokens: Ints, chunk: int = CHUNK_TOKENS
) -> npt.NDArray[np.float64]:
    """Cross-entropy in nats of each of (T,) tokens given all before it.

    The state is carried from chunk to chunk, so that nothing is forgotten between them.
    """
    model.eval()
    state = model.initial_state(1)
    losses = []
    for part in torch.split(torch.from_numpy(tokens).to(model.bias.device), chunk):
        logits, state = model(part[None], state)
        losses.append(F.cross_entropy(logits[0].float(), part, reduction="none").double().cpu())
    return torch.cat(losses).numpy()


def perplexity(losses: npt.NDArray[np.float64]) -> float:
    """Raise e to the mean cross-entropy."""
    return math.exp(float(losses.mean()))


def repeated_share(tokens: Ints | list[str], n: int = 4) -> float:
    """Share of n-grams that occurred before in the same sequence; runs of one token count as one.

    Two equal neighbours are one lengthened sound, and a pause is a hundred of them.
    """
    collapsed = [
        now for now, before in zip(tokens, [None, *tokens[:-1]], strict=True) if now != before
    ]
    grams = list(zip(*(collapsed[i:] for i in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
