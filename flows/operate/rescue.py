"""Backup and restore of a home: databases, every object that rows refer to, settings without secrets.

Secrets stay where they are: `database_url`, S3 credentials and signing keys are no part of a backup.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from flows.operate.logs import log_to
from flows.settings import Settings
from storage import backup as stored
from storage.backup import Backup
from storage.database import migrate
from storage.objects import S3Store, open_store
from storage.postgres import Cluster

SETTINGS_FILE = "lectern.toml"


def backup(settings: Settings, folder: Path) -> Backup:
    """Write a backup into an empty folder, while work goes on.

    Raises
    ------
    StorageError
        The folder is not empty, or a database or an object cannot be read.
    """
    log_to(settings)
    with _databases(settings) as databases:
        migrate(databases[stored.LECTERN])
        store = open_store(settings.store_address, endpoint=settings.s3_endpoint)
        return stored.backup(databases, store, folder, files=_files(settings))


def restore(settings: Settings, folder: Path) -> Backup:
    """Restore a backup into an empty home, and bring an older one's tables up to date.

    The settings of the backup are written only where the home has none.

    Raises
    ------
    StorageError
        The backup is damaged, or the home is not empty.
    """
    log_to(settings)
    found = stored.verify(folder)
    with _databases(settings) as databases:
        store = open_store(settings.store_address, endpoint=settings.s3_endpoint)
        if isinstance(store, S3Store):
            store.ensure_bucket()
        there = {name: url for name, url in databases.items() if name in found.databases}
        restored = stored.restore(folder, there, store)
        migrate(databases[stored.LECTERN])
    kept = settings.folder / SETTINGS_FILE
    if SETTINGS_FILE in found.files and not kept.exists():
        kept.write_bytes((folder / "files" / SETTINGS_FILE).read_bytes())
        kept.chmod(0o600)
    return restored


@contextmanager
def _databases(settings: Settings) -> Iterator[Mapping[str, str]]:
    """Yield the addresses of the databases that are ours to keep, by name."""
    if settings.database_url is not None:
        yield {stored.LECTERN: settings.database_url.get_secret_value()}
        return
    with Cluster(settings.folder).hold() as cluster:
        yield {stored.LECTERN: cluster.url(), "prefect": cluster.url("prefect")}


def _files(settings: Settings) -> dict[str, bytes]:
    """Return the settings file without its secrets, if there is one."""
    path = settings.folder / SETTINGS_FILE
    if not path.exists():
        return {}
    read = tomllib.loads(path.read_text("utf-8"))
    open_ = {
        name: value
        for name, value in read.items()
        if SecretStr not in _kinds(Settings.model_fields[name].annotation)
    }
    left_out = [f"# {name} is a secret: set it anew\n" for name in read if name not in open_]
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in open_.items()]
    return {SETTINGS_FILE: "".join(left_out + lines).encode()}


def _kinds(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__args__", (annotation,))
