"""The settings object: its sources in order, unknown keys refused with the nearest known one, secrets."""

import re
from pathlib import Path

import pytest

from flows.settings import Settings, SettingsError

SECRET = "postgresql://lectern:opensesame@db.example/lectern"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LECTERN_HOME", str(tmp_path))
    return tmp_path


def test_the_environment_stands_above_the_file_and_the_file_above_defaults(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "lectern.toml").write_text('takes_days = 7\nstore = "s3://shelf"\n')
    monkeypatch.setenv("LECTERN_STORE", "s3://other")
    settings = Settings()
    assert (settings.takes_days, settings.store, settings.snapshots_days) == (7, "s3://other", 30)
    assert settings.folder == home
    assert Settings(home=home / "elsewhere").takes_days == 30, "another home has another file"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("LECTERN_DATABSE_URL", "LECTERN_DATABASE_URL"), ("lectern_stor", "LECTERN_STORE")],
)
def test_an_unknown_variable_is_an_error_that_names_the_nearest(
    name: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=rf"^{name.upper()} is an unknown .*{nearest}\?$"):
        Settings()


def test_an_unknown_key_of_the_file_is_an_error_that_names_the_nearest(home: Path) -> None:
    (home / "lectern.toml").write_text("take_days = 7\n")
    with pytest.raises(SettingsError, match=r"take_days is an unknown key of .*takes_days\?$"):
        Settings()
    with pytest.raises(SettingsError, match="colour"):
        Settings(home=home / "elsewhere", colour="blue")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LECTERN_TAKES_DAYS", "-1"),
        ("LECTERN_TIMEZONE", "Mars/Olympus"),
        ("LECTERN_NIGHTLY_CRON", "at night"),
        ("LECTERN_NIGHTLY_UNTIL", "25:00"),
        ("LECTERN_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_that_cannot_be_used_is_said_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as said:
        Settings()
    assert "\n" not in str(said.value)


def test_secrets_show_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_DATABASE_URL", SECRET)
    settings = Settings()
    assert "opensesame" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_child_process_gets_the_same_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Settings(home=home, database_url=SECRET, takes_days=3, store=str(home / "objects"))
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


def test_the_operators_table_names_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operators.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    said = {
        name: "–" if field.default is None else f"`{field.default}`"
        for name, field in Settings.model_fields.items()
    }
    assert {name: rows.get(name) for name in said} == said
    for name, field in Settings.model_fields.items():
        assert f"| {field.description} |" in page, f"{name} is described otherwise"
