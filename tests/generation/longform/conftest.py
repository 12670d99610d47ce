"""Tiny textless models with random weights, on one thread."""

from collections.abc import Iterator

import pytest
import torch

from generation.longform.model import TextlessSpeech, textless_config

CODES = 32


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(transformer: bool) -> TextlessSpeech:
    torch.manual_seed(0)
    return TextlessSpeech(textless_config("tiny", CODES, transformer)).eval()


@pytest.fixture(scope="package", params=[False, True], ids=["griffin", "transformer"])
def model(request: pytest.FixtureRequest) -> TextlessSpeech:
    """Return each backbone in turn."""
    return tiny(request.param)


@pytest.fixture(scope="package")
def griffin() -> TextlessSpeech:
    return tiny(False)


@pytest.fixture(scope="package")
def transformer() -> TextlessSpeech:
    return tiny(True)
