"""Tokens without text to sound: windows of 30 s that overlap by 4 s and meet in the middle.

No pause is known without text, so neighbours share 4 s (arXiv 2412.18603, section 3): the first half of what
they share is kept from the earlier window, the second from the later. They meet in codec codes, before the
decoder, so that the waveform runs on across the seam; seams fall at 25 + 23 n s. Behind the same fixed voice
prompt each time, the voice cannot drift. Nothing but the window under way is kept.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from generation.codec import Codec
from generation.longform.endless import Ints
from generation.noise import content_seed
from generation.rates import (
    FRAMES_PER_TOKEN,
    HOP_SAMPLES,
    PROMPT_TOKENS,
    SAMPLE_RATE_HZ,
    WINDOW_TOKENS,
    tokens_in,
)
from generation.rendering import Renderer, WindowReading

NEW_TOKENS = WINDOW_TOKENS - PROMPT_TOKENS
"""Tokens of a window beside its prompt: 27 s."""

OVERLAP_TOKENS = tokens_in(4.0)
"""Tokens that neighbours share."""

MARGIN_FRAMES = 43
"""Codec frames (1 s) decoded on both sides of what is kept: more than a decoder hears around a frame."""

FADE_SAMPLES = SAMPLE_RATE_HZ // 100
"""Decoded pieces are faded into each other over 10 ms; where the decoder is a function of its
neighbourhood alone both sides are equal there and the fade changes nothing."""


@dataclass(frozen=True)
class OverlappingWindow:
    """One window of a stream: tokens [first, first + len) of it, and which of them are kept.

    `kept` counts from the window's own first token.
    """

    number: int
    first: int
    tokens: Ints
    kept: slice


def overlapping_windows(stream: Iterable[int], total: int) -> Iterator[OverlappingWindow]:
    """Cut the first `total` tokens of a stream into windows as they come."""
    source = iter(stream)
    held = np.array(list(islice(source, min(NEW_TOKENS, total))), np.int64)
    number = first = 0
    while True:
        last = first + len(held) >= total
        start = OVERLAP_TOKENS // 2 if number else 0
        end = len(held) if last else len(held) - OVERLAP_TOKENS // 2
        yield OverlappingWindow(number, first, held, slice(start, end))
        if last:
            return
        first += len(held) - OVERLAP_TOKENS
        wanted = min(NEW_TOKENS, total - first) - OVERLAP_TOKENS
        new = np.fromiter(islice(source, wanted), np.int64)
        held = np.concatenate([held[-OVERLAP_TOKENS:], new])
        number += 1


class StreamingDecoder:
    """Decodes codes that arrive piece by piece as if they had come at once."""

    def __init__(self, codec: Codec, seed: int) -> None:
        self._codec, self._seed = codec, seed
        self._codes = np.zeros((0, codec.levels), np.int64)
        self._context = 0
        self._overhang = np.zeros(0, np.float32)

    def push(self, codes: Ints, last: bool = False) -> npt.NDArray[np.float32]:
        """Take (F, Q) codes; return the waveform that is certain by now, all of it if `last`."""
        self._codes = np.concatenate([self._codes, codes])
        end = len(self._codes) - (0 if last else MARGIN_FRAMES)
        if end <= self._context:
            return np.zeros(0, np.float32)
        whole = self._codec.decode(self._codes, self._seed)
        wave = whole[self._context * HOP_SAMPLES : end * HOP_SAMPLES].copy()
        fade = min(len(self._overhang), len(wave))
        share = np.linspace(0, 1, fade, dtype=np.float32)
        wave[:fade] = share * wave[:fade] + (1 - share) * self._overhang[:fade]
        self._overhang = whole[end * HOP_SAMPLES :][:FADE_SAMPLES]
        kept = max(0, end - MARGIN_FRAMES)
        self._codes, self._context = self._codes[kept:], end - kept
        return wave


def render_stream(
    stream: Iterable[int], total: int, renderer: Renderer, seed: int
) -> Iterator[tuple[Ints, npt.NDArray[np.float32]]]:
    """Render the first `total` tokens of a stream window by window.

    Yields
    ------
    tuple
        The tokens that became certain with a window, and the waveform that did (a second behind them).
    """
    decoder = StreamingDecoder(renderer.spoken, seed)
    for window in overlapping_windows(stream, total):
        reading = textless_reading(window.tokens, content_seed("textless", seed, window.number))
        _, codes = next(renderer.fill([reading]))
        kept = slice(window.kept.start * FRAMES_PER_TOKEN, window.kept.stop * FRAMES_PER_TOKEN)
        ended = window.first + len(window.tokens) >= total
        yield window.tokens[window.kept], decoder.push(codes[kept], ended)


def textless_reading(tokens: Ints, seed: int) -> WindowReading:
    """Describe a window of tokens that no text belongs to."""
    nothing = np.zeros(0, np.int64)
    return WindowReading(nothing, nothing, tokens, np.zeros(len(tokens), np.int64), seed)
