"""Teacher passages to token streams for textless training: contiguous minutes that do not know their end.

A passage's features were taken from its speech alone, so its last window heard the end. That window is made
again from the teacher's own latents, filled up with the passage's start (`generation.longform.endless`). Of
examples, whose sound is gone, all that the last window heard is dropped instead: up to 28 s each.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generation.codec.latent import LATENT_HOP_SAMPLES, LatentDecoder
from generation.longform.endless import Ints, last_window_s, without_end
from generation.rates import TOKEN_SAMPLES, tokens_in, tokens_to_s
from generation.tokenizer.features import OVERLAP_S, WINDOW_S, encoder_features
from generation.tokenizer.model import Tokenizer, load_tokenizer
from generation.training.corpus import Passage, load_passage
from generation.training.dataset import load_examples

_LATENTS = TOKEN_SAMPLES // LATENT_HOP_SAMPLES


def passage_tokens(passage: Passage, tokenizer: Tokenizer, decoder: LatentDecoder) -> Ints:
    """Tokens of a passage, without its last 10 s and as if it went on after them."""
    length = len(passage.pointer)
    first = tokens_in(last_window_s(tokens_to_s(length)))
    lacking = max(0, tokens_in(WINDOW_S) - (length - first))
    latents = np.concatenate(
        [passage.latents[first * _LATENTS :], passage.latents[: lacking * _LATENTS]]
    )
    heard = encoder_features(decoder(torch.from_numpy(latents.astype(np.float32))[None])[0].numpy())
    # As everywhere, the first half of an overlap stays with the earlier window.
    shared = tokens_in(OVERLAP_S) // 2 if first else 0
    encoder = passage.features.encoder.copy()
    encoder[first + shared :] = heard[shared : length - first]
    return without_end(tokenizer.encode(replace(passage.features, encoder=encoder)).numpy())


def example_tokens(tokens: Ints) -> Ints:
    """Keep of (T,) tokens what no window has said that heard the end."""
    last_s = last_window_s(tokens_to_s(len(tokens)))
    return tokens[: tokens_in(last_s + OVERLAP_S / 2) if last_s else 0]


def save_streams(path: Path, streams: dict[str, Ints]) -> None:
    """Write token streams by name to an `.npz` file, whole or not at all."""
    partial = path.with_suffix(".part.npz")
    arrays: dict[str, Any] = {name: tokens.astype(np.int16) for name, tokens in streams.items()}
    np.savez(partial, **arrays)
    partial.rename(path)


def load_streams(path: Path) -> dict[str, Ints]:
    """Read what `save_streams` wrote."""
    with np.load(path) as data:
        return {name: data[name].astype(np.int64) for name in data.files}


def passage_streams(folder: Path, tokenizer_weights: Path) -> dict[str, Ints]:
    """Make the streams of a folder of passages, by file name."""
    tokenizer, decoder = load_tokenizer(tokenizer_weights), LatentDecoder()
    streams: dict[str, Ints] = {}
    for path in sorted(folder.glob("[!.]*[0-9].npz")):
        streams[path.stem] = passage_tokens(load_passage(path), tokenizer, decoder)
        print(f"{path.stem}: {tokens_to_s(len(streams[path.stem])) / 60:.1f} min", flush=True)
    return streams


def main() -> None:
    """Write streams from the command line: of passages with their sound, or of examples as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--passages", type=Path, help="folder of teacher passages")
    source.add_argument("--examples", type=Path, help="examples (.pt)")
    parser.add_argument("--tokenizer", type=Path, help="weights, for passages")
    parser.add_argument("--out", type=Path, required=True, help="streams to write (.npz)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.examples:
        examples = enumerate(load_examples(args.examples))
        streams = {f"{number:05}": example_tokens(example.tokens) for number, example in examples}
    else:
        streams = passage_streams(args.passages, args.tokenizer)
    save_streams(args.out, streams)


if __name__ == "__main__":
    main()
