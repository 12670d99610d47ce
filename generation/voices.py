"""House voices: a prompt, the codec it speaks through, the weights it needs, and what its data allows.

A voice is one TOML file beside the weights: its consent record, in the words of the licence of the data
it was made from, and the names of its weight files.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from generation.codec import Codec
from generation.codec.latent import LatentCodec
from generation.errors import WeightsError
from generation.rendering import Renderer, VoicePrompt
from generation.soundstorm.decoding import Decoding
from generation.soundstorm.model import SoundStorm, SoundStormConfig
from generation.speechssm.model import SpeechConfig, SpeechSSM
from generation.weights import Weights, load_into, load_weights

WEIGHTS = Path(__file__).parent / "weights"
VOICES = Path(__file__).parent / "house_voices"
DEFAULT_VOICE = "joe"


@dataclass(frozen=True)
class HouseVoice:
    """A voice that ships with Lectern.

    `consent` holds the record that says who the voice belongs to and what its data allows; `codec` is
    `latent` or `soundstream`; `soundstorm` and `prompt` are file names under `generation/weights`.
    """

    name: str
    description: str
    codec: str
    soundstorm: str
    prompt: str
    consent: dict[str, str]


@dataclass(frozen=True)
class Cast:
    """Everything a narration with one voice needs, loaded.

    `digests`: SHA-256 of each weight file's content, by part; `prompt_digest`: of the voice prompt.
    """

    voice: HouseVoice
    reader: SpeechSSM
    renderer: Renderer
    digests: dict[str, str]
    prompt_digest: str


@lru_cache(maxsize=1)
def house_voices() -> dict[str, HouseVoice]:
    """Read the voices that ship, by name."""
    voices = {}
    for path in sorted(VOICES.glob("*.toml")):
        record = tomllib.loads(path.read_text("utf-8"))
        voices[path.stem] = HouseVoice(name=path.stem, **record)
    return voices


def weight_files(voice: HouseVoice) -> dict[str, Path]:
    """Return the weight files that a house voice needs, by part."""
    return {
        "speechssm": WEIGHTS / "speechssm.safetensors",
        "soundstorm": WEIGHTS / voice.soundstorm,
        "codec": WEIGHTS / f"{voice.codec}.safetensors",
        "prompt": WEIGHTS / voice.prompt,
    }


def load_cast(voice: HouseVoice, device: str = "cpu", batch: int = 1, threads: int = 0) -> Cast:
    """Load the models a voice speaks with; raises WeightsError where files are missing or damaged."""
    files = weight_files(voice)
    reader, digest = load_reader(files["speechssm"], device)
    speaker = load_speaker(voice.codec, files, device, batch, threads)
    digests = {"speechssm": digest, **speaker.digests}
    return Cast(voice, reader, speaker.renderer, digests, speaker.prompt_digest)


@dataclass(frozen=True)
class Speaker:
    """What speaks with one voice: SoundStorm, codec and prompt; digests as in `Cast`."""

    renderer: Renderer
    digests: dict[str, str]
    prompt_digest: str


def load_reader(path: Path, device: str = "cpu") -> tuple[SpeechSSM, str]:
    """Load a SpeechSSM and its digest; raises WeightsError where the file cannot be used."""
    weights = load_weights(path, "speechssm")
    reader = SpeechSSM(SpeechConfig.from_dict(weights.config))
    load_into(reader, weights)
    return reader.to(device).eval(), weights.digest


def load_speaker(
    codec_name: str,
    files: Mapping[str, Path],
    device: str = "cpu",
    batch: int = 1,
    threads: int = 0,
) -> Speaker:
    """Load what speaks with a voice from its `soundstorm`, `codec` and `prompt` files."""
    spoken = load_weights(files["soundstorm"], "soundstorm")
    soundstorm = SoundStorm(SoundStormConfig(**spoken.config))
    load_into(soundstorm, spoken)
    codec = load_codec(codec_name, threads, files["codec"])
    prompt = load_weights(files["prompt"], "prompt")
    renderer = Renderer(
        soundstorm.to(device), codec, _prompt(prompt, codec.levels), Decoding(), batch
    )
    return Speaker(renderer, {"soundstorm": spoken.digest, "codec": codec.digest}, prompt.digest)


def prompt_sound(codec_name: str, files: Mapping[str, Path]) -> npt.NDArray[np.float32]:
    """Return a voice's prompt as it sounds through its codec: (N,) at 22.05 kHz."""
    codec = load_codec(codec_name, 1, files["codec"])
    prompt = _prompt(load_weights(files["prompt"], "prompt"), codec.levels)
    return codec.decode(prompt.codes, 0)


def load_codec(name: str, threads: int = 0, path: Path | None = None) -> Codec:
    """Load a codec by the name of its design; raises WeightsError for an unknown one."""
    if name == "latent":
        return LatentCodec.load(path or WEIGHTS / "latent.safetensors", threads)
    raise WeightsError(f"no codec {name!r}: this build has latent")


def _prompt(weights: Weights, levels: int) -> VoicePrompt:
    tokens = weights.tensors["tokens"].to(torch.int64).numpy()
    codes = weights.tensors["codes"].to(torch.int64).numpy()
    if codes.shape[1] != levels:
        raise WeightsError(f"the prompt has {codes.shape[1]} codebooks, the codec {levels}")
    return VoicePrompt(tokens, codes)
