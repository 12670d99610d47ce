"""Long-running child processes of a home: detached, marked, and stopped with all that they started.

What runs is known by looking at processes, so no stale pid file is ever believed; the mark names the home and
the service, and whatever a service starts inherits it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from storage.errors import ServerError

MARK = "SERVICE_OF_LECTERN"
"""Environment variable that marks a service's processes: `<service> of <home>`."""

LOG_BYTES = 4_000_000
"""A log longer than this is put aside, in place of the one before, when its service starts."""

STOP_S = (10.0, 5.0)
"""How long to wait after the request to end, and after the kill, in seconds."""


def launch(
    home: Path, service: str, command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own, writing to `logs/<service>.log` of the home."""
    with log_of(home, service).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=home,
            env={**environment, MARK: _mark(home, service)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
        )


def log_of(home: Path, service: str) -> Path:
    """Return a service's log, its folder made, and put aside if it grew long."""
    log = home / "logs" / f"{service}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log


def running(home: Path, service: str) -> list[psutil.Process]:
    """Return the live processes of a service, whoever started it."""
    mark, found = _mark(home, service), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def stop(home: Path, service: str) -> None:
    """End a service if it runs: ask its first processes, then kill whatever is left of it.

    Raises
    ------
    ServerError
        A process survives its kill (its disk hangs).
    """
    ways = (signal.SIGTERM, signal.SIGKILL)
    for how, wait_s in zip(ways, STOP_S, strict=True):
        processes = running(home, service)
        pids = {process.pid for process in processes}
        for process in processes:
            with suppress(psutil.Error):
                if how is signal.SIGKILL or process.ppid() not in pids:
                    process.send_signal(how)
        if _gone(home, service, wait_s):
            return
    raise ServerError(f"{service} of {home} does not stop, even when killed; is its disk hanging?")


def last_words(home: Path, service: str) -> str:
    """Return the end of a service's log, on one line."""
    with suppress(OSError):
        return " ".join(log_of(home, service).read_text("utf-8", "replace")[-1500:].split())
    return ""


def _mark(home: Path, service: str) -> str:
    return f"{service} of {home}"


def _gone(home: Path, service: str, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while running(home, service):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def inherited() -> dict[str, str]:
    """Return our environment without what other Prefect profiles and Lectern homes left in it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "LECTERN_")) and name != MARK
    }
