"""Reading many chapters at once: fixed arrays and one step for all lanes.

A lane is one chapter being read. It is given its chapter window by window: the state is carried
from one to the next, and a snapshot taken at a window's start lets that window be read again with
another take's seed. Every array has the same shape at every step, and a lane that has nothing to do
is computed and thrown away; so what a lane says depends on its own text, seed and state alone, to
the bit. No Python runs per token and lane.

Dimension letters are those of `griffin`; B counts lanes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from generation.errors import NarrationError
from generation.noise import gumbel
from generation.packed import packed
from generation.speechssm.model import ADVANCES, MAX_DWELL, SpeechSSM, SpeechState

MAX_WINDOW_UNITS = 1024
"""Units a window may hold: 27 s of fast speech are some 500."""

MAX_WINDOW_STEPS = 2048
"""Steps (95 s) after which a window's reading is given up: more than three windows' length."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens and advances are drawn.

    Attributes
    ----------
    temperature
        Divides the logits of tokens.
    top_p
        The likeliest tokens that together reach this probability are kept (nucleus sampling,
        Holtzman et al., arXiv 1904.09751).
    candidates
        The nucleus is looked for among so many of the likeliest tokens.
    advance_temperature
        Divides the logits of advances.
    """

    temperature: float = 0.6
    top_p: float = 0.8
    candidates: int = 64
    advance_temperature: float = 0.6


class Snapshot(NamedTuple):
    """All that one lane remembers between two windows: one lane of each tensor of `SpeechState`.

    `position` is the lane's own step count. The pointer is not among them: a window begins at its
    own first unit.
    """

    hidden: Tensor
    tails: Tensor
    keys: Tensor
    values: Tensor
    position: Tensor
    token: Tensor
    advance: Tensor
    dwell: Tensor

    @classmethod
    def of(cls, state: SpeechState, lane: int) -> "Snapshot":
        """Copy one lane's part of a state to the CPU."""
        tensors = (*state.backbone, state.token, state.advance, state.dwell)
        return cls(*(tensor[:, lane].detach().to("cpu", copy=True) for tensor in tensors))

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the parts by name, to be written to a file."""
        return dict(self._asdict())

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Snapshot":
        """Rebuild a snapshot; raises NarrationError if parts are missing or strange."""
        if set(tensors) != set(cls._fields):
            raise NarrationError(
                f"the snapshot holds {sorted(tensors)}, not {sorted(cls._fields)}: it was made by "
                "another version of Lectern; read the chapter again from its start"
            )
        return cls(**tensors)


class WindowReading(NamedTuple):
    """What was read in one window."""

    tokens: Tensor
    """[T] int64, the semantic tokens."""
    pointer: Tensor
    """[T] int64, the unit of the window being read at each token; 0 without text."""
    forced: int
    """Advances forced after MAX_DWELL: each is a failure of the reading."""
    complete: bool
    """False where MAX_WINDOW_STEPS came before the end of the text."""


class Reader:
    """Lanes stepped together on one device.

    Parameters
    ----------
    model
        The SpeechSSM to read with.
    lanes
        B, a multiple of 8, so that every lane's values go through the same vector instructions.
    sampling
        How tokens and advances are drawn.
    """

    @torch.inference_mode()
    def __init__(self, model: SpeechSSM, lanes: int, sampling: Sampling | None = None):
        if lanes < 1 or lanes % 8:
            raise ValueError(f"{lanes} lanes cannot be stepped: choose a multiple of 8")
        self.lanes = lanes
        self.sampling = sampling or Sampling()
        self._model = packed(model, rows=lanes)
        self._initial = Snapshot.of(model.initial_state(1), 0)
        self._state = self._model.initial_state(lanes)
        weight = model.no_text
        self._vectors = weight.new_zeros(lanes, MAX_WINDOW_UNITS, model.config.backbone.width)
        blank = weight.new_zeros(lanes, dtype=torch.int64)
        self._first_row = torch.arange(lanes, device=weight.device) * MAX_WINDOW_UNITS
        self._pointer, self._end, self._seed = blank.clone(), blank.clone(), blank.clone()
        self._count, self._limit, self._forced = blank.clone(), blank.clone(), blank.clone()
        self._textless, self._live = blank.bool(), blank.bool()
        self._any_textless = False
        # One column more than can be read: lanes with nothing to do write there.
        self._tokens = weight.new_zeros(lanes, MAX_WINDOW_STEPS + 1, dtype=torch.int64)
        self._pointers = torch.zeros_like(self._tokens)

    @torch.inference_mode()
    def admit(self, lane: int, snapshot: Snapshot | None = None) -> None:
        """Give a lane to a chapter: at its start, or where a snapshot was taken."""
        state = self._state
        tensors = (*state.backbone, state.token, state.advance, state.dwell)
        for tensor, part in zip(tensors, snapshot or self._initial, strict=True):
            if tensor[:, lane].shape != part.shape:
                raise NarrationError(
                    f"the snapshot's shape {tuple(part.shape)} is not the model's "
                    f"{tuple(tensor[:, lane].shape)}: repair with the weights it was made by"
                )
            tensor[:, lane] = part.to(tensor.device)
        self._live[lane] = False

    @torch.inference_mode()
    def release(self, lane: int) -> None:
        """Give up what a lane has under way: no step names it until it begins a window again."""
        self._live[lane] = False

    @torch.inference_mode()
    def begin_window(self, lane: int, vectors: Tensor, seed: int) -> None:
        """Give a lane the next window of its chapter.

        Parameters
        ----------
        lane
            The lane; it must have been admitted and have no window under way.
        vectors
            [U, D], the text encoder's vectors of the window's units (`TextEncoder.encode_span`).
        seed
            Signed 64-bit seed of this take of this window (`generation.noise.content_seed`).

        Raises
        ------
        NarrationError
            The window has no unit, or more than MAX_WINDOW_UNITS.
        """
        units = len(vectors)
        if not 0 < units <= MAX_WINDOW_UNITS:
            raise NarrationError(
                f"a window of {units} units cannot be read: it must have 1 to {MAX_WINDOW_UNITS}; "
                "split it at a pause"
            )
        self._vectors[lane, :units] = vectors
        self._begin(lane, units, MAX_WINDOW_STEPS, seed, textless=False)

    @torch.inference_mode()
    def begin_continuation(self, lane: int, steps: int, seed: int) -> None:
        """Let a lane go on without text for `steps` steps, at most MAX_WINDOW_STEPS."""
        if not 0 < steps <= MAX_WINDOW_STEPS:
            raise NarrationError(
                f"cannot continue for {steps} steps at once: ask for 1 to {MAX_WINDOW_STEPS}"
            )
        self._begin(lane, 1, steps, seed, textless=True)

    def _begin(self, lane: int, units: int, steps: int, seed: int, textless: bool) -> None:
        self._end[lane], self._limit[lane], self._seed[lane] = units, steps, seed
        self._pointer[lane] = self._count[lane] = self._forced[lane] = 0
        self._textless[lane], self._live[lane] = textless, True
        self._any_textless = bool(self._textless.any())

    @torch.inference_mode()
    def step(self) -> list[int]:
        """Step all lanes once and name those whose window ended with this step.

        Their state is exactly that of the window's end until the next step: take what is needed
        (`collect`, `snapshot`) and begin their next window before it.
        """
        state, textless = self._state, self._textless if self._any_textless else None
        rows = self._first_row + self._pointer.clamp_max(MAX_WINDOW_UNITS - 1)
        vectors = self._vectors.flatten(0, 1).index_select(0, rows)
        features = self._model.step(vectors, state, textless)
        noise = self._noise()
        token = self._draw_token(self._model.token_head(features), noise[:, ADVANCES:])
        scores = self._model.advance_logits(features, token)
        advance = (scores / self.sampling.advance_temperature + noise[:, :ADVANCES]).argmax(-1)
        ended = self._move(token, advance)
        return torch.nonzero(ended)[:, 0].tolist() if bool(ended.any()) else []

    def _noise(self) -> Tensor:
        """Gumbel noise of this step, [B, ADVANCES + candidates]: a hash of seed and step count."""
        candidates = min(self.sampling.candidates, self._model.config.codes)
        return gumbel(self._seed, self._state.backbone.position[0], ADVANCES + candidates)

    def _draw_token(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Draw a token [B] by the Gumbel-max trick from the nucleus of `logits` [B, K]."""
        logits = logits / self.sampling.temperature
        scores, codes = logits.topk(noise.shape[1], dim=-1)
        likelihood = (scores - logits.logsumexp(dim=-1, keepdim=True)).exp()
        before = likelihood.cumsum(dim=-1) - likelihood
        scores = (scores + noise).masked_fill(before >= self.sampling.top_p, -torch.inf)
        return codes.gather(1, scores.argmax(dim=-1, keepdim=True))[:, 0]

    def _move(self, token: Tensor, advance: Tensor) -> Tensor:
        """Record tokens and pointers [B], move the pointers on, and tell which windows ended."""
        state, live = self._state, self._live
        column = self._count.where(live, MAX_WINDOW_STEPS)[:, None]
        self._tokens.scatter_(1, column, token[:, None])
        self._pointers.scatter_(1, column, self._pointer[:, None])
        stuck = (advance == 0) & (state.dwell[0] >= MAX_DWELL) & ~self._textless
        self._forced += stuck & live
        moved = torch.minimum(self._pointer + advance.where(~stuck, 1), self._end)
        moved = moved.where(~self._textless, 0)
        state.token[0].copy_(token)
        state.advance[0].copy_(moved - self._pointer)
        self._pointer.copy_(moved)
        self._count += live
        ended = live & ((moved >= self._end) | (self._count >= self._limit))
        self._live &= ~ended
        return ended

    @torch.inference_mode()
    def collect(self, lane: int) -> WindowReading:
        """Copy what a lane has read in its window to the CPU."""
        steps = int(self._count[lane])
        return WindowReading(
            self._tokens[lane, :steps].to("cpu", copy=True),
            self._pointers[lane, :steps].to("cpu", copy=True),
            int(self._forced[lane]),
            bool(self._textless[lane]) or int(self._pointer[lane]) >= int(self._end[lane]),
        )

    def snapshot(self, lane: int) -> Snapshot:
        """Copy a lane's state, to be kept with the window that begins here."""
        return Snapshot.of(self._state, lane)
