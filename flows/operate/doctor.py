"""The doctor: what a home needs, whether it is there, and the cure for what is not.

Every check does the real thing (a connection, a put and a get, a digest); one that fails keeps no other from
being made. Nothing is repaired here.
"""

import os
import stat
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from flows.factory.deployments import DEPLOYMENTS, ready_flows
from flows.operate.prefect_server import PrefectServer
from flows.operate.room import shortage
from flows.operate.up import prove_store
from flows.settings import Settings
from generation.errors import LecternError
from storage import productions
from storage.database import check_server, connect, head_revision, revision_of
from storage.errors import StorageError
from storage.objects import ObjectStore, open_store
from storage.postgres import Cluster
from storage.queue import Queue
from storage.retention import missing_objects

PYTHON = (3, 11)

ENCODERS = ("libmp3lame", "aac", "flac")
"""Encoders that mastering needs of PyAV's build."""

SKEW_S = (30.0, 300.0)
"""Difference of the database's and the store's clocks that is worth a look, and that is a fault."""

SECRET_FILES = ("lectern.toml", "postgres/cluster.json", "prefect/server.json")
"""Files of the home that nobody else should read."""

SHOWN = 5
"""Missing objects and dead letters named at most."""


class Verdict(StrEnum):
    """What a check found."""

    FINE = "fine"
    LOOK = "look"
    """Works, but somebody should look at it."""
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `cure` is what to do, empty where nothing is wrong."""

    name: str
    verdict: Verdict
    found: str
    cure: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Yield all findings, as they are made; an embedded PostgreSQL is started while they are, if need be."""
    yield from _each(
        _python, _encoders, _weights, partial(_home, settings), partial(_room, settings)
    )
    with ExitStack() as stack:
        engine, store = None, None
        try:
            engine = connect(_url(settings, stack))
            stack.callback(engine.dispose)
        except StorageError as error:
            yield _fault("database", str(error))
        else:
            yield from _each(partial(_database, engine))
        try:
            store = open_store(settings.store_address, endpoint=settings.s3_endpoint)
        except (StorageError, OSError) as error:
            yield _fault("store", str(error))
        else:
            yield from _each(partial(_store, store))
        if engine is not None and store is not None:
            yield from _each(
                partial(_clocks, engine, store),
                partial(_objects, engine, store),
                partial(_queue, engine),
            )
        yield from _each(partial(_prefect, settings))


def _each(*checks: Callable[[], Check]) -> Iterator[Check]:
    """Make checks one after another; what they raise is a finding too."""
    for check in checks:
        name = getattr(check, "func", check).__name__.strip("_")
        try:
            yield check()
        except (StorageError, LecternError) as error:
            yield _fault(name, str(error))
        except Exception as error:  # a check must not keep the others from being made
            yield _fault(
                name, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            )


def _fault(name: str, found: str) -> Check:
    """Return a fault whose own text says what to do."""
    what, _, cure = found.partition("; ")
    return Check(name, Verdict.FAULT, what, cure)


def _python() -> Check:
    version = sys.version.split()[0]
    if sys.version_info[:2] < PYTHON:
        return Check("python", Verdict.FAULT, version, "install Python 3.11 or newer")
    return Check("python", Verdict.FINE, f"{version} at {sys.executable}")


def _encoders() -> Check:
    import av

    missing = sorted(set(ENCODERS) - set(av.codecs_available))
    if missing:
        cure = f"install av=={av.__version__} from its wheel, which brings them"
        return Check("encoders", Verdict.FAULT, f"PyAV lacks {', '.join(missing)}", cure)
    return Check("encoders", Verdict.FINE, f"{', '.join(ENCODERS)} of PyAV {av.__version__}")


def _weights() -> Check:
    from safetensors import safe_open

    from generation.voices import WEIGHTS, house_voices
    from generation.weights import load_weights

    wanted = {WEIGHTS / "speechssm.safetensors"}
    for voice in house_voices().values():
        wanted |= {WEIGHTS / voice.soundstorm, WEIGHTS / voice.prompt}
    files = sorted(wanted | set(WEIGHTS.glob("*.safetensors")))
    for path in files:
        design = ""
        if path.is_file():
            with safe_open(path, framework="pt") as header:
                design = (header.metadata() or {}).get("design", "")
        load_weights(path, design)  # raises where missing or damaged
    voices = ", ".join(house_voices())
    return Check(
        "weights", Verdict.FINE, f"{len(files)} files whole by their digests; voices {voices}"
    )


def _home(settings: Settings) -> Check:
    home = settings.folder
    if not home.exists():
        return Check("home", Verdict.FINE, f"{home} is not there yet; the first command makes it")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "home", Verdict.FAULT, f"{home} is not ours to write", f"chown it, or set {_HOME}"
        )
    if home.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Check("home", Verdict.FAULT, f"others may write {home}", f"chmod go-w {home}")
    for secret in (*(home / name for name in SECRET_FILES), *home.glob("signing/*key*")):
        if secret.is_file() and secret.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return Check("home", Verdict.LOOK, f"others may read {secret}", f"chmod go= {secret}")
    return Check("home", Verdict.FINE, str(home))


