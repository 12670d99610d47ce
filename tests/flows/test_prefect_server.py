"""The home's own Prefect server: starts, serves flows, stops, and survives what is done to its holders."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from flows.operate import daemons
from flows.operate.prefect_server import (
    SERVICE,
    PrefectServer,
    _get,
    hold_prefect,
    prefect_environment,
)
from flows.settings import Settings
from storage.errors import ServerError

HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from flows.operate.prefect_server import hold_prefect; from flows.settings import Settings\n"
    "with hold_prefect(Settings(home=Path(sys.argv[1]))) as environment:\n"
    "    from prefect import flow\n"
    "    @flow(log_prints=False)\n"
    "    def double(number: int) -> int:\n"
    "        return 2 * number\n"
    "    print(double(21), flush=True)\n"
    "    time.sleep(float(sys.argv[2]))\n"
)


def holder(home: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(home), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_dead(pid: int) -> bool:
    """Whether a process has ended, be it still unreaped by the init process that inherited it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrefectServer]:
    """Return the server of a fresh home, nothing of which is left afterwards."""
    server = PrefectServer(tmp_path / "home")
    yield server
    server.stop()
    server.cluster.destroy()


def test_killed_starts_and_holders_leave_no_claim_and_the_last_one_stops_the_server(
    server: PrefectServer,
) -> None:
    assert not server.status().running
    with pytest.raises(ServerError, match="lectern up"):
        server.environment()
    server.stop()
    begun = holder(server.home, 600)
    deadline = time.monotonic() + 60
    while not daemons.running(server.home, SERVICE) and time.monotonic() < deadline:
        time.sleep(0.02)
    begun.kill()
    begun.communicate()
    first = [process.pid for process in daemons.running(server.home, SERVICE)]
    killed = holder(server.home, 600)
    assert killed.stdout is not None
    said = killed.stdout.readline().strip()
    killed.kill()
    _, errors = killed.communicate()
    assert said == "42", errors
    assert server.status().ready
    with hold_prefect(Settings(home=server.home)) as environment:
        assert [process.pid for process in daemons.running(server.home, SERVICE)] == first
        assert os.environ["PREFECT_API_URL"] == environment["PREFECT_API_URL"]
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs()
        assert [run.state.type.value for run in runs if run.state] == ["COMPLETED"]
    assert "PREFECT_API_URL" not in os.environ
    assert not server.status().running
    assert not server.cluster.status().running
    assert not daemons.running(server.home, SERVICE)
    assert all(is_dead(pid) for pid in first)


def test_two_homes_never_meet_and_a_dead_server_comes_back_beside_a_stranger(
    server: PrefectServer, tmp_path: Path
) -> None:
    other = PrefectServer(tmp_path / "other")
    try:
        server.start()
        other.start()
        here, there = server.environment(), other.environment()
        for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILES_PATH"):
            assert here[name] != there[name]
        assert server.cluster.status().port != other.cluster.status().port
        password = here["PREFECT_API_AUTH_STRING"].partition(":")[2]
        assert _get(f"{here['PREFECT_API_URL']}/hello", password) == 200
        assert _get(f"{there['PREFECT_API_URL']}/hello", password) == 401
        (mine,) = daemons.running(server.home, SERVICE)
        other.stop()
        assert mine.is_running()
        assert server.status().ready
        mine.kill()
        mine.wait(10)
        assert not server.status().running
        with a_stranger_at(here["PREFECT_API_URL"]) as stranger:
            server.start()
            assert stranger.poll() is None, "a stranger was stopped"
            moved = server.environment()
        assert moved["PREFECT_API_URL"] != here["PREFECT_API_URL"]
        assert _get(f"{moved['PREFECT_API_URL']}/hello", password) == 200
        record = server.folder / "server.json"
        assert record.stat().st_mode & 0o777 == 0o600
        assert password not in daemons.log_of(server.home, SERVICE).read_text()
    finally:
        other.stop()
        other.cluster.destroy()


@contextmanager
def a_stranger_at(api: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have another program serve on the port of an address."""
    port = urlsplit(api).port
    assert port is not None
    stranger = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not _get(f"http://127.0.0.1:{port}/", "") and time.monotonic() < deadline:
            time.sleep(0.05)
        yield stranger
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_of_ones_own_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:mine")
    settings = Settings(home=tmp_path / "home", prefect_api_url="http://prefect.example:4200/api")
    with hold_prefect(settings) as environment:
        assert environment == prefect_environment(settings)
        assert environment["PREFECT_API_URL"] == "http://prefect.example:4200/api"
        assert environment["PREFECT_API_AUTH_STRING"] == "me:mine"
        assert environment["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"
    assert os.environ["PREFECT_API_AUTH_STRING"] == "me:mine"
    assert not (tmp_path / "home").exists()
