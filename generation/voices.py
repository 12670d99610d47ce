"""Voices: a prompt, the codec it speaks through, and the weights it needs.

A house voice is one TOML file beside the weights: its consent record, in the words of the licence of the
data it was made from, and the names of its weight files. Any other voice is a prompt that was made of a
recording (`generation.prompt`); all of those share one SoundStorm and the `soundstream` codec.
"""

import os
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
from generation.codec.soundstream import DESIGN, SoundStreamCodec
from generation.codec.timbre import Timbre
from generation.errors import WeightsError
from generation.rendering import Renderer, VoicePrompt
from generation.soundstorm.model import SoundStorm, SoundStormConfig
from generation.speechssm.model import SpeechConfig, SpeechSSM
from generation.weights import Weights, load_into, load_weights

WEIGHTS = Path(__file__).parent / "weights"
VOICES = Path(__file__).parent / "house_voices"
DEFAULT_VOICE = "joe"


PROMPTED_SOUNDSTORM = "soundstorm-any.safetensors"
"""What speaks with every voice that is not a house voice."""


@dataclass(frozen=True)
class Voice:
    """What a cast is loaded from.

    `codec` is `latent` or `soundstream`; `soundstorm` and `prompt` are weight files. `experimental`: its
    figures (docs/voices.md) are not yet good enough to publish with.
    """

    name: str
    codec: str
    soundstorm: Path
    prompt: Path
    experimental: bool


@dataclass(frozen=True)
class HouseVoice(Voice):
    """A voice that ships with Lectern.

    `consent` holds the record that says who the voice belongs to and what its data allows.
    """

    description: str
    consent: dict[str, str]


def prompted_voice(name: str, prompt: Path) -> Voice:
    """Describe the voice of a prompt file that `generation.prompt` made of a recording."""
    return Voice(name, DESIGN, WEIGHTS / PROMPTED_SOUNDSTORM, prompt, experimental=True)


@dataclass(frozen=True)
class Cast:
    """Everything a narration with one voice needs, loaded.

    `digests`: SHA-256 of each weight file's content, by part; `prompt_digest`: of the voice prompt.
    """

    voice: Voice
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
        files = {part: WEIGHTS / record.pop(part) for part in ("soundstorm", "prompt")}
        voices[path.stem] = HouseVoice(name=path.stem, **files, **record)
    return voices


def weight_files(voice: Voice, other: Path | None = None) -> dict[str, Path]:
    """Return the weight files that a voice needs, by part.

    Those that the folder `other` holds are taken from there, by their names.
    """
    files = {
        "speechssm": WEIGHTS / "speechssm.safetensors",
        "soundstorm": voice.soundstorm,
        "codec": WEIGHTS / f"{voice.codec}.safetensors",
        "prompt": voice.prompt,
    }
    if other is None:
        return files
    return {
        part: other / path.name if (other / path.name).is_file() else path
        for part, path in files.items()
    }


def load_cast(
    voice: Voice,
    device: str = "cpu",
    batch: int = 1,
    threads: int = 0,
    other: Path | None = None,
) -> Cast:
    """Load the models a voice speaks with; raises WeightsError where files are missing or damaged.

    Parameters
    ----------
    voice
        Whose.
    device
        Where they run (`use_device`).
    batch
        Windows filled at once.
    threads
        Windows (batches of them) rendered beside each other; 0 for one a core, on a GPU one.
    other
        Folder whose weight files are used in place of those that ship.
    """
    use_device(device)
    files = weight_files(voice, other)
    reader, digest = load_reader(files["speechssm"], device)
    speaker = load_speaker(voice.codec, files, device, batch, threads)
    digests = {"speechssm": digest, **speaker.digests}
    return Cast(voice, reader, speaker.renderer, digests, speaker.prompt_digest)


def use_device(device: str) -> None:
    """Prepare this process for a device: on a CPU every matrix product gets one thread from here on.

    Windows are rendered beside each other instead.
    """
    if device == "cpu":
        torch.set_num_threads(1)


def render_threads(device: str) -> int:
    """Return how many batches of windows are rendered beside each other: one a core, on a GPU one."""
    return len(os.sched_getaffinity(0)) if device == "cpu" else 1


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
    codec = load_codec(codec_name, device, files["codec"], soundstorm.config.levels)
    prompt = load_weights(files["prompt"], "prompt")
    renderer = Renderer(
        soundstorm.to(device),
        codec,
        _prompt(prompt, codec.levels),
        batch=batch,
        threads=threads or render_threads(device),
    )
    return Speaker(renderer, {"soundstorm": spoken.digest, "codec": codec.digest}, prompt.digest)


def prompt_sound(codec_name: str, files: Mapping[str, Path]) -> npt.NDArray[np.float32]:
    """Return a voice's prompt as it sounds through its codec: (N,) at 22.05 kHz."""
    prompt = load_weights(files["prompt"], "prompt")
    levels = prompt.tensors["codes"].shape[1]
    codec = load_codec(codec_name, "cpu", files["codec"], levels)
    return codec.decode(_prompt(prompt, levels).codes, 0)


def load_codec(
    name: str, device: str = "cpu", path: Path | None = None, levels: int | None = None
) -> Codec:
    """Load a codec by the name of its design; raises WeightsError for an unknown one.

    `levels` is how many codebooks to use where the design leaves a choice (`soundstream`); all by default.
    """
    path = path or WEIGHTS / f"{name}.safetensors"
    if name == "latent":
        return LatentCodec.load(path, device)
    if name == DESIGN:
        return SoundStreamCodec.load(path, levels=levels)
    raise WeightsError(f"no codec {name!r}: this build has latent and soundstream")


def _prompt(weights: Weights, levels: int) -> VoicePrompt:
    tokens = weights.tensors["tokens"].to(torch.int64).numpy()
    codes = weights.tensors["codes"].to(torch.int64).numpy()
    if codes.shape[1] != levels:
        raise WeightsError(f"the prompt has {codes.shape[1]} codebooks, the codec {levels}")
    return VoicePrompt(tokens, codes, Timbre.of_tensors(weights.tensors))
