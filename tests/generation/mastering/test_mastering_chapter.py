"""One chapter by itself: its archive, its times, and how it is taken apart and put together again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from generation.manuscript.book import Place
from generation.mastering import (
    MasteredChapter,
    MasteringError,
    NarratedWindow,
    SpokenWord,
    master_chapter,
    mastered,
)
from generation.packages import BookMeta, Description, VoiceMeta, package
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]


@pytest.fixture(scope="module")
def windows(speech: Callable[[str, float], Audio]) -> list[NarratedWindow]:
    word = SpokenWord("Lamp", 1.0, 1.5, Place("text/1.xhtml", "/4/2", 3, 7))
    return [NarratedWindow(part, [word]) for part in np.array_split(speech("ljspeech", 15), 3)]


@pytest.fixture(scope="module")
def chapter(
    windows: list[NarratedWindow], tmp_path_factory: pytest.TempPathFactory
) -> MasteredChapter:
    out = tmp_path_factory.mktemp("chapter") / "7.flac"
    done = master_chapter(7, "The Lamp", iter(windows), out, seed=3)
    assert [path.name for path in out.parent.iterdir()] == ["7.flac"]
    return done


def test_windows_follow_each_other_and_words_lie_in_them(chapter: MasteredChapter) -> None:
    times = json.loads(chapter.times_json())
    assert [window["number"] for window in times["windows"]] == [0, 1, 2]
    starts = [window["start_s"] for window in times["windows"]]
    np.testing.assert_allclose(np.diff(starts), 5, atol=1e-3)
    for window, word in zip(times["windows"], times["words"], strict=True):
        assert word["start_s"] == pytest.approx(window["start_s"] + 1, abs=1e-3)
        assert window["start_s"] < word["start_s"] < word["end_s"] < window["end_s"]
        assert word["text"] == "Lamp"
        assert word["place"] == {"document": "text/1.xhtml", "node": "/4/2", "start": 3, "end": 7}
    assert times["windows"][-1]["end_s"] <= chapter.duration_s


def test_a_chapter_is_put_together_again_from_what_was_stored(chapter: MasteredChapter) -> None:
    measures = json.loads(json.dumps(chapter.measures()))
    again = mastered(7, "The Lamp", chapter.flac, chapter.times_json(), measures)
    assert again == chapter
    assert again.content_digest == chapter.content_digest
    renamed = mastered(7, "The Lamb", chapter.flac, chapter.times_json(), measures)
    assert renamed.content_digest != chapter.content_digest


def test_the_packaged_archive_is_the_chapters_own_audio(
    chapter: MasteredChapter, tmp_path: Path, decode: Callable[[Path], Audio], probe: Any
) -> None:
    described = Description(BookMeta(title="Tales"), VoiceMeta(name="joe"))
    release = package(described, [chapter], tmp_path / "out", seed=3)
    flac = tmp_path / "out" / release.chapters[0].files[0].path
    assert probe(flac)["format"]["tags"]["title"] == "The Lamp"
    np.testing.assert_array_equal(decode(flac), decode(chapter.flac))
    assert len(decode(flac)) == chapter.samples == round(chapter.duration_s * DELIVERY_RATE_HZ)
    assert flac.read_bytes()[26:42] == chapter.flac.read_bytes()[26:42], "MD5 of the samples"
    assert release.chapters[0].violations == chapter.violations == ()


def test_the_same_windows_give_the_same_archive(
    chapter: MasteredChapter, windows: list[NarratedWindow], tmp_path: Path
) -> None:
    again = master_chapter(7, "The Lamp", windows, tmp_path / "again.flac", seed=3)
    assert again.flac.read_bytes() == chapter.flac.read_bytes()


def test_a_chapter_that_cannot_be_mastered_leaves_nothing(tmp_path: Path) -> None:
    silent = [NarratedWindow(np.zeros(2 * SAMPLE_RATE_HZ, np.float32))]
    with pytest.raises(MasteringError, match=r"chapter 2 \('Void'\).*no speech"):
        master_chapter(2, "Void", silent, tmp_path / "2.flac", seed=0)
    assert list(tmp_path.iterdir()) == []
