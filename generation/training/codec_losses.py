"""What the codec's decoder is trained against: a spectral energy distance, then discriminators.

The spectral distance compares two renderings with different noise to the recording and to each other
(Gritsenko et al., 2020, arXiv 2008.01160): the term between the two rewards the right amount of
randomness, where a plain spectral distance would teach a muffled mean. Every magnitude carries an
epsilon, and nothing is compared above the band of the recording.
"""

from itertools import pairwise

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
LOUDER = 5.0
"""Gain of waveforms before their judges: speech at `ACTIVE_RMS` is small for fresh layers."""

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


def band_limited(waveforms: Tensor, limits_hz: Tensor) -> Tensor:
    """Cut (B, N) waveforms off at the band limits (B,) of their recordings."""
    bins = torch.fft.rfft(waveforms)
    mask = band_mask(limits_hz, bins.shape[1])[..., 0]
    out: Tensor = torch.fft.irfft(bins * mask, waveforms.shape[1])
    return out


class SpectrumDiscriminator(nn.Module):
    """Judge of compressed magnitudes at one resolution (UnivNet, arXiv 2106.07889, section 2.2).

    Magnitudes alone, because the decoder's pulses start anywhere in a period: features that know the phase
    could not match, and would teach a mean.
    """

    def __init__(self, fft: int, channels: int) -> None:
        super().__init__()
        self.fft, self.hop = fft, fft // 4
        shapes = ((1, 2, 1), (channels, 2, 1), (channels, 2, 2), (channels, 2, 4))
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
        x = ((power + 1e-7) ** 0.15 * band_mask(limits_hz, bins.shape[1]))[:, None]
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.judge(x), features


class PeriodDiscriminator(nn.Module):
    """Judge of every n-th sample (HiFi-GAN, arXiv 2010.05646, section 2.3): pulses and their phases."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = (1, channels, 2 * channels, 4 * channels, 4 * channels)
        self.layers = nn.ModuleList(
            nn.Conv2d(inside, outside, (5, 1), stride=(3, 1), padding=(2, 0))
            for inside, outside in pairwise(widths)
        )
        self.judge = nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Scores of (B, N) waveforms within their band."""
        whole = waveforms.shape[1] // self.period * self.period
        x = waveforms[:, :whole].reshape(len(waveforms), 1, -1, self.period)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        scores: Tensor = self.judge(x)
        return scores


class Discriminators(nn.Module):
    """Judges of spectra at three resolutions and of waveforms at four periods."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.spectra = nn.ModuleList(SpectrumDiscriminator(n, channels) for n in (1024, 512, 256))
        self.periods = nn.ModuleList(PeriodDiscriminator(n, channels) for n in (2, 3, 5, 7))

    def loss(self, real: Tensor, fake: Tensor, limits_hz: Tensor) -> Tensor:
        """Hinge loss of the judges."""
        limits = limits_hz.repeat(2)
        both = torch.cat([real, fake.detach()])
        heard = LOUDER * band_limited(both, limits)
        scores = [judge(both, limits)[0] for judge in self.spectra]
        scores += [judge(heard) for judge in self.periods]
        total = torch.zeros((), device=real.device)
        for score in scores:
            good, bad = score.chunk(2)
            total = total + F.relu(1 - good).mean() + F.relu(1 + bad).mean()
        return total / len(scores)

    def decoder_loss(self, real: Tensor, fake: Tensor, limits_hz: Tensor) -> tuple[Tensor, Tensor]:
        """Adversarial loss of the decoder before all judges, and feature matching of the spectra's."""
        scores = []
        matching = torch.zeros((), device=real.device)
        for judge in self.spectra:
            with torch.no_grad():
                _, wanted = judge(real, limits_hz)
            score, got = judge(fake, limits_hz)
            scores.append(score)
            for a, b in zip(got, wanted, strict=True):
                matching = matching + (a - b).abs().mean() / (b.abs().mean() + 1e-3) / len(got)
        heard = LOUDER * band_limited(fake, limits_hz)
        scores += [judge(heard) for judge in self.periods]
        adversarial = torch.stack([-score.mean() for score in scores]).mean()
        return adversarial, matching / len(self.spectra)
