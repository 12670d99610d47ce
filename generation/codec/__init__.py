"""Codecs: waveforms to codes at 43.07 frames a second and back, behind one interface."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from generation.codec.timbre import Timbre


class Codec(Protocol):
    """What SoundStorm's codes mean as sound.

    Codes are (F, Q) int64, one row a frame of 512 samples, each below `codes`.
    """

    @property
    def name(self) -> str:
        """Name of the design: `latent` or `soundstream`."""
        ...

    @property
    def levels(self) -> int:
        """Q, the number of codebooks."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the sound (weights)."""
        ...

    def encode(self, waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Codes (F, Q) of a (N,) waveform at 22.05 kHz, F = N // 512.

        Raises
        ------
        VoicePromptError
            The codec cannot encode this voice.
        """
        ...

    def decode(self, codes: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.float32]:
        """Waveform (F * 512,) of codes (F, Q); `seed` fixes whatever noise the decoder adds."""
        ...

    def tuned(self, timbre: Timbre | None) -> "Codec":
        """Return this codec, decoding in a timbre, or without one.

        Raises
        ------
        VoicePromptError
            The codec speaks with one voice only.
        """
        ...
