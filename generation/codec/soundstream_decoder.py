"""The `soundstream` decoder: a source and two filters, all in the short-time spectrum.

Pitch gives a band-limited pulse train and the place a fixed stretch of noise; a ConvNeXt trunk
(Vocos, arXiv 2306.00814) predicts how far the pulses' filter differs, in every bin of every 5.8 ms,
from what the transmitted spectral envelope already says; the noise keeps to the envelope. Before any
training the filters *are* the envelope with minimum phase, as in a classical vocoder (WORLD, Morise
2016), so learning starts from speech, not from noise.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generation.codec.pitch import PITCH_HOP_SAMPLES
from generation.rates import SAMPLE_RATE_HZ

# B batch, F envelope frames (one per 256 samples), M mel bands, D width, K bins, N samples.

ENVELOPE_HOP_SAMPLES = PITCH_HOP_SAMPLES
FFT = 512
HOP = 128
BINS = FFT // 2 + 1
_STEPS = ENVELOPE_HOP_SAMPLES // HOP
_LOG_LIMIT = 4.0
"""Furthest that the filter may leave the envelope, in nepers."""


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of the decoder."""

    mels: int = 80
    width: int = 256
    layers: int = 6
    kernel: int = 7
    expansion: int = 3


def mel_of_hz(hz: float | np.ndarray) -> float | np.ndarray:
    """Mel scale of O'Shaughnessy: 2595 log10(1 + f / 700)."""
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def mel_centres_hz(mels: int) -> np.ndarray:
    """Centres of `mels` triangular bands over the whole spectrum, with both edges: (M + 2,)."""
    top = float(mel_of_hz(SAMPLE_RATE_HZ / 2))
    return np.asarray(700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1))


def mel_filters(mels: int, bins: int) -> Tensor:
    """Triangular filters that average power: (M, bins), each row summing to one."""
    edges = mel_centres_hz(mels)
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, bins)
    rise = (hz[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - hz[None]) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rise, fall))
    # The lowest bands are narrower than a bin: they take the nearest.
    empty = weights.sum(1) < 1e-3
    weights[empty, np.abs(hz[None] - edges[1:-1, None]).argmin(1)[empty]] = 1
    return torch.as_tensor(weights / weights.sum(1, keepdims=True), dtype=torch.float32)


def _unmel(mels: int) -> Tensor:
    """Linear interpolation from band centres to bins: (M, K)."""
    centres = mel_centres_hz(mels)[1:-1]
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, BINS)
    at = np.clip(np.interp(hz, centres, np.arange(mels)), 0, mels - 1)
    low = np.minimum(at.astype(int), mels - 2)
    matrix = np.zeros((mels, BINS))
    matrix[low, np.arange(BINS)] = 1 - (at - low)
    matrix[low + 1, np.arange(BINS)] += at - low
    return torch.from_numpy(matrix).float()


