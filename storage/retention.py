"""What may go: takes nobody chose, snapshots of closed productions, and objects no row refers to.

Rows forget their keys first and the objects go afterwards; whoever is killed in between leaves orphans, which
`sweep_orphans` finds. Digests and measures stay, and every removal is an event.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from storage import keys
from storage.database import DELETION_LOCK, transaction
from storage.models import Event
from storage.objects import ObjectInfo, ObjectStore

TAKES_DAYS = 30.0
SNAPSHOTS_DAYS = 30.0
"""How long after a production is closed its unchosen takes and its snapshots are kept."""

ORPHAN_S = 24 * 3600.0
"""Age below which an object without a row may still be waiting for its transaction."""

REFERENCED = """
SELECT DISTINCT key FROM (
    SELECT prompt_key AS key FROM voice
    UNION ALL SELECT embeddings_key FROM voice
    UNION ALL SELECT document_key FROM consent
    UNION ALL SELECT source_key FROM manuscript
    UNION ALL SELECT cover_key FROM manuscript
    UNION ALL SELECT weight.value ->> 'key' FROM production, jsonb_each(weights) AS weight
    UNION ALL SELECT script_key FROM chapter
    UNION ALL SELECT snapshot_key FROM chapter
    UNION ALL SELECT audio_key FROM chapter
    UNION ALL SELECT times_key FROM chapter
    UNION ALL SELECT entry_snapshot_key FROM "window"
    UNION ALL SELECT entry_snapshot_key FROM take
    UNION ALL SELECT tokens_key FROM take
    UNION ALL SELECT audio_key FROM take
    UNION ALL SELECT key FROM qa_report
    UNION ALL SELECT release_file.key FROM release_file
        JOIN release ON release.id = release_id
        AND release.state NOT IN ('abandoned', 'withdrawn')
    UNION ALL SELECT manifest_key FROM release WHERE state NOT IN ('abandoned', 'withdrawn')
) AS keys
WHERE key IS NOT NULL
"""
"""Every key that a row refers to."""

_BATCH = 1000
"""Keys compared with the rows at once."""

_EXPIRE_TAKES = """
WITH closed AS (
    SELECT id FROM production
    WHERE state IN ('published', 'cancelled')
      AND state_changed_at < now() - :days * interval '1 day'
), old AS (
    SELECT t.id, t.production_id, t.tokens_key, t.audio_key
    FROM take AS t
    JOIN closed ON closed.id = t.production_id
    JOIN "window" AS w ON w.id = t.window_id
    WHERE t.expired_at IS NULL AND w.chosen_take IS DISTINCT FROM t.number
    FOR UPDATE OF t
), expired AS (
    UPDATE take AS t
    SET tokens_key = NULL, audio_key = NULL, expired_at = now()
    FROM old
    WHERE t.id = old.id
)
SELECT production_id, tokens_key, audio_key FROM old
"""

_CLOSED_WITH_SNAPSHOTS = """
SELECT id FROM production AS p
WHERE state IN ('published', 'cancelled')
  AND state_changed_at < now() - :days * interval '1 day'
  AND (EXISTS (SELECT FROM chapter AS c WHERE c.production_id = p.id AND c.snapshot_key IS NOT NULL)
    OR EXISTS (SELECT FROM "window" AS w JOIN chapter AS c ON c.id = w.chapter_id
               WHERE c.production_id = p.id AND w.entry_snapshot_key IS NOT NULL))
