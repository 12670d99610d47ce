"""SpeechSSM with a reading pointer: what is said next, and how far the pointer moves on.

Each step sees the previous semantic token, the text encoder's vector at the pointer, how long the
pointer has stayed, its previous advance, and the backbone's state; it gives the next token and
then, knowing that token, an advance of 0 to 3 units. Without text it continues speech (SpeechSSM,
arXiv 2412.18603); with text the pointer passes every unit, once and in order.

Dimension letters are those of `griffin`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generation.errors import WeightsError
from generation.speechssm.griffin import Griffin, GriffinConfig, GriffinState
from generation.speechssm.text_encoder import TextEncoder

ADVANCES = 4
"""An advance is 0, 1, 2 or 3 units: short phonemes share a token, more than 3 never do."""

NO_ADVANCE = ADVANCES
"""The previous advance where there is none: at the start, and without text."""

MAX_DWELL = 64
"""Steps (3 s) that the pointer may stay on one unit; longer stays look alike to the model."""

DWELL_EDGES = (*range(1, 13), 16, 24, 32, 48)
"""Stays of 0 … 11 steps have a bucket each; above, buckets widen."""

NO_DWELL = len(DWELL_EDGES) + 1
"""Bucket of a step without text."""


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """What rebuilds a SpeechSSM.

    Attributes
    ----------
    backbone
        Sizes of the Griffin stack.
    codes
        K, semantic codes; code K is the mask.
    text_width
        Width inside the text encoder.
    advance_width
        Width inside the advance head.
    token_dropout
        Share of previous tokens masked in training, so that the text is listened to.
    """

    backbone: GriffinConfig
    codes: int
    text_width: int
    advance_width: int
    token_dropout: float = 0.3

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SpeechConfig":
        """Rebuild a configuration; raises WeightsError on keys it does not know or misses."""
        try:
            return cls(**{**values, "backbone": GriffinConfig(**values["backbone"])})
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"the weights describe another design of SpeechSSM ({error}): "
                "use weights made for this version of Lectern"
            ) from error


class SpeechState(NamedTuple):
    """All that SpeechSSM remembers between steps; each tensor's second dimension is the batch."""

    backbone: GriffinState
    token: Tensor
    """[1, B] int64, the previous token; K where there is none."""
    advance: Tensor
    """[1, B] int64, the previous advance; NO_ADVANCE where there is none."""
    dwell: Tensor
    """[1, B] int64, steps the pointer had stayed at the last step."""


class ReadingLoss(NamedTuple):
    """Mean cross-entropies in nats a step, and their sum."""

    total: Tensor
    token: Tensor
    advance: Tensor


