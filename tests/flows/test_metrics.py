"""The exporter: what the queue holds is what Prometheus reads, and a factory that is down says so."""

import socket
import sys
import urllib.request
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text

from flows.operate.metrics import NAMES, WORKERS, device_seconds, exposition, serve_worker
from flows.services import Services
from flows.settings import Settings
from storage.queue import Queue

if "scenarios" not in sys.modules:  # productions as the storage tests make them
    _path = Path(__file__).parents[1] / "storage" / "scenarios.py"
    _spec = spec_from_file_location("scenarios", _path)
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["scenarios"] = module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["scenarios"])

import scenarios


def samples(text_: str) -> dict[tuple[str, str], float]:
    """Return values by metric and its one label's value."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text_)
        for sample in family.samples
    }


def test_an_empty_factory_shows_every_metric_at_zero(opened: Services) -> None:
    found = samples(exposition(opened.engine, opened.settings))
    assert {name for name, _ in found} | {"lectern_device_seconds_total"} == NAMES
    assert found["lectern_up", ""] == 1
    assert found["lectern_productions", "awaiting_review"] == 0
    assert found["lectern_dead_letters", "window"] == 0
    free = [value for (name, _), value in found.items() if name == "lectern_disk_free_bytes"]
    assert free
    assert all(value > 0 for value in free)


def test_what_the_queue_holds_is_what_is_exported(opened: Services) -> None:
    engine, store = opened.engine, opened.store
    production = scenarios.producing(engine, store, (3, 2), due_at=None)
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    leases, _ = queue.commit_readings([scenarios.read(store, lease)])
    queue.commit_readings([scenarios.read(store, one) for one in leases])
    queue.complete_renderings([scenarios.render(store, w) for w in queue.lease_rendering(1)])
    found = samples(exposition(engine, opened.settings))
    assert found["lectern_windows", "rendered"] == 1
    assert found["lectern_windows", "read"] == 1
    assert found["lectern_windows", "planned"] == 3
    assert found["lectern_chapters", "reading"] == 1
    assert found["lectern_audio_rendered_seconds_total", ""] == 20
    assert 0 < found["lectern_oldest_waiting_seconds", "rendering"] < 60
    assert found["lectern_oldest_waiting_seconds", "review"] == 0
    assert found["lectern_stalled_leases", "chapter"] == 0
    late = "UPDATE chapter SET lease_until = now() - interval '1 hour' WHERE leased_by IS NOT NULL"
    with engine.begin() as connection:
        connection.execute(text(late))
    assert samples(exposition(engine, opened.settings))["lectern_stalled_leases", "chapter"] == 1
    queue.reclaim()
    scenarios.work_all(engine, store, Queue(engine, "worker"))
    scenarios.finish(engine, [production.id])
    found = samples(exposition(engine, opened.settings))
    assert found["lectern_takes_total", "pass"] == 5
    assert found["lectern_audio_mastered_seconds_total", ""] == 100
    assert found["lectern_productions", "mastered"] == 1


def test_a_factory_without_its_database_is_down_and_says_so(tmp_path: Path) -> None:
    gone = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    found = samples(exposition(gone, Settings(home=tmp_path)))
    assert found["lectern_up", ""] == 0
    assert ("lectern_productions", "published") not in found, "a guess would silence alerts"
    assert ("lectern_scrape_seconds", "") in found


def test_a_shift_serves_its_devices_seconds(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve_worker(Settings(home=tmp_path, metrics_port=port))
    serve_worker(Settings(home=tmp_path, metrics_port=port))
    before = WORKERS.get_sample_value("lectern_device_seconds_total", {"state": "idle"}) or 0.0
    device_seconds("idle", 1.5)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = samples(answer.read().decode())
    assert found["lectern_device_seconds_total", "idle"] == before + 1.5
