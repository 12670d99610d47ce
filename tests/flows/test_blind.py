"""Comparing two sets of weights blind: the page in real Chromium, its clips, and the command."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright
from typer.testing import CliRunner

from flows.cli import app
from flows.measure.blind import LOUDNESS_LUFS, Pair, levelled, write_page
from generation.mastering.loudness import LoudnessMeter
from generation.rates import SAMPLE_RATE_HZ
from generation.voices import WEIGHTS

BOOKS = Path(__file__).parents[3] / "shared" / "data" / "books"


def tone(hz: float, gain: float) -> np.ndarray:
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    return (gain * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.fixture
def pairs() -> list[Pair]:
    return [Pair(f"Words <{n}> & more.", tone(300, 0.3), tone(500 + n, 0.02)) for n in range(6)]


def hears_ours(clip: Path) -> bool:
    sound, _ = soundfile.read(clip)
    return int(np.abs(np.fft.rfft(sound)).argmax() / 2) == 300


def test_votes_go_to_whom_they_were_for(pairs: list[Pair], tmp_path: Path) -> None:
    page_file = write_page(pairs, ("ours", "theirs"), tmp_path, seed=1)
    assert "ours" not in re.sub(r"Whose|whose|hours", "", page_file.read_text("utf-8"))
    firsts = [hears_ours(tmp_path / f"clips/{n:02d}a.flac") for n in range(1, 7)]
    seconds = [hears_ours(tmp_path / f"clips/{n:02d}b.flac") for n in range(1, 7)]
    assert [not one for one in firsts] == seconds
    assert len(set(firsts)) == 2, "the order is always the same"
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: infra/debian.sh chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(page_file.as_uri())
        expect(page.get_by_text("Words <3> & more.")).to_be_visible()
        page.wait_for_function(
            "[...document.querySelectorAll('audio')].every(a => a.duration > 1.9)"
        )
        page.get_by_role("button").click()
        expect(page.locator("#result")).to_be_empty()
        for number, ours_first in enumerate(firsts):
            choice = (
                "no difference" if number == 5 else "A is better" if ours_first else "B is better"
            )
            page.get_by_role("group", name=f"Passage {number + 1} of 6").get_by_label(
                choice
            ).check()
        page.get_by_role("button").click()
        expect(page.locator("#result")).to_contain_text(
            "ours: 5. theirs: 0. No difference: 1. Between equals a vote so uneven has a chance of 0.063."
        )
        browser.close()


def test_clips_have_one_loudness(pairs: list[Pair]) -> None:
    for sound in (pairs[0].ours, pairs[0].theirs):
        meter = LoudnessMeter(SAMPLE_RATE_HZ)
        meter.push(levelled(sound))
        assert meter.integrated() == pytest.approx(LOUDNESS_LUFS, abs=0.1)
    assert np.abs(levelled(np.zeros(SAMPLE_RATE_HZ, np.float32))).max() == 0


def test_the_command_reads_passages_by_both(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    command = ["compare", str(other), *map(str, sorted(BOOKS.glob("*.epub"))), "--out"]
    refused = CliRunner().invoke(app, [*command, str(tmp_path / "page"), "--passages", "1"])
    assert refused.exit_code == 2
    assert "no weights" in refused.stderr
    shutil.copy(WEIGHTS / "prompt-joe.safetensors", other)
    done = CliRunner().invoke(app, [*command, str(tmp_path / "page"), "--passages", "1"])
    assert done.exit_code == 0, done.output
    ours, theirs = (soundfile.read(tmp_path / f"page/clips/01{x}.flac")[0] for x in "ab")
    assert len(ours) > 5 * SAMPLE_RATE_HZ
    assert (ours == theirs).all(), "the same weights speak alike"
    assert "<blockquote>" in (tmp_path / "page/index.html").read_text("utf-8")
