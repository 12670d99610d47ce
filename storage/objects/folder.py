"""The object store as a folder: fsync, and names that appear all at once."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from storage.errors import ObjectExists, ObjectMissing
from storage.objects.interface import (
    CHUNK_BYTES,
    UNFINISHED,
    ObjectInfo,
    Source,
    Stored,
    checked_key,
    missing,
    opened,
    room_for,
    verified,
)

_NAMINGS = 50
"""How often a name is tried while deletes take its folder away in between."""


class FolderStore:
    """Objects as files of one folder, named by their keys.

    An object is written aside, flushed to disk, and then named: linked where it must not exist yet, renamed
    over where it may. Files and folders are flushed, so an object that was returned survives a power cut.

    Parameters
    ----------
    root : Path
        The folder; made if missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        (self.root / UNFINISHED).mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return where an object's file is."""
        return self.root / checked_key(key)

    def put(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        content_type: str = "",
        cache_control: str = "",
    ) -> Stored:
        """See `ObjectStore.put`."""
        path = self.path(key)
        if if_absent and path.exists():
            raise ObjectExists(f"there is an object under {key} already")
        fresh = self.root / UNFINISHED / secrets.token_hex(16)
        try:
            with room_for(self.root, key):
                stored = _write(fresh, key, source)
                self._name(fresh, path, if_absent=if_absent)
        finally:
            fresh.unlink(missing_ok=True)
        return stored

    def copy(
        self, source_key: str, key: str, *, content_type: str = "", cache_control: str = ""
    ) -> None:
        """See `ObjectStore.copy`; where the file system can, both names are of one file."""
        source, path = self.path(source_key), self.path(key)
        fresh = self.root / UNFINISHED / secrets.token_hex(16)
        try:
            with room_for(self.root, key):
                try:
                    os.link(source, fresh)
                except FileNotFoundError:
                    raise missing(source_key) from None
                except OSError:
                    _write(fresh, key, source)
                self._name(fresh, path, if_absent=False)
        finally:
            fresh.unlink(missing_ok=True)

    def get(self, key: str, *, digest: str | None = None) -> bytes:
        """See `ObjectStore.get`."""
        return b"".join(self.stream(key, digest=digest))

    def stream(self, key: str, *, digest: str | None = None) -> Iterator[bytes]:
        """See `ObjectStore.stream`."""
        try:
            with self.path(key).open("rb") as file:
                yield from verified(key, iter(lambda: file.read(CHUNK_BYTES), b""), digest)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise missing(key) from None

    def info(self, key: str) -> ObjectInfo:
        """See `ObjectStore.info`."""
        path = self.path(key)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise missing(key) from None
        if path.is_dir():
            raise missing(key)
        return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        for key in self._keys(self.root, "", prefix):
            with suppress(ObjectMissing):  # deleted since
                yield self.info(key)

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`; folders that become empty go with it."""
        path = self.path(key)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        _sync_folder(path.parent)
        for folder in path.parents:
            if folder == self.root:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def url(self, key: str, *, expires_s: int = 3600) -> str:
        """See `ObjectStore.url`; a `file://` address does not expire."""
        self.info(key)
        return self.path(key).as_uri()

    def discard_unfinished(self, older_than_s: float) -> int:
        """See `ObjectStore.discard_unfinished`."""
        discarded = 0
        for path in (self.root / UNFINISHED).iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_s:
                    path.unlink()
                    discarded += 1
        return discarded

    def _name(self, fresh: Path, path: Path, *, if_absent: bool) -> None:
        for attempt in range(_NAMINGS):
            try:
                _make_folders(path.parent, self.root)
                if if_absent:
                    os.link(fresh, path)
                else:
                    fresh.replace(path)
                break
            except FileExistsError:
                raise ObjectExists(f"there is an object under {path} already") from None
            except FileNotFoundError:  # a delete removed the empty folder in between
                if attempt == _NAMINGS - 1:
                    raise
        _sync_folder(path.parent)

    def _keys(self, folder: Path, above: str, prefix: str) -> Iterator[str]:
        """Yield keys, looking only into folders that can match."""
        try:
            entries = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            key = above + entry.name
            if entry.is_dir():
                inside = f"{key}/"
                if key != UNFINISHED and (inside.startswith(prefix) or prefix.startswith(inside)):
                    yield from self._keys(entry, inside, prefix)
            elif key.startswith(prefix):
                yield key


def _write(path: Path, key: str, source: Source) -> Stored:
    digest, size = sha256(), 0
    with opened(source) as file, path.open("xb") as out:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return Stored(key, digest.hexdigest(), size)


def _make_folders(folder: Path, root: Path) -> None:
    """Make a folder and those above it, each flushed into the one that holds it."""
    missing = []
    while folder != root and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        _sync_folder(one.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
