"""Voice: GE2E in pyannote against resemblyzer's own code, real speakers, and a swapped voice."""

import numpy as np
import pytest

from qa.audio import Audio, as_audio, resampled
from qa.calibration.corpus import Clip, Recording, read_clip
from qa.calibration.damages import swap_speaker
from qa.errors import MissingModelError
from qa.speaker import (
    embed,
    embedding_model,
    identify,
    similarity,
    sliding_embeddings,
    track_speaker,
)
from qa.speaker_track import WINDOW_S
from qa.thresholds import Thresholds
from qa.verdicts import judge_voice


def halves(clip: Clip) -> tuple[Audio, Audio]:
    audio = read_clip(clip.path)
    middle = len(audio.samples) // 2
    return Audio(audio.samples[:middle], audio.rate_hz), Audio(
        audio.samples[middle:], audio.rate_hz
    )


def test_the_arithmetic_is_resemblyzers(librispeech: list[Clip]) -> None:
    from resemblyzer import VoiceEncoder

    theirs = VoiceEncoder("cpu", verbose=False)
    for clip in librispeech[:3]:
        speech = read_clip(clip.path)
        _, windows = sliding_embeddings(speech)
        samples = np.concatenate([speech.samples, np.zeros(16_000, dtype=np.float32)])
        rms = float(np.sqrt(np.mean(speech.samples.astype(np.float64) ** 2)))
        gain = max(1.0, 10 ** (-30 / 20) / rms)
        for k in range(0, len(windows) - 1, 5):
            window = samples[k * 8000 : k * 8000 + round(WINDOW_S * 16_000)] * np.float32(gain)
            assert float(theirs.embed_utterance(window) @ windows[k]) > 0.99999


def test_whole_clips_match_resemblyzer(librispeech: list[Clip]) -> None:
    from resemblyzer import VoiceEncoder, preprocess_wav

    theirs = VoiceEncoder("cpu", verbose=False)
    for clip in librispeech[3:6]:
        speech = read_clip(clip.path)
        wanted = theirs.embed_utterance(preprocess_wav(speech.samples))
        np.testing.assert_allclose(embed(speech), wanted, atol=1e-5)


def test_real_speakers_are_told_apart(librispeech: list[Clip]) -> None:
    pairs = [halves(clip) for clip in librispeech[:20]]
    first = [embed(a) for a, _ in pairs]
    second = [embed(b) for _, b in pairs]
    same = [similarity(a, b) for a, b in zip(first, second, strict=True)]
    different = [
        similarity(a, b) for i, a in enumerate(first) for j, b in enumerate(second) if i != j
    ]
    assert 0.85 < float(np.median(same)) < 0.96
    assert 0.4 < float(np.median(different)) < 0.68
    assert float(np.mean(identify(second, first) == np.arange(20))) >= 0.9


def test_a_swapped_voice_is_found_and_placed(minute: Recording, librispeech: list[Clip]) -> None:
    clean = track_speaker(minute.audio)
    assert judge_voice(clean, Thresholds()) == []
    for seed in range(3):
        damaged = swap_speaker(librispeech)(minute, np.random.default_rng(seed))
        assert damaged is not None
        findings = judge_voice(track_speaker(damaged.audio), Thresholds())
        assert len(findings) == 1
        assert findings[0].start_s == pytest.approx(damaged.start_s, abs=1.0)
        assert findings[0].end_s == pytest.approx(damaged.end_s, abs=1.0)


def test_another_voice_than_the_prompt_is_found(
    minute: Recording, librispeech: list[Clip], kathleen: list[Clip]
) -> None:
    own = track_speaker(minute.audio, read_clip(kathleen[200].path))
    assert judge_voice(own, Thresholds()) == []
    other = track_speaker(minute.audio, read_clip(librispeech[0].path))
    assert [f.check for f in judge_voice(other, Thresholds())] == ["prompt"]


def test_a_short_clip_still_gives_one_window() -> None:
    centres, vectors = sliding_embeddings(as_audio(np.full(8000, 0.01, dtype=np.float32), 16_000))
    assert centres.shape == (1,)
    assert vectors.shape == (1, 256)


def test_models_are_never_downloaded() -> None:
    with pytest.raises(MissingModelError, match="no such checkpoint"):
        embedding_model("pyannote/embedding")


def test_rates_do_not_matter(librispeech: list[Clip]) -> None:
    speech = read_clip(librispeech[1].path)
    assert similarity(embed(speech), embed(resampled(speech, 44_100))) > 0.995
