"""The table of readings: what is printed, what must be said, and how the telling words must sound."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from writing import pauses, script_of, sounds, spoken

from generation.manuscript import BlockKind, Book

TABLE = Path(__file__).with_name("readings.tsv")
CLASSES = 20
FEWEST_IN_A_CLASS = 10


def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r['class']}: {r['printed'][:40]}")
def test_reading(row: dict[str, str]) -> None:
    printed, kind = row["printed"], BlockKind.PARAGRAPH
    if printed.startswith("# "):
        printed, kind = printed[2:], BlockKind.HEADING
    script = script_of(printed, kind)
    assert spoken(script) == row["spoken"]
    heard = sounds(script)
    for check in filter(None, row["sounds"].split("; ")):
        word, _, wanted = check.partition("=")
        if word == "pauses":
            assert pauses(script) == wanted
        else:
            assert wanted in [s for w, s in heard if w == word], f"{word} sounds {heard}"


def test_every_class_is_there() -> None:
    counts = Counter(row["class"] for row in rows())
    assert len(counts) == CLASSES
    assert min(counts.values()) >= FEWEST_IN_A_CLASS
    assert sum(counts.values()) >= 220


def test_half_stands_in_real_books(books: dict[str, Book]) -> None:
    text = {
        name: _plain(" ".join(b.text for c in book.chapters for b in c.blocks))
        for name, book in books.items()
    }
    quoted = [row for row in rows() if row["source"] != "own"]
    for row in quoted:
        printed = row["printed"].removeprefix("# ").replace("{fr:", "").replace("}", "")
        assert _plain(printed) in text[row["source"]], f"not in {row['source']}: {printed}"
    assert len(quoted) * 2 >= len(rows())


def _plain(text: str) -> str:
    """Drop what readers of a manuscript may drop: joiners, and the hair spaces between quotation marks."""
    return re.sub(r"(?<=[“‘’”])\s+(?=[“‘’”])", "", " ".join(text.replace("\u2060", "").split()))
