"""What the codec's decoder is trained against: a spectral energy distance, then discriminators.

The spectral distance compares two renderings with different noise to the recording and to each other
(Gritsenko et al., 2020, arXiv 2008.01160): the term between the two rewards the right amount of
randomness, where a plain spectral distance would teach a muffled mean. Every magnitude carries an
epsilon, and nothing is compared above the band of the recording.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generation.rates import SAMPLE_RATE_HZ

# B batch, N samples, K bins, L frames of one resolution.

RESOLUTIONS = ((2048, 512), (1024, 256), (512, 128), (256, 64), (128, 32))
"""(FFT, hop) of the spectral distance."""

FLOOR = float(np.exp(-8.5))
LINEAR_WEIGHT = 4.0
_GUARD_HZ = 350.0
"""Bins within this of a recording's band limit are left out: resamplers roll off there."""


def band_mask(limits_hz: Tensor, bins: int) -> Tensor:
    """Weight (B, K, 1) of the bins that a recording holds."""
    hz = torch.linspace(0, SAMPLE_RATE_HZ / 2, bins, device=limits_hz.device)
    edge = limits_hz - torch.where(limits_hz < SAMPLE_RATE_HZ / 2 - 1, _GUARD_HZ, 0.0)
    return (hz[None] <= edge[:, None]).float()[..., None]


def _magnitudes(waveforms: Tensor, fft: int, hop: int) -> Tensor:
    window = torch.hann_window(fft, device=waveforms.device)
    bins = torch.stft(waveforms, fft, hop, window=window, return_complex=True)
    power = (bins.real.square() + bins.imag.square()) / window.square().sum()
    return torch.sqrt(power + FLOOR**2)


def _distance(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean over the band of log and linear differences of magnitudes (B, K, L)."""
    weight = mask / (mask.sum() * a.shape[-1])
    log = (a.log() - b.log()).abs()
    return ((log + LINEAR_WEIGHT * (a - b).abs()) * weight).sum()


def spectral_energy_distance(
    first: Tensor, second: Tensor, target: Tensor, limits_hz: Tensor
) -> tuple[Tensor, Tensor]:
    """Generalised energy distance between renderings and recordings.

    Parameters
    ----------
    first, second
        (B, N) renderings with different noise.
    target
        (B, N) recordings.
    limits_hz
        (B,) band limits of the recordings.

    Returns
    -------
    tuple
        The distance, and its attracting part alone (a plain spectral distance).
    """
    attract = repel = torch.zeros((), device=target.device)
    rows = len(target)
    for fft, hop in RESOLUTIONS:
        with torch.no_grad():
            real = _magnitudes(target, fft, hop)
        both = _magnitudes(torch.cat([first, second]), fft, hop)
        mask = band_mask(limits_hz, real.shape[1])
        a, b = both[:rows], both[rows:]
        attract = attract + 0.5 * (_distance(a, real, mask) + _distance(b, real, mask))
        repel = repel + _distance(a, b, mask)
    count = len(RESOLUTIONS)
    return (attract - 0.5 * repel) / count, attract / count


class SpectrumDiscriminator(nn.Module):
    """Judge of compressed complex spectra at one resolution (EnCodec, arXiv 2210.13438, section 3.4)."""

    def __init__(self, fft: int, channels: int) -> None:
        super().__init__()
        self.fft, self.hop = fft, fft // 4
        shapes = ((2, 1, 1), (channels, 2, 1), (channels, 2, 2), (channels, 2, 4))
        self.layers = nn.ModuleList(
            nn.Conv2d(
                inside,
                channels,
                (7, 3),
                stride=(stride, 1),
                dilation=(1, dilation),
                padding=(3, dilation),
            )
            for inside, stride, dilation in shapes
        )
        self.judge = nn.Conv2d(channels, 1, 3, padding=1)
        self.register_buffer("window", torch.hann_window(fft), persistent=False)

    window: Tensor

    def forward(self, waveforms: Tensor, limits_hz: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores of (B, N) waveforms and the features they came from."""
        bins = torch.stft(waveforms, self.fft, self.hop, window=self.window, return_complex=True)
        power = (bins.real.square() + bins.imag.square()) / self.window.square().sum()
        # Magnitudes to the power of 0.3, phases as they are.
        scale = (power + 1e-7) ** -0.35 / self.window.square().sum().sqrt()
        scale = scale * band_mask(limits_hz, bins.shape[1])
        x = torch.stack([bins.real * scale, bins.imag * scale], 1)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.judge(x), features


class Discriminators(nn.Module):
    """Judges at three resolutions."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.judges = nn.ModuleList(SpectrumDiscriminator(n, channels) for n in (1024, 512, 256))

    def loss(self, real: Tensor, fake: Tensor, limits_hz: Tensor) -> Tensor:
        """Hinge loss of the judges."""
        total = torch.zeros((), device=real.device)
        for judge in self.judges:
            scores, _ = judge(torch.cat([real, fake.detach()]), limits_hz.repeat(2))
            good, bad = scores.chunk(2)
            total = total + F.relu(1 - good).mean() + F.relu(1 + bad).mean()
        return total / len(self.judges)

    def decoder_loss(self, real: Tensor, fake: Tensor, limits_hz: Tensor) -> tuple[Tensor, Tensor]:
        """Adversarial and feature-matching losses of the decoder."""
        adversarial = matching = torch.zeros((), device=real.device)
        for judge in self.judges:
            with torch.no_grad():
                _, wanted = judge(real, limits_hz)
            scores, got = judge(fake, limits_hz)
            adversarial = adversarial + F.relu(1 - scores).mean()
            for a, b in zip(got, wanted, strict=True):
                matching = matching + (a - b).abs().mean() / (b.abs().mean() + 1e-3) / len(got)
        return adversarial / len(self.judges), matching / len(self.judges)
