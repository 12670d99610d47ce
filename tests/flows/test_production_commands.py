"""The commands on productions, as a publisher types them."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from flows.cli import app
from flows.factory.intake import Narrator, Wish, submit
from flows.factory.plan import admit_and_plan
from flows.factory.shift import Shift
from flows.measure.bench_books import write_book
from flows.services import Services
from flows.terminal import Exit
from storage import productions

METADATA = """
title = "The Lamp, revised"
isbn = "978-3-16-148410-0"
territories = ["GB"]
[rights]
holder = "A. Writer"
basis = "licence"
territories = ["GB"]
"""


def lectern(*arguments: object, code: int = Exit.DONE) -> Any:
    """Run the command line with `--json`; returns what it prints."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if code == Exit.DONE else done.output


def test_a_book_is_submitted_seen_steered_and_cancelled(opened: Services, tmp_path: Path) -> None:
    book = write_book(tmp_path, "The Lamp", (2, 1))
    (tmp_path / "said.toml").write_text(METADATA, "utf-8")
    told = lectern(
        *("submit", book, "--metadata", tmp_path / "said.toml"),
        *("--priority", 3, "--due", "2030-01-31"),
    )
    assert told["state"] == "submitted"
    assert told["words"] > 50
    assert 0 < told["expected_audio_h"] < 1
    assert told["expected_machine_h"] > 0
    again = lectern("submit", book, "--metadata", tmp_path / "said.toml")
    assert again["id"] == told["id"]
    [row] = lectern("status")
    assert row["title"] == "The Lamp, revised"
    assert (row["priority"], row["done"]) == (3, 0.0)
    one = lectern("status", told["id"])
    assert [event["to"] for event in one["events"]] == ["submitted"]
    lectern("retry", told["id"], code=Exit.REFUSED)  # nothing failed
    assert lectern("cancel", told["id"])["state"] == "cancelled"
    assert lectern("cancel", told["id"])["state"] == "cancelled"
    lectern("retry", told["id"], code=Exit.REFUSED)
    lectern("status", 999, code=Exit.FAILED)


def test_wrong_usage_says_what_to_write(opened: Services, tmp_path: Path) -> None:
    book = write_book(tmp_path, "The Lamp", (1,))
    assert "2026-12-24" in lectern("submit", book, "--due", "soon", code=Exit.USAGE)
    assert "joe" in lectern("submit", book, "--voice", "nobody", code=Exit.USAGE)
    assert "12:34" in lectern("redo", 1, "--chapter", 1, "--at", "late", code=Exit.USAGE)
    at = ("--chapter", 1, "--at", "0:01")
    assert "pronunciation" in lectern("redo", 1, *at, "--say", "Emma", code=Exit.USAGE)
    assert "0zz" in lectern("redo", 1, *at, "--say", "Emma=0zz", code=Exit.FAILED)
    (tmp_path / "bad.toml").write_text('titel = "x"', "utf-8")
    assert "titel" in lectern("submit", book, "--metadata", tmp_path / "bad.toml", code=Exit.FAILED)


def test_a_made_book_is_decided_on_by_its_report_and_redone_in_one_place(
    opened: Services, narrator: Narrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = write_book(tmp_path, "The Lamp", (4,))
    made = submit(opened, book, narrator, Wish(questions=("signal",)))
    admit_and_plan(opened, made.id, actor="tester")
    Shift(opened).run()
    told = lectern("status", made.id)
    assert told["state"] == "awaiting_review"
    assert told["done"] == 1.0
    with Session(opened.engine) as session:
        report = productions.last_report(session, made.id)
        assert report is not None
        assert told["report"] == report.digest
    note = ("--note", "listened to all of it")
    wrong = "0" * 64
    assert "last one" in lectern("approve", made.id, "--report", wrong, *note, code=Exit.REFUSED)
    named = ("--report", told["report"], *note, "--by", "R. Reviewer")
    with monkeypatch.context() as strict:
        strict.setenv("LECTERN_REVIEW_FOUR_EYES", "true")
        assert "two people" in lectern("approve", made.id, *named, code=Exit.REFUSED)
    approved = lectern("approve", made.id, *named)
    assert approved == {"id": made.id, "decision": "approved", "reviewer": "R. Reviewer"}
    assert lectern("status", made.id)["state"] == "approved"
    [chapter] = told["chapters"]
    late = f"{int(chapter['duration_s']) // 60 + 1}:00"
    beyond = lectern("redo", made.id, "--chapter", 1, "--at", late, code=Exit.FAILED)
    assert "lasts" in beyond
    asked = lectern("redo", made.id, "--chapter", 1, "--at", "0:01", "--say", "the=THUH")
    assert asked["window"] == 0
    assert asked["take"] >= 1
    assert asked["directions"] == {"the": "THUH"}
    assert lectern("status", made.id)["state"] == "producing"
