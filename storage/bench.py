"""How fast the queue is: lease and complete, one by one and in batches, with few and with many rows queued.

`run` makes two databases of its own on the server it is given, fills them, measures, and drops them. The two
depths are measured in turns, so that what else the machine does falls on both alike.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from time import perf_counter
from uuid import uuid4

from sqlalchemy import Engine, make_url, text

from storage.database import connect, driver_url, migrate, transaction
from storage.productions import Order, admit_one, submit
from storage.queue import BATCH, STATEMENTS, Queue, Rendering, WindowLease

SHALLOW = 1_000
DEEP = 100_000
"""Windows queued at the two depths."""

SINGLY_PER_S = 200.0
SINGLY_P95_MS = 20.0
BATCHED_PER_S = 2_000.0
DEPTH_RATIO = 1.2
"""What the queue must reach: rows leased and completed a second, and time at `DEEP` over `SHALLOW`."""

_DIGEST = "0" * 64
_WINDOWS_A_CHAPTER = 100

_CHAPTERS_A_BOOK = 10

_READ_ALL = (
    """INSERT INTO chapter (production_id, number, title, script_key, script_digest, windows)
       SELECT p.id, number, 'bench', 'none', repeat('0', 64), :windows
       FROM production AS p, generate_series(1, :chapters) AS number ORDER BY p.id, number""",
    "UPDATE production SET state = 'producing'",
    'ALTER TABLE "window" DISABLE TRIGGER USER',
    """INSERT INTO "window"
           (production_id, chapter_id, number, unit_start, unit_end, state, rank)
       SELECT c.production_id, c.id, n, n, n + 1, 'read', c.rank
       FROM chapter AS c, generate_series(0, :windows - 1) AS n ORDER BY c.id, n""",
    'ALTER TABLE "window" ENABLE TRIGGER USER',
    """INSERT INTO take (production_id, window_id, number, seed, tokens_key, tokens_digest, read_by)
       SELECT production_id, id, 0, id, 'tokens/' || id, repeat('0', 64), 'bench' FROM "window" """,
)
"""How the queue is filled: everything read at once, which only the owner of the tables can do."""


@dataclass(frozen=True, slots=True)
class QueueBenchmark:
    """What was measured; times are of lease and complete together, on the deep queue if nothing is said."""

    server: str
    fsync: str
    synchronous_commit: str
    load_average: float
    commit_p50_ms: float
    """Median time of an empty commit, waiting for the disk: what no queue can do without, twice a row."""
    deep: int
    shallow: int
    singly_per_s: float
    singly_p50_ms: float
    singly_p95_ms: float
    singly_shallow_p50_ms: float
    batched_per_s: float
    batched_p50_ms: float
    batched_shallow_p50_ms: float
    batch: int

    @property
    def singly_ratio(self) -> float:
        """Median time of one row, deep over shallow."""
        return self.singly_p50_ms / self.singly_shallow_p50_ms

    @property
    def batched_ratio(self) -> float:
        """Median time of one batch, deep over shallow."""
        return self.batched_p50_ms / self.batched_shallow_p50_ms

    @property
    def passes(self) -> bool:
        """Whether every floor is reached, with fsync on."""
        return (
            self.fsync == "on"
            and self.singly_per_s >= SINGLY_PER_S
            and self.singly_p95_ms <= SINGLY_P95_MS
            and self.batched_per_s >= BATCHED_PER_S
            and max(self.singly_ratio, self.batched_ratio) <= DEPTH_RATIO
        )

    def as_json(self) -> dict[str, float | str | bool]:
        """Return all of it as JSON can hold it."""
        return {
            **asdict(self),
            "singly_ratio": self.singly_ratio,
            "batched_ratio": self.batched_ratio,
            "passes": self.passes,
        }


def run(
    url: str,
    *,
    deep: int = DEEP,
    shallow: int = SHALLOW,
    singly: int = 300,
    batches: int = 20,
) -> QueueBenchmark:
    """Measure the queue on the server at `url`.

    Parameters
    ----------
    url : str
        Any database of the server, by a role that may create databases; nothing in it is touched.
    deep, shallow : int
        Windows queued.
    singly, batches : int
        How many rows, and how many batches of 32, are leased and completed at each depth. `shallow` must hold
        them all.
    """
    if singly + 1 + (batches + 1) * BATCH > min(deep, shallow):
        raise ValueError("the shallow queue would run dry: measure fewer rows or queue more")
    with _filled(url, shallow) as few, _filled(url, deep) as many:
        one_by_one = _in_turns(few, many, 1, singly)
        by_batch = _in_turns(few, many, BATCH, batches)
        commits = _commits(many, 50)
        with many.connect() as connection:
            server, fsync, commit = (
                str(connection.execute(text(f"SHOW {name}")).scalar_one())
                for name in ("server_version", "fsync", "synchronous_commit")
            )
    return QueueBenchmark(
        server=server,
        fsync=fsync,
        synchronous_commit=commit,
        load_average=os.getloadavg()[0],
        commit_p50_ms=1000 * median(commits),
        deep=deep,
        shallow=shallow,
        singly_per_s=len(one_by_one[1]) / sum(one_by_one[1]),
        singly_p50_ms=1000 * median(one_by_one[1]),
        singly_p95_ms=1000 * quantiles(one_by_one[1], n=20)[-1],
        singly_shallow_p50_ms=1000 * median(one_by_one[0]),
        batched_per_s=BATCH * len(by_batch[1]) / sum(by_batch[1]),
        batched_p50_ms=1000 * median(by_batch[1]),
        batched_shallow_p50_ms=1000 * median(by_batch[0]),
        batch=BATCH,
    )


def explain(engine: Engine, statement: str, **parameters: object) -> str:
    """Return PostgreSQL's plan for a named statement of the queue, run and rolled back."""
    with engine.connect() as connection:
        transaction = connection.get_transaction() or connection.begin()
        connection.execute(
            text(
                "SELECT set_config('lectern.actor', 'bench', true),"
                " set_config('lectern.reason', 'explained', true)"
            )
        )
        body = STATEMENTS[statement].text
        rows = connection.execute(text(f"EXPLAIN (ANALYZE, COSTS OFF) {body}"), parameters)
        written = "\n".join(rows.scalars())
        transaction.rollback()
    return written


