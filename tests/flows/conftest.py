"""Fixtures of the factory's tests: services on a database of their own, a tiny voice, small books."""

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import torch


def _load(name: str, path: Path) -> None:
    """Import a module of the tests by its path."""
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


if "services" not in sys.modules:
    _load("services", Path(__file__).parents[1] / "services.py")

import services  # noqa: E402

from flows.factory.intake import Narrator  # noqa: E402
from flows.measure.tiny_voice import tiny_narrator  # noqa: E402
from flows.services import Services  # noqa: E402
from flows.services import services as open_services  # noqa: E402
from flows.settings import Settings  # noqa: E402
from storage import database  # noqa: E402
from storage.postgres import Cluster  # noqa: E402


@pytest.fixture(scope="session")
def factory_cluster() -> Iterator[Cluster]:
    """Run one PostgreSQL for the session; it does not wait for the disk."""
    with services.running_postgres() as running:
        for statement in (
            "ALTER SYSTEM SET fsync = off",
            "SELECT pg_reload_conf()",
            "CREATE DATABASE template_factory",
        ):
            _administer(running, statement)
        database.migrate(running.url("template_factory"))
        yield running


@pytest.fixture
def opened(
    factory_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """Open services on a fresh database and a folder, as the settings of the environment say."""
    name = f"factory_{uuid4().hex}"
    _administer(factory_cluster, f"CREATE DATABASE {name} TEMPLATE template_factory")
    monkeypatch.setenv("LECTERN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LECTERN_DATABASE_URL", factory_cluster.socket_url(name))
    torch.set_num_threads(1)
    with open_services(Settings()) as made:
        yield made
    _administer(factory_cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny voices' weights."""
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture
def narrator(opened: Services, tiny_folder: Path) -> Narrator:
    return tiny_narrator(opened, tiny_folder)


def _administer(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())
