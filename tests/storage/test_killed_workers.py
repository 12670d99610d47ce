"""kill −9 while leasing, storing and completing: nothing is lost, nothing is doubled, the same comes out."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import pytest
import scenarios
from sqlalchemy import Engine, text

from storage.objects import FolderStore
from storage.queue import Queue
from storage.retention import missing_objects

WINDOWS = (8, 7)

MOMENTS = [f"statement:{number}" for number in (8, 11, 14, 17, 20, 23)] + [
    f"{stage}-{moment}:{number}"
    for (stage, moment), number in zip(
        product(
            ("reading", "rendering", "judging", "mastering"), ("leased", "stored", "committed")
        ),
        (1, 2, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1),
        strict=True,
    )
]


def spawn(url: str, store: FolderStore, name: str, moment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, str(Path(__file__).with_name("killed_worker.py"))),
            *(url, str(store.root), name, moment),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def chapter_digests(engine: Engine, production_id: int) -> list[str]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                text(
                    "SELECT content_digest FROM chapter WHERE production_id = :id ORDER BY number"
                ),
                {"id": production_id},
            ).scalars()
        )


@pytest.fixture
def undisturbed(engine: Engine, store: FolderStore) -> list[str]:
    """Return what a production comes to when nobody is killed."""
    production = scenarios.producing(engine, store, WINDOWS, seed=1)
    scenarios.work_all(engine, store, Queue(engine, "calm"))
    scenarios.finish(engine, [production.id])
    return chapter_digests(engine, production.id)


def check(engine: Engine, store: FolderStore, production_id: int, undisturbed: list[str]) -> None:
    """Nothing lost, nothing doubled: every window has one take, and every key its object."""
    scenarios.finish(engine, [production_id])
    assert chapter_digests(engine, production_id) == undisturbed
    windows = f'FROM "window" WHERE production_id = {production_id}'
    assert scenarios.count(engine, f"SELECT count(*) {windows}") == sum(WINDOWS)
    assert scenarios.count(engine, f"SELECT count(*) {windows} AND state <> 'accepted'") == 0
    takes = f"FROM take WHERE production_id = {production_id}"
    assert scenarios.count(engine, f"SELECT count(*) {takes}") == sum(WINDOWS)
    assert list(missing_objects(engine, store)) == []
    for step in ("planned>read", "rendering>rendered", "judging>accepted"):
        was, now = step.split(">")
        done = (
            "SELECT count(*) FROM event WHERE subject = 'window'"
            f" AND production_id = {production_id} AND from_state = '{was}' AND to_state = '{now}'"
        )
        assert scenarios.count(engine, done) == sum(WINDOWS), step
    with engine.connect() as connection:
        for key, digest in connection.execute(
            text("SELECT audio_key, audio_digest FROM take")
        ).all():
            store.get(key, digest=digest)


def test_a_worker_killed_in_every_phase(
    engine: Engine, url: str, store: FolderStore, undisturbed: list[str]
) -> None:
    production = scenarios.producing(engine, store, WINDOWS, seed=2)
    killed = []
    for n, moment in enumerate(MOMENTS):
        worker = spawn(url, store, f"worker-{n}", moment)
        said, _ = worker.communicate(timeout=120)
        if worker.returncode == -signal.SIGKILL:
            killed.append(moment)
            assert said.splitlines()[-1] == moment.partition(":")[0]
        else:
            assert worker.returncode == 0
    assert len(killed) >= 16, killed
    worker = spawn(url, store, "last", "never")
    said, _ = worker.communicate(timeout=120)
    assert said.splitlines()[-1] == "done"
    check(engine, store, production.id, undisturbed)
    # A kill costs at most what one worker had leased: two windows, or one chapter's cursor.
    requeued = (
        "SELECT count(*) FROM event WHERE reason = 'the lease ran out'"
        f" AND production_id = {production.id}"
    )
    assert scenarios.count(engine, requeued) <= 2 * len(killed)


def test_three_workers_killed_at_random(
    engine: Engine, url: str, store: FolderStore, undisturbed: list[str]
) -> None:
    production = scenarios.producing(engine, store, WINDOWS, seed=3)
    moments = random.Random(20260101)
    workers = [spawn(url, store, f"w{n}", "never") for n in range(3)]
    kills = 0
    deadline = time.monotonic() + 240
    while any(worker.poll() is None for worker in workers):
        assert time.monotonic() < deadline, "the workers never finished"
        time.sleep(moments.uniform(0.02, 0.3))
        n = moments.randrange(3)
        if kills < 9 and workers[n].poll() is None and reached_work(workers[n]):
            workers[n].kill()
            workers[n].communicate()
            kills += 1
            workers[n] = spawn(url, store, f"w{n}-{kills}", "never")
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    assert kills >= 5
    check(engine, store, production.id, undisturbed)


def reached_work(worker: subprocess.Popen[str]) -> bool:
    """Wait until a worker has begun to work, so that its kill hits something."""
    assert worker.stdout is not None
    return worker.stdout.readline() not in {"", "done\n"}
