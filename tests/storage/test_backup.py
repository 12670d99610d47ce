"""Backup and restore: a half-done production goes on in an empty home, and damage is noticed first."""

import json
from pathlib import Path

import psycopg
import pytest
import scenarios
from sqlalchemy import Engine, text

from storage import database
from storage.backup import backup, restore, verify
from storage.errors import BackupError
from storage.objects import FolderStore
from storage.queue import Queue
from storage.retention import missing_objects


def half_done(engine: Engine, store: FolderStore) -> int:
    """Return a production some of whose work is done and some leased."""
    production = scenarios.producing(engine, store, (3, 2))
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    leases, _ = queue.commit_readings([scenarios.read(store, lease)])
    queue.commit_readings([scenarios.read(store, lease) for lease in leases])
    queue.complete_renderings([scenarios.render(store, w) for w in queue.lease_rendering(1)])
    queue.lease_rendering(1)
    return production.id


def test_a_half_done_night_is_finished_in_an_empty_home(
    engine: Engine, url: str, empty_url: str, store: FolderStore, tmp_path: Path
) -> None:
    production_id = half_done(engine, store)
    made = backup({"lectern": url}, store, tmp_path / "backup")
    scenarios.work_all(engine, store, Queue(engine, "worker", lease_s=0.0))
    Queue(engine, "worker").reclaim()
    there = FolderStore(tmp_path / "other")
    assert restore(tmp_path / "backup", {"lectern": empty_url}, there).objects == made.objects
    elsewhere = database.connect(empty_url)
    assert database.revision_of(empty_url) == database.revision_of(url)
    assert list(missing_objects(elsewhere, there)) == []
    with elsewhere.begin() as connection:  # a night later, every lease has run out
        for table in ('"window"', "chapter"):
            late = "lease_until = now() - interval '1 hour' WHERE leased_by IS NOT NULL"
            connection.execute(text(f"UPDATE {table} SET {late}"))
    queue = Queue(elsewhere, "after the fire")
    assert queue.reclaim().requeued == 2
    scenarios.work_all(elsewhere, there, queue)
    restored = scenarios.finish(elsewhere, [production_id])
    Queue(engine, "worker").reclaim()
    with engine.begin() as connection:
        for table in ('"window"', "chapter"):
            late = "lease_until = now() - interval '1 hour' WHERE leased_by IS NOT NULL"
            connection.execute(text(f"UPDATE {table} SET {late}"))
    Queue(engine, "worker").reclaim()
    scenarios.work_all(engine, store, Queue(engine, "worker"))
    assert restored == scenarios.finish(engine, [production_id])
    elsewhere.dispose()


def test_the_audit_and_the_rules_come_along(
    engine: Engine, url: str, empty_url: str, store: FolderStore, tmp_path: Path
) -> None:
    half_done(engine, store)
    backup({"lectern": url}, store, tmp_path / "backup")
    restore(tmp_path / "backup", {"lectern": empty_url}, FolderStore(tmp_path / "other"))
    elsewhere = database.connect(empty_url)
    events = "SELECT count(*) FROM event"
    assert scenarios.count(elsewhere, events) == scenarios.count(engine, events)
    triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
    assert scenarios.count(elsewhere, triggers) == scenarios.count(engine, triggers)
    elsewhere.dispose()


def test_prefects_database_comes_along(
    url: str, empty_url: str, cluster: object, store: FolderStore, tmp_path: Path
) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE TABLE flow_run AS SELECT 7 AS id")
    made = backup({"lectern": url, "prefect": empty_url}, store, tmp_path / "backup")
    assert sorted(made.databases) == ["lectern", "prefect"]
    with pytest.raises(BackupError, match="not empty"):
        restore(tmp_path / "backup", {"prefect": empty_url}, FolderStore(tmp_path / "other"))


@pytest.mark.parametrize("damage", ["object", "dump", "missing", "manifest"])
def test_a_damaged_backup_is_noticed_before_anything_is_restored(
    engine: Engine, url: str, empty_url: str, store: FolderStore, tmp_path: Path, damage: str
) -> None:
    half_done(engine, store)
    folder = tmp_path / "backup"
    made = backup({"lectern": url}, store, folder)
    victim = folder / "objects" / next(iter(made.objects))
    if damage == "object":
        victim.write_bytes(b"changed")
    elif damage == "missing":
        victim.unlink()
    elif damage == "dump":
        (folder / "lectern.dump").open("ab").write(b"x")
    else:
        (folder / "backup.json").unlink()
    there = FolderStore(tmp_path / "other")
    with pytest.raises(BackupError, match=r"damaged|missing|no finished backup"):
        restore(folder, {"lectern": empty_url}, there)
    assert list(there.list()) == []
    assert database.revision_of(empty_url) is None


def test_only_empty_targets_are_restored_into(
    engine: Engine, url: str, empty_url: str, store: FolderStore, tmp_path: Path
) -> None:
    scenarios.enrol_voice(engine, store)
    folder = tmp_path / "backup"
    backup({"lectern": url}, store, folder)
    with pytest.raises(BackupError, match="database 'lectern' is not empty"):
        restore(folder, {"lectern": url}, FolderStore(tmp_path / "other"))
    with pytest.raises(BackupError, match="object store is not empty"):
        restore(folder, {"lectern": empty_url}, store)
    with pytest.raises(BackupError, match="is not empty"):
        backup({"lectern": url}, store, folder)


def test_a_backup_without_one_of_its_objects_is_none(
    engine: Engine, url: str, store: FolderStore, tmp_path: Path
) -> None:
    voice = scenarios.enrol_voice(engine, store)
    assert voice.prompt_key is not None
    store.delete(voice.prompt_key)
    with pytest.raises(BackupError, match="the store does not hold"):
        backup({"lectern": url}, store, tmp_path / "backup")
    with pytest.raises(BackupError, match="no finished backup"):
        verify(tmp_path / "backup")


def test_no_password_is_written(
    engine: Engine, url: str, store: FolderStore, tmp_path: Path
) -> None:
    scenarios.enrol_voice(engine, store)
    backup({"lectern": url}, store, tmp_path / "backup")
    password = url.split(":")[2].split("@")[0]
    assert password not in (tmp_path / "backup" / "backup.json").read_text()
    assert json.loads((tmp_path / "backup" / "backup.json").read_text())["format"] == 1
