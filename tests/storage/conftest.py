"""Fixtures of the storage tests: one real PostgreSQL and one real S3 service a session, a database a test."""

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine


def _load(name: str, path: Path) -> None:
    """Import a module of the tests by its path (their folder on `sys.path` would hide `storage`)."""
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


_load("services", Path(__file__).parents[1] / "services.py")

import services  # noqa: E402

from storage import database  # noqa: E402
from storage.objects import FolderStore  # noqa: E402
from storage.postgres import Cluster  # noqa: E402


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run one embedded PostgreSQL for the session, with a migrated database as template.

    It does not wait for the disk, to make a database for each test quickly; what is measured or killed by
    its power runs on a cluster of its own.
    """
    with services.running_postgres() as running:
        _administer(running, "ALTER SYSTEM SET fsync = off")
        _administer(running, "SELECT pg_reload_conf()")
        _administer(running, "CREATE DATABASE template_lectern")
        database.migrate(running.url("template_lectern"))
        yield running


@pytest.fixture(scope="session")
def seaweed() -> Iterator[services.Seaweed]:
    """Run one SeaweedFS for the session."""
    with services.running_seaweed() as running:
        yield running


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """Make a migrated database for one test and return its address."""
    name = f"test_{uuid4().hex}"
    _administer(cluster, f"CREATE DATABASE {name} TEMPLATE template_lectern")
    yield cluster.socket_url(name)
    _administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_url(cluster: Cluster) -> Iterator[str]:
    """Make an empty database, not migrated."""
    name = f"test_{uuid4().hex}"
    _administer(cluster, f"CREATE DATABASE {name}")
    yield cluster.socket_url(name)
    _administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = database.connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def _administer(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())
