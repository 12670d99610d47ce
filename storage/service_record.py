"""What a home remembers of a service: one JSON file, for its owner only, written whole or not at all."""

import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from storage.errors import ServerError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


class ServiceRecord(Generic[R]):
    """The record of one service.

    Parameters
    ----------
    path : Path
        The file; its folder must exist when the record is written.
    kind : type
        The dataclass it holds.
    service, cure : str
        The service's name, and what to do about a damaged file, for errors.
    """

    def __init__(self, path: Path, kind: type[R], service: str, cure: str) -> None:
        self.path, self._kind, self._service, self._cure = path, kind, service, cure

    def read(self) -> R | None:
        """Return what was written last, none where nothing was; raises ServerError where it is damaged."""
        try:
            said: dict[str, Any] = json.loads(self.path.read_text("utf-8"))
            return self._kind(**said)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ServerError(f"{self.path} is damaged ({error}); {self._cure}") from error

    def known(self) -> R:
        """Return what was written last; raises ServerError where the service was never started."""
        record = self.read()
        if record is None:
            home = self.path.parent.parent
            raise ServerError(f"there is no {self._service} in {home} yet; start it (`lectern up`)")
        return record

    def write(self, record: R) -> None:
        """Put another record in its place."""
        write_private(self.path, json.dumps(asdict(record), indent=1))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
