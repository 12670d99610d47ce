"""Fixtures of the review tests: real PostgreSQL, real recordings, and productions made of them."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.orm import Session

TESTS = Path(__file__).parents[2]


def _load(name: str, path: Path) -> None:
    """Import a module of the tests by its path, once."""
    if name not in sys.modules:
        spec = spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


_load("services", TESTS / "services.py")
_load("scenarios", TESTS / "storage" / "scenarios.py")

import reviewed_books  # noqa: E402
import services  # noqa: E402
from reviewed_books import Made  # noqa: E402
from visits import PASSWORD, Visit  # noqa: E402

from qa.calibration.corpus import Clip, once_each  # noqa: E402
from qa.review.app import create_app  # noqa: E402
from qa.review.desk import Options  # noqa: E402
from storage import accounts, database  # noqa: E402
from storage.objects import FolderStore  # noqa: E402
from storage.postgres import Cluster  # noqa: E402
from storage.review_tables import Role  # noqa: E402

PEOPLE = (
    ("paula", Role.PUBLISHER),
    ("rita", Role.REVIEWER),
    ("rolf", Role.REVIEWER),
    ("otto", Role.OPERATOR),
)


@dataclass(frozen=True)
class Filled:
    """A database to copy, and the objects its rows name."""

    cluster: Cluster
    name: str
    objects: Path
    book: Made


@pytest.fixture(scope="session")
def sentences(kathleen: list[Clip]) -> list[reviewed_books.Sentence]:
    """Real recorded sentences with their texts, at one rate."""
    return reviewed_books.sentences(once_each(kathleen)[:18])


@pytest.fixture(scope="session")
def filled(
    sentences: list[reviewed_books.Sentence], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    """Fill a database once: an account of each role, and a book of two chapters that waits for review."""
    objects = tmp_path_factory.mktemp("filled")
    with services.running_postgres() as cluster:
        _administer(cluster, "ALTER SYSTEM SET fsync = off")
        _administer(cluster, "SELECT pg_reload_conf()")
        _administer(cluster, "CREATE DATABASE filled")
        url = cluster.socket_url("filled")
        database.migrate(url)
        engine = database.connect(url)
        made = reviewed_books.waiting(engine, FolderStore(objects), sentences)
        with database.transaction(engine, actor="tester", reason="opened for the test") as session:
            for name, role in PEOPLE:
                accounts.add_account(session, name=name, role=role, password=PASSWORD)
        engine.dispose()
        yield Filled(cluster, "filled", objects, made)


@pytest.fixture
def engine(filled: Filled) -> Iterator[Engine]:
    """Copy the filled database for one test."""
    name = f"test_{uuid4().hex}"
    _administer(filled.cluster, f"CREATE DATABASE {name} TEMPLATE {filled.name}")
    engine = database.connect(filled.cluster.socket_url(name))
    yield engine
    engine.dispose()
    _administer(filled.cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(filled: Filled, tmp_path: Path) -> FolderStore:
    shutil.copytree(filled.objects, tmp_path / "objects")
    return FolderStore(tmp_path / "objects")


@pytest.fixture
def book(filled: Filled) -> Made:
    """The book that waits for review, with failures in its report."""
    return filled.book


@pytest.fixture
def people(engine: Engine) -> dict[str, int]:
    """The accounts' ids by name."""
    with Session(engine) as session:
        return {account.name: account.id for account in accounts.accounts(session)}


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(cache=tmp_path / "cache", hosts=("testserver", "127.0.0.1"))


@pytest.fixture
def app(engine: Engine, store: FolderStore, options: Options) -> FastAPI:
    return create_app(engine, store, options)


@pytest.fixture
def visit(app: FastAPI) -> Callable[[str], Visit]:
    """Log somebody in; an empty name stays outside."""
    return lambda name="": Visit(app, name)


def _administer(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())
