"""LibriSpeech-Long's layout from a small LibriSpeech made here, with and without a boundary table."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from flows.cli import app
from flows.measure.longform_layout import (
    Boundary,
    build_layout,
    long_examples,
    packed_boundaries,
    read_boundaries,
    write_boundaries,
)
from generation.errors import LecternError

RATE = 16_000


@pytest.fixture
def librispeech(tmp_path: Path) -> Path:
    """Two chapters of two speakers; utterance n of a chapter holds n + 1 seconds of the value n + 1."""
    root = tmp_path / "LibriSpeech"
    for speaker, chapter, count in (("84", "121123", 5), ("1272", "128104", 2)):
        folder = root / "dev-clean" / speaker / chapter
        folder.mkdir(parents=True)
        lines = []
        for n in range(count):
            name = f"{speaker}-{chapter}-{n:04}"
            samples = np.full((n + 1) * RATE, n + 1, np.int16)
            soundfile.write(folder / f"{name}.flac", samples, RATE, subtype="PCM_16")
            lines.append(f"{name} WORDS OF {n}\n")
        (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))
    return root


def test_utterances_are_packed_in_order_up_to_the_longest(librispeech: Path) -> None:
    table = packed_boundaries(librispeech, longest_s=6.0)
    assert table == [
        Boundary("dev-clean", "1272", "128104", 0, 0, 1),
        Boundary("dev-clean", "84", "121123", 0, 0, 2),
        Boundary("dev-clean", "84", "121123", 1, 3, 3),
        Boundary("dev-clean", "84", "121123", 2, 4, 4),
    ]


def test_an_example_is_its_utterances_joined(librispeech: Path, tmp_path: Path) -> None:
    table = [Boundary("dev-clean", "84", "121123", 7, 1, 3)]
    (path,) = build_layout(librispeech, table, tmp_path / "long")
    assert path == tmp_path / "long/dev-clean/84/121123/121123_0007.flac"
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    assert np.array_equal(samples, np.repeat([2, 3, 4], np.array([2, 3, 4]) * RATE))
    (example,) = long_examples(tmp_path / "long")
    assert example.text == "WORDS OF 1 WORDS OF 2 WORDS OF 3"
    assert example.name == "dev-clean/84/121123/121123_0007"


def test_command_builds_from_a_table_and_keeps_it(librispeech: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "table.tsv", tmp_path / "long"
    wanted = [Boundary("dev-clean", "1272", "128104", n, n, n) for n in range(2)]
    write_boundaries(table, wanted)
    command = ["longform", "layout", str(librispeech), "--out", str(out), "--json"]
    done = CliRunner().invoke(app, [*command, "--boundaries", str(table)])
    assert done.exit_code == 0, done.output
    assert [Path(p).name for p in json.loads(done.stdout)] == [
        "128104_0000.flac",
        "128104_0001.flac",
    ]
    assert read_boundaries(out / "boundaries.tsv") == wanted


def test_what_is_missing_is_named(librispeech: Path, tmp_path: Path) -> None:
    with pytest.raises(LecternError, match="84-121123-0009"):
        build_layout(librispeech, [Boundary("dev-clean", "84", "121123", 0, 4, 9)], tmp_path / "o")
    with pytest.raises(LecternError, match=r"trans\.txt is missing"):
        build_layout(librispeech, [Boundary("dev-clean", "84", "1", 0, 0, 0)], tmp_path / "o")
    with pytest.raises(LecternError, match="holds no split"):
        packed_boundaries(tmp_path / "nothing")
    with pytest.raises(LecternError, match="longform layout"):
        list(long_examples(tmp_path / "nothing"))
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text("split\tspeaker\n")
    with pytest.raises(LecternError, match="first line"):
        read_boundaries(wrong)
    wrong.write_text("split\tspeaker\tchapter\texample\tfirst\tlast\ndev\t1\t2\t0\tx\t3\n")
    with pytest.raises(LecternError, match="no boundary table"):
        read_boundaries(wrong)
