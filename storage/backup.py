"""Backup and restore of the whole state: databases and every object that rows refer to, with digests.

A backup is a folder: `objects/` under their keys, one `<name>.dump` for each database, `files/` that the
caller adds (settings), and `backup.json`, which is written last and holds the digest of everything; without
it the folder is no backup. Its objects are those of the very moment of Lectern's dump, and nothing is deleted
from the store until they are copied.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, make_url, text

from storage import keys
from storage.database import DELETION_LOCK, connect, driver_url
from storage.errors import BackupError, ObjectMissing
from storage.objects import FolderStore, ObjectStore, fetch
from storage.postgres import program
from storage.retention import referenced_keys

LECTERN = "lectern"
"""Name of Lectern's own database in a backup; others (Prefect's) may come along."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup: when it was taken, and what is in it."""

    folder: Path
    taken_at: datetime
    databases: Mapping[str, str]
    objects: Mapping[str, str]
    files: Mapping[str, str]
    size_bytes: int


def backup(
    databases: Mapping[str, str],
    store: ObjectStore,
    folder: Path,
    *,
    files: Mapping[str, bytes] | None = None,
) -> Backup:
    """Write a backup into an empty folder; work may go on meanwhile.

    Parameters
    ----------
    databases : mapping
        Addresses by name; `lectern` is Lectern's own.
    store : ObjectStore
        The objects.
    folder : Path
        Where to; made if missing.
    files : mapping, optional
        What else to keep, bytes by name; no secrets.

    Raises
    ------
    BackupError
        The folder is not empty, a database cannot be dumped, or a row names an object that is missing.
    """
    if LECTERN not in databases:
        raise BackupError("a backup needs the database 'lectern'")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty: back up into a folder of its own")
    dumps: dict[str, str] = {}
    with _moment(databases[LECTERN]) as (connection, snapshot):
        taken_at = connection.execute(text("SELECT now()")).scalar_one()
        dumps[LECTERN] = _dump(databases[LECTERN], folder / f"{LECTERN}.dump", snapshot)
        objects = _copy_objects(connection, store, folder / "objects")
    for name, url in sorted(databases.items()):
        if name != LECTERN:
            dumps[name] = _dump(url, folder / f"{name}.dump", None)
    kept = {name: _keep(folder / "files" / name, data) for name, data in (files or {}).items()}
    _write_manifest(folder, taken_at, dumps, objects, kept)
    return read_backup(folder)


def restore(folder: Path, databases: Mapping[str, str], store: ObjectStore) -> Backup:
    """Restore a backup into empty databases and an empty store, after checking every digest.

    Leases that were held when the backup was taken have run out since: `Queue.reclaim` takes them back.

    Raises
    ------
    BackupError
        The backup is damaged or incomplete, or the target is not empty.
    """
    found = verify(folder)
    missing = set(databases) - set(found.databases)
    if missing:
        raise BackupError(f"{folder} holds no database called {', '.join(sorted(missing))}")
    for name, url in databases.items():
        _require_empty(name, url)
    if next(iter(store.list()), None) is not None:
        raise BackupError("the object store is not empty: restore into an empty home")
    objects = FolderStore(folder / "objects")
    for key, digest in found.objects.items():
        stored = store.put(key, objects.path(key))
        if stored.digest != digest:
            raise BackupError(f"{key} changed while it was restored: {stored.digest}, not {digest}")
    for name, url in databases.items():
        _run("pg_restore", url, ["--no-owner", "--exit-on-error", "--single-transaction", "-d"],
             [str(folder / f"{name}.dump")])  # fmt: skip
    return found


def verify(folder: Path) -> Backup:
    """Check every digest of a backup; raises BackupError naming what is damaged or missing."""
    found = read_backup(folder)
    files = {f"{name}.dump": digest for name, digest in found.databases.items()}
    files |= {f"objects/{key}": digest for key, digest in found.objects.items()}
    files |= {f"files/{name}": digest for name, digest in found.files.items()}
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            raise BackupError(f"{path} is missing: this backup is incomplete")
        if keys.file_digest_of(path) != digest:
            raise BackupError(f"{path} is damaged: its digest is not the one in backup.json")
    return found


def read_backup(folder: Path) -> Backup:
    """Return what a backup says it holds, unchecked; raises BackupError where it is no finished backup."""
    path = folder / "backup.json"
    try:
        written = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder} is no finished backup: {path} cannot be read") from error
    if written.get("format") != FORMAT:
        raise BackupError(f"{path} has format {written.get('format')}, this Lectern reads {FORMAT}")
    return Backup(
        folder=folder,
        taken_at=datetime.fromisoformat(written["taken_at"]),
        databases=written["databases"],
        objects=written["objects"],
        files=written["files"],
        size_bytes=sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()),
    )


@contextmanager
def _moment(url: str) -> Iterator[tuple[Connection, str]]:
    """Hold one moment of the database: a snapshot for others to use, and no deletion of objects."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            # The first statement takes the snapshot, so the lock must be held before this transaction.
            connection.execute(text("SELECT pg_advisory_lock_shared(:k)"), {"k": DELETION_LOCK})
            connection.commit()
            try:
                snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
                yield connection, snapshot
            finally:
                connection.rollback()
                connection.execute(
                    text("SELECT pg_advisory_unlock_shared(:k)"), {"k": DELETION_LOCK}
                )
                connection.commit()
    finally:
        engine.dispose()


def _copy_objects(connection: Connection, store: ObjectStore, folder: Path) -> dict[str, str]:
    digests = {}
    for key in referenced_keys(connection):
        path = folder / key
        try:
            fetch(store, key, path)
        except ObjectMissing as error:
            raise BackupError(
                f"a row refers to {key}, which the store does not hold; `lectern doctor` lists all such"
            ) from error
        digests[key] = keys.file_digest_of(path)
    return digests


def _dump(url: str, path: Path, snapshot: str | None) -> str:
    at = [f"--snapshot={snapshot}"] if snapshot else []
    _run("pg_dump", url, ["--format=custom", "--no-owner", f"--file={path}", *at, "-d"], [])
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return keys.file_digest_of(path)


def _keep(path: Path, data: bytes) -> str:
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return keys.file_digest_of(path)


def _run(name: str, url: str, before: list[str], after: list[str]) -> None:
    """Run one of PostgreSQL's programs on a database; the password goes through the environment."""
    address = make_url(driver_url(url))
    # `set` takes None for "as it was", so the address without its password is made anew.
    plain = URL.create(
        "postgresql",
        username=address.username,
        host=address.host,
        port=address.port,
        database=address.database,
        query=address.query,
    )
    environment = {**os.environ, "PGPASSWORD": address.password or ""}
    done = subprocess.run(
        [str(program(name)), *before, plain.render_as_string(), *after],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise BackupError(f"{name} failed on {plain.database}: {done.stderr.strip()}")


def _require_empty(name: str, url: str) -> None:
    engine = connect(url)
    try:
        with engine.connect() as connection:
            tables = connection.execute(
                text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            ).scalar_one()
    finally:
        engine.dispose()
    if tables:
        raise BackupError(f"the database '{name}' is not empty: restore into an empty home")


def _write_manifest(
    folder: Path,
    taken_at: datetime,
    dumps: dict[str, str],
    objects: dict[str, str],
    files: dict[str, str],
) -> None:
    written: dict[str, Any] = {
        "format": FORMAT,
        "taken_at": taken_at.astimezone(UTC).isoformat(),
        "databases": dumps,
        "objects": objects,
        "files": files,
    }
    fresh = folder / "backup.json.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(written, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / "backup.json")
