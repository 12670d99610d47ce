"""The pretrained voice's decoder in PyTorch says what it says in ONNX Runtime, in spans as at once."""

import pytest
import torch

from generation.codec import hifigan
from generation.codec.hifigan import ROUND, HifiGan
from generation.codec.latent import LatentDecoder, decoder_weights
from generation.voices import WEIGHTS
from generation.weights import load_weights


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    """Latents of the shipped prompt: (1, 260, 192)."""
    torch.set_num_threads(1)
    books = load_weights(WEIGHTS / "latent.safetensors", "latent").tensors["codebooks"]
    codes = load_weights(WEIGHTS / "prompt-joe.safetensors", "prompt").tensors["codes"].long()
    summed = torch.stack([book[codes[:, q]] for q, book in enumerate(books)]).sum(0)
    return summed.reshape(1, -1, 192)


def by_onnx_runtime(latents: torch.Tensor) -> torch.Tensor:
    """Decode latents that go on after their end, up to the length the decoder rounds to."""
    lacking = -latents.shape[1] % ROUND
    assert lacking, "rounding is to be tested too"
    longer = torch.cat([latents, latents[:, -1:].expand(-1, lacking, -1)], 1)
    return LatentDecoder()(longer)[:, : latents.shape[1] * 256]


def test_it_decodes_as_onnx_runtime_does(
    latents: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = by_onnx_runtime(latents)
    for span in (64, 1000):
        monkeypatch.setattr(hifigan, "SPAN", span)
        decoder = HifiGan(decoder_weights(), torch.device("cpu"), torch.float32)
        torch.testing.assert_close(decoder(latents), reference, rtol=0, atol=1e-5)


def test_bf16_stays_35_db_under_the_speech(latents: torch.Tensor) -> None:
    reference = by_onnx_runtime(latents)
    heard = HifiGan(decoder_weights(), torch.device("cpu"), torch.bfloat16)(latents)
    power = reference.square().mean() / (reference - heard).square().mean()
    assert heard.shape == reference.shape
    assert 10 * power.log10() > 35
