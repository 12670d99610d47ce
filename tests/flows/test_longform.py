"""Continuing a recording and measuring long speech, end to end with tiny models and real measures."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from flows.cli import app
from flows.measure.longform import Progress, Speaker, binned, continue_recording, perplexities, run
from flows.measure.longform_layout import long_examples
from flows.measure.longform_plots import draw_run, perplexity_table, run_tables
from flows.measure.longform_scores import change, share_of_speech
from generation.codec.latent import LatentCodec
from generation.errors import VoicePromptError
from generation.longform.model import TextlessSpeech, textless_config
from generation.rates import SAMPLE_RATE_HZ, TOKEN_SAMPLES, tokens_in
from generation.rendering import Renderer
from generation.soundstorm.decoding import Decoding
from generation.soundstorm.model import SoundStorm, soundstorm_config
from generation.tokenizer.model import load_tokenizer
from generation.voices import WEIGHTS, house_voices, load_cast
from qa.audio import Audio

CODES = 1024


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Return the 3 s of the house voice's prompt, five times over."""
    renderer = load_cast(house_voices()["joe"], threads=1).renderer
    return np.tile(renderer.codec.decode(renderer.prompt.codes, 0), 5)


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    """A textless model and a SoundStorm without training; the shipped tokenizer, prompt and codec."""
    torch.manual_seed(0)
    model = TextlessSpeech(textless_config("tiny", CODES))
    shipped = load_cast(house_voices()["joe"], threads=1).renderer
    codec = shipped.codec
    assert isinstance(codec, LatentCodec)
    soundstorm = SoundStorm(soundstorm_config("tiny", CODES, codec.levels))
    renderer = Renderer(soundstorm, codec, shipped.prompt, Decoding(passes=1))
    return Speaker(model, renderer, load_tokenizer(WEIGHTS / "tokenizer.safetensors"))


