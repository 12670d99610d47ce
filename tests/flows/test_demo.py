"""The demonstration: its story is read as a listener would, and its first chapter is narrated and heard."""

from pathlib import Path

import pytest

from flows.demo import STORY, demonstrate, spoken_text
from generation.manuscript import read_manuscript

WORST_WORD_ERROR_RATE = 0.30
"""Well above what a good reading scores; a broken one is near 1."""


def test_story_is_a_book_of_three_chapters() -> None:
    book = read_manuscript(STORY)
    assert book.title == "The Lamp at Low Point"
    assert book.authors == ("The makers of Lectern",)
    assert [c.title for c in book.body] == [
        "Chapter I. The Letter",
        "Chapter II. The Stranger",
        "Chapter III. The Last Night",
    ]
    assert 950 <= sum(c.words for c in book.body) <= 1050


@pytest.mark.parametrize(
    ("chapter", "said"),
    [
        (1, "Chapter one The Letter"),
        (1, "Tuesday March fourth nineteen twenty four"),
        (1, "across the bay at Saint Ann's Head"),
        (1, "Then I shall stop said Doctor Morrow"),
        (1, "Perhaps it is said Missus Hale"),
        (2, "Chapter two The Stranger"),
        (2, "in the winter of eighteen eighty four"),
        (2, "My name is Étienne Moreau"),
        (3, "Chapter three The Last Night"),
        (3, "She would have forty dollars a month"),
    ],
)
def test_story_is_read_as_a_listener_expects(chapter: int, said: str) -> None:
    assert said in spoken_text(chapter)


def test_footnote_and_front_matter_are_not_read() -> None:
    everything = " ".join(spoken_text(number) for number in (1, 2, 3))
    assert "rhythm" in STORY.read_text("utf-8")
    assert "rhythm" not in everything
    assert "Apache" not in everything


def test_first_chapter_is_narrated_and_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECTERN_HOME", str(tmp_path / "home"))
    seen: list[str] = []
    shown = demonstrate(tmp_path / "demo", "1", lambda what, share: seen.append(what))
    (chapter,) = shown.narration.release.chapters
    assert 90 < chapter.duration_s < 200
    assert (tmp_path / "demo" / "release.json").is_file()
    assert seen[0] == "narrating"
    assert seen[-1] == "packaging"
    assert "reporting" in seen
    assert shown.words[0].words > 300
    assert shown.word_error_rate < WORST_WORD_ERROR_RATE
