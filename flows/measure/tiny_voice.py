"""The tiny voice: untrained models of the `tiny` preset, which work like the real ones and say nothing.

For tests and benchmarks of the machinery. Sizes of audio are near those of a real voice, because the advances
are drawn as a narrator's would be; the codec is the real one with random codebooks.
"""

from pathlib import Path

import torch

from flows.factory.intake import Narrator
from flows.factory.judging import Depth
from flows.services import Services
from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS
from generation.soundstorm.model import SoundStorm, soundstorm_config
from generation.speechssm.model import SpeechSSM
from generation.speechssm.presets import speech_config
from generation.weights import save_weights
from storage import enrolment
from storage.enrolment import ConsentTerms

CODES, LEVELS = 32, 2
VOCABULARY, LATENT_WIDTH = 1024, 384

ADVANCES = (0.50, 0.40, 0.08, 0.02)
"""How often 0, 1, 2 and 3 units are advanced by: 0.62 units a token, as in speech."""

ADVANCE_TEMPERATURE = 0.6
"""What `generation.speechssm.reading.Sampling` divides the logits by."""


def tiny_narrator(services: Services, folder: Path, name: str = "tiny", seed: int = 0) -> Narrator:
    """Enrol a tiny voice; `seed` makes another voice of the same SpeechSSM.

    Parameters
    ----------
    services : Services
        Where it is enrolled.
    folder : Path
        Where its weight files are written, unless they are there.
    name : str
        What it is called.
    seed : int
        Seed of everything but the SpeechSSM.
    """
    weights = tiny_weights(folder, seed)
    row = enrolment.enrol_voice(
        services.engine,
        services.store,
        name=name,
        prompt=weights["prompt"].read_bytes(),
        codec="latent",
        terms=ConsentTerms(
            owner="nobody", signatory="nobody", document=f"{name} is no person's voice".encode()
        ),
        actor="bench",
        origin="house",
    )
    return Narrator(row, weights, takes_by=Depth.SIGNAL)


def tiny_weights(folder: Path, seed: int = 0) -> dict[str, Path]:
    """Write the weight files of a tiny voice, unless they are there; returns them by part."""
    names = {
        "speechssm": "speechssm",
        "soundstorm": f"soundstorm-{seed}",
        "codec": f"codec-{seed}",
        "prompt": f"prompt-{seed}",
    }
    files = {part: folder / f"{name}.safetensors" for part, name in names.items()}
    state = torch.random.get_rng_state()
    for place, (part, path) in enumerate(files.items()):
        if not path.exists():
            torch.manual_seed(place if part == "speechssm" else 100 * seed + place)
            _WRITERS[part](path)
    torch.random.set_rng_state(state)
    return files


@torch.no_grad()
def _speechssm(path: Path) -> None:
    config = speech_config("tiny", CODES)
    model = SpeechSSM(config)
    model.advance_leave.weight.mul_(0.1)
    model.advance_leave.bias.copy_(ADVANCE_TEMPERATURE * torch.log(torch.tensor(ADVANCES)))
    save_weights(path, "speechssm", config.to_dict(), model.state_dict())


def _soundstorm(path: Path) -> None:
    config = soundstorm_config("tiny", CODES, LEVELS)
    save_weights(path, "soundstorm", config.to_json(), SoundStorm(config).state_dict())


def _codec(path: Path) -> None:
    books = torch.randn(LEVELS, VOCABULARY, LATENT_WIDTH) * 0.3
    save_weights(path, "latent", {"levels": LEVELS}, {"codebooks": books})


def _prompt(path: Path) -> None:
    tokens = torch.randint(CODES, (PROMPT_TOKENS,))
    codes = torch.randint(VOCABULARY, (PROMPT_TOKENS * FRAMES_PER_TOKEN, LEVELS))
    save_weights(path, "prompt", {"voice": path.stem}, {"tokens": tokens, "codes": codes})


_WRITERS = {
    "speechssm": _speechssm,
    "soundstorm": _soundstorm,
    "codec": _codec,
    "prompt": _prompt,
}
