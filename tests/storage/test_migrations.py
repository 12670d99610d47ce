"""Migrations: they make what the models say, and go down and up again on a filled database."""

import threading

import pytest
import scenarios
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from storage import accounts, database, review_tables
from storage.errors import ServerError
from storage.models import Base
from storage.objects import FolderStore
from storage.queue import Queue
from storage.review_tables import Role

REVIEW_TABLES = {
    mapper.local_table.name  # type: ignore[attr-defined]
    for mapper in Base.registry.mappers
    if mapper.class_.__module__ == review_tables.__name__
}
TABLES = [table.name for table in Base.metadata.sorted_tables if table.name not in REVIEW_TABLES]

ADDED = {"profile"}
"""Columns of those tables that later revisions add."""


def contents(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of the factory's tables, in the columns of the first revision."""
    with engine.connect() as connection:
        return {
            name: sorted(
                tuple(str(value) for column, value in row.items() if column not in ADDED)
                for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings()
            )
            for name in TABLES
        }


def functions(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        named = text("SELECT proname FROM pg_proc WHERE proname LIKE 'lectern%' ORDER BY 1")
        return list(connection.execute(named).scalars())


def test_the_migrations_make_what_the_models_say(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
        wanted = {
            constraint.name
            for table in Base.metadata.sorted_tables
            for constraint in table.constraints
            if constraint.name
        }
        there = set(
            connection.execute(
                text(
                    "SELECT conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
                    " WHERE c.contype <> 'n' AND t.relnamespace = 'public'::regnamespace"
                    " AND t.relname <> 'alembic_version'"
                )
            ).scalars()
        )
    assert {str(name) for name in wanted} == there


def test_up_and_down_on_a_filled_database(engine: Engine, url: str, store: FolderStore) -> None:
    scenarios.reviewed(engine, store, title="Filled")
    half_done = scenarios.producing(engine, store, (3, 2), title="Half done")
    queue = Queue(engine, "worker")
    queue.lease_reading(2)
    before, rules = contents(engine), functions(engine)
    assert all(before[name] for name in TABLES if name not in {"release", "release_file"})
    engine.dispose()
    database.downgrade(url, "0001")
    assert database.revision_of(url) == "0001"
    assert functions(engine) == []
    assert contents(engine) == before
    database.migrate(url)
    assert functions(engine) == rules
    assert contents(engine) == before
    with engine.begin() as connection:
        overdue = "UPDATE chapter SET lease_until = now() - interval '1 hour' WHERE leased_by <> ''"
        connection.execute(text(overdue))
    assert queue.reclaim().requeued == 2
    scenarios.work_all(engine, store, queue)
    scenarios.finish(engine, [half_done.id])
    engine.dispose()
    database.downgrade(url, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert functions(engine) == []
    engine.dispose()
    database.migrate(url)
    assert not any(contents(engine).values())
    scenarios.producing(engine, store, (1,))


def test_the_review_tables_go_and_come_back_empty(
    engine: Engine, url: str, store: FolderStore
) -> None:
    scenarios.producing(engine, store, (1,))
    with database.transaction(engine, actor="tester", reason="an account") as session:
        accounts.add_account(session, name="ann", role=Role.REVIEWER, password="four words long")
    before = contents(engine)
    engine.dispose()
    database.downgrade(url, "0002")
    assert not REVIEW_TABLES & set(inspect(engine).get_table_names())
    assert contents(engine) == before
    engine.dispose()
    database.migrate(url)
    assert set(inspect(engine).get_table_names()) >= REVIEW_TABLES
    with database.transaction(engine, actor="tester", reason="again") as session:
        assert accounts.accounts(session) == []
    assert contents(engine) == before


def test_many_may_migrate_at_once(empty_url: str) -> None:
    failures: list[Exception] = []

    def go() -> None:
        try:
            database.migrate(empty_url)
        except Exception as error:  # whatever it is, it is a failure of the test
            failures.append(error)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert database.revision_of(empty_url) == "0005"


def test_a_database_that_was_never_migrated_says_so(empty_url: str) -> None:
    assert database.revision_of(empty_url) is None


def test_what_is_no_postgresql_is_refused() -> None:
    with pytest.raises(ServerError, match="postgresql://"):
        database.connect("sqlite:///x")


def test_an_unreachable_server_is_said_without_its_password() -> None:
    engine = database.connect("postgresql://u:hidden@127.0.0.1:1/x")
    with pytest.raises(ServerError, match="cannot be reached") as caught:
        database.check_server(engine)
    assert "hidden" not in str(caught.value)
