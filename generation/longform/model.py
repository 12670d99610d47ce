"""Textless SpeechSSM: which semantic token comes next, from those that came before and nothing else.

The paper's own model (arXiv 2412.18603, section 3) as a small sibling of the reader: an embedding that is
also the head (as in Gemma), and a backbone whose memory does not grow. The same model on a Transformer is the
baseline. Dimension letters are those of `griffin`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generation.errors import WeightsError
from generation.speechssm.griffin import CONV_WIDTH, Griffin, GriffinConfig, GriffinState
from generation.speechssm.presets import BACKBONES
from generation.speechssm.transformer import Transformer, TransformerConfig, TransformerState
from generation.weights import Weights, load_into, load_weights

DESIGN = "textless"

WEIGHTS = Path(__file__).parent.parent / "weights" / "textless.safetensors"


@dataclass(frozen=True, slots=True)
class TextlessConfig:
    """What rebuilds a textless model: its backbone, and K, the semantic codes (code K is the start)."""

    backbone: GriffinConfig | TransformerConfig
    codes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values."""
        kind = "griffin" if isinstance(self.backbone, GriffinConfig) else "transformer"
        return {"kind": kind, "backbone": asdict(self.backbone), "codes": self.codes}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TextlessConfig":
        """Rebuild a configuration; raises WeightsError on one it does not know."""
        try:
            shape = {"griffin": GriffinConfig, "transformer": TransformerConfig}[values["kind"]]
            return cls(shape(**values["backbone"]), values["codes"])
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"the weights describe another design of textless model ({error}): "
                "use weights made for this version of Lectern"
            ) from error


TEXTLESS = GriffinConfig(96, 96, 288, 2, "RRA", 256, 0.1)
"""The sibling that ships: as large as a few hours of tokens and minutes of one core can fill."""


def equal_transformer(griffin: GriffinConfig) -> TransformerConfig:
    """Describe the Transformer of a backbone's size: as wide, deep and many-headed.

    Its MLPs are wider by what the other's recurrences have more than its attention, so that both count
    the same parameters to a hundredth.
    """
    D, E, C = griffin.width, griffin.recurrent_width, griffin.head_width
    recurrent = 3 * D * E + 2 * E * E // griffin.heads + (CONV_WIDTH + 4) * E
    attention = D * (2 * D + 2 * C) + D
    share = griffin.pattern.count("R") / len(griffin.pattern)
    wider = round(share * (recurrent - attention) / (3 * D))
    mlp = griffin.mlp_width + wider
    return TransformerConfig(D, mlp, griffin.heads, len(griffin.pattern), griffin.dropout)


def textless_config(preset: str, codes: int, transformer: bool = False) -> TextlessConfig:
    """Describe a textless model by the name of its size, or the baseline of that size.

    Parameters
    ----------
    preset
        `textless`, which ships, or one of the reader's backbones (`tiny`, `small`, `base`, `2b`, `9b`).
    codes
        K, semantic codes of the tokenizer.
    transformer
        The Transformer of the same size instead.

    Raises
    ------
    ValueError
        There is no preset of that name.
    """
    presets = {"textless": TEXTLESS, **BACKBONES}
    if preset not in presets:
        raise ValueError(f"no textless preset {preset!r}: choose one of {', '.join(presets)}")
    griffin = presets[preset]
    return TextlessConfig(equal_transformer(griffin) if transformer else griffin, codes)


@dataclass
class TextlessState:
    """All that is remembered between steps: the backbone's state, and the last token [B]."""

    backbone: GriffinState | TransformerState
    token: Tensor

    def copy(self) -> "TextlessState":
        """Return a state that can be stepped without changing this one."""
        if isinstance(self.backbone, TransformerState):
            return TextlessState(self.backbone.copy(), self.token.clone())
        backbone = GriffinState(*(tensor.clone() for tensor in self.backbone))
        return TextlessState(backbone, self.token.clone())

    @property
    def bytes(self) -> int:
        """Memory held, in bytes."""
        if isinstance(self.backbone, TransformerState):
            return self.backbone.bytes
        return sum(tensor.numel() * tensor.element_size() for tensor in self.backbone)


class TextlessSpeech(nn.Module):
    """Embedding, backbone, and the same embedding as head."""

    def __init__(self, config: TextlessConfig):
        super().__init__()
        self.config = config
        self.backbone = (
            Griffin(config.backbone)
            if isinstance(config.backbone, GriffinConfig)
            else Transformer(config.backbone)
        )
        D = config.backbone.width
        self.tokens = nn.Embedding(config.codes + 1, D)
        nn.init.normal_(self.tokens.weight, std=D**-0.5)
        self.bias = nn.Parameter(torch.zeros(config.codes))

    def initial_state(self, batch: int) -> TextlessState:
        """Make the state before the first token."""
        start = torch.full((batch,), self.config.codes, device=self.bias.device)
        return TextlessState(self.backbone.initial_state(batch), start)

    def forward(
        self, tokens: Tensor, state: TextlessState | None = None
    ) -> tuple[Tensor, TextlessState]:
        """Score recorded speech; the shift to previous tokens happens in here.

        Parameters
        ----------
        tokens
            [B, T], the token at each step.
        state
            What came before; nothing if left out. It is not changed.

        Returns
        -------
        tuple[Tensor, TextlessState]
            Logits [B, T, K] of each token given those before it, and the state after the last.
        """
        state = self.initial_state(tokens.shape[0]) if state is None else state
        previous = torch.cat([state.token[:, None], tokens[:, :-1]], dim=1)
        features, backbone = self.backbone(self._embed(previous), state.backbone)
        return self._score(features), TextlessState(backbone, tokens[:, -1])

    def step(self, state: TextlessState) -> Tensor:
        """Score what comes next, [B, K], moving `state` on in place; the caller writes its `token`."""
        step: Callable[..., Tensor] = self.backbone.step
        return self._score(step(self._embed(state.token), state.backbone))

    def _embed(self, tokens: Tensor) -> Tensor:
        vectors: Tensor = self.tokens(tokens)
        return vectors * self.config.backbone.width**0.5

    def _score(self, features: Tensor) -> Tensor:
        return F.linear(features, self.tokens.weight[: self.config.codes], self.bias)


def load_textless(path: Path = WEIGHTS) -> tuple[TextlessSpeech, Weights]:
    """Build a textless model from its weight file; raises WeightsError where that cannot be done."""
    weights = load_weights(path, DESIGN)
    model = TextlessSpeech(TextlessConfig.from_dict(weights.config))
    load_into(model, weights)
    return model.eval(), weights
