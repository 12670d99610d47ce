"""House voices: every one has its record, its weights load, and its prompt fits its codec."""

import pytest
import torch

from generation.rates import FRAMES_PER_TOKEN, PROMPT_TOKENS
from generation.voices import DEFAULT_VOICE, house_voices, load_cast

CONSENT = {"owner", "signatory", "basis", "lineage", "scope", "territories", "term"}


def test_the_default_voice_is_among_the_house_voices() -> None:
    assert DEFAULT_VOICE in house_voices()


@pytest.mark.parametrize("name", sorted(house_voices()))
def test_a_voice_says_what_its_data_allows_and_loads(name: str) -> None:
    voice = house_voices()[name]
    assert voice.consent.keys() >= CONSENT
    torch.set_num_threads(1)
    cast = load_cast(voice)
    assert set(cast.digests) == {"speechssm", "soundstorm", "codec"}
    assert all(len(digest) == 64 for digest in (*cast.digests.values(), cast.prompt_digest))
    assert cast.renderer.model.config.levels == cast.renderer.codec.levels
    assert cast.renderer.model.config.semantic_codes == cast.reader.config.codes
    spoken = cast.renderer.codec.decode(cast.renderer.prompt.codes, 0)
    assert len(spoken) == PROMPT_TOKENS * FRAMES_PER_TOKEN * 512
    assert float((spoken**2).mean()) > 1e-4, "the prompt is silent"
