"""Starting and stopping all that a home runs: PostgreSQL, the Prefect server, the deployments' runner.

What the settings point elsewhere is not started, only proved to be there.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from secrets import token_hex

from flows.factory.deployments import (
    DEPLOYMENTS,
    Deployment,
    await_runner,
    start_runner,
    stop_runner,
)
from flows.operate.prefect_server import PrefectServer, prefect_environment
from flows.services import services
from flows.settings import Settings
from storage.errors import ServerError, StorageError
from storage.objects import ObjectStore, S3Store
from storage.postgres import Cluster


@dataclass(frozen=True, slots=True)
class Up:
    """What runs now, without passwords, and how long it took."""

    home: str
    database: str
    store: str
    prefect: str
    deployments: tuple[str, ...]
    ready_s: float


def up(settings: Settings, deployments: tuple[Deployment, ...] = DEPLOYMENTS) -> Up:
    """Start what the settings leave to the home, and prove that all of it works; safe to repeat.

    Raises
    ------
    StorageError
        Something cannot be started, reached or written.
    """
    began = time.monotonic()
    at_home = settings.prefect_api_url is None
    if settings.database_url is None:
        Cluster(settings.folder).start()
    with ThreadPoolExecutor(1) as beside:
        server = PrefectServer(settings.folder)
        started = beside.submit(server.start) if at_home else None
        with services(settings) as opened:
            if isinstance(opened.store, S3Store):
                opened.store.ensure_bucket()
            prove_store(opened.store)
            database = opened.engine.url.render_as_string(hide_password=True)
        if started is not None and deployments:
            with suppress(ServerError):  # it has no port yet
                start_runner(settings)  # it loads its flows meanwhile
            started.result()
            start_runner(settings)
            await_runner(settings, frozenset(one.flow for one in deployments))
        elif started is not None:
            started.result()
    return Up(
        home=str(settings.folder),
        database=database,
        store=settings.store_address,
        prefect=prefect_environment(settings)["PREFECT_API_URL"],
        deployments=tuple(one.flow for one in deployments) if at_home else (),
        ready_s=time.monotonic() - began,
    )


def down(settings: Settings) -> list[str]:
    """Stop whatever the home runs, whoever started it; returns what would not stop, in words."""
    troubles = []
    stops: tuple[Callable[[], None], ...] = (
        partial(stop_runner, settings),
        PrefectServer(settings.folder).stop,
        Cluster(settings.folder).stop,
    )
    for stop in stops:
        try:
            stop()
        except (StorageError, OSError) as error:
            troubles.append(str(error))
    return troubles


def prove_store(store: ObjectStore) -> float:
    """Store, read and delete an object; returns when it was stored, by the store's own clock.

    Raises
    ------
    ObjectStoreError
        One of its kinds, naming what the store refuses.
    """
    key, data = f"doctor/{token_hex(8)}", b"a proof that this store keeps what it is given"
    stored = store.put(key, data, if_absent=True)
    try:
        store.get(key, digest=stored.digest)
        return store.info(key).modified_at.timestamp()
    finally:
        store.delete(key)
