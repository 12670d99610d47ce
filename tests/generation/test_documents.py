"""What is kept between the steps of a narration comes back as it was, and says when it is none of ours."""

import numpy as np
import pytest
import torch

from generation.documents import (
    Tokens,
    read_script,
    read_snapshot,
    read_sound,
    read_tokens,
    script_bytes,
    snapshot_bytes,
    sound_bytes,
    tokens_bytes,
)
from generation.errors import NarrationError
from generation.manuscript.book import Block, BlockKind, Chapter, ChapterKind
from generation.narration import said_otherwise, unit_arrays
from generation.script import write_script
from generation.script.lexicon import Lexicon
from generation.speechssm.reading import Snapshot
from generation.windows import Window, plan_windows


def chapter(*paragraphs: str) -> Chapter:
    blocks = tuple(
        Block(BlockKind.PARAGRAPH, text, "", str(n), tuple(range(len(text))))
        for n, text in enumerate(paragraphs, 1)
    )
    return Chapter(1, "One", ChapterKind.BODY, blocks)


def test_a_script_comes_back_with_every_unit_and_place() -> None:
    script = write_script(chapter("Dr. Smith paid £3.50 in 1924.", "“Why?” he asked."))
    written = script_bytes(script)
    assert read_script(written) == script
    assert script_bytes(read_script(written)) == written


def test_readings_and_snapshots_come_back_to_the_bit() -> None:
    tokens = Tokens(np.array([3, 1, 2]), np.array([0, 0, 2]), forced=1, complete=False)
    back = read_tokens(tokens_bytes(tokens))
    assert np.array_equal(back.tokens, tokens.tokens)
    assert np.array_equal(back.pointer, tokens.pointer)
    assert (back.forced, back.complete) == (1, False)
    snapshot = Snapshot(*(torch.randn(2, 3) for _ in Snapshot._fields))
    same = read_snapshot(snapshot_bytes(snapshot))
    assert all(torch.equal(a, b) for a, b in zip(snapshot, same, strict=True))
    assert snapshot_bytes(same) == snapshot_bytes(snapshot)


def test_sound_is_kept_to_24_bits() -> None:
    waveform = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    assert np.abs(read_sound(sound_bytes(waveform)) - waveform).max() <= 2.0**-23


def test_other_bytes_are_refused() -> None:
    for read in (read_script, read_tokens, read_snapshot, read_sound):
        with pytest.raises(NarrationError):
            read(b"{}")


def test_one_window_is_said_otherwise_and_fits_between_its_neighbours() -> None:
    book = chapter(*("The lamp was lit by Lestrade. " * 6 for _ in range(4)))
    script = write_script(book)
    units, starts = unit_arrays(script)
    windows = plan_windows(units.tolist(), starts.astype(bool).tolist())
    middle = windows[1]
    said, part = said_otherwise(book, Lexicon.of({"Lestrade": "LES-trayd-oh"}), script, middle)

    def words(units: tuple[object, ...], window: Window) -> list[int]:
        return sorted({u.word for u in units[window.start : window.end] if u.word >= 0})  # type: ignore[attr-defined]

    assert words(said.units, part) == words(script.units, middle)
    assert part.number == 1
    assert said.units[part.start : part.end] != script.units[middle.start : middle.end]
    assert said.units[part.end - 1] == script.units[middle.end - 1]
    same, unchanged = said_otherwise(book, Lexicon(), script, middle)
    assert (same, unchanged.start, unchanged.end) == (script, middle.start, middle.end)
