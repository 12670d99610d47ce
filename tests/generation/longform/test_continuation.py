"""Continuations: the same for a seed, in constant memory, in windows that meet in the middle."""

import itertools

import numpy as np
import pytest
import torch

from generation.codec.latent import LatentCodec
from generation.errors import VoicePromptError
from generation.longform.continuation import Continuation
from generation.longform.model import TextlessSpeech
from generation.longform.windows import (
    NEW_TOKENS,
    OVERLAP_TOKENS,
    StreamingDecoder,
    overlapping_windows,
    render_stream,
)
from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS, TOKEN_SAMPLES, tokens_to_s
from generation.rendering import Renderer, VoicePrompt, WindowReading
from generation.soundstorm.decoding import Decoding
from generation.soundstorm.model import SoundStorm, soundstorm_config

CODES, LEVELS = 32, 2
PROMPT = np.random.default_rng(3).integers(0, CODES, 60)


def said(model: TextlessSpeech, count: int, seed: int = 0) -> list[int]:
    return list(itertools.islice(Continuation(model, PROMPT, seed), count))


def test_a_continuation_is_the_same_for_a_seed_and_another_for_another(
    model: TextlessSpeech,
) -> None:
    first = said(model, 60)
    assert first == said(model, 60)
    assert first != said(model, 60, seed=1)
    longer = said(model, 80)
    assert longer[:60] == first


def test_sampling_at_one_follows_the_models_likelihoods(griffin: TextlessSpeech) -> None:
    logits, _ = griffin(torch.from_numpy(np.append(PROMPT, 0))[None])
    likelihood = logits[0, -1].softmax(-1).detach().numpy()
    drawn = [Continuation(griffin, PROMPT, seed).step() for seed in range(600)]
    share = np.bincount(drawn, minlength=CODES) / 600
    assert np.abs(share - likelihood).sum() < 0.35
    cold = {Continuation(griffin, PROMPT, seed, temperature=0.01).step() for seed in range(9)}
    assert cold == {int(likelihood.argmax())}


def test_memory_does_not_grow_with_what_was_said(griffin: TextlessSpeech) -> None:
    continuation = Continuation(griffin, PROMPT)
    size = continuation.state.bytes
    shapes = [tensor.shape for tensor in continuation.state.backbone]
    for _ in range(500):
        continuation.step()
    assert continuation.state.bytes == size
    assert [tensor.shape for tensor in continuation.state.backbone] == shapes


def test_a_prompt_of_half_a_second_is_refused(griffin: TextlessSpeech) -> None:
    with pytest.raises(VoicePromptError, match="at least 1 s"):
        Continuation(griffin, PROMPT[:10])


@pytest.mark.parametrize("total", [1, 580, 581, 582, 700, 1076, 1077, 3000])
def test_windows_cover_a_stream_once_and_meet_in_the_middle(total: int) -> None:
    windows = list(overlapping_windows(itertools.count(), total))
    kept = np.concatenate([w.tokens[w.kept] for w in windows])
    assert np.array_equal(kept, np.arange(total))
    for window in windows:
        assert window.tokens[0] == window.first
        assert len(window.tokens) <= NEW_TOKENS
    for before, after in itertools.pairwise(windows):
        shared = before.first + len(before.tokens) - after.first
        assert shared == OVERLAP_TOKENS
        seam = after.first + after.kept.start
        assert seam == after.first + OVERLAP_TOKENS // 2
        assert seam == before.first + before.kept.stop
    if total == 3000:
        seams = [tokens_to_s(w.first + w.kept.start) for w in windows[1:]]
        assert seams == pytest.approx([25 + 23 * n for n in range(len(seams))], abs=0.15)


def test_windows_take_no_more_of_a_stream_than_they_need() -> None:
    stream = itertools.count()
    windows = overlapping_windows(stream, 10_000)
    next(windows)
    assert next(stream) == NEW_TOKENS


@pytest.fixture(scope="module")
def codec() -> LatentCodec:
    generator = torch.Generator().manual_seed(0)
    books = torch.randn(LEVELS, 1024, 384, generator=generator) * 0.3
    return LatentCodec(books, "0" * 64, dtype=torch.float32)  # bf16 rounds by the length of a piece


