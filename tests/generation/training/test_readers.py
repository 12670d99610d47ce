"""Readers out of blends: the symbols they are given, the shares they are made of, their microphones."""

import numpy as np
import pytest

from generation.rates import SAMPLE_RATE_HZ
from generation.script.units import BREAK_INDICES, PADDING, SYMBOLS
from generation.training.readers import draw_shares, kokoro_symbols, microphone

KOKORO = set(
    ';:,.!?—…"()“” ̃ʣʥʦʨᵝꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋ'
    "ʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ"
)
"""The symbols of Kokoro-82M 1.0 (its vocab.json)."""


@pytest.mark.parametrize(
    "symbol", [s for i, s in enumerate(SYMBOLS) if i not in BREAK_INDICES and s != PADDING]
)
def test_every_unit_that_is_read_has_symbols_kokoro_knows(symbol: str) -> None:
    said = kokoro_symbols(symbol)
    assert said
    assert set(said) <= KOKORO


def test_a_blend_has_one_to_three_voices_and_adds_up() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_shares(54, rng) for _ in range(200)]
    counts = {int((shares > 0).sum()) for shares in drawn}
    assert counts == {1, 2, 3}
    assert np.allclose([shares.sum() for shares in drawn], 1)


def test_a_microphone_colours_and_keeps_the_level() -> None:
    rng = np.random.default_rng(1)
    speech = rng.standard_normal(4 * SAMPLE_RATE_HZ).astype(np.float32) * 0.05
    heard = [microphone(speech, rng) for _ in range(6)]
    for sound in heard:
        assert np.isclose((sound**2).mean(), (speech**2).mean(), rtol=0.05)
    bands = [np.abs(np.fft.rfft(s)).reshape(-1)[:40_000].reshape(20, -1).mean(1) for s in heard]
    spread = np.std(20 * np.log10(np.array(bands)), axis=0)
    assert spread.mean() > 0.7, "all microphones are the same"
