"""Teacher passages to token streams for textless training: contiguous minutes that do not know their end.

A passage's features were taken from its speech alone, so its last window heard the end. That window is made
again from the teacher's own latents, filled up with the passage's start (`generation.longform.endless`).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from generation.codec.latent import LATENT_HOP_SAMPLES, LatentDecoder
from generation.longform.endless import Ints, last_window_s, without_end
from generation.rates import TOKEN_SAMPLES, tokens_in, tokens_to_s
from generation.tokenizer.features import OVERLAP_S, WINDOW_S, encoder_features
from generation.tokenizer.model import Tokenizer, load_tokenizer
from generation.training.corpus import Passage, load_passage

_LATENTS = TOKEN_SAMPLES // LATENT_HOP_SAMPLES


def passage_tokens(passage: Passage, tokenizer: Tokenizer, decoder: LatentDecoder) -> Ints:
    """Tokens of a passage, without its last 10 s and as if it went on after them."""
    length = len(passage.pointer)
    first = tokens_in(last_window_s(tokens_to_s(length)))
    lacking = max(0, tokens_in(WINDOW_S) - (length - first))
    latents = np.concatenate([passage.latents[first * _LATENTS :], passage.latents[: lacking * _LATENTS]])
    heard = encoder_features(decoder(latents.astype(np.float32)[None])[0])
    # As everywhere, the first half of an overlap stays with the earlier window.
    shared = tokens_in(OVERLAP_S) // 2 if first else 0
    encoder = passage.features.encoder.copy()
    encoder[first + shared :] = heard[shared : length - first]
    return without_end(tokenizer.encode(replace(passage.features, encoder=encoder)).numpy())


def save_streams(path: Path, streams: dict[str, Ints]) -> None:
    """Write token streams by name to an `.npz` file, whole or not at all."""
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **{name: tokens.astype(np.int16) for name, tokens in streams.items()})
    partial.rename(path)


def load_streams(path: Path) -> dict[str, Ints]:
    """Read what `save_streams` wrote."""
    with np.load(path) as data:
        return {name: data[name].astype(np.int64) for name in data.files}


def main() -> None:
    """Write training and validation streams (the first passages by name are kept for validation)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for train.npz and valid.npz")
    parser.add_argument("--valid", type=int, default=3, help="passages kept for validation")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer, decoder = load_tokenizer(args.tokenizer), LatentDecoder(threads=1)
    streams: dict[str, Ints] = {}
    for path in sorted(args.passages.glob("[!.]*[0-9].npz")):
        streams[path.stem] = passage_tokens(load_passage(path), tokenizer, decoder)
        print(f"{path.stem}: {tokens_to_s(len(streams[path.stem])) / 60:.1f} min", flush=True)
    names = list(streams)
    save_streams(args.out / "valid.npz", {name: streams[name] for name in names[: args.valid]})
    save_streams(args.out / "train.npz", {name: streams[name] for name in names[args.valid :]})


if __name__ == "__main__":
    main()
