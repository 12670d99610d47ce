"""Long chapters in parts, and excerpts: cut at pauses, toned at their ends, every word once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mastering_tools import Audio, lag_samples
from packaged_story import Packaged

from generation.mastering import MasteringError
from generation.mastering.excerpt import TONE_HEAD_S, TONE_TAIL_S, excerpt
from generation.packages.split import parts, retail_sample
from generation.rates import DELIVERY_RATE_HZ

Decode = Callable[[Path], Audio]


def test_a_long_chapter_is_cut_at_its_scene(
    packaged: Packaged, tmp_path: Path, decode: Decode
) -> None:
    """The limit stands for 120 minutes; the scene begins at 11 of the chapter's 15 seconds."""
    chapter, text = packaged.mastered[0], packaged.book.body[0]
    made = parts(chapter, text, tmp_path, limit_s=13)
    assert [part.title for part in made] == ["The Lamp, part 1 of 2", "The Lamp, part 2 of 2"]
    words = [word.text for part in made for word in part.times.words]
    assert words == [word.text for word in chapter.times.words]
    assert made[1].times.words[0].text == "In"
    whole = decode(chapter.flac)
    for part in made:
        sound = decode(part.flac)
        assert len(sound) == part.samples
        assert part.duration_s <= 13 + TONE_HEAD_S + TONE_TAIL_S
        first, last = part.times.words[0], part.times.words[-1]
        assert 0.5 <= first.start_s <= 2.7
        assert 1 <= part.duration_s - last.end_s <= 5
        before = next(
            w for w in chapter.times.words if (w.place, w.text) == (first.place, first.text)
        )
        at, was = (round(w.start_s * DELIVERY_RATE_HZ) for w in (first, before))
        length = round(DELIVERY_RATE_HZ * min(1.0, last.end_s - first.start_s))
        lag = lag_samples(whole[was : was + length], sound[at : at + length], DELIVERY_RATE_HZ)
        assert abs(lag) < 10
        step = np.abs(np.diff(sound)).max()
        assert step <= np.abs(np.diff(whole)).max() * 1.01, "the cut clicks"


def test_short_chapters_stay_whole_and_uncuttable_ones_are_named(
    packaged: Packaged, tmp_path: Path
) -> None:
    chapter = packaged.mastered[1]
    assert parts(chapter, packaged.book.body[1], tmp_path) == [chapter]
    with pytest.raises(MasteringError, match="no paragraph to be cut at"):
        parts(chapter, packaged.book.body[1], tmp_path, limit_s=2)
    assert list(tmp_path.iterdir()) == []


def test_a_sample_ends_in_a_pause_with_room_tone(
    packaged: Packaged, tmp_path: Path, decode: Decode
) -> None:
    chapter = packaged.mastered[0]
    retail_sample(chapter, tmp_path / "sample.flac", limit_s=10)
    sound, whole = decode(tmp_path / "sample.flac"), decode(chapter.flac)
    assert len(sound) / DELIVERY_RATE_HZ <= 10 + TONE_TAIL_S
    last = [word for word in chapter.times.words if word.end_s < 10][-1]
    assert last.end_s + 1 <= len(sound) / DELIVERY_RATE_HZ
    np.testing.assert_array_equal(sound[:100_000], whole[:100_000])
    tail = np.sqrt(np.mean(np.square(sound[-DELIVERY_RATE_HZ:])))
    assert 20 * np.log10(tail) <= -60


def test_an_excerpt_of_everything_is_everything(
    packaged: Packaged, tmp_path: Path, decode: Decode
) -> None:
    chapter = packaged.mastered[1]
    shift, samples = excerpt(chapter.flac, chapter.samples, 0, chapter.samples, tmp_path / "a.flac")
    assert (shift, samples) == (0, chapter.samples)
    np.testing.assert_array_equal(decode(tmp_path / "a.flac"), decode(chapter.flac))
