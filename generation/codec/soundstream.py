"""The `soundstream` codec: any voice in, codes at 43.07 frames a second, waveform out.

What is transmitted is not learned from nothing: it is pitch, voicing and a spectral envelope, the latter
under residual vector quantisation (SoundStream, arXiv 2107.03312, section 3.3) with codebooks fitted by
k-means in a perceptually weighted space. What is learned is the decoder, which turns them into speech.

    stream 0    coarse spectrum: what is said, and how loud
    stream 1    pitch and voicing
    stream 2 …  what is left of the spectrum, coarse to fine: who says it, and where
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from generation.codec.pitch import PITCH_CODES, Pitch, pitch_codes, pitch_of_codes, track_pitch
from generation.codec.soundstream_decoder import (
    ENVELOPE_HOP_SAMPLES,
    FFT,
    DecoderConfig,
    SourceFilterDecoder,
    mel_centres_hz,
    mel_filters,
)
from generation.codec.timbre import Timbre
from generation.errors import VoicePromptError, WeightsError
from generation.rates import HOP_SAMPLES
from generation.weights import load_into, load_weights, save_weights

# B batch, T codec frames, F = 2 T envelope frames, M mel bands, Q codebooks, V codes, N samples.

DESIGN = "soundstream"

Floats = npt.NDArray[np.float32]

PITCH_STREAM = 1
"""Place of the pitch among the streams of codes."""

ACTIVE_RMS = 0.08
"""Level (RMS over active speech, full scale 1) to which every voice is brought before encoding."""

FLOOR_LOG = -9.0
"""Log amplitude of the quiet below which spectra are not told apart: 56 dB under `ACTIVE_RMS`."""

LIMITED_HZ = 7_600.0
"""Bands centred above this are completed in recordings that hold nothing there (16 kHz sources)."""

BEAM = 8
"""Partial codings kept per frame while encoding: 6 % less error than the greedy choice."""

_FRAMES_PER_CODE = HOP_SAMPLES // ENVELOPE_HOP_SAMPLES
_ACTIVE_RANGE_DB = 35.0
_PROBE_HZ = 8_300.0


@dataclass(frozen=True)
class SoundStreamConfig:
    """Sizes of the codec.

    Attributes
    ----------
    spectral_books
        Codebooks of the spectrum; with the pitch, one more stream.
    codes
        Codes per codebook.
    decoder
        Sizes of the decoder.
    """

    spectral_books: int = 7
    codes: int = 1024
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SoundStreamConfig":
        """Rebuild from `asdict`'s output; unknown keys are an error."""
        return cls(**{**values, "decoder": DecoderConfig(**values["decoder"])})


