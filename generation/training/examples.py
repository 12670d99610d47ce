"""Turning teacher passages into examples: tokens by the tokenizer, codes by the `latent` codec."""

import argparse
from pathlib import Path

import numpy as np
import torch

from generation.codec.latent import LATENTS_PER_FRAME, ResidualQuantizer
from generation.tokenizer.model import Tokenizer, load_tokenizer
from generation.training.corpus import load_passage
from generation.training.dataset import Example, save_examples
from generation.weights import load_weights


def teacher_example(
    path: Path, speaker: str, tokenizer: Tokenizer, quantizer: ResidualQuantizer
) -> Example:
    """Tokenize and quantise one teacher passage."""
    passage = load_passage(path)
    latents = torch.from_numpy(passage.latents.astype(np.float32))
    codes = quantizer.encode(latents.reshape(len(latents) // LATENTS_PER_FRAME, -1))
    return Example(
        speaker,
        passage.units.astype(np.int64),
        passage.word_starts.astype(np.int64),
        passage.pointer.astype(np.int64),
        tokenizer.encode(passage.features).numpy(),
        codes.numpy(),
    )


def main() -> None:
    """Write training and validation examples (the first passages by name are kept for validation)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--codebooks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for train.pt and valid.pt")
    parser.add_argument("--valid", type=int, default=3, help="passages kept for validation")
    args = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = load_tokenizer(args.tokenizer)
    quantizer = ResidualQuantizer(load_weights(args.codebooks, "latent").tensors["codebooks"])
    paths = sorted(args.passages.glob("[!.]*.npz"))
    examples = [teacher_example(path, "joe", tokenizer, quantizer) for path in paths]
    save_examples(args.out / "valid.pt", examples[: args.valid])
    save_examples(args.out / "train.pt", examples[args.valid :])


if __name__ == "__main__":
    main()
