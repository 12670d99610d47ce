"""The operator's day, as typed: up, a night by the clock, a backup, another home that is restored, down."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flows.factory.deployments import DEPLOYMENTS, SERVICE, _ask
from flows.operate import daemons
from flows.operate.prefect_server import PrefectServer, prefect_environment
from flows.settings import Settings
from storage.postgres import Cluster

LECTERN = [sys.executable, "-m", "flows.cli"]


class Home:
    """A home and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(home=folder)

    def run(self, *arguments: str, code: int = 0, **variables: str) -> Any:
        """Run a command with `--json`; returns what it printed."""
        environment = {**os.environ, "LECTERN_HOME": str(self.folder), **variables}
        done = subprocess.run(
            [*LECTERN, *arguments, "--json"], env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout else done.stderr

    def processes(self) -> list[int]:
        """Return all processes that the home runs."""
        found = [
            process.pid
            for service in (SERVICE, "prefect-server")
            for process in daemons.running(self.folder, service)
        ]
        status = Cluster(self.folder).status()
        return found + ([status.pid] if status.pid else [])


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[Home, Home]]:
    made = Home(tmp_path / "one"), Home(tmp_path / "two")
    yield made
    for home in made:
        daemons.stop(home.folder, SERVICE)
        PrefectServer(home.folder).stop()
        Cluster(home.folder).destroy()


def test_an_operators_day(homes: tuple[Home, Home], tmp_path: Path) -> None:
    home, other = homes
    home.folder.mkdir()
    (home.folder / "lectern.toml").write_text(
        'reconcile_cron = "* * * * *"\ntakes_days = 9\n', "utf-8"
    )
    (home.folder / "lectern.toml").chmod(0o600)
    up = home.run("up")
    assert set(up["deployments"]) == {one.flow for one in DEPLOYMENTS}
    assert home.run("up")["prefect"] == up["prefect"]
    assert password_of(home) not in json.dumps(up)

    examined = home.run("doctor")
    found = {one["name"]: one["verdict"] for one in examined["checks"]}
    assert found.pop("room") in {"fine", "fault"}  # as the machine is
    assert set(found.values()) == {"fine"}, examined

    run = awaited_run(prefect_environment(home.settings), "reconcile")
    assert run["state"]["type"] == "COMPLETED", run["state"]
    assert run["auto_scheduled"], "nobody asked for it: the clock did"

    with psycopg.connect(Cluster(home.folder).url()) as connection:
        events = connection.execute("SELECT count(*) FROM event").fetchone()
    backup = tmp_path / "backup"
    assert home.run("backup", str(backup))["databases"] == ["lectern", "prefect"]
    assert "not empty" in home.run("restore", str(backup), code=1)
    assert other.run("restore", str(backup))["folder"] == str(backup)
    assert (other.folder / "lectern.toml").read_text().endswith("takes_days = 9\n")
    with Cluster(other.folder).hold() as cluster, psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == events
        assert Cluster(home.folder).status().port != cluster.status().port
    assert not other.processes(), "what was held is stopped"

    running = home.processes()
    assert len(running) >= 3
    assert home.run("down") == {"stopped": True, "troubles": []}
    assert not home.processes()
    assert home.run("down")["stopped"], "down always works"
    told = home.run("doctor")
    assert {one["name"]: one["verdict"] for one in told["checks"]}["prefect"] == "look"


def password_of(home: Home) -> str:
    record = json.loads((home.folder / "prefect" / "server.json").read_text())
    return str(record["password"])


def awaited_run(environment: Mapping[str, str], flow: str) -> dict[str, Any]:
    """Wait for the end of the first run of a flow that the clock started."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        flows = {one["id"]: one["name"] for one in _ask(environment, "flows")}
        for run in _ask(environment, "flow_runs"):
            ended = run["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED"}
            if flows.get(run["flow_id"]) == flow and ended:
                return run
        time.sleep(1)
    raise AssertionError(f"{flow} was never run")


def test_bad_settings_and_a_bad_backup_are_said_in_a_line(
    homes: tuple[Home, Home], tmp_path: Path
) -> None:
    home, _ = homes
    said = home.run("up", code=2, LECTERN_STOR="x")
    assert "LECTERN_STOR is an unknown environment variable: do you mean LECTERN_STORE?" in said
    assert "no finished backup" in home.run("restore", str(tmp_path), code=1)
    assert not home.folder.exists() or not home.processes()