def test_a_recording_is_continued_into_a_file_for_as_long_as_was_asked(
    speaker: Speaker, speech: np.ndarray, tmp_path: Path
) -> None:
    prompt = tmp_path / "prompt.wav"
    soundfile.write(prompt, speech[: 4 * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    seen: list[Progress] = []
    done = continue_recording(prompt, speaker, 0.6, tmp_path / "a.flac", report=seen.append)
    again = continue_recording(prompt, speaker, 0.6, tmp_path / "b.flac")
    other = continue_recording(prompt, speaker, 0.1, tmp_path / "c.flac", seed=1)
    info = soundfile.info(done.path)
    assert (info.format, info.samplerate) == ("FLAC", SAMPLE_RATE_HZ)
    assert info.frames == tokens_in(36) * TOKEN_SAMPLES
    assert done.path.read_bytes() == again.path.read_bytes()
    assert not np.array_equal(other.tokens[:100], done.tokens[:100])
    assert len(seen) == 2
    assert 0 < seen[0].made_s < seen[1].made_s == pytest.approx(done.duration_s)


def test_prompts_that_cannot_be_continued_are_refused(speaker: Speaker, tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros(9000, np.float32), SAMPLE_RATE_HZ)
    with pytest.raises(VoicePromptError, match="at least 1 s"):
        continue_recording(short, speaker, 1, tmp_path / "a.flac")
    ran = CliRunner().invoke(app, ["continue", str(short), "--out", str(tmp_path / "a.mp3")])
    assert ran.exit_code == 2


def test_a_run_scores_real_and_continued_speech_and_can_go_on(
    speaker: Speaker, speech: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "long" / "test" / "1" / "10"
    folder.mkdir(parents=True)
    soundfile.write(folder / "10_0000.flac", np.tile(speech, 2), SAMPLE_RATE_HZ)
    (folder / "10_0000.txt").write_text("A FEW WORDS " * 20)
    examples = list(long_examples(tmp_path / "long"))
    voice = Audio(speech[: 3 * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    said: list[str] = []
    arguments = (
        examples, {"SpeechSSM": speaker.model}, speaker.renderer, speaker.tokenizer, voice, tmp_path / "o"
    )  # fmt: skip
    done = run(*arguments, report=said.append)
    assert len(said) == 5
    assert run(*arguments, report=said.append).to_json() == done.to_json()
    assert len(said) == 5
    (real,), (made,) = done.real, done.continued
    assert real.duration_s == pytest.approx(2 * len(speech) / SAMPLE_RATE_HZ, abs=0.1)
    assert made.duration_s == pytest.approx(real.duration_s - 10, abs=0.1)
    assert min(real.speaker) > 0.9 > max(made.speaker)
    assert real.speech > 0.6
    assert real.words > 20
    assert real.repeated_words[0] > 0.5
    tables = run_tables(done)
    assert "95th percentile" in tables
    assert f"| {real.name} | 0.5 |" in tables
    draw_run(done, tmp_path / "o")
    assert (tmp_path / "o" / "longform.png").stat().st_size > 10_000


def test_a_recording_that_grows_noisy_is_told_from_one_that_does_not(
    speech: np.ndarray, tmp_path: Path
) -> None:
    steady = np.tile(speech, 4)
    noise = np.random.default_rng(0).normal(0, 0.02, len(steady)).astype(np.float32)
    noisy = steady + noise * np.linspace(0, 1, len(steady), dtype=np.float32)
    for name, waveform in (("steady", steady), ("noisy", noisy)):
        soundfile.write(tmp_path / f"{name}.flac", waveform, SAMPLE_RATE_HZ)
    files = [str(tmp_path / f"{name}.flac") for name in ("steady", "noisy")]
    ran = CliRunner().invoke(
        app, ["longform", "drift", *files, "--out", str(tmp_path / "o"), "--json"]
    )
    assert ran.exit_code == 0, ran.output
    held, fell = json.loads(ran.stdout)
    assert len(held["centre_s"]) == 6
    (calm, worse) = (change(each["centre_s"], each["dnsmos"]) for each in (held, fell))
    assert calm is not None and worse is not None
    assert calm.low < 0 < calm.high
    assert worse.high < -1
    assert np.mean(held["speaker"]) > 0.9
    assert "steady" in (tmp_path / "o" / "drift.md").read_text()
    assert (tmp_path / "o" / "drift.png").stat().st_size > 5000
    absent = CliRunner().invoke(
        app, ["longform", "drift", str(tmp_path / "x.flac"), "--out", str(tmp_path)]
    )
    assert absent.exit_code == 1 and "x.flac" in absent.output


def test_a_change_is_told_for_sixteen_minutes_with_what_it_may_be() -> None:
    rng = np.random.default_rng(0)
    centre = np.arange(0, 3000, 10.0)
    found = [
        change(centre, 3 + 0.1 * centre / 960 + rng.normal(0, 0.2, len(centre))) for _ in range(200)
    ]
    inside = [each.low < 0.1 < each.high for each in found if each]
    assert len(inside) == 200 and 0.9 < np.mean(inside) < 0.99
    assert change([0.0, 10.0], [1.0, 2.0]) is None


def test_perplexity_by_quarter_tells_the_last_over_the_first() -> None:
    torch.manual_seed(0)
    model = TextlessSpeech(textless_config("tiny", 16))
    rng = np.random.default_rng(0)
    streams = [rng.integers(0, 16, tokens_in(60 * minutes)) for minutes in (4, 7)]
    done = perplexities(streams, {"SpeechSSM": model})
    first, last = done.quarters["SpeechSSM"]
    assert done.hours == pytest.approx(11 / 60, abs=1e-3)
    assert f"{last / first:.3f}" in perplexity_table(done)
    assert len(done.curves[0].values) == 4


def test_short_last_stretches_are_left_out() -> None:
    length = tokens_in(120)
    assert binned([np.full(2 * length + 10, np.log(8.0))]) == pytest.approx([8.0, 8.0])
    assert binned([np.full(length, 0.0), np.full(2 * length, np.log(4.0))]) == pytest.approx([2, 4])


def test_speech_is_told_from_silence(speech: np.ndarray) -> None:
    silence = np.random.default_rng(0).normal(0, 1e-4, len(speech)).astype(np.float32)
    assert share_of_speech(Audio(speech, SAMPLE_RATE_HZ)) > 0.6
    assert share_of_speech(Audio(silence, SAMPLE_RATE_HZ)) == 0
    half = share_of_speech(Audio(np.concatenate([speech, silence]), SAMPLE_RATE_HZ))
    assert 0.25 < half < 0.55
