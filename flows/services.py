"""What a command works with: Lectern's database, migrated, and the object store, as the settings say."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from flows.operate.logs import log_to
from flows.settings import Settings
from storage.database import connect, migrate
from storage.objects import ObjectStore, open_store
from storage.postgres import Cluster


@dataclass(frozen=True)
class Services:
    """Open services: `engine` on Lectern's database, `store` of objects."""

    settings: Settings
    engine: Engine
    store: ObjectStore


@contextmanager
def services(settings: Settings) -> Iterator[Services]:
    """Open the services; an embedded PostgreSQL is started if need be and held while inside."""
    if settings.database_url is not None:
        with _opened(settings, settings.database_url.get_secret_value()) as opened:
            yield opened
        return
    with Cluster(settings.folder).hold() as cluster, _opened(settings, cluster.url()) as opened:
        yield opened


@contextmanager
def _opened(settings: Settings, url: str) -> Iterator[Services]:
    log_to(settings)
    migrate(url)
    engine = connect(url)
    try:
        yield Services(
            settings, engine, open_store(settings.store_address, endpoint=settings.s3_endpoint)
        )
    finally:
        engine.dispose()
