"""The queue's plans at 100,000 windows: every hot statement goes by index, and the benchmark measures."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from storage import bench
from storage.postgres import Cluster
from storage.queue import Queue

WINDOWS = 100_000


@pytest.fixture(scope="module")
def deep(cluster: Cluster) -> Iterator[Engine]:
    """Return a database with 100,000 windows to be rendered."""
    with bench.filled(cluster.socket_url("postgres"), WINDOWS) as engine:
        yield engine


def touched(plan: str, table: str) -> list[str]:
    """Return the lines of a plan that read a table."""
    scans = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
    return [
        line.strip()
        for line in plan.splitlines()
        if any(scan in line for scan in scans)
        and (f"on {table} " in line or f'on "{table}" ' in line)
    ]


def check(plan: str, *tables: str) -> None:
    """Every read of the tables goes by an index."""
    for table in tables:
        assert touched(plan, table), plan
        assert not [line for line in touched(plan, table) if "Seq Scan" in line], plan


def test_leasing_walks_the_queue_index_and_stops(deep: Engine) -> None:
    assert Queue(deep, "looker").depth()["read"] == WINDOWS
    plan = bench.explain(
        deep,
        "lease_windows",
        ready="read",
        busy="rendering",
        limit=32,
        worker="w",
        reason="explained",
        lease_s=60.0,
        production_id=None,
        profile="p",
    )
    check(plan, "window", "take")
    [walk] = [line for line in plan.splitlines() if "Index Scan using ix_window_queue" in line]
    assert "rows=32.00" in walk, plan
    assert "Sort Key: window" not in plan


def test_leasing_is_planned_once_at_any_depth(deep: Engine) -> None:
    queue = Queue(deep, "w")
    for _ in range(20):
        queue.release(queue.lease_rendering(1))
    with deep.connect() as connection:
        generic, custom = connection.execute(
            text(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
                " WHERE statement LIKE 'WITH picked%'"
            )
        ).one()
    assert (generic, custom) == (generic, 0)
    assert generic >= 10


def leased_rows(engine: Engine, rows: int) -> tuple[list[int], list[int], str]:
    leases = Queue(engine, "w").lease_rendering(rows)
    results = [
        {
            "id": lease.id,
            "lease": lease.lease,
            "take": 0,
            "audio_key": "a",
            "audio_digest": "0" * 64,
            "duration_s": 1.0,
            "measures": {},
        }
        for lease in leases
    ]
    return [w.id for w in leases], [w.lease for w in leases], json.dumps(results)


def test_completing_and_heartbeats_go_by_key(deep: Engine) -> None:
    ids, leases, rows = leased_rows(deep, 32)
    plan = bench.explain(deep, "complete_renderings", rows=rows, worker="w", reason="explained")
    check(plan, "window", "take")
    plan = bench.explain(deep, "heartbeat_windows", ids=ids, leases=leases, lease_s=60.0)
    check(plan, "window")


def test_stalled_work_is_found_by_its_own_index(deep: Engine) -> None:
    leased_rows(deep, 32)
    plan = bench.explain(deep, "stalled", limit=1000)
    assert "ix_window_leased" in plan, plan
    assert "ix_chapter_leased" in plan or "Seq Scan on chapter" in plan
    check(plan, "window")


def test_the_queue_index_stays_small_where_work_is_done(deep: Engine) -> None:
    """Rows already leased do not slow the next lease: they have left that part of the index."""
    Queue(deep, "w").lease_rendering(2000)
    with deep.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text('VACUUM ANALYZE "window"'))
    plan = bench.explain(
        deep,
        "lease_windows",
        ready="read",
        busy="rendering",
        limit=1,
        worker="w",
        reason="explained",
        lease_s=60.0,
        production_id=None,
        profile="p",
    )
    [walk] = [line for line in plan.splitlines() if "Index Scan using ix_window_queue" in line]
    assert "rows=1.00" in walk, plan
    own = plan.partition(walk)[2].partition("SubPlan")[0]  # not its look at the few productions
    assert "Rows Removed by Filter" not in own, plan


def test_the_benchmark_measures_every_figure(cluster: Cluster) -> None:
    found = bench.run(cluster.socket_url("postgres"), deep=2000, shallow=1000, singly=20, batches=5)
    assert found.fsync == "off"
    assert not found.passes, "without fsync nothing passes"
    assert found.singly_per_s > 0
    assert found.batched_per_s > found.singly_per_s
    assert 0 < found.singly_p50_ms <= found.singly_p95_ms
    assert set(found.as_json()) >= {"singly_ratio", "batched_ratio", "passes", "commit_p50_ms"}
