"""SoundStorm: attention against a slow reference, padding and neighbours that change nothing, decoding."""

import torch
from torch.nn import functional as F

from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS
from generation.soundstorm.decoding import Decoding, WindowBatch, fill
from generation.soundstorm.model import (
    FrameText,
    Neighbourhood,
    SoundStorm,
    frame_pointer,
    place_in_unit,
    soundstorm_config,
)

PROMPT = PROMPT_TOKENS * FRAMES_PER_TOKEN
BLOCK = 32


def tiny() -> SoundStorm:
    torch.manual_seed(0)
    return SoundStorm(soundstorm_config("tiny", semantic_codes=16, levels=2)).eval()


def dense_reference(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Full attention with the neighbourhood as one obvious mask."""
    frames = query.shape[2]
    mask = torch.zeros(len(valid), frames, frames, dtype=torch.bool)
    for i in range(frames):
        for j in range(frames):
            mask[:, i, j] = j < PROMPT or abs(i // BLOCK - j // BLOCK) <= 1
    mask &= valid[:, None, :]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None])


def test_blocked_attention_equals_dense_attention_with_a_mask() -> None:
    torch.manual_seed(1)
    frames = PROMPT + 150
    valid = torch.arange(frames) < torch.tensor([[frames], [frames - 40]])
    query, key, value = torch.randn(3, 2, 2, frames, 8)
    fast = Neighbourhood(valid, BLOCK).attend(query, key, value)
    slow = dense_reference(query, key, value, valid)
    assert torch.allclose(fast[0], slow[0], atol=1e-6)
    assert torch.allclose(fast[1, :, : frames - 40], slow[1, :, : frames - 40], atol=1e-6)


def test_frame_pointer_gives_a_skipped_unit_the_second_frame() -> None:
    pointer = torch.tensor([0, 0, 1, 3, 6])
    assert frame_pointer(pointer).tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 6, 6]


def test_place_in_unit_counts_from_both_ends() -> None:
    since, until = place_in_unit(torch.tensor([[4, 4, 4, 5, 7, 7]]))
    assert since.tolist() == [[0, 1, 2, 0, 0, 1]]
    assert until.tolist() == [[2, 1, 0, 0, 1, 0]]


def batch(tokens: list[int], width: int, seeds: list[int]) -> WindowBatch:
    """Windows of the given lengths, padded to one width; rows depend on their own seed alone."""
    rows = len(tokens)
    frames = PROMPT + width * FRAMES_PER_TOKEN
    text = FrameText(
        torch.zeros(rows, 64, dtype=torch.long),
        torch.zeros(rows, 64, dtype=torch.long),
        torch.zeros(rows, frames, dtype=torch.long),
        torch.zeros(rows, frames, dtype=torch.long),
        torch.zeros(rows, frames, dtype=torch.long),
        torch.zeros(rows, frames, dtype=torch.bool),
    )
    semantic = torch.zeros(rows, PROMPT_TOKENS + width, dtype=torch.long)
    codes = torch.zeros(rows, frames, 2, dtype=torch.long)
    for row, (length, seed) in enumerate(zip(tokens, seeds, strict=True)):
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randint(16, (length,), generator=generator)
        semantic[row, PROMPT_TOKENS : PROMPT_TOKENS + length] = drawn
        text.units[row] = torch.randint(1, 90, (64,), generator=generator)
        spread = torch.arange(length * FRAMES_PER_TOKEN) * 40 // (length * FRAMES_PER_TOKEN)
        text.pointer[row, PROMPT : PROMPT + length * FRAMES_PER_TOKEN] = spread
        text.spoken[row, PROMPT : PROMPT + length * FRAMES_PER_TOKEN] = True
        codes[row, :PROMPT] = torch.randint(1024, (PROMPT, 2), generator=generator)
    ends = torch.tensor([PROMPT + length * FRAMES_PER_TOKEN for length in tokens])
    return WindowBatch(text, semantic, codes, PROMPT, ends, torch.tensor(seeds))


def test_filling_keeps_the_prompt_and_knows_every_frame() -> None:
    model, work = tiny(), batch([40, 25], 48, [1, 2])
    codes = fill(model, work, Decoding(passes=3))
    assert torch.equal(codes[:, :PROMPT], work.codes[:, :PROMPT])
    for row, end in enumerate(work.frames.tolist()):
        assert int(codes[row, :end].max()) < model.mask


def test_a_window_sounds_the_same_whoever_its_neighbours_are() -> None:
    model = tiny()
    first = fill(model, batch([40, 25, 33], 48, [1, 2, 3]), Decoding(passes=3))
    other = fill(model, batch([20, 40, 48], 48, [9, 1, 8]), Decoding(passes=3))
    end = PROMPT + 40 * FRAMES_PER_TOKEN
    assert torch.equal(first[0, :end], other[1, :end])


def test_another_seed_sounds_different() -> None:
    model = tiny()
    work = batch([40], 48, [1])
    again = batch([40], 48, [1])
    other = WindowBatch(
        again.text, again.semantic, again.codes, PROMPT, again.frames, torch.tensor([77])
    )
    end = PROMPT + 40 * FRAMES_PER_TOKEN
    one, two = fill(model, work, Decoding(passes=3)), fill(model, other, Decoding(passes=3))
    assert not torch.equal(one[0, PROMPT:end], two[0, PROMPT:end])


def test_padding_changes_nothing() -> None:
    model = tiny()
    narrow, wide = batch([40], 40, [1]), batch([40], 96, [1])
    end = PROMPT + 40 * FRAMES_PER_TOKEN
    features = []
    for work in (narrow, wide):
        valid = torch.arange(work.codes.shape[1]) < work.frames[:, None]
        context = model.context(work.text, work.semantic, PROMPT)
        features.append(model(context, work.codes, valid)[:, :end])
    assert torch.allclose(features[0], features[1], atol=1e-5)
