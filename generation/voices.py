"""House voices: a prompt, the codec it speaks through, the weights it needs, and what its data allows.

A voice is one TOML file beside the weights: its consent record, in the words of the licence of the data
it was made from, and the names of its weight files.
"""

import os
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from generation.codec import Codec
from generation.codec.latent import LatentCodec
from generation.errors import WeightsError
from generation.rendering import Renderer, VoicePrompt
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


def load_cast(voice: HouseVoice, device: str = "cpu", batch: int = 1, threads: int = 0) -> Cast:
    """Load the models a voice speaks with; raises WeightsError where files are missing or damaged.

    Parameters
    ----------
    voice
        Whose.
    device
        Where they run. On a CPU every matrix product of this process gets one thread from here on:
        windows are rendered beside each other instead.
    batch
        Windows filled at once.
    threads
        Windows (batches of them) rendered beside each other; 0 for one a core, on a GPU one.
    """
    if device == "cpu":
        torch.set_num_threads(1)
        threads = threads or len(os.sched_getaffinity(0))
    read = load_weights(WEIGHTS / "speechssm.safetensors", "speechssm")
    reader = SpeechSSM(SpeechConfig.from_dict(read.config))
    load_into(reader, read)
    spoken = load_weights(WEIGHTS / voice.soundstorm, "soundstorm")
    soundstorm = SoundStorm(SoundStormConfig(**spoken.config))
    load_into(soundstorm, spoken)
    codec, prompt = load_codec(voice.codec, device), load_weights(WEIGHTS / voice.prompt, "prompt")
    renderer = Renderer(
        soundstorm.to(device),
        codec,
        _prompt(prompt, codec.levels),
        batch=batch,
        threads=max(1, threads),
    )
    digests = {"speechssm": read.digest, "soundstorm": spoken.digest, "codec": codec.digest}
    return Cast(voice, reader.to(device).eval(), renderer, digests, prompt.digest)


def load_codec(name: str, device: str = "cpu") -> Codec:
    """Load a codec by the name of its design; raises WeightsError for an unknown one."""
    if name == "latent":
        return LatentCodec.load(WEIGHTS / "latent.safetensors", device)
    raise WeightsError(f"no codec {name!r}: this build has latent")


def _prompt(weights: Weights, levels: int) -> VoicePrompt:
    tokens = weights.tensors["tokens"].to(torch.int64).numpy()
    codes = weights.tensors["codes"].to(torch.int64).numpy()
    if codes.shape[1] != levels:
        raise WeightsError(f"the prompt has {codes.shape[1]} codebooks, the codec {levels}")
    return VoicePrompt(tokens, codes)
