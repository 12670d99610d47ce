"""Filling a batch of windows: MaskGIT by codebook level, by confidence, on a cosine schedule.

SoundStorm (arXiv 2305.09636, section 3.4): a few passes for the first level, one for each finer level; in
each pass the surest codes are kept. Codes are guided towards the text (MaskGCT, arXiv 2409.00750): what the
model would say without it is taken away from what it says with it. All windows of a batch share shapes; what
a window sounds like depends on its own seed alone, never on its neighbours.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from generation.noise import gumbel, uniform
from generation.rates import FRAMES_PER_TOKEN
from generation.soundstorm.model import FrameText, SoundStorm


@dataclass(frozen=True)
class Decoding:
    """How codes are chosen: passes on the first level, temperatures, how bold the order is, guidance.

    `guidance` is how far the logits are moved on beyond those with the text, as a share of what the text
    moved them; 0 spares half the work.
    """

    passes: int = 8
    temperature: float = 0.5
    fine_temperature: float = 0.0
    order_noise: float = 1.0
    guidance: float = 1.0


@dataclass(frozen=True)
class WindowBatch:
    """Windows to be filled, padded to one shape.

    `text`, `semantic` (B, T): as in `SoundStorm.context`, prompt included; `codes` (B, F, Q): the prompt's
    codes in front, anything behind; `prompt_frames`: length of the prompt; `frames` (B,): frames of each
    row that are not padding, prompt included; `seeds` (B,) int64.
    """

    text: FrameText
    semantic: Tensor
    codes: Tensor
    prompt_frames: int
    frames: Tensor
    seeds: Tensor


@torch.inference_mode()
def fill(model: SoundStorm, batch: WindowBatch, decoding: Decoding) -> Tensor:
    """Return codes (B, F, Q) with every frame behind the prompt chosen; padding holds anything.

    Nothing in here waits for the device.
    """
    F_total = batch.semantic.shape[1] * FRAMES_PER_TOKEN
    front = batch.prompt_frames
    valid = torch.arange(F_total, device=batch.codes.device) < batch.frames[:, None]
    wanted = valid[:, front:]
    trunk = _Guided(model, batch, valid, decoding.guidance)
    codes = batch.codes.clone()
    codes[:, front:].masked_fill_(wanted[..., None], model.mask)
    counter = 0
    for level in range(model.config.levels):
        passes = decoding.passes if level == 0 else 1
        temperature = decoding.temperature if level == 0 else decoding.fine_temperature
        unknown = wanted
        for index in range(passes):
            logits = trunk.logits(codes, level)
            chosen, surety = _sample(logits, batch.seeds, counter, temperature)
            chosen = torch.where(unknown, chosen, codes[:, front:, level])
            if index + 1 < passes:
                noise = gumbel(batch.seeds, counter + 1, surety.shape[1])
                surety = surety + decoding.order_noise * (1 - (index + 1) / passes) * noise
                remaining = math.cos(math.pi / 2 * (index + 1) / passes)
                unknown = _least_sure(surety, unknown, wanted, remaining)
                chosen = chosen.masked_fill(unknown, model.mask)
            codes[:, front:, level] = chosen
            counter += 2
    return codes


class _Guided:
    """The model's logits for a batch, with and without its text side by side where there is guidance."""

    def __init__(
        self, model: SoundStorm, batch: WindowBatch, valid: Tensor, guidance: float
    ) -> None:
        self.model, self.front, self.guidance = model, batch.prompt_frames, guidance
        self.context = model.context(batch.text, batch.semantic, self.front)
        self.valid = valid
        if guidance > 0:
            untold = replace(batch.text, spoken=torch.zeros_like(batch.text.spoken))
            without = model.context(untold, batch.semantic, self.front)
            self.context = torch.cat([self.context, without])
            self.valid = valid.repeat(2, 1)

    def logits(self, codes: Tensor, level: int) -> Tensor:
        """(B, F, V) of the frames behind the prompt, in float32."""
        given = codes.repeat(2, 1, 1) if self.guidance > 0 else codes
        features = self.model(self.context, given, self.valid)[:, self.front :]
        logits: Tensor = self.model.heads[level](features).float()
        if self.guidance > 0:
            told, untold = logits.chunk(2)
            logits = told + self.guidance * (told - untold)
        return logits


def _sample(
    logits: Tensor, seeds: Tensor, counter: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Sample (B, F, V) logits; return codes and their log-probabilities, each (B, F).

    A code is where one uniform draw falls among the heaped-up probabilities: one hash a frame, where
    Gumbel noise would want V.
    """
    if temperature > 0:
        heaped = (logits / temperature).softmax(-1).cumsum(-1)
        draw = uniform(seeds, counter, logits.shape[1])[..., None] * heaped[..., -1:]
        chosen = torch.searchsorted(heaped, draw)
    else:
        chosen = logits.argmax(-1, keepdim=True)
    surety = logits.gather(-1, chosen) - logits.logsumexp(-1, keepdim=True)
    return chosen[..., 0], surety[..., 0]


def _least_sure(surety: Tensor, unknown: Tensor, wanted: Tensor, share: float) -> Tensor:
    """Mark the frames to be chosen again: the least sure of the unknown, `share` of all wanted."""
    keep = (wanted.sum(-1) * share).floor().long()
    order = surety.masked_fill(~unknown, math.inf).argsort(-1)
    rank = torch.empty_like(order).scatter_(
        -1, order, torch.arange(order.shape[-1], device=order.device).expand_as(order)
    )
    return (rank < keep[:, None]) & unknown
