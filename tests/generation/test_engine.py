"""The engine: audio that is equal to the bit whoever the neighbours are, and windows read again."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from generation.codec.latent import LatentCodec
from generation.engine import ChapterJob, Engine, WindowSound
from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS, TOKEN_SAMPLES
from generation.rendering import Renderer, VoicePrompt
from generation.script.units import INDEX
from generation.soundstorm.decoding import Decoding
from generation.soundstorm.model import SoundStorm, soundstorm_config
from generation.speechssm.model import SpeechSSM
from generation.speechssm.presets import speech_config
from generation.windows import Window

CODES, LEVELS = 32, 2


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Tiny models with random weights, and the real decoder."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    reader = SpeechSSM(speech_config("tiny", CODES))
    soundstorm = SoundStorm(soundstorm_config("tiny", CODES, LEVELS))
    codec = LatentCodec(torch.randn(LEVELS, 1024, 384) * 0.3, "0" * 64)
    rng = np.random.default_rng(0)
    prompt = VoicePrompt(
        rng.integers(0, CODES, PROMPT_TOKENS),
        rng.integers(0, 1024, (PROMPT_TOKENS * FRAMES_PER_TOKEN, LEVELS)),
    )
    return Engine(reader, Renderer(soundstorm, codec, prompt, Decoding(passes=2)), lanes=8)


def job(key: str, windows: int) -> ChapterJob:
    rng = np.random.default_rng(sum(key.encode()))
    units = rng.integers(1, INDEX[","], 24 * windows)
    units[23::24] = INDEX["."]
    starts = (np.arange(24 * windows) % 4 == 0).astype(np.int64)
    plan = tuple(Window(n, 24 * n, 24 * (n + 1), 2.0) for n in range(windows))
    return ChapterJob(key, units, starts, plan, seed_text=key)


def narrated(engine: Engine, jobs: Sequence[ChapterJob]) -> dict[tuple[str, int], WindowSound]:
    return {(s.read.key, s.read.window.number): s for s in engine.narrate(jobs)}


def test_a_chapter_sounds_the_same_alone_crowded_and_in_another_order(engine: Engine) -> None:
    chapter = job("kept", 3)
    others = [job(f"other {n}", 1 + n % 3) for n in range(9)]
    alone = narrated(engine, [chapter])
    crowded = narrated(engine, [*others[:4], chapter, *others[4:]])
    turned = narrated(engine, [*others[::-1], chapter])
    assert len(alone) == 3
    assert len(crowded) == len(turned) == 3 + sum(1 + n % 3 for n in range(9))
    for place, sound in alone.items():
        samples = len(sound.read.reading.tokens) * TOKEN_SAMPLES
        assert sound.waveform.shape == (samples,)
        assert np.array_equal(sound.waveform, crowded[place].waveform)
        assert np.array_equal(sound.waveform, turned[place].waveform)


def test_a_window_can_be_read_again_from_its_snapshot(engine: Engine) -> None:
    chapter = job("repaired", 3)
    first = narrated(engine, [chapter])
    middle = first["repaired", 1].read
    windows = chapter.windows[:2]
    again = replace(chapter, windows=windows, first=1, snapshot=middle.entry)
    same = narrated(engine, [again])
    assert list(same) == [("repaired", 1)]
    assert np.array_equal(same["repaired", 1].waveform, first["repaired", 1].waveform)
    other = narrated(engine, [replace(again, take=2)])
    assert not np.array_equal(
        other["repaired", 1].read.reading.tokens[:20], middle.reading.tokens[:20]
    )


def test_an_abandoned_reading_leaves_the_engine_usable(engine: Engine) -> None:
    reading = engine.read([job("left", 3), job("too", 3)])
    next(reading)
    reading.close()
    after = narrated(engine, [job("after", 2)])
    assert sorted(after) == [("after", 0), ("after", 1)]


def test_the_pointer_only_moves_forward_and_reaches_the_end(engine: Engine) -> None:
    for read in engine.read([job("path", 4)]):
        pointer = read.reading.pointer
        assert pointer[0] == read.window.start
        assert (np.diff(pointer) >= 0).all()
        assert (np.diff(pointer) <= 3).all()
        assert read.window.end - 3 <= pointer[-1] < read.window.end
