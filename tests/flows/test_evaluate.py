"""What the evaluation reads, what it compares, and what its table says."""

import json
from pathlib import Path

import pytest

from flows.measure.evaluate import (
    Evaluation,
    Judgement,
    PassageText,
    SeedResult,
    Words,
    memory_growth,
)
from flows.measure.evaluation_table import markdown
from flows.measure.heldout import passages
from flows.measure.piper import PiperError, read_by_piper
from generation.errors import ManuscriptError
from generation.manuscript import read_manuscript
from generation.training.heldout import first_heldout, split_chapters
from qa.statistics import wer_difference
from qa.words import ErrorCount

BOOKS = Path(__file__).parents[2].parent / "shared" / "data" / "books"
KEPT = {"arthur": 3, "mark": 9, "jane": 16}


def books() -> list[Path]:
    found = sorted(BOOKS.glob("*.epub"))
    assert found, f"the books are missing: put them in {BOOKS}"
    return found


def test_last_quarter_of_each_book_is_held_out() -> None:
    assert {path.name for path in books()} == set(first_heldout())
    for path in books():
        body, held = read_manuscript(path).body, split_chapters(path)[1]
        assert len(held) == KEPT[path.name.split("-")[0]]
        assert body[-len(held) :] == held
        assert len(held) == len(body) - len(body) * 3 // 4


def test_passages_are_whole_plain_paragraphs_in_equal_shares() -> None:
    chosen = passages(books(), 5000)
    held = {(path.name, c.number): c for path in books() for c in split_chapters(path)[1]}
    by_book = {path.name: 0 for path in books()}
    for passage in chosen:
        by_book[passage.book] += passage.chapter.words
        assert passage.source_number >= first_heldout()[passage.book]
        source = held[passage.book, passage.source_number]
        assert all(block in source.blocks for block in passage.chapter.blocks)
        assert not any(c.isdigit() for c in passage.text)
        assert "Mr." not in passage.text
        assert " ".join(passage.sentences) == " ".join(passage.text.split())
    assert all(5000 / 3 <= words < 2100 for words in by_book.values())
    assert [p.chapter.number for p in chosen] == list(range(1, len(chosen) + 1))
    assert len(chosen) >= 8


def test_book_that_may_have_been_trained_on_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.epub"
    other.write_bytes(books()[0].read_bytes())
    with pytest.raises(ManuscriptError, match="may have been trained on"):
        passages([other], 10)


def test_memory_growth_is_what_was_put_in_after_the_first_reading() -> None:
    readings = [(1800.0, 700.0), (1800.0, 790.0), (1800.0, 793.0), (1800.0, 796.0)]
    assert memory_growth(readings) == pytest.approx(6.0)
    assert memory_growth(readings[:2]) is None


def judgement(errors: int) -> Judgement:
    words = Words(tuple(ErrorCount(10, errors, 0, 0) for _ in range(20)), 1, 0)
    return Judgement(words, words, 3.2, 3.0, 0.8, 60.0, 30.0)


def result(seed: int, errors: int, piper: Judgement | None) -> SeedResult:
    ours = judgement(errors)
    difference = (
        wer_difference(ours.whisper.by_sentence, piper.whisper.by_sentence) if piper else None
    )
    share = 1.0 if piper else None
    return SeedResult(seed, ours, 0, 700.0 + seed, difference, difference, share, share)


@pytest.mark.parametrize("with_piper", [True, False])
def test_table_gives_mean_and_worst_and_says_if_piper_was_not_run(with_piper: bool) -> None:
    piper = judgement(1) if with_piper else None
    seeds = (result(0, 1, piper), result(1, 2, piper), result(2, 3, piper))
    done = Evaluation("joe", {}, (PassageText("a.epub", 12, 200),), seeds, piper)
    table = markdown(done)
    piper_wer = "10.00" if with_piper else ""
    assert f"| WER by Whisper tiny.en, % | 20.00 | 30.00 | {piper_wer} |" in table
    assert ("Piper was not run" in table) is not with_piper
    assert ("| … minus Piper's, points | +10.00 | +20.00 |  |" in table) is with_piper
    assert "| memory growth after the first seed, MB per hour of audio | +60.0 | | |" in table
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1
    assert json.loads(json.dumps(done.to_json()))["voice"] == "joe"


def test_missing_piper_is_said(tmp_path: Path) -> None:
    with pytest.raises(PiperError, match="cannot be started"):
        read_by_piper(tmp_path / "piper", ["A line."])