def _minimum_phase() -> Tensor:
    """Matrix (K, K) from a log magnitude to the minimum phase (folding the real cepstrum)."""
    identity = torch.eye(BINS, dtype=torch.float64)
    cepstrum = torch.fft.irfft(identity.to(torch.complex128), FFT)
    fold = torch.zeros(FFT, dtype=torch.float64)
    fold[0] = fold[FFT // 2] = 1
    fold[1 : FFT // 2] = 2
    matrix: Tensor = torch.fft.rfft(cepstrum * fold).imag.float()
    return matrix


def pulses(f0_hz: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor]:
    """Band-limited pulse train of unit power, and its phase.

    Parameters
    ----------
    f0_hz
        (B, F) pitch.
    voiced
        (B, F) in {0, 1}.

    Returns
    -------
    tuple
        Pulses and phase in radians, both (B, 256 F).
    """
    samples = f0_hz.shape[1] * ENVELOPE_HOP_SAMPLES
    f0 = _to_samples(f0_hz, samples)
    gate = _to_samples(voiced, samples)
    phase = torch.cumsum(f0.double() / SAMPLE_RATE_HZ, 1)
    phase = ((phase - torch.floor(phase)) * 2 * torch.pi).float()
    harmonics = torch.floor(0.5 * SAMPLE_RATE_HZ / f0)
    # Dirichlet kernel: a sum of cosines up to Nyquist in closed form.
    low = torch.sin(phase / 2)
    # Within a whole turn the sine is positive; where it vanishes all the cosines are one.
    kernel = torch.sin((harmonics + 0.5) * phase) / (2 * low.clamp_min(5e-4)) - 0.5
    kernel = torch.where(low < 5e-4, harmonics, kernel)
    train: Tensor = kernel * torch.sqrt(2 / harmonics) * gate
    return train, phase


def _to_samples(values: Tensor, samples: int) -> Tensor:
    """Lines between frame centres; frame k is centred on sample 256 k: (B, F) to (B, N)."""
    hop = ENVELOPE_HOP_SAMPLES
    after = torch.cat([values[:, 1:], values[:, -1:]], 1)
    ramp = torch.arange(hop, device=values.device, dtype=values.dtype) / hop
    lines = values[..., None] + (after - values)[..., None] * ramp
    return lines.reshape(len(values), -1)[:, :samples]


def noise(samples: int, seeds: Tensor) -> Tensor:
    """White noise of unit power, a function of (seed, place) alone.

    Parameters
    ----------
    samples
        N.
    seeds
        (B,) int64.

    Returns
    -------
    Tensor
        (B, N), uniform in ±√3: its short-time spectrum is Gaussian all the same.
    """
    at = torch.arange(samples, device=seeds.device)[None] + (seeds[:, None] % 65_521) * 2_654_435
    mask = 0xFFFFFFFF
    # lowbias32, a 32-bit integer hash (Wellons, 2018, "Prospecting for hash functions").
    x = at & mask
    x = (x ^ (x >> 16)) * 0x7FEB352D & mask
    x = (x ^ (x >> 15)) * 0x846CA68B & mask
    x = x ^ (x >> 16)
    return (x.double() / 2**32 - 0.5).float() * 12**0.5


class _Block(nn.Module):
    """ConvNeXt block over time."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, kernel = config.width, config.kernel
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, config.expansion * width)
        self.narrow = nn.Linear(config.expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1 / config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, D) to (B, F, D)."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        y = self.narrow(F.gelu(self.widen(self.norm(y)), approximate="tanh"))
        out: Tensor = x + self.scale * y
        return out


class SourceFilterDecoder(nn.Module):
    """Envelope, pitch and voicing in, waveform out."""

    unmel: Tensor
    min_phase: Tensor
    window: Tensor
    mean: Tensor
    spread: Tensor
    voiced_noise: Tensor

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        mels, width = config.mels, config.width
        self.register_buffer("unmel", _unmel(mels), persistent=False)
        self.register_buffer("min_phase", _minimum_phase(), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)
        self.register_buffer("mean", torch.full((mels,), -8.0))
        self.register_buffer("spread", torch.full((mels,), 2.0))
        # Noise in voiced speech: 22 dB under the envelope at the bottom, 6 dB at the top. A
        # learned filter was worse in the one long run that had it (DNSMOS 2.7, 3.05 without it).
        ramp = torch.linspace(0, 1, BINS) ** 0.7 * 16 - 22
        self.register_buffer("voiced_noise", ramp / 20 * np.log(10), persistent=False)
        self.enter = nn.Conv1d(mels + 3, width, 7, padding=3)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, _STEPS * 2 * BINS)
        nn.init.normal_(self.leave.weight, std=1e-3)
        nn.init.zeros_(self.leave.bias)

    def filters(self, envelope: Tensor, f0_hz: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the filter of the pulses; take the noise's from the envelope.

        Parameters
        ----------
        envelope
            (B, F, M) log amplitude per mel band, of an excitation of unit power.
        f0_hz, voiced
            (B, F).

        Returns
        -------
        tuple
            Complex filter of the pulses and magnitude of the noise, both (B, 2 F, K).
        """
        normal = (envelope - self.mean) / self.spread
        pitch = torch.log(f0_hz / 160) * voiced
        x = torch.cat([normal, pitch[..., None], voiced[..., None], 1 - voiced[..., None]], -1)
        x = self.enter(x.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        out = self.leave(self.norm(x)).unflatten(-1, (_STEPS, 2, BINS)).flatten(1, 2)
        pulse, phase = out.unbind(2)
        base = self._per_step(envelope) @ self.unmel
        pulse_log = base + pulse.clamp(-_LOG_LIMIT, _LOG_LIMIT)
        phase = phase + pulse_log @ self.min_phase
        breath = self._per_step(voiced[..., None]) * self.voiced_noise
        return torch.polar(pulse_log.exp(), phase), (base + breath).exp()

    def _per_step(self, values: Tensor) -> Tensor:
        """Two values per frame, by lines between frames: (B, F, C) to (B, 2 F, C)."""
        after = torch.cat([values[:, 1:], values[:, -1:]], 1)
        return torch.stack([values, (values + after) / 2], 2).flatten(1, 2)

    def spectrum(self, waveform: Tensor) -> Tensor:
        """Short-time spectrum (B, 2 F, K) of (B, N), N a multiple of 256."""
        bins = torch.stft(waveform, FFT, HOP, window=self.window, return_complex=True)
        return bins[..., :-1].transpose(1, 2)

    def synthesise(self, pulse: Tensor, hiss: Tensor, source: Tensor, hush: Tensor) -> Tensor:
        """Filter the pulse train's and the noise's short-time spectra and overlap-add.

        Parameters
        ----------
        pulse, hiss
            Filters of `filters`.
        source, hush
            Short-time spectra of pulses and noise.

        Returns
        -------
        Tensor
            (B, N) waveform.
        """
        bins = (source * pulse + hush * hiss).transpose(1, 2)
        bins = torch.cat([bins, torch.zeros_like(bins[..., :1])], -1)
        samples = (bins.shape[-1] - 1) * HOP
        out: Tensor = torch.istft(bins, FFT, HOP, window=self.window, length=samples)
        return out

    def forward(self, envelope: Tensor, f0_hz: Tensor, voiced: Tensor, seeds: Tensor) -> Tensor:
        """Decode.

        Parameters
        ----------
        envelope
            (B, F, M) log amplitude per mel band.
        f0_hz, voiced
            (B, F).
        seeds
            (B,) int64, the noise of each row.

        Returns
        -------
        Tensor
            (B, 256 F) waveform.
        """
        pulse, hiss = self.filters(envelope, f0_hz, voiced)
        train, _ = pulses(f0_hz, voiced)
        hush = noise(train.shape[1], seeds)
        return self.synthesise(pulse, hiss, self.spectrum(train), self.spectrum(hush))
