"""The pretrained voice's decoder as PyTorch convolutions: bf16 on CPUs that multiply it, or on a GPU.

HiFi-GAN (Kong et al., arXiv 2010.05646) in its small form with two-layer residual blocks. The weights are the
voice's own, handed in by name. Channels are innermost in memory, so that no convolution lays its input
out anew; long latents go through in spans that stay in the cache (AMD EPYC, one core: 9 GFLOP/s fp32 in
ONNX Runtime against 200 in bf16).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

STRIDES = (8, 8, 4)
"""Upsampling of each stage: 256 samples a latent."""

DILATIONS = ((1, 2), (2, 6), (3, 12))
"""Of the two layers of each of a stage's three residual blocks."""

SLOPE = 0.1
LAST_SLOPE = 0.01
"""Of the leaky rectifiers; HiFi-GAN leaves the last one at PyTorch's default."""

SPAN = 256
"""Latents decoded at once on a CPU."""

ROUND = 64
"""Latents are repeated at the end up to a multiple of this: oneDNN keeps a kernel for every length it met."""

REACH = 12
"""Latents on each side that a sample depends on (10.8, by kernels and dilations)."""


class HifiGan:
    """Latents to samples.

    Parameters
    ----------
    weights
        `conv_pre`, `ups.N`, `resblocks.N.convs.M` and `conv_post`, each with `.weight` and, but for the
        last, `.bias`.
    device
        Where to run.
    dtype
        Type of weights and activations; the last layer is fp32.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
    ) -> None:
        self._device, self._dtype = device, dtype
        self._weights = {name: self._laid_out(name, value) for name, value in weights.items()}

    def _laid_out(self, name: str, value: Tensor) -> Tensor:
        value = value.to(
            self._device, torch.float32 if name.startswith("conv_post") else self._dtype
        )
        if value.ndim == 1:
            return value
        return value[:, :, None].contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, latents: Tensor) -> Tensor:
        """Decode (B, T, D) latents to (B, T * 256) samples in fp32, on the CPU."""
        wanted = latents.shape[1]
        latents = _rounded(latents)
        T = latents.shape[1]
        span = SPAN if self._device.type == "cpu" else T
        pieces = []
        for start in range(0, T, span):
            first, end = max(0, start - REACH), min(T, start + span + REACH)
            samples = self._decode(latents[:, first:end].to(self._device, self._dtype))
            hop = samples.shape[1] // (end - first)
            pieces.append(samples[:, (start - first) * hop : (start - first + span) * hop])
        return torch.cat(pieces, 1)[:, : wanted * math.prod(STRIDES)].cpu()

    def _decode(self, latents: Tensor) -> Tensor:
        x = self._conv("conv_pre", latents.transpose(1, 2)[:, :, None])
        for stage, stride in enumerate(STRIDES):
            x = self._upsample(f"ups.{stage}", F.leaky_relu_(x, SLOPE), stride)
            x = self._residual(stage, x)
        x = self._conv("conv_post", F.leaky_relu_(x, LAST_SLOPE).float())
        return x[:, 0, 0].tanh()

    def _residual(self, stage: int, x: Tensor) -> Tensor:
        """Mean of the stage's residual blocks, which all start from `x`."""
        rectified, total = F.leaky_relu(x, SLOPE), torch.zeros_like(x)
        for branch, (near, far) in enumerate(DILATIONS):
            name = f"resblocks.{stage * len(DILATIONS) + branch}.convs"
            y = self._conv(f"{name}.0", rectified, near).add_(x)
            total.add_(y).add_(self._conv(f"{name}.1", F.leaky_relu(y, SLOPE), far))
        return total.div_(len(DILATIONS))

    def _conv(self, name: str, x: Tensor, dilation: int = 1) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
        reach = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, bias, padding=(0, reach), dilation=(1, dilation))

    def _upsample(self, name: str, x: Tensor, stride: int) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        margin = (weight.shape[-1] - stride) // 2
        return F.conv_transpose2d(x, weight, bias, stride=(1, stride), padding=(0, margin))


def _rounded(latents: Tensor) -> Tensor:
    """Repeat the last of (B, T, D) latents until T is a multiple of ROUND."""
    lacking = -latents.shape[1] % ROUND
    return torch.cat([latents, latents[:, -1:].expand(-1, lacking, -1)], 1) if lacking else latents
