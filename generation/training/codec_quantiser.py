"""Fitting the `soundstream` codec's analysis: band completion, perceptual weights, and codebooks.

Codebooks come from k-means on what the books before them left. No gradient is needed, and every code is
alive.
"""

import numpy as np
import torch
from torch import Tensor

from generation.codec.soundstream import SoundStreamModel, nearest
from generation.codec.soundstream_decoder import mel_centres_hz
from generation.rates import HOP_SAMPLES
from generation.training.codec_data import FASTEST, SLOWEST, Clip, cut

VECTORS = 60_000
ITERATIONS = 12
_FULL_BAND_HZ = 10_000.0


def perceptual_weights(mels: int) -> Tensor:
    """Weight of each mel band's error: full up to 4 kHz, falling to 0.35 at the top.

    The bands above carry little of words and of voices (they are what a telephone leaves out).
    """
    centres = mel_centres_hz(mels)[1:-1]
    high = np.interp(centres, [0, 150, 4_000, 8_000, 11_025], [0.5, 1.0, 1.0, 0.6, 0.35])
    return torch.from_numpy(high).float()


def envelopes(model: SoundStreamModel, clips: list[Clip], frames: int, seed: int) -> Tensor:
    """Envelopes of whole clips, resampled at random, until there are `frames` codec frames.

    Returns
    -------
    Tensor
        (at most frames, 2, M) pairs of envelope frames.
    """
    rng = np.random.default_rng(seed)
    found, count = [], 0
    while count < frames:
        clip = clips[int(rng.integers(len(clips)))]
        ratio = float(np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST))))
        length = int(len(clip.waveform) / ratio) // HOP_SAMPLES * HOP_SAMPLES - 8 * HOP_SAMPLES
        crop = cut(clip, ratio, 0.0, min(length, 400 * HOP_SAMPLES))
        envelope = model.envelope(torch.from_numpy(crop.waveform)[None])[0]
        if model.envelope.is_limited(envelope):
            envelope = model.envelope.complete(envelope)
        found.append(envelope.unflatten(0, (-1, 2)))
        count += len(found[-1])
    return torch.cat(found)[:frames]


def k_means(vectors: Tensor, codes: int, iterations: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm; empty clusters restart at the vectors that are served worst.

    Parameters
    ----------
    vectors
        (T, D), T at least `codes`.

    Returns
    -------
    Tensor
        (codes, D).
    """
    book = vectors[torch.randperm(len(vectors), generator=generator)[:codes]].clone()
    for _ in range(iterations):
        index = nearest(vectors, book)
        sums = torch.zeros_like(book).index_add_(0, index, vectors)
        counts = torch.bincount(index, minlength=codes).float()
        error = (vectors - book[index]).square().sum(1)
        book = sums / counts.clamp(min=1)[:, None]
        empty = torch.nonzero(counts == 0)[:, 0]
        if len(empty):
            book[empty] = vectors[error.topk(len(empty)).indices]
    return book


@torch.no_grad()
def fit_analysis(model: SoundStreamModel, clips: list[Clip], seed: int = 0) -> list[float]:
    """Fit everything in front of the decoder, in place.

    Parameters
    ----------
    model
        Its envelope completion, quantiser and the decoder's input statistics are set.
    clips
        Training clips.
    seed
        Of the draw of vectors.

    Returns
    -------
    list of float
        Unweighted RMS error of the envelope in dB after each codebook.
    """
    full = [clip for clip in clips if clip.limit_hz > _FULL_BAND_HZ]
    if full:
        model.envelope.fit_completion(envelopes(model, full, 20_000, seed).flatten(0, 1))
    pairs = envelopes(model, clips, VECTORS, seed + 1)
    quantiser, mels = model.quantiser, model.config.decoder.mels
    model.decoder.mean.copy_(pairs.mean((0, 1)))
    model.decoder.spread.copy_(pairs.std((0, 1)))
    quantiser.mean.copy_(pairs.mean((0, 1)).repeat(2))
    quantiser.metric.copy_(perceptual_weights(mels).repeat(2))
    residual = quantiser.weighted(pairs.flatten(0, 1))
    generator = torch.Generator().manual_seed(seed)
    errors = []
    for place in range(model.config.spectral_books):
        book = k_means(residual, model.config.codes, ITERATIONS, generator)
        quantiser.books[place] = book
        residual = residual - book[nearest(residual, book)]
        log_error = (residual / quantiser.metric).square().mean().sqrt()
        errors.append(float(log_error) * 20 / np.log(10))
    return errors
