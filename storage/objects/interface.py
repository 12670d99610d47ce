"""What both stores promise: the protocol, what it returns, and what any caller or store builds on it."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from storage.errors import ObjectCorrupt, ObjectExists, ObjectMissing, ObjectStoreError, StoreFull

CHUNK_BYTES = 1 << 20
"""How much is read at once when streaming."""

UNFINISHED = ".unfinished"
"""Folder of a `FolderStore` where objects are written before they get their names."""

Source = bytes | Path | BinaryIO


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as just stored: the SHA-256 of its bytes and how many they are."""

    key: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as found."""

    key: str
    size_bytes: int
    modified_at: datetime


class ObjectStore(Protocol):
    """What both back ends do. `digest` arguments and results are SHA-256 in lower-case hexadecimal."""

    def put(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        content_type: str = "",
        cache_control: str = "",
    ) -> Stored:
        """Store bytes, a file or a stream under `key`, durably and all or nothing.

        `content_type` and `cache_control` are what S3 serves the object with; a folder serves nothing.

        Raises
        ------
        ObjectExists
            Where `if_absent` and there is an object already. (Over a network this may be our own, stored by
            a request whose answer was lost: use `put_once` for bytes that are known.)
        StoreFull, StoreUnavailable
            Nothing was stored.
        """

    def copy(
        self, source_key: str, key: str, *, content_type: str = "", cache_control: str = ""
    ) -> None:
        """Store an object under another key too, inside the store, over whatever is there.

        Raises
        ------
        ObjectMissing, StoreFull, StoreUnavailable
        """

    def get(self, key: str, *, digest: str | None = None) -> bytes:
        """Return an object's bytes, verified against `digest` where given.

        Raises
        ------
        ObjectMissing, ObjectCorrupt, StoreUnavailable
        """

    def stream(self, key: str, *, digest: str | None = None) -> Iterator[bytes]:
        """Yield an object's bytes in pieces; a wrong `digest` is raised after the last one."""

    def info(self, key: str) -> ObjectInfo:
        """Return size and time of an object; raises ObjectMissing."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield all objects whose key begins with `prefix`, in no promised order (services differ)."""

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error."""

    def url(self, key: str, *, expires_s: int = 3600) -> str:
        """Return an address to read the object from: presigned by S3, `file://` in a folder."""

    def discard_unfinished(self, older_than_s: float) -> int:
        """Remove what killed writers left half-written, if older than that; returns how many."""


def put_once(
    store: ObjectStore,
    key: str,
    source: bytes | Path,
    *,
    content_type: str = "",
    cache_control: str = "",
) -> Stored:
    """Store bytes under a key that belongs to these bytes alone; storing them again is no error.

    Raises
    ------
    ObjectExists
        Where other bytes are under the key.
    """
    try:
        return store.put(
            key, source, if_absent=True, content_type=content_type, cache_control=cache_control
        )
    except ObjectExists:
        digest, size = _digest_of(source)
        try:
            for _ in store.stream(key, digest=digest):
                pass
        except ObjectCorrupt as error:
            raise ObjectExists(f"other bytes are stored under {key} already") from error
        return Stored(key, digest, size)


def fetch(store: ObjectStore, key: str, path: Path, *, digest: str | None = None) -> None:
    """Copy an object into a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file, room_for(path, key):
            for piece in store.stream(key, digest=digest):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def checked_key(key: str) -> str:
    """Return the key if it stays inside the store and can be a file's name."""
    parts = PurePosixPath(key).parts
    sound = "/".join(parts) == key and key and "\0" not in key and "\\" not in key
    if not sound or key.startswith("/") or {"..", UNFINISHED} & set(parts):
        raise ObjectStoreError(
            f"'{key}' cannot be a key: use names joined by '/', none of them '..'"
        )
    return key


def missing(key: str) -> ObjectMissing:
    """Return the error that says so."""
    return ObjectMissing(f"there is no object under {key}")


def verified(key: str, pieces: Iterator[bytes], digest: str | None) -> Iterator[bytes]:
    """Pass pieces on; raises ObjectCorrupt after the last where their SHA-256 is not `digest`."""
    seen = sha256()
    for piece in pieces:
        if digest is not None:
            seen.update(piece)
        yield piece
    if digest is not None and seen.hexdigest() != digest:
        raise ObjectCorrupt(
            f"the object under {key} has digest {seen.hexdigest()}, not {digest}:"
            " restore it from a backup or make it again"
        )


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open bytes or a file as a stream; a stream is passed on and stays open."""
    if isinstance(source, bytes):
        yield BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        yield source


def _digest_of(source: bytes | Path) -> tuple[str, int]:
    digest, size = sha256(), 0
    with opened(source) as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


@contextmanager
def room_for(root: Path, key: str) -> Iterator[None]:
    """Say clearly that there is no room, whichever way the system says it."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise StoreFull(
            f"no room for {key} under {root} ({os.strerror(error.errno)}): free some space or raise the"
            " limit, then run again; nothing half-written was kept"
        ) from error
