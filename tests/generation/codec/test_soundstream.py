"""The codec for any voice: shapes and rates, bit-equal decoding, pitch, quantiser, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from generation.codec.pitch import Pitch, pitch_codes, pitch_of_codes, track_pitch
from generation.codec.soundstream import (
    FLOOR_LOG,
    PITCH_STREAM,
    Envelope,
    ResidualQuantiser,
    SoundStreamCodec,
    SoundStreamConfig,
    SoundStreamModel,
    active_level,
)
from generation.codec.soundstream_decoder import DecoderConfig, noise, pulses
from generation.errors import VoicePromptError, WeightsError
from generation.training.codec_quantiser import k_means

RATE = 22_050
Floats = npt.NDArray[np.float32]


def vowel(f0_hz: float, seconds: float, formants: tuple[float, ...] = (700, 1200, 2600)) -> Floats:
    """Sing a vowel: harmonics under three formants."""
    t = np.arange(int(seconds * RATE)) / RATE
    total = np.zeros_like(t)
    for k in range(1, int(9000 / f0_hz)):
        hz = k * f0_hz
        gain = sum(1 / (1 + ((hz - f) / 90) ** 2) for f in formants) + 0.003
        total += gain * np.sin(2 * np.pi * hz * t + k * k)
    return (0.1 * total / np.abs(total).max()).astype(np.float32)


@pytest.fixture(scope="module")
def codec() -> SoundStreamCodec:
    """Fit the codebooks of a small codec on vowels and noise; leave its decoder untrained."""
    torch.manual_seed(0)
    config = SoundStreamConfig(3, 1024, DecoderConfig(width=32, layers=1))
    model = SoundStreamModel(config)
    rng = np.random.default_rng(0)
    sounds = [vowel(f, 2.2, (300 + 3 * f, 900 + 4 * f, 2600)) for f in range(80, 300, 20)]
    sounds += [rng.standard_normal(RATE).astype(np.float32) * g for g in (1e-4, 1e-3, 1e-2, 0.1)]
    waves = torch.from_numpy(np.concatenate(sounds)[: 1500 * 512])
    waves = waves[: len(waves) // 512 * 512]
    envelope = model.envelope(waves[None])[0]
    mean = envelope.mean(0)
    model.quantiser.mean.copy_(mean.repeat(2))
    residual = model.quantiser.weighted(envelope)
    generator = torch.Generator().manual_seed(0)
    for place in range(3):
        book = k_means(residual, 1024, 3, generator)
        model.quantiser.books[place] = book
        left = model.quantiser.decode(model.quantiser.encode(envelope)[:, : place + 1])
        residual = model.quantiser.weighted(envelope) - model.quantiser.weighted(left)
    return SoundStreamCodec(model)


def test_codes_have_the_rate_of_the_house_and_the_waveform_its_length(
    codec: SoundStreamCodec,
) -> None:
    waveform = vowel(140, 2.0)[: 80 * 512 + 100]
    codes = codec.encode(waveform)
    assert codes.shape == (80, codec.levels) == (80, 4)
    assert codes.dtype == np.int64 and codes.min() >= 0 and codes.max() < 1024
    assert codec.decode(codes, seed=0).shape == (80 * 512,)


def test_an_untrained_decoder_already_speaks_at_the_right_pitch_and_spectrum(
    codec: SoundStreamCodec,
) -> None:
    waveform = vowel(140, 2.0, (720, 1460, 2600))
    out = codec.decode(codec.encode(waveform), seed=0)
    assert np.median(track_pitch(out).f0_hz) == pytest.approx(140, rel=0.01)
    envelope = codec.model.envelope
    levelled = torch.from_numpy(waveform * (0.08 / active_level(waveform)))[: len(out)]
    a = envelope(levelled[None])[0, 20:-20]
    b = envelope(torch.from_numpy(out)[None])[0, 20:-20]
    loud = a > -5
    assert (a - b)[loud].abs().mean() < 0.5


def test_decoding_is_bit_equal_whoever_the_neighbours_are(codec: SoundStreamCodec) -> None:
    one, two = codec.encode(vowel(110, 1.2)), codec.encode(vowel(210, 1.2))
    alone = codec.decode(one, seed=3)
    assert np.array_equal(alone, codec.decode(one, seed=3))
    batch = codec.decode_batch([two, one, two], seed=3)
    assert np.array_equal(batch[1], alone)
    assert not np.array_equal(codec.decode(one, seed=4), alone)


def test_fewer_streams_give_a_coarser_spectrum(codec: SoundStreamCodec) -> None:
    waveform = vowel(150, 1.5)
    codes = codec.encode(waveform)
    envelope = codec.model.envelope(
        torch.from_numpy(waveform * (0.08 / active_level(waveform)))[None, : len(codes) * 512]
    )[0]
    spectral = torch.from_numpy(np.delete(codes, PITCH_STREAM, 1))
    quantiser = codec.model.quantiser
    errors = [
        float((quantiser.decode(spectral[:, :n]) - envelope).square().mean()) for n in (1, 2, 3)
    ]
    assert errors[2] < errors[0]
    assert len(codec.decode(codes[:, :2], seed=0)) == len(codes) * 512


def test_a_codec_of_fewer_streams_codes_and_decodes_them(
    codec: SoundStreamCodec, tmp_path: Path
) -> None:
    codec.save(tmp_path / "codec.safetensors")
    light = SoundStreamCodec.load(tmp_path / "codec.safetensors", levels=3)
    waveform = vowel(150, 1.5)
    codes = light.encode(waveform)
    assert codes.shape[1] == light.levels == 3
    assert len(light.decode(codes, seed=0)) == len(codes) * 512
    with pytest.raises(WeightsError, match="2 to 4 streams"):
        SoundStreamCodec.load(tmp_path / "codec.safetensors", levels=5)


def test_the_vectors_of_a_frames_codes_add_up_to_its_spectrum_and_pitch(
    codec: SoundStreamCodec,
) -> None:
    codes = codec.encode(vowel(150, 1.5))
    vectors = codec.code_vectors()
    assert vectors.shape[:2] == (codec.levels, codec.codebook_size)
    summed = sum(vectors[q][codes[:, q]] for q in range(codec.levels))
    spectral = torch.from_numpy(np.delete(codes, PITCH_STREAM, 1))
    quantiser = codec.model.quantiser
    envelope = quantiser.weighted(quantiser.decode(spectral))
    assert torch.allclose(summed[:, :-3], envelope, atol=1e-3)  # type: ignore[index]
    pitch = vectors[PITCH_STREAM]
    semitones = pitch_codes(Pitch(np.repeat(np.float32([150, 159, 300]), 2), np.ones(6, bool)))
    near, far = (pitch[semitones[0]] - pitch[semitones[i]] for i in (1, 2))
    assert near.norm() < 0.15 * far.norm()


@pytest.mark.parametrize("streams", [1, 5])
def test_a_wrong_number_of_streams_is_refused(codec: SoundStreamCodec, streams: int) -> None:
    with pytest.raises(ValueError, match="streams"):
        codec.decode(np.zeros((4, streams), np.int64), seed=0)


def test_codes_out_of_range_are_refused(codec: SoundStreamCodec) -> None:
    with pytest.raises(ValueError, match="outside"):
        codec.decode(np.full((4, 4), 1024), seed=0)


@pytest.mark.parametrize(
    "waveform", [np.zeros(0), np.zeros(RATE), np.full(RATE, np.nan), np.ones(600) * 0.1]
)
def test_no_speech_is_refused(codec: SoundStreamCodec, waveform: Floats) -> None:
    with pytest.raises(VoicePromptError, match="no speech"):
        codec.encode(waveform.astype(np.float32))


def test_level_does_not_change_the_codes(codec: SoundStreamCodec) -> None:
    waveform = vowel(150, 1.5)
    same = codec.encode(waveform) == codec.encode(waveform * np.float32(0.25))
    assert same.mean() > 0.99


def test_weights_come_back(codec: SoundStreamCodec, tmp_path: Path) -> None:
    path = tmp_path / "codec.safetensors"
    codec.save(path)
    again = SoundStreamCodec.load(path)
    assert again.levels == codec.levels and len(again.digest) == 64
    codes = codec.encode(vowel(120, 1.2))
    difference = again.decode(codes, seed=0) - codec.decode(codes, seed=0)
    assert np.abs(difference).max() < 2e-2
    with pytest.raises(WeightsError, match="no weights"):
        SoundStreamCodec.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("f0_hz", [70, 120, 215, 430])
def test_pitch_is_tracked(f0_hz: int) -> None:
    pitch = track_pitch(vowel(f0_hz, 1.0))
    assert pitch.voiced[5:-5].all()
    assert np.allclose(pitch.f0_hz[5:-5], f0_hz, rtol=0.01)


def test_noise_and_silence_are_not_voiced() -> None:
    rng = np.random.default_rng(0)
    assert track_pitch(rng.standard_normal(RATE).astype(np.float32)).voiced.mean() < 0.1
    assert not track_pitch(np.zeros(RATE, np.float32)).voiced.any()


def test_pitch_survives_its_codes_to_a_ninth_of_a_semitone() -> None:
    f0 = np.repeat(np.geomspace(70, 480, 200), 2).astype(np.float32)
    voiced = np.random.default_rng(0).random(400) > 0.3
    codes = pitch_codes(Pitch(f0, voiced))
    again = pitch_of_codes(codes)
    assert codes.max() < 1024
    assert np.array_equal(again.voiced, voiced)
    semitones = 12 * np.abs(np.log2(again.f0_hz / f0))[voiced]
    assert semitones.max() < 0.2


def test_the_quantiser_is_exact_on_its_own_codes_and_never_worse_than_greedy() -> None:
    torch.manual_seed(0)
    quantiser = ResidualQuantiser(3, 64, 8)
    quantiser.books.copy_(torch.randn(3, 64, 16) * torch.tensor([1.0, 0.3, 0.1])[:, None, None])
    codes = torch.randint(0, 64, (50, 3))
    again = quantiser.decode(quantiser.encode(quantiser.decode(codes)))
    assert torch.allclose(again, quantiser.decode(codes), atol=0.35)
    target = torch.randn(400, 8)
    error = (quantiser.decode(quantiser.encode(target)) - target).square().mean()
    residual = quantiser.weighted(target)
    for book in quantiser.books:
        residual = residual - book[torch.cdist(residual, book).argmin(1)]
    assert error < residual.square().mean()


def test_k_means_leaves_no_code_dead_and_beats_its_start() -> None:
    torch.manual_seed(1)
    vectors = torch.cat([torch.randn(500, 4), torch.randn(500, 4) + 6])
    generator = torch.Generator().manual_seed(0)
    rough, fine = (k_means(vectors, 32, n, generator.manual_seed(0)) for n in (1, 10))
    error = [torch.cdist(vectors, book).amin(1).square().mean() for book in (rough, fine)]
    assert error[1] < error[0]
    used = torch.cdist(vectors, fine).argmin(1).unique()
    assert len(used) == 32


def test_a_16_khz_recording_is_noticed_and_completed() -> None:
    envelope = Envelope(80)
    rng = np.random.default_rng(0)
    full = torch.full((200, 80), -5.0) + torch.from_numpy(rng.normal(0, 1, (200, 80))).float()
    envelope.fit_completion(full)
    dull = full.clone()
    dull[:, envelope.known :] = FLOOR_LOG
    assert not envelope.is_limited(full) and envelope.is_limited(dull)
    filled = envelope.complete(dull)
    assert torch.equal(filled[:, : envelope.known], dull[:, : envelope.known])
    assert filled[:, envelope.known :].mean() == pytest.approx(-5, abs=0.3)


def test_noise_depends_on_seed_and_place_alone() -> None:
    long = noise(10_000, torch.tensor([5, 6]))
    short = noise(1_000, torch.tensor([6]))
    assert torch.equal(long[1, :1_000], short[0])
    assert not torch.equal(long[0], long[1])
    assert long.std() == pytest.approx(1, abs=0.03)
    spectrum = torch.fft.rfft(long[0]).abs().square().reshape(-1)[1:5001].reshape(10, 500).mean(1)
    assert spectrum.max() / spectrum.min() < 1.4


def test_pulses_have_unit_power_and_no_alias() -> None:
    train, _ = pulses(torch.full((1, 200), 200.0), torch.ones(1, 200))
    assert train.square().mean() == pytest.approx(1, rel=0.05)
    spectrum = torch.fft.rfft(train[0] * torch.hann_window(train.shape[1])).abs()
    hz = torch.linspace(0, RATE / 2, len(spectrum))
    between = (hz % 200 > 60) & (hz % 200 < 140)
    assert spectrum[between].max() < 0.02 * spectrum.max()
    silent, _ = pulses(torch.full((1, 10), 200.0), torch.zeros(1, 10))
    assert not silent.any()
