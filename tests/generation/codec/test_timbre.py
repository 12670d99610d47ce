"""The step from what is spoken for a voice to the voice: found where it is known, and taken away."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from generation.codec.soundstream import SoundStreamCodec
from generation.codec.timbre import Timbre, measure_timbre
from generation.errors import VoicePromptError
from generation.prompt import Recording, check, save_prompt
from generation.rates import SAMPLE_RATE_HZ
from generation.tuning import PromptMaker, made_by
from generation.voices import WEIGHTS, Cast, load_cast, load_codec, prompted_voice
from generation.weights import load_weights

MELS = 40


def spectra(frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw frames (F, M) of three kinds of sound and of silence; return them with their kinds (F,)."""
    rng = torch.Generator().manual_seed(seed)
    bands = torch.linspace(0, 3, MELS)
    kinds = torch.randint(0, 4, (frames,), generator=rng)
    shapes = torch.stack([torch.sin(bands * k) - bands * (0.5 * k) for k in (1, 2, 3)])
    shapes = torch.cat([shapes - 3.0, torch.full((1, MELS), -9.0)])
    return shapes[kinds] + 0.1 * torch.randn(frames, MELS, generator=rng), kinds


@pytest.fixture(scope="module")
def steps() -> Tensor:
    """How much each kind of sound of one voice lies beside another's (4, M); silence does not."""
    drawn = 0.6 * torch.randn(4, MELS, generator=torch.Generator().manual_seed(9))
    drawn[:3] = 0.5 * drawn[:3] + drawn[:3].mean(0)
    drawn[3] = 0
    return drawn


def test_a_known_step_is_found_by_kind_of_sound(steps: Tensor) -> None:
    own, kinds = spectra(2000, seed=1)
    timbre = measure_timbre(own + steps[kinds], spectra(3000, seed=2)[0])
    spoken, said = spectra(500, seed=3)
    wanted = spoken + steps[said]
    loud = said < 3
    before = (spoken - wanted)[loud].square().mean()
    after = (timbre(spoken) - wanted)[loud].square().mean()
    assert after < 0.25 * before
    alike = (steps[said[loud]].mean(0) - steps[said[loud]]).square().mean()
    assert after < 0.9 * alike, "no better than one step for all sounds"


def test_silence_stays_silence(steps: Tensor) -> None:
    own, kinds = spectra(400, seed=1)
    timbre = measure_timbre(own + steps[kinds], spectra(900, seed=2)[0])
    spoken, said = spectra(500, seed=3)
    assert (timbre(spoken) - spoken)[said == 3].abs().max() < 0.02


def test_a_kind_that_is_hardly_heard_takes_the_step_of_all() -> None:
    own, kinds = spectra(2000, seed=4)
    step = torch.full((MELS,), 0.5)
    own = own + step
    rare = (kinds == 0).nonzero()[:, 0]
    own[rare[:2]] += 5.0 * torch.randn(2, MELS, generator=torch.Generator().manual_seed(1))
    few = torch.cat([own[kinds != 0], own[rare[:2]]])
    spoken, said = spectra(2000, seed=2)
    timbre = measure_timbre(few, spoken)
    moved = (timbre(spoken) - spoken)[said == 0].mean(0)
    assert (moved - step).abs().mean() < 1.0, "two odd frames decide how a sound is coloured"


def test_a_timbre_survives_its_file(steps: Tensor) -> None:
    own, kinds = spectra(400, seed=1)
    timbre = measure_timbre(own + steps[kinds], spectra(900, seed=2)[0])
    again = Timbre.of_tensors(timbre.tensors())
    assert again is not None
    assert torch.equal(again(own), timbre(own))
    assert Timbre.of_tensors({"tokens": own}) is None


@pytest.fixture(scope="module")
def cast() -> Cast:
    return load_cast(prompted_voice("some", WEIGHTS / "prompt-kathleen.safetensors"))


@pytest.fixture(scope="module")
def recording(speech) -> Recording:
    return Recording(speech("librispeech", 12.0), "0" * 64)


def test_a_new_voice_speaks_in_the_colour_of_its_recording(
    cast: Cast, recording: Recording, tmp_path: Path
) -> None:
    checked = check(recording)
    maker = PromptMaker(cast)
    prompt = maker.make(checked)
    assert prompt.timbre is not None
    codec = cast.renderer.codec
    assert isinstance(codec, SoundStreamCodec)
    own = codec.spectrum(checked.given)
    ((_, plain),) = cast.renderer.speaking_as(prompt).fill([maker.passage])
    spoken = codec.spectrum_of(plain)

    def colour(envelope: Tensor) -> Tensor:
        power = torch.logsumexp(2 * envelope, -1)
        return envelope[power > power.quantile(0.95) - 5].mean(0)

    before = (colour(own) - colour(spoken)).abs().mean()
    after = (colour(own) - colour(prompt.timbre(spoken))).abs().mean()
    assert after < 0.7 * before
    save_prompt(tmp_path / "voice.safetensors", prompt, "test")
    voice = load_cast(prompted_voice("voice", tmp_path / "voice.safetensors"))
    codes = prompt.codes[:100]
    heard = voice.renderer.spoken.decode(codes, 0)
    assert np.abs(heard - voice.renderer.codec.decode(codes, 0)).max() > 1e-3
    assert load_weights(tmp_path / "voice.safetensors", "prompt").digest == voice.prompt_digest


def test_a_codec_without_a_timbre_decodes_as_ever(cast: Cast, recording: Recording) -> None:
    codec = cast.renderer.codec
    codes = codec.encode(recording.waveform[: 2 * SAMPLE_RATE_HZ])
    assert (codec.tuned(None).decode(codes, 3) == codec.decode(codes, 3)).all()


def test_the_voice_of_one_codec_cannot_be_tuned() -> None:
    own, _ = spectra(400, seed=1)
    latent = load_codec("latent")
    assert latent.tuned(None) is latent
    with pytest.raises(VoicePromptError, match="its own voice"):
        latent.tuned(measure_timbre(own, own))


def test_what_a_prompt_is_made_by_is_one_digest() -> None:
    assert made_by() == made_by()
    assert len(made_by()) == 64