def test_codes_decoded_piece_by_piece_sound_as_decoded_at_once(codec: LatentCodec) -> None:
    codes = np.random.default_rng(0).integers(0, 1024, (330, LEVELS))
    decoder = StreamingDecoder(codec, 0)
    pieces = [
        decoder.push(codes[:90]),
        decoder.push(codes[90:95]),
        decoder.push(codes[95:260]),
        decoder.push(codes[260:], last=True),
    ]
    streamed = np.concatenate(pieces)
    assert len(pieces[0]) > 0
    assert streamed == pytest.approx(codec.decode(codes), abs=1e-4)


def speaker() -> tuple[np.random.Generator, VoicePrompt, SoundStorm]:
    """An untrained SoundStorm and a prompt, the same each time, and what drew the prompt."""
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    prompt = VoicePrompt(
        rng.integers(0, CODES, PROMPT_TOKENS),
        rng.integers(0, 1024, (PROMPT_TOKENS * FRAMES_PER_TOKEN, LEVELS)),
    )
    soundstorm = SoundStorm(soundstorm_config("tiny", CODES, LEVELS))
    return rng, prompt, soundstorm


def test_a_stream_is_rendered_without_text_window_by_window(codec: LatentCodec) -> None:
    rng, prompt, soundstorm = speaker()
    renderer = Renderer(soundstorm, codec, prompt, Decoding(passes=1))
    stream = rng.integers(0, CODES, 700)
    pieces = list(render_stream(stream, 650, renderer, seed=5))
    assert len(pieces) == 2
    assert np.array_equal(np.concatenate([tokens for tokens, _ in pieces]), stream[:650])
    waveform = np.concatenate([wave for _, wave in pieces])
    assert len(waveform) == 650 * TOKEN_SAMPLES
    again = np.concatenate([wave for _, wave in render_stream(stream, 650, renderer, seed=5)])
    assert np.array_equal(again, waveform)


def test_text_is_not_heard_where_there_is_none(codec: LatentCodec) -> None:
    rng, prompt, soundstorm = speaker()
    renderer = Renderer(soundstorm, codec, prompt, Decoding(passes=1))
    tokens, pointer = rng.integers(0, CODES, 40), np.zeros(40, np.int64)
    nothing = np.zeros(0, np.int64)
    read = WindowReading(np.array([5, 9, 7]), np.array([1, 0, 0]), tokens, pointer, 1)
    silent = WindowReading(nothing, nothing, tokens, pointer, 1)
    (_, with_text), (_, without) = next(renderer.fill([read])), next(renderer.fill([silent]))
    with torch.no_grad():
        for parameter in soundstorm.text_encoder.parameters():
            parameter.mul_(3.0)
    renderer = Renderer(soundstorm, codec, prompt, Decoding(passes=1))
    (_, changed), (_, same) = next(renderer.fill([read])), next(renderer.fill([silent]))
    assert np.array_equal(without, same)
    assert not np.array_equal(with_text, changed)


def test_without_text_nothing_is_done_twice(codec: LatentCodec) -> None:
    rng, prompt, soundstorm = speaker()
    guided, plain = (
        Renderer(soundstorm, codec, prompt, Decoding(passes=1, guidance=g), dtype=torch.float32)
        for g in (1.0, 0.0)
    )
    rows: list[int] = []
    guided.model.register_forward_pre_hook(lambda _, given: rows.append(len(given[1])))
    tokens, nothing = rng.integers(0, CODES, 40), np.zeros(0, np.int64)
    silent = WindowReading(nothing, nothing, tokens, np.zeros(40, np.int64), 1)
    read = WindowReading(np.array([5, 9]), np.array([1, 0]), tokens, np.zeros(40, np.int64), 1)
    (_, one), (_, other) = next(guided.fill([silent])), next(plain.fill([silent]))
    assert np.array_equal(one, other)
    assert set(rows) == {1}
    next(guided.fill([read]))
    assert set(rows) == {1, 2}