def active_level(waveform: Floats) -> float:
    """RMS over active speech: frames of 512 samples within 35 dB of the loudest.

    Parameters
    ----------
    waveform
        (N,) float32.
    """
    count = max(1, len(waveform) // HOP_SAMPLES)
    frames = np.resize(waveform, count * HOP_SAMPLES) if len(waveform) < HOP_SAMPLES else waveform
    power = (frames[: count * HOP_SAMPLES].reshape(count, -1).astype(np.float64) ** 2).mean(1)
    active = power > power.max() * 10 ** (-_ACTIVE_RANGE_DB / 10)
    return float(np.sqrt(power[active].mean())) if active.any() else 0.0


class Envelope(nn.Module):
    """Spectral envelope of a waveform: log amplitude per mel band, two frames per codec frame."""

    filters: Tensor
    window: Tensor
    completion: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        centres = mel_centres_hz(mels)[1:-1]
        self.known = int((centres < LIMITED_HZ).sum())
        self.probe = int((centres < _PROBE_HZ).sum())
        self.register_buffer("filters", mel_filters(mels, FFT // 2 + 1), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)
        # Bands above LIMITED_HZ from those below and one: fitted on full-band voices.
        self.register_buffer("completion", torch.zeros(self.known + 1, mels - self.known))

    def forward(self, waveform: Tensor) -> Tensor:
        """(B, N), N a multiple of 512, to (B, F, M) log amplitudes per unit of excitation power."""
        bins = torch.stft(
            waveform, FFT, ENVELOPE_HOP_SAMPLES, window=self.window, return_complex=True
        )[..., :-1]
        power = (bins.real**2 + bins.imag**2).transpose(1, 2) / self.window.square().sum()
        return 0.5 * torch.log(power @ self.filters.T + np.exp(2 * FLOOR_LOG))

    def is_limited(self, envelope: Tensor) -> bool:
        """Whether a whole recording (F, M) holds nothing above 8 kHz."""
        return bool(envelope[:, self.probe :].amax(-1).quantile(0.95) < FLOOR_LOG + 1.0)

    def complete(self, envelope: Tensor) -> Tensor:
        """Fill (..., F, M) above `LIMITED_HZ` with what the bands below let one expect."""
        low = envelope[..., : self.known]
        one = torch.ones_like(low[..., :1])
        return torch.cat([low, torch.cat([low, one], -1) @ self.completion], -1)

    def fit_completion(self, envelopes: Tensor, ridge: float = 1e-2) -> None:
        """Fit the completion by ridge regression on full-band frames (F, M)."""
        low = torch.cat([envelopes[:, : self.known], torch.ones(len(envelopes), 1)], 1).double()
        high = envelopes[:, self.known :].double()
        gram = low.T @ low / len(low) + ridge * torch.eye(low.shape[1], dtype=torch.float64)
        self.completion.copy_(torch.linalg.solve(gram, low.T @ high / len(low)).float())


class ResidualQuantiser(nn.Module):
    """Residual vector quantisation of envelopes, two frames at a time, in a weighted space."""

    books: Tensor
    metric: Tensor
    mean: Tensor

    def __init__(self, books: int, codes: int, mels: int) -> None:
        super().__init__()
        size = _FRAMES_PER_CODE * mels
        self.register_buffer("books", torch.zeros(books, codes, size))
        self.register_buffer("metric", torch.ones(size))
        self.register_buffer("mean", torch.zeros(size))

    def weighted(self, envelope: Tensor) -> Tensor:
        """Bring (2 T, M) log amplitudes to (T, 2 M) vectors of the weighted space."""
        return (envelope.reshape(-1, self.mean.shape[0]) - self.mean) * self.metric

    def encode(self, envelope: Tensor, books: int | None = None, beam: int = BEAM) -> Tensor:
        """Quantise (2 T, M) to (T, books) codes, by a beam search over the first (or all) books.

        Each book codes what the ones before left; `beam` partial codings of each frame are kept.
        """
        residual = self.weighted(envelope)[:, None]
        codes = torch.zeros(len(residual), 1, 0, dtype=torch.long, device=residual.device)
        for book in self.books[:books]:
            residual, codes = _extend(residual, codes, book, beam)
        return codes[:, 0]

    def decode(self, codes: Tensor) -> Tensor:
        """Sum (T, n) codes of the first n books to (2 T, M) log amplitudes."""
        total = torch.zeros(len(codes), self.books.shape[-1], device=codes.device)
        for place in range(codes.shape[-1]):
            total = total + self.books[place][codes[:, place]]
        pairs = total / self.metric + self.mean
        return pairs.reshape(_FRAMES_PER_CODE * len(codes), -1)


def _extend(residual: Tensor, codes: Tensor, book: Tensor, beam: int) -> tuple[Tensor, Tensor]:
    """Extend partial codings (T, K, n) and what they leave (T, K, D) by one book (V, D)."""
    kept = min(beam, residual.shape[1] * len(book))
    cross = 0.5 * book.square().sum(1) - residual @ book.T
    error = (cross + 0.5 * residual.square().sum(-1, keepdim=True)).reshape(len(residual), -1)
    best = error.topk(kept, largest=False).indices
    source, code = best // len(book), best % len(book)
    spread = source[..., None]
    residual = residual.gather(1, spread.expand(-1, -1, residual.shape[-1])) - book[code]
    codes = codes.gather(1, spread.expand(-1, -1, codes.shape[-1]))
    return residual, torch.cat([codes, code[..., None]], -1)


def nearest(vectors: Tensor, book: Tensor, chunk: int = 16_384) -> Tensor:
    """Index (T,) of the nearest code (Euclidean) in `book` (V, D) to each of `vectors` (T, D)."""
    half = 0.5 * book.square().sum(1)
    parts = [
        torch.addmm(half, vectors[at : at + chunk], book.T, alpha=-1).argmin(1)
        for at in range(0, len(vectors), chunk)
    ]
    return torch.cat(parts)


class SoundStreamModel(nn.Module):
    """Everything that is fitted or trained: envelope completion, quantiser and decoder."""

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        mels = config.decoder.mels
        self.config = config
        self.envelope = Envelope(mels)
        self.quantiser = ResidualQuantiser(config.spectral_books, config.codes, mels)
        self.decoder = SourceFilterDecoder(config.decoder)


class SoundStreamCodec:
    """Waveform to codes and back, for any voice.

    Examples
    --------
    >>> codec = SoundStreamCodec.load(Path("soundstream.safetensors"))  # doctest: +SKIP
    >>> codes = codec.encode(waveform)          # (T, Q) int64  # doctest: +SKIP
    >>> again = codec.decode(codes)             # (512 T,) float32  # doctest: +SKIP
    """

    def __init__(
        self,
        model: SoundStreamModel,
        digest: str = "",
        levels: int | None = None,
        timbre: Timbre | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self._digest = digest
        self._levels = model.config.spectral_books + 1 if levels is None else levels
        self._timbre = timbre and timbre.to(model.quantiser.books.device)

    @classmethod
    def load(cls, path: Path, device: str = "cpu", levels: int | None = None) -> "SoundStreamCodec":
        """Load weights.

        Parameters
        ----------
        path, device
            Where they are, and where they go.
        levels
            Streams to use, from the coarsest: fewer cost less to predict and say less of the voice
            (docs/voices.md). All where None.

        Raises
        ------
        WeightsError
            The file is missing, damaged, of another design, or holds fewer streams.
        """
        weights = load_weights(path, DESIGN)
        try:
            model = SoundStreamModel(SoundStreamConfig.from_json(weights.config))
        except TypeError as error:
            raise WeightsError(
                f"{path} was made by another version of this codec: {error}"
            ) from error
        load_into(model, weights)
        most = model.config.spectral_books + 1
        if levels is not None and not PITCH_STREAM < levels <= most:
            raise WeightsError(f"{path} holds 2 to {most} streams, not {levels}")
        return cls(model.to(device), weights.digest, levels)

    def save(self, path: Path) -> str:
        """Write weights in half precision; return their digest."""
        return save_weights(path, DESIGN, asdict(self.model.config), self.model.state_dict())

    @property
    def name(self) -> str:
        """Name of the design."""
        return DESIGN

    @property
    def digest(self) -> str:
        """SHA-256 of the weights; empty before they are saved."""
        return self._digest

    @property
    def levels(self) -> int:
        """Number of streams used, Q."""
        return self._levels

    @property
    def codebook_size(self) -> int:
        """Codes per stream, V."""
        return self.model.config.codes

    def code_vectors(self) -> Tensor:
        """What each code stands for, (Q, V, 2 M + 3): the vectors of a frame's codes add up.

        Spectrum in the quantiser's weighted space; then the pitch's logarithm and the voicing of both halves,
        as far from each other as coarse spectra are.
        """
        books = self.model.quantiser.books[: self.levels - 1]
        spread = float(books[0].var(0).sum()) ** 0.5
        codes = np.arange(self.codebook_size)
        track = pitch_of_codes(codes)
        log_f0 = np.log(track.f0_hz.reshape(-1, 2).mean(1))
        log_f0[0] = log_f0.mean()  # unvoiced
        pitch = np.concatenate(
            [(log_f0 - log_f0.mean())[:, None], track.voiced.reshape(-1, 2)], 1
        ).astype(np.float32)
        pitch /= np.sqrt(pitch.var(0).sum())
        spectral = torch.nn.functional.pad(books, (0, pitch.shape[1]))
        heard = torch.nn.functional.pad(torch.from_numpy(pitch) * spread, (books.shape[-1], 0)).to(
            books.device
        )
        return torch.cat([spectral[:PITCH_STREAM], heard[None], spectral[PITCH_STREAM:]])

    def tuned(self, timbre: Timbre | None) -> "SoundStreamCodec":
        """Return this codec, decoding in a timbre, or without one: the weights are shared."""
        return SoundStreamCodec(self.model, self._digest, self._levels, timbre)

    def encode(self, waveform: Floats) -> npt.NDArray[np.int64]:
        """Encode speech; its level is brought to `ACTIVE_RMS` first.

        Parameters
        ----------
        waveform
            (N,) float32 at 22.05 kHz.

        Returns
        -------
        ndarray
            (T, Q) int64, T = N // 512.

        Raises
        ------
        VoicePromptError
            The waveform is empty, silent, or not finite.
        """
        levelled = _levelled(waveform)
        spectral = self.model.quantiser.encode(self._spectrum(levelled), self.levels - 1)
        pitch = pitch_codes(track_pitch(levelled))
        return np.insert(spectral.cpu().numpy(), PITCH_STREAM, pitch, axis=1)

    def spectrum(self, waveform: Floats) -> Tensor:
        """Return the envelope (2 T, M) that `encode` quantises; raises as that does."""
        return self._spectrum(_levelled(waveform))

    def _spectrum(self, levelled: Floats) -> Tensor:
        device = self.model.quantiser.books.device
        envelope: Tensor = self.model.envelope(torch.from_numpy(levelled)[None].to(device))[0]
        if self.model.envelope.is_limited(envelope):
            envelope = self.model.envelope.complete(envelope)
        return envelope

    def spectrum_of(self, codes: npt.NDArray[np.int64]) -> Tensor:
        """Return the envelope (2 T, M) that codes (T, Q) stand for, before any timbre."""
        spectral = torch.from_numpy(np.delete(codes, PITCH_STREAM, axis=1))
        return self.model.quantiser.decode(spectral.to(self.model.quantiser.books.device))

    def decode(self, codes: npt.NDArray[np.int64], seed: int = 0) -> Floats:
        """Decode one window.

        Parameters
        ----------
        codes
            (T, Q) codes; fewer streams, at least two, may be given: the spectrum is then coarser.
        seed
            Of the noise in the excitation.

        Returns
        -------
        ndarray
            (512 T,) float32.
        """
        return self._decode(codes, seed)

    def decode_batch(self, batch: Sequence[npt.NDArray[np.int64]], seed: int = 0) -> list[Floats]:
        """Decode several windows, each as `decode` would.

        They are decoded one at a time, so that each is the same to the bit whatever its neighbours.
        """
        return [self._decode(codes, seed) for codes in batch]

    def _decode(self, codes: npt.NDArray[np.int64], seed: int) -> Floats:
        streams = codes.shape[1]
        if not PITCH_STREAM < streams <= self.levels:
            raise ValueError(f"{streams} streams of codes; this codec has 2 to {self.levels}")
        if len(codes) == 0:
            return np.zeros(0, np.float32)
        if codes.min() < 0 or codes.max() >= min(self.codebook_size, PITCH_CODES):
            raise ValueError(f"codes outside [0, {self.codebook_size})")
        pitch = pitch_of_codes(codes[:, PITCH_STREAM])
        device = self.model.quantiser.books.device
        with torch.inference_mode():
            envelope = self.spectrum_of(codes)
            if self._timbre is not None:
                envelope = self._timbre(envelope)
            f0, voiced = pitch_tensors([pitch])
            seeds = torch.tensor([seed], device=device)
            out = self.model.decoder(envelope[None], f0.to(device), voiced.to(device), seeds)
        return np.asarray(out[0].cpu().numpy())


def _levelled(waveform: Floats) -> Floats:
    """Cut to whole frames and bring to `ACTIVE_RMS`; raises VoicePromptError where nothing is said."""
    waveform = np.asarray(waveform, np.float32)
    level = active_level(waveform) if len(waveform) and np.isfinite(waveform).all() else 0.0
    if level < 1e-5:
        raise VoicePromptError(
            f"there is no speech to encode: {len(waveform)} samples, empty, silent or not finite"
        )
    whole = len(waveform) // HOP_SAMPLES * HOP_SAMPLES
    if whole < 2 * HOP_SAMPLES:
        raise VoicePromptError("there is no speech to encode: shorter than two codec frames")
    return waveform[:whole] * np.float32(ACTIVE_RMS / level)


def pitch_tensors(pitches: Sequence[Pitch]) -> tuple[Tensor, Tensor]:
    """Pitch (B, F) in Hz and voicing (B, F) in {0, 1} of rows of one length."""
    f0 = torch.from_numpy(np.stack([p.f0_hz for p in pitches]))
    voiced = torch.from_numpy(np.stack([p.voiced for p in pitches]).astype(np.float32))
    return f0, voiced