class SpeechSSM(nn.Module):
    """The reader: text encoder, Griffin backbone, a head for tokens and one for advances."""

    dwell_bucket: Tensor

    def __init__(self, config: SpeechConfig):
        super().__init__()
        self.config = config
        D, K = config.backbone.width, config.codes
        self.text_encoder = TextEncoder(config.text_width, D, config.backbone.dropout)
        self.no_text = nn.Parameter(torch.zeros(D))
        self.token_embedding = _embedding(K + 1, D)
        self.dwell_embedding = _embedding(NO_DWELL + 1, D)
        self.advance_embedding = _embedding(ADVANCES + 1, D)
        self.backbone = Griffin(config.backbone)
        self.token_head = nn.Linear(D, K)
        self.advance_enter = nn.Linear(D, config.advance_width)
        self.advance_token = nn.Embedding(K, config.advance_width)
        self.advance_leave = nn.Linear(config.advance_width, ADVANCES)
        stays = torch.arange(MAX_DWELL + 1, device="cpu")
        bucket = torch.bucketize(stays, torch.tensor(DWELL_EDGES, device="cpu"), right=True)
        self.register_buffer("dwell_bucket", bucket.to(self.no_text.device), persistent=False)

    def initial_state(self, batch: int) -> SpeechState:
        """Make the state before the first step."""
        blank = self.no_text.new_zeros(1, batch, dtype=torch.int64)
        return SpeechState(
            self.backbone.initial_state(batch),
            token=blank + self.config.codes,
            advance=blank + NO_ADVANCE,
            dwell=blank,
        )

    def forward(
        self,
        units: Tensor,
        word_starts: Tensor,
        pointer: Tensor,
        tokens: Tensor,
        advances: Tensor,
        state: SpeechState | None = None,
        textless: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, SpeechState]:
        """Score recorded readings; the shift to previous tokens and advances happens in here.

        Parameters
        ----------
        units
            [B, U] unit indices, 0 for padding.
        word_starts
            [B, U], true on the first phoneme of a word.
        pointer
            [B, T], the unit being read at each step.
        tokens
            [B, T], the token said at each step.
        advances
            [B, T], units moved on after each step, 0 … 3.
        state
            What came before the first step; nothing if left out. It is not changed.
        textless
            [B], true where the example is to be continued without text.

        Returns
        -------
        tuple[Tensor, Tensor, SpeechState]
            Logits of tokens [B, T, K] and of advances [B, T, 4], and the state after the last step.
        """
        state = self.initial_state(units.shape[0]) if state is None else state
        vectors = self.text_encoder(units, word_starts)
        vectors = vectors.gather(1, pointer[..., None].expand(-1, -1, vectors.shape[-1]))
        previous_advance = torch.cat([state.advance[0][:, None], advances[:, :-1]], dim=1)
        dwell = dwell_steps(previous_advance, state.dwell[0])
        previous = torch.cat([state.token[0][:, None], tokens[:, :-1]], dim=1)
        if self.training:
            masked = torch.rand(previous.shape, device=previous.device) < self.config.token_dropout
            previous = previous.masked_fill(masked, self.config.codes)
        without = None if textless is None else textless[:, None]
        x = self._inputs(vectors, previous, previous_advance, dwell, without)
        features, backbone = self.backbone(x, state.backbone)
        after = SpeechState(
            backbone, tokens[:, -1][None], advances[:, -1][None], dwell[:, -1][None]
        )
        return self.token_head(features), self.advance_logits(features, tokens), after

    def step(self, vectors: Tensor, state: SpeechState, textless: Tensor | None = None) -> Tensor:
        """Run one step of every lane, updating the tensors of `state` in place.

        The caller samples a token from `token_head` and an advance from `advance_logits`, and
        writes both to `state.token` and `state.advance` before the next step.

        Parameters
        ----------
        vectors
            [B, D], the text encoder's vectors at the pointers.
        state
            What came before.
        textless
            [B], true where a lane goes on without text.

        Returns
        -------
        Tensor
            Features [B, D] for the two heads.
        """
        stayed = state.advance[0] == 0
        dwell = ((state.dwell[0] + 1) * stayed).clamp_max(MAX_DWELL)
        state.dwell[0].copy_(dwell)
        x = self._inputs(vectors, state.token[0], state.advance[0], dwell, textless)
        return self.backbone.step(x, state.backbone)

    def advance_logits(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Score advances, [..., 4], given features [..., D] and the tokens [...] said there."""
        hidden = self.advance_enter(features) + self.advance_token(tokens)
        logits: Tensor = self.advance_leave(F.gelu(hidden))
        return logits

    def _inputs(
        self,
        vectors: Tensor,
        token: Tensor,
        advance: Tensor,
        dwell: Tensor,
        textless: Tensor | None,
    ) -> Tensor:
        """Sum what a step sees, [..., D] from vectors [..., D] and indices [...]."""
        bucket = self.dwell_bucket[dwell]
        if textless is not None:
            vectors = torch.where(textless[..., None], self.no_text, vectors)
            advance = advance.masked_fill(textless, NO_ADVANCE)
            bucket = bucket.masked_fill(textless, NO_DWELL)
        x: Tensor = vectors + self.token_embedding(token) + self.advance_embedding(advance)
        return x.add(self.dwell_embedding(bucket))


def _embedding(count: int, width: int) -> nn.Embedding:
    """Make an embedding that starts small beside the text's vectors of unit variance."""
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, std=0.5)
    return table


def dwell_steps(previous_advance: Tensor, last_dwell: Tensor) -> Tensor:
    """Count for how long the pointer has stayed.

    Parameters
    ----------
    previous_advance
        [B, T], the advance before each step.
    last_dwell
        [B], the count at the step before the first.

    Returns
    -------
    Tensor
        [B, T], steps already spent on the unit, at most MAX_DWELL.
    """
    step = torch.arange(previous_advance.shape[1], device=previous_advance.device)
    arrival = torch.where(previous_advance > 0, step, -1 - last_dwell[:, None])
    dwell: Tensor = step - arrival.cummax(dim=1).values
    return dwell.clamp_max(MAX_DWELL)


def reading_loss(
    token_logits: Tensor,
    advance_logits: Tensor,
    tokens: Tensor,
    advances: Tensor,
    valid: Tensor,
    textless: Tensor | None = None,
) -> ReadingLoss:
    """Cross-entropies of recorded tokens and advances.

    Parameters
    ----------
    token_logits, advance_logits
        [B, T, K] and [B, T, 4], from the model.
    tokens, advances
        [B, T].
    valid
        [B, T], false on padding.
    textless
        [B], true where there was no text: advances there are not judged.
    """
    read = valid if textless is None else valid & ~textless[:, None]
    token = _masked_entropy(token_logits, tokens, valid)
    advance = _masked_entropy(advance_logits, advances, read)
    return ReadingLoss(token + advance, token, advance)


def _masked_entropy(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Mean cross-entropy over the valid places, 0 if there are none."""
    losses = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    weights = valid.flatten().to(losses.dtype)
    return (losses * weights).sum() / weights.sum().clamp_min(1)