_HOME = "LECTERN_HOME to a folder of yours"


def _room(settings: Settings) -> Check:
    found = shortage(settings)
    if found is not None:
        return _fault("room", str(found))
    return Check(
        "room", Verdict.FINE, f"more than {settings.room_mb} MB free wherever it is needed"
    )


def _url(settings: Settings, stack: ExitStack) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return stack.enter_context(Cluster(settings.folder).hold()).url()


def _database(engine: Engine) -> Check:
    version = check_server(engine)
    said = f"PostgreSQL {version // 10_000}.{version % 10_000} at {engine.url.render_as_string()}"
    found = revision_of(engine.url.render_as_string(hide_password=False))
    if found != head_revision():
        cure = "run `lectern up`, which migrates it"
        return Check(
            "database", Verdict.LOOK, f"{said} is at migration {found}, not the last", cure
        )
    return Check("database", Verdict.FINE, f"{said}, migration {found}")


def _store(store: ObjectStore) -> Check:
    began = time.monotonic()
    prove_store(store)
    took_ms = (time.monotonic() - began) * 1000
    return Check("store", Verdict.FINE, f"stored, read and deleted an object in {took_ms:.0f} ms")


def _clocks(engine: Engine, store: ObjectStore) -> Check:
    with engine.connect() as connection:
        before = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
        stored = prove_store(store)
        after = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
    # The store may count whole seconds only.
    skew_s = max(float(before or 0) - 1 - stored, stored - float(after or 0), 0.0)
    look, fault = SKEW_S
    found = f"database and store differ by {skew_s:.0f} s or less than a second"
    if skew_s > 0:
        found = f"database and store differ by {skew_s:.0f} s"
    if skew_s <= look:
        return Check("clocks", Verdict.FINE, found)
    verdict = Verdict.FAULT if skew_s > fault else Verdict.LOOK
    return Check(
        "clocks", verdict, found, "set both clocks by NTP: S3 refuses requests that are off"
    )


def _objects(engine: Engine, store: ObjectStore) -> Check:
    if revision_of(engine.url.render_as_string(hide_password=False)) is None:
        return Check("objects", Verdict.FINE, "no row refers to any object yet")
    missing = list(islice(missing_objects(engine, store), SHOWN + 1))
    if not missing:
        return Check("objects", Verdict.FINE, "every object that a row refers to is there")
    named = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
    cure = "restore them from a backup under their keys, or cancel their productions"
    return Check("objects", Verdict.FAULT, f"rows refer to objects that are gone: {named}", cure)


def _queue(engine: Engine) -> Check:
    if revision_of(engine.url.render_as_string(hide_password=False)) is None:
        return Check("queue", Verdict.FINE, "empty")
    queue = Queue(engine, "doctor")
    dead, stalled = queue.dead_letters(), queue.stalled()
    if dead:
        named = "; ".join(f"production {one.production_id}: {one.trouble}" for one in dead[:SHOWN])
        cure = "`lectern status ID` shows why, `lectern retry ID` takes it up again"
        return Check("queue", Verdict.LOOK, f"{len(dead)} dead letters: {named}", cure)
    if stalled:
        cure = "`reconcile` takes them back; see that it runs"
        return Check("queue", Verdict.LOOK, f"{len(stalled)} leases ran out", cure)
    with Session(engine) as session:
        forsaken = productions.forsaken(session)
    if forsaken:
        named = ", ".join(map(str, forsaken[:SHOWN]))
        found = f"no machine like those that began them goes on with productions {named}"
        return Check("queue", Verdict.LOOK, found, "`lectern retry ID` frees one for any machine")
    return Check("queue", Verdict.FINE, "no dead letters, no stalled leases")


def _prefect(settings: Settings) -> Check:
    if settings.prefect_api_url is not None:
        with urllib.request.urlopen(f"{settings.prefect_api_url}/health", timeout=10):
            return Check("prefect", Verdict.FINE, settings.prefect_api_url)
    status = PrefectServer(settings.folder).status()
    if not status.running:
        cure = "`lectern up` starts it; nightly runs need it"
        return Check("prefect", Verdict.LOOK, "the home's own server does not run", cure)
    if not status.ready:
        return Check(
            "prefect", Verdict.FAULT, "the home's own server hangs", "`lectern down`, then up"
        )
    missing = {one.flow for one in DEPLOYMENTS} - ready_flows(settings)
    if missing:
        cure = "`lectern up` starts the runner"
        return Check("prefect", Verdict.FAULT, f"nobody serves {', '.join(sorted(missing))}", cure)
    return Check("prefect", Verdict.FINE, f"{status.page}, serving {len(DEPLOYMENTS)} deployments")


def worst(checks: list[Check]) -> Verdict:
    """Return the worst verdict."""
    order = list(Verdict)
    return max((check.verdict for check in checks), key=order.index)
