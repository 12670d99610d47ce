"""Retention: unchosen takes and old snapshots go, orphans are swept, and nothing that is referred to."""

import pytest
import scenarios
from sqlalchemy import Engine, text

from storage.database import DELETION_LOCK, transaction
from storage.objects import FolderStore, ObjectStore
from storage.productions import cancel
from storage.queue import Judgement, Queue
from storage.retention import (
    expire_snapshots,
    expire_takes,
    missing_objects,
    orphans,
    sweep_orphans,
)


def closed_with_two_takes(engine: Engine, store: FolderStore) -> int:
    """Return a production that made a second take of its last window, and was cancelled afterwards."""
    production = scenarios.producing(engine, store, (3,))
    queue = Queue(engine, "worker")
    leases = queue.lease_reading()
    while leases:
        leases, _ = queue.commit_readings([scenarios.read(store, lease) for lease in leases])
    queue.complete_renderings([scenarios.render(store, w) for w in queue.lease_rendering()])
    *good, bad = queue.lease_judging()
    queue.complete_judgements(
        [*map(scenarios.judge, good), Judgement(bad, "fail", None, {}, "a word is missing")]
    )
    scenarios.work_all(engine, store, queue)
    scenarios.finish(engine, [production.id])
    with transaction(engine, actor="editor", reason="the rights were sold") as session:
        cancel(session, production.id)
    return production.id


def test_unchosen_takes_expire_and_chosen_ones_stay(engine: Engine, store: FolderStore) -> None:
    closed_with_two_takes(engine, store)
    assert expire_takes(engine, store, actor="reconcile", days=1).objects == 0
    assert expire_takes(engine, store, actor="reconcile", days=0).objects == 2
    assert expire_takes(engine, store, actor="reconcile", days=0).objects == 0
    with engine.connect() as connection:
        takes = connection.execute(
            text(
                "SELECT t.number = w.chosen_take, t.audio_key IS NOT NULL, t.audio_digest IS NOT NULL"
                ' FROM take t JOIN "window" w ON w.id = t.window_id'
            )
        ).all()
        told = connection.execute(
            text("SELECT actor, reason, detail FROM event WHERE detail ? 'removed'")
        ).one()
    assert sorted(map(tuple, takes)) == [(False, False, True), *[(True, True, True)] * 3]
    assert tuple(told) == ("reconcile", "takes expire after 0 days", {"removed": 2})
    assert list(missing_objects(engine, store)) == []
    assert list(orphans(engine, store, older_than_s=0)) == []


def test_snapshots_of_closed_productions_expire(engine: Engine, store: FolderStore) -> None:
    closed_with_two_takes(engine, store)
    scenarios.producing(engine, store, (2,), title="Open")
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    [lease], _ = queue.commit_readings([scenarios.read(store, lease)])
    removed = expire_snapshots(engine, store, actor="reconcile", days=0)
    assert (removed.objects, removed.productions) == (3, 1)
    assert lease.snapshot_key is not None
    store.get(lease.snapshot_key, digest=lease.snapshot_digest)
    assert expire_snapshots(engine, store, actor="reconcile", days=0).productions == 0
    assert list(missing_objects(engine, store)) == []


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, store: FolderStore) -> ObjectStore:
    if request.param == "folder":
        return store
    found: ObjectStore = request.getfixturevalue("seaweed").store(
        "orphans", prefix=str(id(request))
    )
    return found


def test_orphans_are_swept_and_nothing_else(engine: Engine, objects: ObjectStore) -> None:
    production = scenarios.producing(engine, objects, (2, 2))  # type: ignore[arg-type]
    scenarios.work_all(engine, objects, Queue(engine, "worker"))
    kept = sorted(found.key for found in objects.list())
    for key in ("productions/1-a", "productions/1/lost", "voices/0/prompt", "zzz"):
        objects.put(key, b"nobody's")
    assert sweep_orphans(engine, objects) == []
    swept = sweep_orphans(engine, objects, older_than_s=-60)
    assert sorted(one.key for one in swept) == [
        "productions/1-a",
        "productions/1/lost",
        "voices/0/prompt",
        "zzz",
    ]
    assert sorted(found.key for found in objects.list()) == kept
    scenarios.finish(engine, [production.id])


def test_a_backup_in_progress_stops_the_sweep(engine: Engine, store: FolderStore) -> None:
    store.put("nobodys", b"x")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock_shared(:k)"), {"k": DELETION_LOCK})
        assert sweep_orphans(engine, store, older_than_s=-60) == []
        assert [found.key for found in store.list()] == ["nobodys"]
        connection.execute(text("SELECT pg_advisory_unlock_shared(:k)"), {"k": DELETION_LOCK})
    assert len(sweep_orphans(engine, store, older_than_s=-60)) == 1


def test_missing_objects_are_named(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    assert voice.prompt_key is not None
    store.delete(voice.prompt_key)
    assert list(missing_objects(engine, store)) == [voice.prompt_key]
