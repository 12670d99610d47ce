"""Named sizes of SpeechSSM, from the one the tests train to the paper's.

The paper's 2B and 9B (arXiv 2412.18603) have the shapes of RecurrentGemma (arXiv 2404.07839), which
are the presets RECURRENT_GEMMA_2B_V1 and …_9B_V1 in `recurrentgemma/common.py` of
google-deepmind/recurrentgemma: 26 blocks of width 2,560 with 10 heads, and 38 of width 4,096 with
16; recurrences as wide as the model, MLPs of three times its width, a window of 2,048 steps. With
its tied embedding of 256,000 words the backbone here counts 2,682,862,080 and 8,579,977,216
parameters. Published: 2.683 B for google/recurrentgemma-2b (Open LLM Leaderboard's record), and
for recurrentgemma-9b four bf16 files of 19.25 GB in all, which store that embedding twice
(8.58 B + 1.05 B = 9.63 B values).
"""

from generation.speechssm.griffin import GriffinConfig
from generation.speechssm.model import SpeechConfig

PAPER_CODES = 32_000
"""Codes of USM-v2, the paper's semantic tokens (arXiv 2412.18603)."""


def _pattern(blocks: int) -> str:
    """Repeat two recurrent blocks and one of attention (Griffin, section 2)."""
    return ("RRA" * -(-blocks // 3))[:blocks]


def _backbone(width: int, blocks: int, heads: int, window: int, dropout: float) -> GriffinConfig:
    """Describe a backbone with recurrences of width D and MLPs of width 3 · D."""
    return GriffinConfig(
        width=width,
        recurrent_width=width,
        mlp_width=3 * width,
        heads=heads,
        pattern=_pattern(blocks),
        window=window,
        dropout=dropout,
    )


BACKBONES = {
    "tiny": _backbone(width=64, blocks=3, heads=2, window=32, dropout=0.0),
    "small": _backbone(width=320, blocks=6, heads=5, window=256, dropout=0.15),
    "base": _backbone(width=1024, blocks=15, heads=8, window=512, dropout=0.1),
    "2b": _backbone(width=2560, blocks=26, heads=10, window=2048, dropout=0.0),
    "9b": _backbone(width=4096, blocks=38, heads=16, window=2048, dropout=0.0),
}
"""`tiny` is for tests, `small` ships, `base` is for one GPU, `2b` and `9b` are the paper's."""

_TEXT_WIDTHS = {"tiny": 64, "small": 256, "base": 512, "2b": 1024, "9b": 1024}


def speech_config(preset: str, codes: int) -> SpeechConfig:
    """Describe a SpeechSSM by the name of its size.

    Parameters
    ----------
    preset
        One of BACKBONES.
    codes
        K, semantic codes of the tokenizer it reads to.

    Raises
    ------
    ValueError
        There is no preset of that name.
    """
    if preset not in BACKBONES:
        raise ValueError(f"no SpeechSSM preset {preset!r}: choose one of {', '.join(BACKBONES)}")
    width = _TEXT_WIDTHS[preset]
    return SpeechConfig(BACKBONES[preset], codes, text_width=width, advance_width=width // 2)
