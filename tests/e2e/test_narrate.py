"""`lectern narrate` as a publisher runs it: a book in, an audiobook with timed words out."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

BOOK = """---
title: The Lamp
author: A. Writer
---
# Chapter I

The old man lit the lamp and sat down by the window. "You are late," he said to the boy.

# Chapter II

The rain had stopped, and the street was quiet.
"""


HOME: dict[str, str] = {}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have a home of the tests' own."""
    HOME["LECTERN_HOME"] = str(tmp_path_factory.mktemp("home"))


def lectern(*arguments: str | Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    where = {"LECTERN_HOME": str(home)} if home else HOME
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **where, "PYTHONWARNINGS": "ignore"},
        cwd=Path(__file__).parents[2],
        check=False,
    )


def seconds(path: Path) -> float:
    """Duration by an independent reader."""
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(shown.stdout)


@pytest.fixture(scope="module")
def narrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrated")
    (folder / "lamp.md").write_text(BOOK, "utf-8")
    done = lectern("narrate", folder / "lamp.md", "--out", folder / "out", "--json")
    assert done.returncode in (0, 3), done.stderr
    return folder


def test_every_chapter_is_delivered_with_the_time_of_every_word(narrated: Path) -> None:
    out = narrated / "out"
    release = json.loads((out / "release.json").read_text("utf-8"))
    assert release["status"] == "draft"
    assert [c["title"] for c in release["chapters"]] == ["Chapter I", "Chapter II"]
    text = BOOK.split("---\n")[2].replace("#", "").split()
    words = [w for c in release["chapters"] for w in c["words"]]
    assert [w["text"].strip('",.') for w in words] == [t.strip('",.') for t in text]
    for chapter in release["chapters"]:
        times = [(w["start_s"], w["end_s"]) for w in chapter["words"]]
        assert times == sorted(times)
        assert all(0 <= start <= end <= chapter["duration_s"] for start, end in times)
        heard = [file for file in chapter["files"] if file["media_type"].startswith("audio/")]
        assert len(heard) == 2
        for file in heard:
            assert abs(seconds(out / file["path"]) - chapter["duration_s"]) < 0.1
    assert any(f["path"].endswith(".m4b") for f in release["files"])


def test_a_chapter_sounds_the_same_alone_as_with_the_book(narrated: Path) -> None:
    whole = json.loads((narrated / "out" / "release.json").read_text("utf-8"))
    done = lectern(
        "narrate", narrated / "lamp.md", "--out", narrated / "one", "--chapters", "2", "--json"
    )
    assert done.returncode in (0, 3), done.stderr
    alone = json.loads((narrated / "one" / "release.json").read_text("utf-8"))
    assert alone["chapters"][0]["audio_sha256"] == whole["chapters"][1]["audio_sha256"]


def test_a_killed_narration_goes_on_from_the_last_finished_window(
    narrated: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    command = ["narrate", str(narrated / "lamp.md"), "--out", str(tmp_path / "out"), "--json"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LECTERN_HOME": str(home)},
        cwd=Path(__file__).parents[2],
    )
    deadline = time.monotonic() + 500
    while not list(home.glob("objects/productions/*/chapters/*/windows/*/take-0/*-audio")):
        assert killed.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "out").exists()
    done = lectern(*command, home=home)
    assert done.returncode in (0, 3), done.stderr
    whole, again = (
        json.loads((out / "release.json").read_text("utf-8"))
        for out in (narrated / "out", tmp_path / "out")
    )
    assert [c["audio_sha256"] for c in again["chapters"]] == [
        c["audio_sha256"] for c in whole["chapters"]
    ]
    taken = list(home.glob("objects/productions/*/chapters/*/windows/*/take-0/*-audio"))
    kept = {path.parent for path in taken}
    assert len(taken) <= len(kept) + 1  # what was stored and not yet committed is made again


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("book.pdf", b"%PDF-1.7\n", "PDF"),
        ("empty.txt", b"", "empty"),
        ("broken.epub", b"PK\x03\x04 not a zip", "epub"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    done = lectern("narrate", tmp_path / name, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert said.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_voice_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "lamp.md").write_text(BOOK, "utf-8")
    done = lectern("narrate", tmp_path / "lamp.md", "--voice", "nobody", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "joe" in done.stderr
