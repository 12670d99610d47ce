"""Logs: a line of JSON a record, text on the console, and no secret in either, whatever is logged."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from flows.operate.logs import Redactor, log_to
from flows.settings import Settings
from storage.objects import S3Store

PASSWORD = "o%70en-sesame"
URL = f"postgresql://lectern:{PASSWORD}@127.0.0.1:1/lectern"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY+EXAMPLE"

log = logging.getLogger("flows.test")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "lectern:prefects-own")
    root = logging.getLogger()
    before = list(root.handlers)
    yield Settings(home=tmp_path, database_url=URL)
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_a_record_is_a_line_with_its_facts_and_readable_on_the_console(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    file = log_to(settings)
    assert log_to(settings) == file, "logging twice must not write twice"
    log.info("rendered %d windows", 8, extra={"production_id": 7, "idle_share": 0.01})
    log.debug("not at this level")
    try:
        raise RuntimeError("a cause\nof two lines")
    except RuntimeError:
        log.exception("it failed")
    first, second = lines(file)
    assert first["message"] == "rendered 8 windows"
    assert (first["production_id"], first["idle_share"], first["level"]) == (7, 0.01, "INFO")
    assert "RuntimeError: a cause" in str(second["error"])
    said = capsys.readouterr().err
    assert "rendered 8 windows  production_id=7 idle_share=0.01" in said
    assert "RuntimeError" in said
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_secret_is_written_by_whichever_way_it_comes(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    file = log_to(settings)
    store = S3Store("shelf", endpoint="http://127.0.0.1:1")
    log.warning("database %s", URL)
    log.warning("settings %r", settings, extra={"url": URL, "key": SECRET_KEY})
    log.warning("presigned %s", store.url("a/b"))
    log.warning("headers %s", {"Authorization": "x"} | {"secret": SECRET_KEY})
    log.warning("Authorization: Basic bGVjdGVybjpwcmVmZWN0cy1vd24=")
    log.warning("Prefect asks for prefects-own")
    log.warning("somebody else's s3://name:hunter22@host/x and AKIAIOSFODNN7EXAMPLE")
    try:
        psycopg.connect(URL, connect_timeout=1)
    except psycopg.OperationalError as error:
        raised = RuntimeError(f"cannot reach {URL}")
        raised.__cause__ = error
        log.error("it failed", exc_info=raised)
    written = file.read_text("utf-8") + capsys.readouterr().err
    assert written.count("it failed") == 2
    for secret in (
        *(PASSWORD, "open-sesame", SECRET_KEY, "wJalrXUtnFEMI", "AKIAIOSFODNN7EXAMPLE"),
        *("prefects-own", "bGVjdGVybj", "hunter22"),
    ):
        assert secret not in written, f"{secret} was written"
    assert "127.0.0.1:1/lectern" in written, "what is no secret must stay"
    assert all(lines(file))


def test_a_plain_text_is_left_as_it_is() -> None:
    text = "window 3 of chapter 12 at http://127.0.0.1:4200/api took 1.5 s (see s3://shelf/a:b@c)"
    assert Redactor(["", "no"])(text) == text
