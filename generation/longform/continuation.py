"""Speech continued without an end: token by token, in memory that does not grow.

The state is the backbone's alone, so a night of speech takes what a minute takes. Every draw is a hash of
the seed and the step, so a continuation is the same whenever and in whatever chunks it is asked for.
"""

from collections.abc import Iterator

import torch

from generation.errors import VoicePromptError
from generation.longform.endless import Ints
from generation.longform.model import TextlessSpeech, TextlessState
from generation.noise import content_seed, gumbel
from generation.packed import packed
from generation.rates import tokens_in

LEAST_PROMPT_S = 1.0
"""Shorter prompts say too little to go on from."""

LONGEST_PROMPT_S = 60.0
"""Of a longer prompt only the end is listened to."""


def prompt_seed(prompt: Ints, seed: int) -> int:
    """Make the seed of one continuation from what is continued and the number of the take."""
    return content_seed("continue", prompt.tobytes().hex(), seed)


class Continuation:
    """One prompt being continued; iterating gives its tokens one by one, for ever.

    Parameters
    ----------
    model
        The textless model.
    prompt
        (T,) tokens of what is continued.
    seed
        Another seed gives another continuation.
    temperature
        Divides the logits; the paper samples at 1 (arXiv 2412.18603, section 4.1).

    Raises
    ------
    VoicePromptError
        The prompt is shorter than LEAST_PROMPT_S.
    """

    @torch.inference_mode()
    def __init__(
        self, model: TextlessSpeech, prompt: Ints, seed: int = 0, temperature: float = 1.0
    ) -> None:
        if len(prompt) < tokens_in(LEAST_PROMPT_S):
            raise VoicePromptError(
                f"the prompt holds {len(prompt)} tokens of speech, {tokens_in(LEAST_PROMPT_S)} are "
                f"needed: give a recording of at least {LEAST_PROMPT_S:g} s"
            )
        heard = prompt[-tokens_in(LONGEST_PROMPT_S) :]
        self._temperature = temperature
        self._device = model.bias.device
        _, state = model.eval()(torch.from_numpy(heard).to(self._device)[None])
        self.state: TextlessState = state
        self._model = packed(model, rows=1)
        self._seed = torch.tensor([prompt_seed(heard, seed)], device=self._device)
        self.position = 0
        """Tokens said so far."""

    def __iter__(self) -> Iterator[int]:
        """Give one token after the other."""
        while True:
            yield self.step()

    @torch.inference_mode()
    def step(self) -> int:
        """Say the next token."""
        logits = self._model.step(self.state) / self._temperature
        noise = gumbel(self._seed, self.position, logits.shape[-1])
        self.state.token = (logits + noise).argmax(-1)
        self.position += 1
        return int(self.state.token)
