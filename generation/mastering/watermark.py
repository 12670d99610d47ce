"""An inaudible watermark in a chapter's sound, and how it is found again.

The networks and weights are those of PerthNet "implicit" (Resemble AI, package `resemble-perth`, MIT): a
residual on the log-magnitude spectrum below 2 kHz, hidden under the speech, and a detector that answers 1
where it is there. It says that a machine narrated, nothing else. The package itself wants a torchaudio with
its shared libraries, so only its weights are taken from it.
"""

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv1d, interpolate, leaky_relu

from generation.mastering.errors import MasteringError
from generation.mastering.files import gathered
from generation.rates import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]

WATERMARK = "perth-implicit-250000"
"""The mark, by its network and the steps it was trained for."""

STRENGTHS = (0.5, 0.8, 1.0)
"""Shares of the network's own residual: each piece gets the weakest at which its mark is surely heard."""

SURELY = 0.97
"""The score, before any codec, that is sure enough."""

MARKED_LEAST, UNMARKED_MOST = 0.9, 0.75
"""Scores of an excerpt that has the mark, and of one that has none; between them nothing is claimed."""

EXCERPT_S = 10.0
"""What the detector hears at once."""

_RATE_HZ, _FFT, _HOP, _BANDS = 32_000, 2048, 320, 128
_LEAST_DB, _RANGE_DB = -180.0, 195.0  # magnitudes from 1e-9 to 15 dB, as 0 to 1
_MASKED_UNDER = 0.05  # of the fullest frame
_LAYERS = 7
_STEP_S = 4  # pieces are filled up to whole steps: a kernel for every length would stay in memory
_FADE_SAMPLES = 220
_WEIGHTS = "perth_net/pretrained/implicit/perth_net_250000.pth.tar"

Weights = Mapping[str, Tensor]


def marked(audio: Audio) -> Audio:
    """Return a piece of speech with the mark in it, as strong as it must be to be heard.

    Parameters
    ----------
    audio
        (N,) float32 at `SAMPLE_RATE_HZ`.

    Returns
    -------
    The same shape; the first and last sample are as they were, so that pieces still join.
    """
    if len(audio) <= 2 * _FADE_SAMPLES:
        return audio
    sound = _filled(soxr.resample(audio, SAMPLE_RATE_HZ, _RATE_HZ, quality="VHQ"))
    with torch.inference_mode():
        spectrum = _spectrum(torch.from_numpy(sound))
        levels = _levels(spectrum)
        louder_db = _network(levels[:, :_BANDS], "encoder.layers") * _mask(levels) * _RANGE_DB
    found = audio
    for strength in STRENGTHS:
        found = audio + _residual(spectrum, strength * louder_db, len(sound), len(audio))
        if score(_middle(found), SAMPLE_RATE_HZ) >= SURELY:
            break
    return found


def _residual(spectrum: Tensor, louder_db: Tensor, length: int, samples: int) -> Audio:
    """Return what makes the lowest bands louder by `louder_db`, as `samples` at `SAMPLE_RATE_HZ`."""
    with torch.inference_mode():
        change = torch.zeros_like(spectrum)
        change[:, :_BANDS] = spectrum[:, :_BANDS] * (10 ** (louder_db / 20) - 1)
        added = torch.istft(change[0], _FFT, _HOP, window=_window(), length=length).numpy()
    residual = soxr.resample(added, _RATE_HZ, SAMPLE_RATE_HZ, quality="VHQ")[:samples]
    residual = np.pad(residual, (0, samples - len(residual)))
    fade = np.linspace(0, 1, _FADE_SAMPLES, dtype=np.float32)
    residual[:_FADE_SAMPLES] *= fade
    residual[-_FADE_SAMPLES:] *= fade[::-1]
    return np.asarray(residual, np.float32)


