"""From a training's checkpoint to the weights that ship, and the prompt of a voice."""

import argparse
from pathlib import Path

import torch

from generation.codec.soundstream import SoundStreamCodec
from generation.prompt import check, make_prompt, read_recording, save_prompt
from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS
from generation.soundstorm.model import soundstorm_config
from generation.speechssm.presets import speech_config
from generation.tokenizer.model import load_tokenizer
from generation.training.dataset import load_examples
from generation.training.loop import averaged_weights
from generation.training.soundstorm import soundstorm_weights
from generation.weights import save_weights


def main() -> None:
    """Write weight files from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the weight files")
    parser.add_argument("--voice", required=True)
    parser.add_argument("--codes", type=int, required=True, help="semantic codes of the tokenizer")
    parser.add_argument("--levels", type=int, required=True, help="codebooks of the codec")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--speechssm", type=Path, help="folder of its run")
    parser.add_argument("--soundstorm", type=Path, help="folder of its run")
    parser.add_argument("--examples", type=Path, help="examples of the voice, for its prompt")
    parser.add_argument("--example", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="first token of the prompt")
    parser.add_argument("--prompt", type=Path, help="a recording of the voice, for its prompt")
    args = parser.parse_args()
    if args.speechssm:
        config = speech_config(args.preset, args.codes).to_dict()
        path = args.out / "speechssm.safetensors"
        print(path, save_weights(path, "speechssm", config, averaged_weights(args.speechssm)))
    if args.soundstorm:
        shape = soundstorm_config(args.preset, args.codes, args.levels).to_json()
        path = args.out / f"soundstorm-{args.voice}.safetensors"
        print(path, save_weights(path, "soundstorm", shape, soundstorm_weights(args.soundstorm)))
    if args.examples:
        example = load_examples(args.examples)[args.example]
        stop = args.start + PROMPT_TOKENS
        frames = slice(args.start * FRAMES_PER_TOKEN, stop * FRAMES_PER_TOKEN)
        prompt = {
            "tokens": torch.from_numpy(example.tokens[args.start : stop]),
            "codes": torch.from_numpy(example.codes[frames, : args.levels].copy()),
        }
        path = args.out / f"prompt-{args.voice}.safetensors"
        print(path, save_weights(path, "prompt", {"voice": args.voice}, prompt))
    if args.prompt:
        codec = SoundStreamCodec.load(args.out / "soundstream.safetensors", levels=args.levels)
        tokenizer = load_tokenizer(args.out / "tokenizer.safetensors")
        checked = check(read_recording(args.prompt))
        path = args.out / f"prompt-{args.voice}.safetensors"
        made = make_prompt(checked, tokenizer, codec)
        print(path, save_prompt(path, made, checked.recording.digest))


if __name__ == "__main__":
    main()
