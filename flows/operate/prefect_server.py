"""The home's own Prefect server: a child process on the embedded PostgreSQL's second database.

`hold_prefect(settings)` is what commands use, in the way of `Cluster.hold`: the first holder starts the
server, the last one stops it, and a killed holder leaves no claim. Where the settings name a server, nothing
is started. Each home has a port, a password, a `PREFECT_HOME` and profiles of its own: two never meet.
"""

import base64
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from flows.operate import daemons
from flows.settings import Settings
from storage.claims import Claims
from storage.errors import ServerError
from storage.postgres import Cluster
from storage.service_record import ServiceRecord, free_port

SERVICE = "prefect-server"
"""Name of the server's processes and log."""

USER = "lectern"
"""Who signs in at the server's API and pages."""

START_S = 300.0
"""How long a start may take; the first one makes the tables."""

ALWAYS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
}
"""What holds for server and clients alike: no telemetry, and no server nobody asked for."""

SERVER = {
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Record:
    """What a home remembers of its server (in `prefect/server.json`, for its owner only).

    `database` is the digest of the address that the running server was started with.
    """

    port: int
    password: str
    database: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """A server as found; `page` is where its pages are."""

    running: bool
    ready: bool
    page: str | None
    user: str = USER


class PrefectServer:
    """The Prefect server of one home.

    Parameters
    ----------
    home : Path
        Lectern's home; the server's record, profiles and pages go to `home/prefect`.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().resolve()
        self.folder = self.home / "prefect"
        self.cluster = Cluster(self.home)
        self._claims = Claims(self.folder, "Prefect", 2 * START_S)
        self._record = ServiceRecord(
            self.folder / "server.json",
            Record,
            "Prefect",
            "remove it: the next start writes another",
        )

    def environment(self) -> dict[str, str]:
        """Return the variables of Prefect's clients, password included; raises ServerError before a start."""
        record = self._record.known()
        return {
            **ALWAYS,
            **_places(self.home),
            "PREFECT_API_URL": f"http://127.0.0.1:{record.port}/api",
            "PREFECT_API_AUTH_STRING": f"{USER}:{record.password}",
        }

    def start(self) -> None:
        """Start the server, and PostgreSQL, unless they run; both stay until stopped. Raises ServerError."""
        self.cluster.start()
        self._make_folder()
        with self._claims.alone():
            self._start()
            self._record.write(replace(self._record.known(), kept=True))

    def stop(self) -> None:
        """Stop the server if it runs, whoever started or holds it; PostgreSQL stays as it is."""
        self._make_folder()
        with self._claims.alone(insist=False):
            record = self._record.read()
            if record is not None:
                self._record.write(replace(record, kept=False))
            daemons.stop(self.home, SERVICE)

    def status(self) -> Status:
        """Return what is found, without starting or stopping anything."""
        record = self._record.read()
        running = bool(daemons.running(self.home, SERVICE))
        if record is None or not running:
            return Status(running, False, None)
        return Status(True, self._answers(record), f"http://127.0.0.1:{record.port}")

    @contextmanager
    def hold(self) -> Iterator["PrefectServer"]:
        """Have the server running inside the `with`; the last to leave stops it, unless kept."""
        self._make_folder()
        with self.cluster.hold(), self._claims.held(self._start, self._stop_unless_kept):
            yield self

    # The record ---------------------------------------------------------------------------------

    def _make_folder(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o700)

    # Starting and stopping ----------------------------------------------------------------------

    def _start(self) -> None:
        record = self._record.read() or Record(free_port(), secrets.token_urlsafe(24))
        database = self.cluster.url("prefect").replace("postgresql:", "postgresql+asyncpg:", 1)
        digest = sha256(database.encode()).hexdigest()
        if daemons.running(self.home, SERVICE):
            if record.database == digest and self._await(record, None):
                return
            daemons.stop(self.home, SERVICE)  # it hangs, or PostgreSQL moved to another port
        for _ in range(5):
            record = replace(record, database=digest)
            self._record.write(record)  # before it runs, so that a killed start is found again
            if self._await(record, self._launch(record, database)):
                return
            record = replace(record, port=free_port())  # taken by a stranger, if it ended at once
            if not _port_was_taken(self.home):
                break
        daemons.stop(self.home, SERVICE)
        raise ServerError(
            f"Prefect's server did not start within {START_S:.0f} s:"
            f" {daemons.last_words(self.home, SERVICE) or 'it said nothing'};"
            f" see {daemons.log_of(self.home, SERVICE)}"
        )

    def _stop_unless_kept(self) -> None:
        record = self._record.read()
        if record is None or not record.kept:
            daemons.stop(self.home, SERVICE)

    def _launch(self, record: Record, database: str) -> subprocess.Popen[bytes]:
        environment = {
            **daemons.inherited(),
            **ALWAYS,
            **SERVER,
            **_places(self.home),
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(self.folder / "pages"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{record.password}",
        }
        where = ["--host", "127.0.0.1", "--port", str(record.port)]
        command = [sys.executable, "-m", "prefect", "server", "start", *where]
        return daemons.launch(self.home, SERVICE, command, environment)

    def _await(self, record: Record, process: subprocess.Popen[bytes] | None) -> bool:
        """Wait until the server serves; returns whether it does, at once if its process ends."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._answers(record):
                return True
            if process is not None and process.poll() is not None:
                return False
            if process is None and not daemons.running(self.home, SERVICE):
                return False
            time.sleep(0.1)
        return False

    def _answers(self, record: Record) -> bool:
        """Whether our server (it knows our password) serves on the port, and reaches its database."""
        api = f"http://127.0.0.1:{record.port}/api"
        return all(_get(f"{api}/{page}", record.password) == 200 for page in ("hello", "ready"))


@contextmanager
def hold_prefect(settings: Settings) -> Iterator[Mapping[str, str]]:
    """Have a Prefect server inside the `with`, and Prefect in this process using it.

    Yields the variables for clients (`prefect_environment`), which stand in `os.environ` meanwhile. With
    `prefect_api_url` set, nothing is started.

    Raises
    ------
    ServerError
        The home's own server cannot be started.
    """
    with ExitStack() as stack:
        if settings.prefect_api_url is None:
            stack.enter_context(PrefectServer(settings.folder).hold())
        environment = prefect_environment(settings)
        stack.enter_context(_in_use(environment))
        yield environment


def prefect_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that make a Prefect client use the settings' server: keep them out of logs.

    Raises
    ------
    ServerError
        The home's own server was never started.
    """
    if settings.prefect_api_url is None:
        return PrefectServer(settings.folder).environment()
    own = {name: os.environ[name] for name in SIGN_IN if name in os.environ}
    return {
        **ALWAYS,
        **_places(settings.folder),
        **own,
        "PREFECT_API_URL": settings.prefect_api_url,
    }


SIGN_IN = ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY", "PREFECT_API_TLS_INSECURE_SKIP_VERIFY")
"""What a managed server may need and only the user's environment holds."""


@contextmanager
def _in_use(environment: Mapping[str, str]) -> Iterator[None]:
    """Put the variables into `os.environ`, and into Prefect if it was imported before."""
    before = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    before |= {name: os.environ[name] for name in environment if name in os.environ}
    try:
        for name in before:
            del os.environ[name]
        os.environ.update(environment)
        with ExitStack() as stack:
            if "prefect" in sys.modules:
                from prefect.context import SettingsContext, get_settings_context
                from prefect.settings import Settings as PrefectSettings

                profile = get_settings_context().profile
                stack.enter_context(SettingsContext(profile=profile, settings=PrefectSettings()))
            yield
    finally:
        for name in environment:
            os.environ.pop(name, None)
        os.environ.update(before)


def _places(home: Path) -> dict[str, str]:
    folder = home / "prefect"
    return {"PREFECT_HOME": str(folder), "PREFECT_PROFILES_PATH": str(folder / "profiles.toml")}


def _get(address: str, password: str) -> int:
    """Return the HTTP status of a page, zero where nobody answers."""
    sign_in = base64.b64encode(f"{USER}:{password}".encode()).decode("ascii")
    request = urllib.request.Request(address, headers={"Authorization": f"Basic {sign_in}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _port_was_taken(home: Path) -> bool:
    said = daemons.last_words(home, SERVICE)
    return "already in use" in said or "already running on port" in said
