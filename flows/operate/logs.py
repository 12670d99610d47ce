"""Logs without secrets: a JSON line a record in the home's `logs` folder, and readable text on the console.

Modules log by `logging.getLogger(__name__)`; facts go in `extra` and become fields of the line. Every text
passes the redactor last, tracebacks included, so that no address, key or password is ever written.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from flows.settings import Settings

ROOMS = ("flows", "generation", "qa", "storage")
"""Loggers that obey `log_level`; all others speak from WARNING on, Prefect as its own settings say."""

KEPT_DAYS = 30
"""How long a day's log is kept."""

SECRET_VARIABLES = re.compile(r"SECRET|PASSWORD|TOKEN|AUTH_STRING|API_KEY|ACCESS_KEY|DATABASE_URL")
"""Names of environment variables whose values are never written."""

SHORTEST = 6
"""Shorter values are no secrets that could be told from other text."""

HIDDEN = "***"

_PATTERNS = (
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),  # name and password in an address
    re.compile(r"(?i)(?<=x-amz-signature=)[0-9a-f]+"),
    re.compile(r"(?i)(?<=x-amz-credential=)[^&\s]+"),
    re.compile(r"(?i)(?<=x-amz-security-token=)[^&\s]+"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"(?i)(?<=authorization: )\w+ \S+"),
    re.compile(r"(?i)(?<=password=)[^\s'\"&]+"),
)

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class Redactor:
    """Takes secrets out of texts: those it was given, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        ordered = sorted((one for one in known if len(one) >= SHORTEST), key=len, reverse=True)
        exact = [re.compile("|".join(map(re.escape, ordered)))] if ordered else []
        self._patterns = (*exact, *_PATTERNS)

    def __call__(self, text: str) -> str:
        """Return the text with `***` for every secret."""
        for pattern in self._patterns:
            text = pattern.sub(HIDDEN, text)
        return text


def secrets_of(settings: Settings) -> set[str]:
    """Return the secrets this process knows: of its settings, its environment, and its home's servers."""
    found = {value for name, value in os.environ.items() if SECRET_VARIABLES.search(name.upper())}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
    for record in ("postgres/cluster.json", "prefect/server.json"):
        with suppress(OSError, ValueError, KeyError):
            found.add(json.loads((settings.folder / record).read_text("utf-8"))["password"])
    return {secret for one in found for secret in _secret_parts(one)}


def _secret_parts(value: str) -> set[str]:
    """Return what of a value is secret: of an address its password, of `name:password` that too."""
    if "://" in value:
        with suppress(ValueError):
            password = urlsplit(value).password or ""
            return {password, unquote(password)}
    name, _, password = value.partition(":")
    return {value, password} if name.isidentifier() else {value}


def log_to(settings: Settings) -> Path:
    """Send this process's logs to the console and to today's file in the home; returns that file.

    Calling it again, after a server was started say, takes up the secrets that came with it.
    """
    folder = settings.folder / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"lectern-{datetime.now(UTC):%Y-%m-%d}.jsonl"
    _forget_old(folder)
    redact = Redactor(secrets_of(settings))
    handlers: list[logging.Handler] = [_Lines(file, redact), _Console(redact)]
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Lines | _Console) or type(handler).__module__.startswith("prefect"):
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    for room in ROOMS:
        logging.getLogger(room).setLevel(settings.log_level)
    return file


class _Lines(logging.FileHandler):
    """Appends JSON lines, each in one write, so that processes can share the file."""

    def __init__(self, file: Path, redact: Redactor) -> None:
        super().__init__(file, mode="a", encoding="utf-8", delay=True)
        self._redact = redact
        self.setFormatter(logging.Formatter())  # shows Prefect that the root logger is taken

    def _open(self) -> Any:
        stream = super()._open()
        Path(self.baseFilename).chmod(0o600)
        return stream

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            name: self._redact(value) if isinstance(value, str) else value
            for name, value in _fields(record).items()
        }
        return self._redact(json.dumps(fields, ensure_ascii=False, default=str))

    def handleError(self, record: logging.LogRecord) -> None:
        """Stay silent: on a full disk the console still says what happens."""


class _Console(logging.StreamHandler[Any]):
    """Writes text to standard error, facts behind the message: all of it, but to a person only warnings."""

    def __init__(self, redact: Redactor) -> None:
        logging.Handler.__init__(self, logging.WARNING if sys.stderr.isatty() else logging.NOTSET)
        self._redact = redact
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))

    @property
    def stream(self) -> Any:
        """Standard error as it is now; tests and pagers exchange it."""
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in _facts(record).items())
        first, newline, rest = super().format(record).partition("\n")
        return self._redact(f"{first}  {facts}".rstrip() + newline + rest)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields: dict[str, Any] = {
        "at": at,
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
        "process": record.process,
        **_facts(record),
    }
    if record.exc_info:
        fields["error"] = logging.Formatter().formatException(record.exc_info)
    return fields


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given in `extra`."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and not name.startswith("_")
    }


def _forget_old(folder: Path) -> None:
    for old in folder.glob("lectern-*.jsonl"):
        with suppress(OSError):
            if old.stat().st_mtime < time.time() - KEPT_DAYS * 86_400:
                old.unlink()