def _middle(audio: Audio) -> Audio:
    """Return an excerpt from the middle."""
    spare = len(audio) - round(EXCERPT_S * SAMPLE_RATE_HZ)
    return audio[spare // 2 : -(spare // 2) or None] if spare > 0 else audio


def score(audio: Audio, rate_hz: int) -> float:
    """Say how sure the detector is that an excerpt has the mark: about 1 where it has, under .7 where not.

    Parameters
    ----------
    audio
        (N,) float32; five seconds of speech or more say something.
    rate_hz
        Its rate.
    """
    sound = torch.from_numpy(_filled(soxr.resample(audio, rate_hz, _RATE_HZ, quality="VHQ")))
    with torch.inference_mode():
        levels = _levels(_spectrum(sound))
        mask, bands = _mask(levels), levels[:, :_BANDS]
        if not mask.any():
            return 0.0
        answers = [_heard(bands, mask, part, pace) for part, pace in _PACES.items()]
        sureness, found = torch.stack(answers).unbind(1)
        return float((sureness.softmax(0) * found).sum())


_PACES = {"decoder.slow_layers": 1.25, "decoder.normal_layers": 1.0, "decoder.fast_layers": 0.75}


def _heard(bands: Tensor, mask: Tensor, part: str, pace: float) -> Tensor:
    """Return sureness and answer of one branch of the detector, which hears at its own pace; (2,)."""
    frames = int(bands.shape[2] * pace)
    paced = interpolate(bands, size=frames, mode="linear", align_corners=True)
    spoken = interpolate(mask, size=frames, mode="nearest")
    return ((_network(paced, part) * spoken).sum(2) / spoken.sum(2))[0]


@dataclass(frozen=True)
class Detection:
    """What was found in a recording: the score of every excerpt."""

    scores: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median score; 0 where there is no sound."""
        return float(np.median(self.scores)) if self.scores else 0.0

    @property
    def found(self) -> bool | None:
        """Whether the recording has the mark; None where the detector is not sure."""
        if self.median >= MARKED_LEAST:
            return True
        return False if self.median <= UNMARKED_MOST else None


def detect(blocks: Iterable[Audio], rate_hz: int, most_s: float = float("inf")) -> Detection:
    """Look for the mark in a recording, excerpt by excerpt, one in memory at a time.

    Parameters
    ----------
    blocks
        Mono float32 at `rate_hz`, end to end.
    rate_hz
        Their rate.
    most_s
        Seconds after which it is enough.
    """
    size, scores = round(EXCERPT_S * rate_hz), list[float]()
    held: Audio = np.zeros(0, np.float32)
    for block in gathered(blocks):
        held = np.concatenate([held, block])
        while len(held) >= size and len(scores) * EXCERPT_S < most_s:
            scores.append(score(held[:size], rate_hz))
            held = held[size:]
        if len(scores) * EXCERPT_S >= most_s:
            return Detection(tuple(scores))
    if len(held) >= size / 2 or (not scores and len(held)):
        scores.append(score(held, rate_hz))
    return Detection(tuple(scores))


def _filled(sound: Audio) -> Audio:
    step = _STEP_S * _RATE_HZ
    return np.pad(np.asarray(sound, np.float32), (0, -len(sound) % step))


def _spectrum(sound: Tensor) -> Tensor:
    """Return the short-time spectrum, (1, 1025, frames)."""
    found = torch.stft(
        sound, _FFT, _HOP, window=_window(), pad_mode="constant", return_complex=True
    )
    return found[None]


def _levels(spectrum: Tensor) -> Tensor:
    """Return magnitudes in dB, laid on 0 to 1 as the networks were trained."""
    return (20 * spectrum.abs().clamp_min(1e-9).log10() - _LEAST_DB) / _RANGE_DB


def _mask(levels: Tensor) -> Tensor:
    """Return 1 for frames that hold sound, (1, 1, frames)."""
    fullness = levels.sum(1, keepdim=True)
    return (fullness > _MASKED_UNDER * fullness.amax(2, keepdim=True)).float()


def _network(inputs: Tensor, part: str) -> Tensor:
    """Seven convolutions over time with leaky rectifiers between them."""
    weights, hidden = _weights(), inputs
    for layer in range(_LAYERS):
        kernel = weights[f"{part}.{layer}.conv.weight"]
        bias = weights[f"{part}.{layer}.conv.bias"]
        hidden = conv1d(hidden, kernel, bias, padding=kernel.shape[2] // 2)
        if layer < _LAYERS - 1:
            hidden = leaky_relu(hidden)
    return hidden


@cache
def _window() -> Tensor:
    return torch.hann_window(_FFT)


@cache
def _weights() -> Weights:
    found = importlib.util.find_spec("perth")
    if found is None or not found.submodule_search_locations:
        raise MasteringError(
            "the watermark's weights are missing: install `resemble-perth` (it is in requirements.lock)"
        )
    path = Path(next(iter(found.submodule_search_locations))) / _WEIGHTS
    state: Weights = torch.load(path, map_location="cpu", weights_only=True)["model"]
    return {name: value.float() for name, value in state.items()}
