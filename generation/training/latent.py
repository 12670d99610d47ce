"""Training the `latent` codec's codebooks: residual k-means on pairs of the pretrained voice's latents."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generation.codec.latent import LATENTS_PER_FRAME, nearest
from generation.training.corpus import load_passage
from generation.weights import save_weights

LEVELS, CODES = 3, 1024
ROUNDS = 14


def k_means(vectors: Tensor, count: int, rounds: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm: `count` centres (count, D) of `vectors` (N, D); empty ones are drawn again."""
    picked = torch.randperm(len(vectors), generator=generator)[:count]
    centres = vectors[picked].clone()
    for _ in range(rounds):
        owner = nearest(vectors, centres)
        members = torch.bincount(owner, minlength=count).float()
        sums = torch.zeros_like(centres).index_add_(0, owner, vectors)
        centres = sums / members.clamp_min(1)[:, None]
        empty = (members == 0).nonzero()[:, 0]
        fresh = torch.randint(len(vectors), (len(empty),), generator=generator)
        centres[empty] = vectors[fresh]
    return centres


def train_codebooks(
    frames: Tensor, levels: int, codes: int, seed: int = 0
) -> tuple[Tensor, list[float]]:
    """Fit each level on what the ones before left; return (Q, V, D) and the share of variance left."""
    generator = torch.Generator().manual_seed(seed)
    residual, books, left = frames, [], []
    variance = (frames - frames.mean(0)).square().sum()
    for _ in range(levels):
        book = k_means(residual, codes, ROUNDS, generator)
        residual = residual - book[nearest(residual, book)]
        books.append(book)
        left.append(float(residual.square().sum() / variance))
    return torch.stack(books), left


def load_frames(paths: Sequence[Path], limit: int, seed: int = 0) -> Tensor:
    """Read latents of passages as codec frames (N, 384), at most `limit` of them at random."""
    parts = []
    for path in paths:
        latents = load_passage(path).latents.astype(np.float32)
        parts.append(torch.from_numpy(latents.reshape(len(latents) // LATENTS_PER_FRAME, -1)))
    frames = torch.cat(parts)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(seed))
    return frames[order[:limit]]


def main() -> None:
    """Train from the command line and write the codebooks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=Path, required=True, help="folder of teacher passages")
    parser.add_argument("--weights", type=Path, required=True, help="file to write")
    parser.add_argument("--frames", type=int, default=120_000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    frames = load_frames(sorted(args.passages.glob("*.npz")), args.frames)
    books, left = train_codebooks(frames, LEVELS, CODES)
    digest = save_weights(args.weights, "latent", {"voice": "joe"}, {"codebooks": books})
    print(f"variance left by level {left}; wrote {args.weights}, digest {digest}")


if __name__ == "__main__":
    main()
