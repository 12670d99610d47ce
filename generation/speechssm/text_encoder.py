"""Units to vectors: a small bidirectional convolutional encoder that sees a bounded neighbourhood.

Because nothing beyond RADIUS units is seen, a span of a chapter with RADIUS units on each side gets
the vectors that the whole chapter would give it. SpeechSSM and SoundStorm each train their own.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generation.script.units import SYMBOLS

KERNEL = 5
DILATIONS = (1, 1, 2, 4)
"""One layer each; the last ones reach further, so that a phrase's end is heard coming."""

RADIUS = sum(dilation * (KERNEL // 2) for dilation in DILATIONS)
"""Units on each side that a vector depends on."""

BLOCK = 256
"""Units encoded at once when reading: blocks of one shape give the same bits every time."""

PADDING_INDEX = 0


class TextEncoder(nn.Module):
    """A residual stack of LayerNorm, dilated convolution and GELU on embedded units.

    Parameters
    ----------
    width
        Width inside.
    output_width
        Width of the vectors.
    dropout
        Rate on every layer's output while training.
    """

    def __init__(self, width: int, output_width: int, dropout: float = 0.0):
        super().__init__()
        self.symbols = nn.Embedding(len(SYMBOLS), width)
        self.word_start = nn.Embedding(2, width)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, padding=dilation * (KERNEL // 2), dilation=dilation)
            for dilation in DILATIONS
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in DILATIONS)
        self.final_norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, output_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, units: Tensor, word_starts: Tensor) -> Tensor:
        """Encode whole spans at once.

        Parameters
        ----------
        units
            [B, U] unit indices; 0 is padding, which is as silent as the end of the tensor.
        word_starts
            [B, U], true on the first phoneme of a word.

        Returns
        -------
        Tensor
            [B, U, output_width].
        """
        present = (units != PADDING_INDEX)[..., None]
        x = (self.symbols(units) + self.word_start(word_starts.long())) * present
        for norm, conv in zip(self.norms, self.convs, strict=True):
            heard = (norm(x) * present).transpose(1, 2)
            x = x + self.dropout(F.gelu(conv(heard)).transpose(1, 2)) * present
        vectors: Tensor = self.leave(self.final_norm(x))
        return vectors

    @torch.inference_mode()
    def encode_span(self, units: Tensor, word_starts: Tensor, start: int, end: int) -> Tensor:
        """Encode a span of a chapter in blocks of one shape, on the grid of the chapter.

        The same unit of the same chapter always sits at the same place of the same block, whatever
        the span, so its vector is equal to the bit.

        Parameters
        ----------
        units, word_starts
            [U], the whole chapter.
        start, end
            The span wanted, in units.

        Returns
        -------
        Tensor
            [end − start, output_width].
        """
        first, last = start // BLOCK, -(-end // BLOCK)
        reach = last * BLOCK + RADIUS
        margins = (RADIUS, max(0, reach - len(units)))
        padded = F.pad(units[:reach], margins)
        starts = F.pad(word_starts[:reach].long(), margins)
        blocks = []
        for block in range(first, last):
            span = slice(block * BLOCK, (block + 1) * BLOCK + 2 * RADIUS)
            blocks.append(self(padded[None, span], starts[None, span])[0, RADIUS:-RADIUS])
        offset = first * BLOCK
        return torch.cat(blocks)[start - offset : end - offset]
