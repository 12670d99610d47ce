"""Real recordings for the QA tests: kathleen with her texts, LibriSpeech speakers, LJSpeech."""

from pathlib import Path

import pytest

from qa.calibration.corpus import Clip, Recording, concatenate, load_clips, once_each

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    """All recordings of the manifest, in its order."""
    if not (SPEECH / "manifest.tsv").is_file():
        pytest.fail(f"{SPEECH / 'manifest.tsv'} is missing: the QA tests measure real speech")
    return load_clips(SPEECH)


@pytest.fixture(scope="session")
def kathleen(clips: list[Clip]) -> list[Clip]:
    """One reading of each of kathleen's texts without digits."""
    return once_each([clip for clip in clips if clip.corpus == "kathleen"])


@pytest.fixture(scope="session")
def librispeech(clips: list[Clip]) -> list[Clip]:
    """One clip of each LibriSpeech speaker."""
    return [clip for clip in clips if clip.corpus == "librispeech"]


@pytest.fixture(scope="session")
def minute(kathleen: list[Clip]) -> Recording:
    """About a minute of kathleen: twenty sentences joined by room tone."""
    return concatenate(kathleen[40:60], seed=1)
