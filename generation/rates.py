"""The rates of the voice, once and for all: nothing else in Lectern repeats these numbers.

Audio is 22.05 kHz mono; a codec frame is 512 samples, a semantic token two codec frames. Every other
duration is derived here, so that 30 s are exactly 646 tokens and 1,292 frames everywhere.
"""

SAMPLE_RATE_HZ = 22_050
"""Rate of every waveform inside Lectern; delivery at 44.1 kHz is exactly twice this."""

DELIVERY_RATE_HZ = 2 * SAMPLE_RATE_HZ

HOP_SAMPLES = 512
"""Samples per codec frame (43.07 frames a second)."""

FRAMES_PER_TOKEN = 2
"""Codec frames per semantic token (21.53 tokens a second)."""

TOKEN_SAMPLES = HOP_SAMPLES * FRAMES_PER_TOKEN

FRAME_RATE_HZ = SAMPLE_RATE_HZ / HOP_SAMPLES
TOKEN_RATE_HZ = SAMPLE_RATE_HZ / TOKEN_SAMPLES

PROMPT_S = 3.0
"""Length of the fixed voice prompt in front of every window (SpeechSSM, arXiv 2412.18603, section 3)."""

WINDOW_S = 30.0
"""Length of a whole window, prompt included (the same section)."""


def tokens_in(seconds: float) -> int:
    """Semantic tokens in a span of `seconds`, rounded to the nearest token."""
    return round(seconds * TOKEN_RATE_HZ)


PROMPT_TOKENS = tokens_in(PROMPT_S)
PROMPT_FRAMES = PROMPT_TOKENS * FRAMES_PER_TOKEN
WINDOW_TOKENS = tokens_in(WINDOW_S)
WINDOW_FRAMES = WINDOW_TOKENS * FRAMES_PER_TOKEN


def samples_to_s(samples: int) -> float:
    """Seconds in a count of samples at `SAMPLE_RATE_HZ`."""
    return samples / SAMPLE_RATE_HZ


def tokens_to_s(tokens: int) -> float:
    """Seconds in a count of semantic tokens."""
    return tokens * TOKEN_SAMPLES / SAMPLE_RATE_HZ