@contextmanager
def filled(url: str, windows: int) -> Iterator[Engine]:
    """Yield a database of its own, on the server at `url`, with so many windows to be rendered."""
    with _filled(url, windows) as engine:
        yield engine


@contextmanager
def _filled(url: str, windows: int) -> Iterator[Engine]:
    name = f"lectern_bench_{uuid4().hex[:12]}"
    address = make_url(driver_url(url)).set(database=name).render_as_string(hide_password=False)
    with _database(url, name):
        migrate(address)
        engine = connect(address)
        try:
            _fill(engine, windows)
            yield engine
        finally:
            engine.dispose()


@contextmanager
def _database(url: str, name: str) -> Iterator[None]:
    server = connect(url).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        server.dispose()


def _fill(engine: Engine, windows: int) -> None:
    with transaction(engine, actor="bench", reason="the queue is filled") as session:
        voice = session.execute(
            text(
                "INSERT INTO voice (name, digest, codec) VALUES ('bench', :d, 'soundstream') RETURNING id"
            ),
            {"d": _DIGEST},
        ).scalar_one()
        session.execute(
            text(
                "INSERT INTO consent (voice_id, owner, signatory, scope, territories, valid_from, digest,"
                " document_key) VALUES (:v, 'bench', 'bench', '{narration}', '{WORLD}', now(), :d, 'none')"
            ),
            {"v": voice, "d": _DIGEST},
        )
        manuscript = session.execute(
            text(
                "INSERT INTO manuscript (digest, source_key, source_name, media_type, metadata_digest, title,"
                " authors, language, rights_holder, rights_basis, rights_territories)"
                " VALUES (:d, 'none', 'none', 'text/plain', :d, 'bench', '{}', 'en', 'bench', 'owned',"
                " '{WORLD}') RETURNING id"
            ),
            {"d": _DIGEST},
        ).scalar_one()
        for number in range(-(-windows // (_CHAPTERS_A_BOOK * _WINDOWS_A_CHAPTER))):
            order = Order(manuscript, voice, _DIGEST, {}, {}, seed=number)
            admit_one(session, submit(session, order).id)
        sizes = {"windows": _WINDOWS_A_CHAPTER, "chapters": _CHAPTERS_A_BOOK}
        for statement in _READ_ALL:
            asked = {name: size for name, size in sizes.items() if f":{name}" in statement}
            session.execute(text(statement), asked)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _in_turns(few: Engine, many: Engine, rows: int, times: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each lease-and-complete, on the shallow and on the deep queue."""
    measured: tuple[list[float], list[float]] = ([], [])
    rounds = [_round(Queue(engine, "bench", profile="bench"), rows) for engine in (few, many)]
    for once in rounds:
        once()  # connections, caches and plans are not what is measured
    for _ in range(times):
        for seconds, once in zip(measured, rounds, strict=True):
            started = perf_counter()
            once()
            seconds.append(perf_counter() - started)
    return measured


def _commits(engine: Engine, times: int) -> list[float]:
    """Return the seconds of transactions that write next to nothing and wait for the disk."""
    seconds = []
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(times):
            started = perf_counter()
            connection.execute(text("SELECT pg_logical_emit_message(true, 'bench', 'x')"))
            seconds.append(perf_counter() - started)
    return seconds


def _round(queue: Queue, rows: int) -> Callable[[], None]:
    def once() -> None:
        leases = queue.lease_rendering(rows)
        if len(leases) != rows or queue.complete_renderings([_sound(w) for w in leases]):
            raise RuntimeError(f"the queue gave {len(leases)} of {rows} rows, or refused them")

    return once


def _sound(lease: WindowLease) -> Rendering:
    return Rendering(lease, f"audio/{lease.id}", _DIGEST, 20.0, {"level_dbfs": -20.0})


if __name__ == "__main__":
    import sys

    print(json.dumps(run(sys.argv[1]).as_json(), indent=1))
