"""`lectern qa` as it is typed: a folder with texts, without, and files that are no audio."""

import json
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from flows.cli import app
from qa.book_report import BookReport
from qa.calibration.corpus import concatenate, load_clips, once_each
from qa.findings import Question, Verdict

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short real chapters, with their texts beside them in `texts`."""
    clips = once_each([c for c in load_clips(SPEECH) if c.corpus == "kathleen"])
    place = tmp_path_factory.mktemp("finished")
    (place / "texts").mkdir()
    for name, first in (("01", 40), ("02", 44)):
        recording = concatenate(clips[first : first + 4], seed=1)
        soundfile.write(place / f"{name}.flac", recording.audio.samples, recording.audio.rate_hz)
        (place / "texts" / f"{name}.txt").write_text(" ".join(recording.sentences), "utf-8")
    return place


def test_a_folder_is_judged_beside_its_texts(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    run = CliRunner().invoke(
        app,
        ["qa", str(folder), "--text", str(folder / "texts"), "--out", str(out)],
        env={"COLUMNS": "200"},
    )
    assert run.exit_code == 0, run.output
    assert "01.flac" in run.output and "listen here first" in run.output
    report = BookReport.model_validate_json(out.read_text("utf-8"))
    assert report.is_intact() and report.digest in run.output
    assert report.verdict is Verdict.PASS
    assert [c.title for c in report.chapters] == ["01.flac", "02.flac"]


def test_without_texts_it_is_for_a_person_to_say(folder: Path) -> None:
    run = CliRunner().invoke(app, ["qa", str(folder / "01.flac"), "--json"])
    assert run.exit_code == 3, run.output
    report = json.loads(run.stdout)
    assert report["questions"][Question.WORDS] == "inconclusive"
    assert report["questions"][Question.VOICE] == "pass"


def test_what_is_no_audio_is_said_plainly(tmp_path: Path) -> None:
    nothing = CliRunner().invoke(app, ["qa", str(tmp_path)])
    assert nothing.exit_code == 1
    assert "holds no audio file" in " ".join(nothing.stderr.split())
    (tmp_path / "1.wav").write_text("not audio")
    broken = CliRunner().invoke(app, ["qa", str(tmp_path / "1.wav")])
    assert broken.exit_code == 1
    assert "cannot be decoded" in " ".join(broken.stderr.split())
