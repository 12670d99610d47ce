"""The text encoder sees RADIUS units on each side and no more, and says the same of any span."""

import pytest
import torch
from torch import Tensor

from generation.script.units import SYMBOLS
from generation.speechssm.text_encoder import BLOCK, RADIUS, TextEncoder


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    torch.manual_seed(5)
    return TextEncoder(32, 48).eval()


def chapter(units: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(units)
    indices = torch.randint(1, len(SYMBOLS), (units,), generator=generator)
    return indices, torch.rand(units, generator=generator) < 0.25


def test_a_unit_is_heard_up_to_the_radius_and_not_beyond(encoder: TextEncoder) -> None:
    encoder = encoder.double()
    units, starts = chapter(4 * RADIUS)
    place = 2 * RADIUS
    changed = units.clone()
    changed[place] = units[place] % (len(SYMBOLS) - 1) + 1
    difference = encoder(units[None], starts[None]) - encoder(changed[None], starts[None])
    heard = difference[0].abs().amax(dim=-1).nonzero()[:, 0]
    encoder.float()
    assert heard.min() == place - RADIUS
    assert heard.max() == place + RADIUS


def test_word_starts_are_heard(encoder: TextEncoder) -> None:
    units, starts = chapter(50)
    assert not torch.allclose(
        encoder(units[None], starts[None]), encoder(units[None], ~starts[None])
    )


@pytest.mark.parametrize(("start", "end"), [(0, 40), (60, 100), (170, 200), (0, 200)])
def test_a_span_with_its_neighbourhood_gets_the_chapter_vectors(
    encoder: TextEncoder, start: int, end: int
) -> None:
    units, starts = chapter(200)
    whole = encoder(units[None], starts[None])[0]
    first, last = max(0, start - RADIUS), min(200, end + RADIUS)
    window = encoder(units[None, first:last], starts[None, first:last])[0]
    torch.testing.assert_close(
        window[start - first : end - first], whole[start:end], rtol=0, atol=1e-5
    )


def test_padding_in_a_batch_is_as_silent_as_the_end(encoder: TextEncoder) -> None:
    units, starts = chapter(30)
    padded = torch.zeros(2, 90, dtype=torch.int64)
    padded[0, :30], padded[1] = units, chapter(90)[0]
    flags = torch.zeros(2, 90, dtype=torch.bool)
    flags[0, :30] = starts
    flags[0, 30:] = True
    torch.testing.assert_close(
        encoder(padded, flags)[0, :30], encoder(units[None], starts[None])[0], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("length", [20, BLOCK, 3 * BLOCK + 17])
def test_encoding_in_blocks_equals_encoding_at_once(encoder: TextEncoder, length: int) -> None:
    units, starts = chapter(length)
    torch.testing.assert_close(
        encoder.encode_span(units, starts, 0, length),
        encoder(units[None], starts[None])[0],
        rtol=0,
        atol=1e-5,
    )


def test_any_span_of_a_chapter_is_encoded_to_the_same_bits(encoder: TextEncoder) -> None:
    units, starts = chapter(3 * BLOCK + 17)
    whole = encoder.encode_span(units, starts, 0, len(units))
    for start, end in ((0, 1), (10, 300), (BLOCK - 1, BLOCK + 1), (500, len(units))):
        assert torch.equal(encoder.encode_span(units, starts, start, end), whole[start:end])
