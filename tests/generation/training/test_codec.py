"""Training of the codec for any voice: the loss falls, splits are kept, cleaning only cleans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from generation.codec.pitch import track_pitch
from generation.codec.soundstream import SoundStreamCodec, SoundStreamConfig, SoundStreamModel
from generation.codec.soundstream_decoder import DecoderConfig
from generation.denoise import noise_spectrum, reduce_noise
from generation.training.codec import CROP_SAMPLES, CodecObjective, trained_model
from generation.training.codec_data import (
    Clip,
    DataError,
    cut,
    heldout_paths,
    manifest,
    training_rows,
)
from generation.training.codec_losses import (
    Discriminators,
    band_limited,
    band_mask,
    spectral_energy_distance,
)
from generation.training.loop import Budget, Recipe, averaged_weights, train
from generation.weights import load_weights

RATE = 22_050
DATA = Path(__file__).parents[4] / "shared" / "data"


def clip(f0_hz: float, seed: int) -> Clip:
    """Make two seconds of a buzz with noise, as a recording of a corpus."""
    rng = np.random.default_rng(seed)
    t = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * f0_hz * k * t) / k for k in range(1, 30))
    wave = (0.05 * tone + 0.01 * rng.standard_normal(len(t))).astype(np.float32)
    return Clip("librispeech", str(seed), "", wave, track_pitch(wave), RATE / 2)


def test_the_loss_falls_on_a_tiny_run_with_judges_in_its_second_half(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SoundStreamModel(SoundStreamConfig(2, 16, DecoderConfig(width=16, layers=1)))
    clips = [clip(f, i) for i, f in enumerate((110, 180))]
    objective = CodecObjective(model, clips, clips[:1])
    objective._books = lambda rng: None  # type: ignore[method-assign]
    with torch.no_grad():
        envelope = objective.envelopes(objective.heldout, [None])
        first, second = objective.render(objective.heldout, envelope, torch.tensor([1]))
        target = torch.from_numpy(objective.heldout[0].waveform)[None]
        limits = torch.tensor([RATE / 2])
        before, _ = spectral_energy_distance(first, second, target, limits)
    train(objective, Recipe(learning_rate=3e-3, warmup_steps=2), Budget(steps=14), tmp_path)
    with torch.no_grad():
        first, second = objective.render(objective.heldout, envelope, torch.tensor([1]))
        after, _ = spectral_energy_distance(first, second, target, limits)
    assert float(after) < 0.97 * float(before)
    assert objective.judge_optimiser.state


def test_a_trained_decoder_learns_on_and_its_codes_stay(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SoundStreamModel(SoundStreamConfig(2, 16, DecoderConfig(width=16, layers=1)))
    model.quantiser.books.normal_()
    model.envelope.completion.normal_()
    shipped = tmp_path / "shipped.safetensors"
    SoundStreamCodec(model).save(shipped)
    clips = [clip(f, i) for i, f in enumerate((110, 180))]
    objective = CodecObjective(trained_model(shipped), clips, clips[:1], adversarial_from=0.1)
    train(objective, Recipe(learning_rate=3e-3, warmup_steps=2), Budget(steps=4), tmp_path)
    learnt = tmp_path / "learnt.safetensors"
    objective.model.load_state_dict(averaged_weights(tmp_path))
    SoundStreamCodec(objective.model).save(learnt)
    before, after = (load_weights(path, "soundstream").tensors for path in (shipped, learnt))
    analysis = {name for name in before if not name.startswith("decoder.")}
    assert {"quantiser.books", "quantiser.metric", "envelope.completion"} <= analysis
    for name in (*analysis, "decoder.mean", "decoder.spread"):
        assert torch.equal(before[name], after[name]), name
    assert not torch.equal(before["decoder.leave.weight"], after["decoder.leave.weight"])
    codes = [SoundStreamCodec.load(path).encode(clips[0].waveform) for path in (shipped, learnt)]
    assert np.array_equal(*codes)


def test_judges_hear_no_shift_and_nothing_above_the_band() -> None:
    torch.manual_seed(0)
    judges = Discriminators(channels=4)
    tone = 0.1 * torch.sin(2 * torch.pi * torch.arange(8192)[None] * 440 / RATE)
    high = 0.1 * torch.sin(2 * torch.pi * torch.arange(8192)[None] * 9_500 / RATE)
    limits, wide = torch.tensor([8000.0]), torch.tensor([RATE / 2])
    with torch.no_grad():
        _, shifted = judges.decoder_loss(tone, tone.roll(13, 1), wide)
        scores, apart = judges.decoder_loss(tone, tone + high, wide)
        _, cut_off = judges.decoder_loss(tone, tone + high, limits)
        same = judges.periods[0](band_limited(tone + high, limits))
        other = judges.periods[0](band_limited(tone, limits))
    assert float(shifted) < 0.2 * float(apart)
    assert float(cut_off) < 0.15 * float(apart)
    assert torch.allclose(same, other, atol=1e-3) and torch.isfinite(scores)


def test_a_crop_played_faster_is_higher_and_knows_its_band() -> None:
    crop = cut(clip(120, 0), 1.15, 0.0, CROP_SAMPLES)
    assert len(crop.waveform) == CROP_SAMPLES and len(crop.pitch.f0_hz) == CROP_SAMPLES // 256
    assert np.median(track_pitch(crop.waveform).f0_hz) == pytest.approx(138, rel=0.02)
    assert np.median(crop.pitch.f0_hz) == pytest.approx(138, rel=0.02)
    assert crop.limit_hz == RATE / 2
    slow = cut(clip(120, 0), 0.85, 0.0, CROP_SAMPLES)
    assert slow.limit_hz == pytest.approx(0.85 * RATE / 2)


def test_nothing_above_a_recordings_band_is_compared() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(1, 8192, generator=generator) * 0.1
    hiss = torch.zeros(1, 4097, dtype=torch.complex64)
    hiss[:, 3300:] = 100.0  # from 8.9 kHz up
    other = target + torch.fft.irfft(hiss)
    wide, _ = spectral_energy_distance(other, other, target, torch.tensor([RATE / 2]))
    narrow, _ = spectral_energy_distance(other, other, target, torch.tensor([8000.0]))
    assert float(wide) > 5 * float(narrow)
    assert band_mask(torch.tensor([8000.0]), 257)[0, -1] == 0


def test_the_right_amount_of_noise_is_better_than_none() -> None:
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(2, 16384, generator=generator) * 0.1 for _ in range(3)]
    limits = torch.full((2,), RATE / 2)
    right, _ = spectral_energy_distance(draw[0], draw[1], draw[2], limits)
    # The steady signal that a plain log distance would prefer: one pulse, flat at the median.
    flat = torch.zeros(2, 16384)
    flat[:, ::128] = 0.1 * 128**0.5 * 0.83
    wrong, _ = spectral_energy_distance(flat, flat, draw[2], limits)
    assert float(right) < float(wrong)


def test_noise_reduction_takes_noise_and_leaves_speech() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(3 * RATE) / RATE
    speech = np.where((t % 1) < 0.6, 0.1 * np.sin(2 * np.pi * 440 * t), 0).astype(np.float32)
    noisy = speech + 0.003 * rng.standard_normal(len(t)).astype(np.float32)
    clean = reduce_noise(noisy, noise_spectrum([noisy]))
    assert len(clean) == len(noisy)
    pause = (t % 1) > 0.7
    loud = (t % 1 > 0.1) & (t % 1 < 0.5)
    assert clean[pause].std() < 0.4 * noisy[pause].std()
    assert clean[loud].std() == pytest.approx(speech[loud].std(), rel=0.05)


def test_held_out_recordings_and_texts_are_never_trained_on() -> None:
    assert (DATA / "speech").is_dir(), f"the speech data are missing: put them at {DATA}"
    held, rows = heldout_paths(), training_rows(DATA)
    everything = {row["path"]: row for row in manifest(DATA)}
    assert held <= everything.keys() and not held & {row["path"] for row in rows}
    speakers = {everything[p]["speaker"] for p in held if everything[p]["corpus"] == "librispeech"}
    assert len(speakers) == 20
    assert not speakers & {row["speaker"] for row in rows}
    texts = {everything[p]["text"] for p in held if everything[p]["corpus"] == "kathleen"}
    assert not texts & {row["text"] for row in rows if row["corpus"] == "kathleen"}


def test_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.tsv"):
        manifest(tmp_path)
