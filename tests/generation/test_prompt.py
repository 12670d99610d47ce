"""Voice prompts: what is refused and how it is said, what is cleaned, and which 3 s are chosen."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from generation.errors import VoicePromptError
from generation.prompt import Recording, check, make_prompt, read_recording, save_prompt
from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS, SAMPLE_RATE_HZ, TOKEN_SAMPLES
from generation.tokenizer.model import load_tokenizer
from generation.voices import WEIGHTS, load_codec
from generation.weights import load_weights

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"
RATE = 16_000
Floats = npt.NDArray[np.float32]


def clips() -> list[Path]:
    found = sorted((SPEECH / "librispeech").rglob("*.flac"))
    assert found, f"the recordings are missing: put them in {SPEECH}"
    return found


@pytest.fixture(scope="module")
def speech() -> Floats:
    """Twelve seconds of one reader, 16 kHz."""
    for path in clips():
        samples, rate = soundfile.read(path, dtype="float32")
        if len(samples) >= 12 * rate:
            assert rate == RATE
            return np.asarray(samples[: 12 * rate])
    raise AssertionError("no clip of 12 s")


def written(folder: Path, samples: Floats, rate: int = RATE, name: str = "prompt.wav") -> Path:
    soundfile.write(folder / name, samples, rate)
    return folder / name


def refusal(path: Path) -> str:
    with pytest.raises(VoicePromptError) as caught:
        check(read_recording(path))
    return str(caught.value)


def test_real_readers_are_accepted() -> None:
    for path in clips()[::12]:
        checked = check(read_recording(path))
        assert 3 <= checked.speech_s <= checked.recording.duration_s + 0.1, path
        assert len(checked.prompt_waveform) == PROMPT_TOKENS * TOKEN_SAMPLES, path


def test_too_little_speech_is_refused_however_long_the_file(tmp_path: Path, speech: Floats) -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-5, 6 * RATE).astype(np.float32)
    said = refusal(written(tmp_path, np.concatenate([quiet, speech[: 2 * RATE], quiet])))
    assert "s of speech in 14.0 s" in said
    assert "at least 3 s" in said
    assert "at least 3 s" in refusal(written(tmp_path, speech[: RATE // 2]))


def test_silence_is_refused(tmp_path: Path) -> None:
    room = np.random.default_rng(0).normal(0, 1e-4, 8 * RATE).astype(np.float32)
    assert "silent" in refusal(written(tmp_path, room))
    assert "silent" in refusal(written(tmp_path, np.zeros(8 * RATE, np.float32)))
    assert "silent" in refusal(written(tmp_path, np.zeros(0, np.float32)))


@pytest.mark.parametrize("top", [1.0, 0.4])
def test_clipping_is_refused_even_when_turned_down_afterwards(
    tmp_path: Path, speech: Floats, top: float
) -> None:
    loud = np.clip(speech * (3 / np.abs(speech).max()), -1, 1)
    assert "clipped" in refusal(written(tmp_path, top * loud))


def test_what_is_no_recording_is_said(tmp_path: Path, speech: Floats) -> None:
    (tmp_path / "letter.wav").write_text("Dear Sir, this is my voice.")
    assert "no audio" in refusal(tmp_path / "letter.wav")
    assert "cannot be read" in refusal(tmp_path / "missing.wav")
    assert "8000 samples a second" in refusal(written(tmp_path, speech[::2], 8_000))
    tone = np.zeros(700 * RATE, np.float32)
    assert "cut it to" in refusal(written(tmp_path, tone))
    holed = speech.copy()
    holed[100] = np.nan
    soundfile.write(tmp_path / "holed.wav", holed, RATE, subtype="FLOAT")
    assert "no numbers" in refusal(tmp_path / "holed.wav")


def test_exactly_three_seconds_are_enough_in_stereo_too(tmp_path: Path, speech: Floats) -> None:
    frames = np.square(speech).reshape(-1, RATE // 10).mean(1)
    spoken = frames > 1e-2 * np.percentile(frames, 95)
    start = int(np.convolve(spoken, np.ones(30), "valid").argmax()) * RATE // 10
    piece = speech[start : start + 3 * RATE].copy()
    for edge in (slice(0, 800), slice(-800, None)):
        piece[edge] = 0.1 * np.sin(np.arange(800) / 8)
    checked = check(read_recording(written(tmp_path, np.stack([piece, piece], 1))))
    assert checked.start_s == 0
    assert len(checked.prompt_waveform) == PROMPT_TOKENS * TOKEN_SAMPLES


def test_the_best_three_seconds_are_the_clean_ones_full_of_speech(speech: Floats) -> None:
    rng = np.random.default_rng(1)
    voice = np.interp(
        np.arange(9 * SAMPLE_RATE_HZ) * RATE / SAMPLE_RATE_HZ, np.arange(len(speech)), speech
    )
    noisy = voice.astype(np.float32)
    level = float(np.sqrt((noisy**2).mean()))
    noisy[: 5 * SAMPLE_RATE_HZ] += rng.normal(0, 0.3 * level, 5 * SAMPLE_RATE_HZ)
    assert check(Recording(noisy, "")).start_s > 4.5
    hollow = voice.astype(np.float32)
    hollow[4 * SAMPLE_RATE_HZ :] *= 1e-3
    assert check(Recording(hollow, "")).start_s <= 1.2


def test_noise_is_reduced_and_clean_speech_left_alone(speech: Floats) -> None:
    rng = np.random.default_rng(2)
    level = float(np.sqrt((speech**2).mean()))
    pause = np.concatenate([speech, np.zeros(SAMPLE_RATE_HZ, np.float32)])
    noisy = pause + rng.normal(0, 0.05 * level, len(pause)).astype(np.float32)
    cleaned = check(Recording(noisy, "")).recording.waveform
    rest = slice(len(speech) + 2000, len(pause) - 2000)
    assert np.square(cleaned[rest]).mean() < 0.1 * np.square(noisy[rest]).mean()
    before = np.square(noisy[: len(speech)] - speech).mean()
    assert np.square(cleaned[: len(speech)] - speech).mean() < 1.5 * before


def test_a_prompt_is_tokens_and_codes_of_its_three_seconds(tmp_path: Path, speech: Floats) -> None:
    checked = check(read_recording(written(tmp_path, speech)))
    codec = load_codec("soundstream", levels=4)
    prompt = make_prompt(checked, load_tokenizer(WEIGHTS / "tokenizer.safetensors"), codec)
    assert prompt.tokens.shape == (PROMPT_TOKENS,)
    assert prompt.codes.shape == (PROMPT_TOKENS * FRAMES_PER_TOKEN, 4)
    digest = save_prompt(tmp_path / "a.safetensors", prompt, checked.recording.digest)
    again = load_weights(tmp_path / "a.safetensors", "prompt")
    assert again.digest == digest
    assert (again.tensors["codes"].numpy() == prompt.codes).all()
    heard = codec.decode(prompt.codes, 0)
    ours, theirs = (
        np.log(np.square(w).reshape(-1, TOKEN_SAMPLES).mean(1) + 1e-6)
        for w in (heard, checked.prompt_waveform)
    )
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9
