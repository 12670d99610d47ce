"""Connections, transactions and migrations of Lectern's own database.

Every transaction that changes anything says who does it and why; the triggers refuse it otherwise
and copy both into the `event` rows. The rules that the database enforces come back as the errors of
`storage.errors`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from storage.errors import (
    ActorMissing,
    ApprovalRefused,
    ConflictRefused,
    ConsentRefused,
    RecordProtected,
    ServerError,
    StorageError,
    TransitionRefused,
)

MINIMUM_VERSION = 150_000
"""Oldest PostgreSQL that Lectern runs on, as `server_version_num` (15.0)."""

SCRIPTS = Path(__file__).with_name("migrations")
"""Where the migrations are."""

MIGRATION_LOCK = 0x6C65_6374_0001
"""Advisory lock under which one process at a time migrates."""

DELETION_LOCK = 0x6C65_6374_0002
"""Advisory lock: shared by enrolment and backup, exclusive for whoever deletes objects."""

PLANS = "-c plan_cache_mode=force_generic_plan"
"""A LIMIT that is a parameter looks dear to a generic plan, and PostgreSQL would plan every lease anew."""

TRIES = 6
"""How often a transaction is tried that PostgreSQL ended because of a deadlock or a serialisation
failure.
"""

_REFUSALS: dict[str, type[StorageError]] = {
    "LE001": TransitionRefused,
    "LE002": ActorMissing,
    "LE003": ConsentRefused,
    "LE004": ApprovalRefused,
    "LE005": RecordProtected,
    "23505": ConflictRefused,
}
_TRY_AGAIN = {"40001", "40P01"}

T = TypeVar("T")


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine for the database at `url`.

    Parameters
    ----------
    url : str
        `postgresql://…` or `postgresql+psycopg://…`; psycopg 3 is used in both cases.
    pool_size : int
        Connections kept open; up to twice as many are opened at need.
    """
    return create_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "lectern", "options": PLANS},
    )


def driver_url(url: str) -> str:
    """Return `url` with psycopg 3 as its driver."""
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ServerError(f"'{scheme}' is not PostgreSQL: give a postgresql://… address")
    return f"postgresql+psycopg://{rest}"


def check_server(engine: Engine) -> int:
    """Return the server's version number; raises ServerError where it is unreachable or too old."""
    try:
        with engine.connect() as connection:
            version = int(connection.scalar(text("SHOW server_version_num")) or 0)
    except OperationalError as error:
        raise ServerError(
            f"PostgreSQL at {engine.url.render_as_string(hide_password=True)} cannot be reached:"
            f" {error.orig}; start it (`lectern up`) or correct the address"
        ) from error
    if version < MINIMUM_VERSION:
        raise ServerError(f"PostgreSQL {version // 10_000} is too old: Lectern needs 15 or newer")
    return version


@contextmanager
def transaction(engine: Engine, *, actor: str, reason: str) -> Iterator[Session]:
    """Open a session in one transaction that says who changes things, and why.

    Parameters
    ----------
    engine : Engine
        Lectern's database.
    actor : str
        Who: a person's name, a worker's, a flow's.
    reason : str
        Why, as it shall stand in the audit; `say` sets another one half-way.

    Raises
    ------
    Refused
        One of its kinds, where a rule of the database forbids what was done; nothing is kept.
    """
    with refusals(), Session(engine, expire_on_commit=False) as session, session.begin():
        say(session, actor, reason)
        yield session


def say(session: Session | Connection, actor: str, reason: str) -> None:
    """Set who and why for the rest of the transaction."""
    session.execute(
        text(
            "SELECT set_config('lectern.actor', :actor, true),"
            " set_config('lectern.reason', :reason, true)"
        ),
        {"actor": actor, "reason": reason},
    )


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the database's rules refuse into the errors of `storage.errors`."""
    try:
        yield
    except DBAPIError as error:
        kind = _REFUSALS.get(_sqlstate(error))
        if kind is None:
            raise
        diagnostics = getattr(error.orig, "diag", None)
        raise kind(getattr(diagnostics, "message_primary", None) or str(error.orig)) from error


def again(work: Callable[[], T]) -> T:
    """Run a whole transaction, and again where PostgreSQL ended it for a deadlock with another."""
    for attempt in range(TRIES):
        try:
            return work()
        except DBAPIError as error:
            if _sqlstate(error) not in _TRY_AGAIN or attempt == TRIES - 1:
                raise
            sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`; safe to call from many processes at once."""
    _alembic(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the database down to `revision` (`base`: nothing is left)."""
    _alembic(url, lambda config: command.downgrade(config, revision))


def revision_of(url: str) -> str | None:
    """Return the migration the database is at; none where it was never migrated."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
                return None
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found
    finally:
        engine.dispose()


def head_revision() -> str | None:
    """Return the last migration of this build."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return ScriptDirectory.from_config(config).get_current_head()


def _alembic(url: str, run: Callable[[Config], None]) -> None:
    engine = connect(url)
    check_server(engine)
    try:
        with engine.connect() as connection:
            config = Config()
            config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
            config.attributes["connection"] = connection
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
            try:
                run(config)
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                connection.commit()
    finally:
        engine.dispose()