ORDER BY id
"""

_SNAPSHOTS = """
SELECT snapshot_key AS key FROM chapter WHERE production_id = :id AND snapshot_key IS NOT NULL
UNION
SELECT w.entry_snapshot_key FROM "window" AS w JOIN chapter AS c ON c.id = w.chapter_id
WHERE c.production_id = :id AND w.entry_snapshot_key IS NOT NULL
UNION
SELECT entry_snapshot_key FROM take WHERE production_id = :id AND entry_snapshot_key IS NOT NULL
"""

_FORGET_SNAPSHOTS = (
    "UPDATE chapter SET snapshot_key = NULL WHERE production_id = :id AND snapshot_key IS NOT NULL",
    'UPDATE "window" SET entry_snapshot_key = NULL WHERE entry_snapshot_key IS NOT NULL'
    " AND chapter_id IN (SELECT id FROM chapter WHERE production_id = :id)",
    "UPDATE take SET entry_snapshot_key = NULL"
    " WHERE production_id = :id AND entry_snapshot_key IS NOT NULL",
)


@dataclass(frozen=True, slots=True)
class Removed:
    """What went, by kind: how many objects, and of how many productions."""

    kind: str
    objects: int
    productions: int


def expire_takes(
    engine: Engine, store: ObjectStore, *, actor: str, days: float = TAKES_DAYS
) -> Removed:
    """Remove tokens and audio of takes nobody chose, of productions closed for `days`."""
    gone: dict[int, list[str]] = {}
    with transaction(engine, actor=actor, reason=f"takes expire after {days:g} days") as session:
        for production_id, *found in session.execute(text(_EXPIRE_TAKES), {"days": days}):
            gone.setdefault(production_id, []).extend(key for key in found if key is not None)
        for production_id, objects in gone.items():
            session.add(_event(production_id, actor, f"takes expire after {days:g} days", objects))
    return _delete(engine, store, "takes", gone)


def expire_snapshots(
    engine: Engine, store: ObjectStore, *, actor: str, days: float = SNAPSHOTS_DAYS
) -> Removed:
    """Remove the snapshots of productions closed for `days`: their windows cannot be repaired any more."""
    gone: dict[int, list[str]] = {}
    reason = f"snapshots expire after {days:g} days"
    with transaction(engine, actor=actor, reason=reason) as session:
        for production_id in session.scalars(text(_CLOSED_WITH_SNAPSHOTS), {"days": days}).all():
            one = {"id": production_id}
            gone[production_id] = list(session.scalars(text(_SNAPSHOTS), one))
            for statement in _FORGET_SNAPSHOTS:
                session.execute(text(statement), one)
            session.add(_event(production_id, actor, reason, gone[production_id]))
    return _delete(engine, store, "snapshots", gone)


def orphans(
    engine: Engine, store: ObjectStore, *, older_than_s: float = ORPHAN_S
) -> Iterator[ObjectInfo]:
    """Yield objects older than that which no row refers to."""
    with engine.connect() as connection:
        yield from _orphans(connection, store, older_than_s)


def sweep_orphans(
    engine: Engine, store: ObjectStore, *, older_than_s: float = ORPHAN_S
) -> list[ObjectInfo]:
    """Delete the orphans and what killed writers left half-written; returns the orphans.

    Nobody can enrol anything meanwhile, and a backup in progress makes the sweep wait for another night.
    """
    store.discard_unfinished(older_than_s)
    with engine.begin() as connection:
        if not connection.execute(
            text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": DELETION_LOCK}
        ).scalar_one():
            return []
        swept = list(_orphans(connection, store, older_than_s))
        for orphan in swept:
            store.delete(orphan.key)
        return swept


def referenced_keys(connection: Connection) -> Iterator[str]:
    """Yield every key that a row refers to, some at a time."""
    rows = connection.execution_options(yield_per=_BATCH).execute(text(REFERENCED))
    yield from rows.scalars()


def missing_objects(engine: Engine, store: ObjectStore) -> Iterator[str]:
    """Yield the keys that rows refer to and the store does not hold: damage that `doctor` reports."""
    with engine.connect() as connection:
        _prepare(connection, "CREATE TEMPORARY TABLE listed (key text) ON COMMIT DROP")
        for batch in _batches(store.list()):
            connection.execute(
                text("INSERT INTO listed SELECT unnest(CAST(:keys AS text[]))"),
                {"keys": [found.key for found in batch]},
            )
        missing = text(f"{REFERENCED} EXCEPT SELECT key FROM listed ORDER BY 1")
        yield from connection.execute(missing).scalars()


def _orphans(
    connection: Connection, store: ObjectStore, older_than_s: float
) -> Iterator[ObjectInfo]:
    """Compare a listing, some keys at a time, with all keys that rows referred to when it began."""
    now = connection.execute(text("SELECT now()")).scalar_one()
    _prepare(connection, f"CREATE TEMPORARY TABLE referenced ON COMMIT DROP AS {REFERENCED}")
    _prepare(connection, "CREATE INDEX ON referenced (key)")
    _prepare(connection, "ANALYZE referenced")
    for batch in _batches(store.list()):
        old = [one for one in batch if (now - one.modified_at).total_seconds() >= older_than_s]
        known = set(
            connection.execute(
                text("SELECT key FROM referenced WHERE key = ANY (CAST(:keys AS text[]))"),
                {"keys": [one.key for one in old]},
            ).scalars()
        )
        yield from (
            one for one in old if one.key not in known and not one.key.startswith(keys.CATALOGUE)
        )


def _prepare(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def _batches(found: Iterator[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    while batch := list(islice(found, _BATCH)):
        yield batch


def _delete(engine: Engine, store: ObjectStore, kind: str, gone: dict[int, list[str]]) -> Removed:
    """Delete objects that no row names any more, unless a backup is copying them: then they are orphans."""
    objects = [key for found in gone.values() for key in found]
    with Session(engine) as session, session.begin():
        if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:k)"), {"k": DELETION_LOCK}):
            return Removed(kind, 0, len(gone))
        for key in objects:
            store.delete(key)
    return Removed(kind, len(objects), len(gone))


def _event(production_id: int, actor: str, reason: str, objects: list[str]) -> Event:
    return Event(
        subject="production",
        subject_id=production_id,
        production_id=production_id,
        actor=actor,
        reason=reason,
        detail={"removed": len(objects)},
    )
