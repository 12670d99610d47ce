"""Prometheus metrics: what the queue holds, how old it is, what was made, and what went wrong.

All of it is derived by SQL at the moment of the scrape, so nothing has to be counted twice; only a worker's
device seconds are counted where they happen (`device_seconds`), and exposed by that worker.
"""

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text

from flows.operate.room import grown_folders
from flows.settings import Settings
from storage.states import ChapterState, ProductionState, ReleaseState, WindowState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Query:
    """One metric and the statement that yields its samples: the labels' values first, the value last.

    `always` lists label values that are reported as zero where the statement yields nothing of them, so that
    an alert never waits for a series to be born.
    """

    name: str
    help: str
    statement: str
    labels: tuple[str, ...] = ()
    counts_up: bool = False
    always: tuple[str, ...] = ()


QUERIES: tuple[Query, ...] = (
    Query(
        "lectern_productions",
        "Productions by state.",
        "SELECT state, count(*) FROM production GROUP BY state",
        ("state",),
        always=tuple(ProductionState),
    ),
    Query(
        "lectern_chapters",
        "Chapters by state, of productions that are not closed.",
        "SELECT c.state, count(*) FROM chapter AS c JOIN production AS p ON p.id = c.production_id"
        " WHERE p.state NOT IN ('published', 'cancelled') GROUP BY c.state",
        ("state",),
        always=tuple(ChapterState),
    ),
    Query(
        "lectern_windows",
        "Windows by state, of productions that are not closed.",
        'SELECT w.state, count(*) FROM "window" AS w JOIN production AS p ON p.id = w.production_id'
        " WHERE p.state NOT IN ('published', 'cancelled') GROUP BY w.state",
        ("state",),
        always=tuple(WindowState),
    ),
    Query(
        "lectern_releases",
        "Releases by state.",
        "SELECT state, count(*) FROM release GROUP BY state",
        ("state",),
        always=tuple(ReleaseState),
    ),
    Query(
        "lectern_oldest_waiting_seconds",
        "How long the oldest work has waited that a stage could take now.",
        """
        SELECT 'reading', extract(epoch FROM max(now() - p.state_changed_at))
        FROM chapter AS c JOIN production AS p ON p.id = c.production_id
        WHERE c.state = 'planned' AND c.rank IS NOT NULL
        UNION ALL
        SELECT 'rendering', extract(epoch FROM max(now() - t.read_at))
        FROM "window" AS w JOIN take AS t ON t.window_id = w.id AND t.number = w.take
        WHERE w.state = 'read' AND w.rank IS NOT NULL
        UNION ALL
        SELECT 'judging', extract(epoch FROM max(now() - t.rendered_at))
        FROM "window" AS w JOIN take AS t ON t.window_id = w.id AND t.number = w.take
        WHERE w.state = 'rendered' AND w.rank IS NOT NULL
        UNION ALL
        SELECT 'admission', extract(epoch FROM max(now() - submitted_at))
        FROM production WHERE state = 'submitted'
        UNION ALL
        SELECT 'review', extract(epoch FROM max(now() - state_changed_at))
        FROM production WHERE state = 'awaiting_review'
        UNION ALL
        SELECT 'publication', extract(epoch FROM max(now() - state_changed_at))
        FROM production WHERE state IN ('approved', 'publishing')
        """,
        ("stage",),
        always=("admission", "reading", "rendering", "judging", "review", "publication"),
    ),
    Query(
        "lectern_stalled_leases",
        "Leases that ran out and that nobody has taken back yet.",
        """
        SELECT 'window', count(*) FROM "window"
        WHERE state IN ('rendering', 'judging', 'rereading') AND lease_until < now()
        UNION ALL
        SELECT 'chapter', count(*) FROM chapter
        WHERE state IN ('reading', 'mastering') AND lease_until < now()
        """,
        ("subject",),
    ),
    Query(
        "lectern_dead_letters",
        "Work that was given up after too many attempts.",
        """
        SELECT 'window', count(*) FROM "window" WHERE state = 'dead'
        UNION ALL SELECT 'chapter', count(*) FROM chapter WHERE state = 'dead'
        """,
        ("subject",),
    ),
    Query(
        "lectern_overdue_productions",
        "Productions past their due date that are not published.",
        "SELECT count(*) FROM production"
        " WHERE due_at < now() AND state NOT IN ('published', 'cancelled', 'refused')",
    ),
    Query(
        "lectern_expected_audio_seconds",
        "Audio still to be made, as expected at submission.",
        "SELECT coalesce(sum(expected_audio_s), 0) FROM production"
        " WHERE state IN ('submitted', 'admitted', 'producing')",
    ),
    Query(
        "lectern_takes_total",
        "Takes judged, by verdict.",
        "SELECT verdict, count(*) FROM take WHERE verdict IS NOT NULL GROUP BY verdict",
        ("verdict",),
        counts_up=True,
        always=("pass", "fail", "inconclusive"),
    ),
    Query(
        "lectern_audio_rendered_seconds_total",
        "Audio rendered, all takes, in seconds.",
        "SELECT coalesce(sum(duration_s), 0) FROM take",
        counts_up=True,
    ),
    Query(
        "lectern_audio_mastered_seconds_total",
        "Audio of mastered chapters, in seconds.",
        "SELECT coalesce(sum(duration_s), 0) FROM chapter WHERE state = 'mastered'",
        counts_up=True,
    ),
)
"""All metrics that come from the database."""

WORKERS = CollectorRegistry()
"""What a worker process counts itself."""

_DEVICE = Counter(
    "lectern_device_seconds_total",
    "Seconds of the device's threads by what they did: reading, rendering, idle (with work there, waiting"
    " for database or store), starved (nothing to do).",
    ("state",),
    registry=WORKERS,
)

UP = "lectern_up"
FREE = "lectern_disk_free_bytes"
SCRAPE = "lectern_scrape_seconds"

NAMES = frozenset(
    [*(query.name for query in QUERIES), UP, FREE, SCRAPE, "lectern_device_seconds_total"]
)
"""Names of all metrics, as dashboards and alerts write them."""


def device_seconds(state: str, seconds: float) -> None:
    """Count seconds of a thread of a shift's device by what it did."""
    _DEVICE.labels(state).inc(seconds)


class Factory(Collector):
    """Collects the metrics of one factory; without a database it says so and nothing else."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, as of now."""
        began = time.monotonic()
        up = GaugeMetricFamily(UP, "Whether the database answers.")
        try:
            families = self._from_database()
        except Exception as error:  # whatever it is, the scrape must say that the factory is not up
            log.warning("no metrics: %s", str(error).strip().partition("\n")[0])
            families = []
        up.add_metric([], float(bool(families)))
        yield up
        yield from families
        yield self._room()
        took = GaugeMetricFamily(SCRAPE, "How long collecting took, in seconds.")
        took.add_metric([], time.monotonic() - began)
        yield took

    def _from_database(self) -> list[Metric]:
        with self.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            return [
                _family(query, connection.execute(text(query.statement)).all()) for query in QUERIES
            ]

    def _room(self) -> Metric:
        free = GaugeMetricFamily(FREE, "Free bytes of the disk under a folder.", labels=["folder"])
        for folder in sorted(grown_folders(self.settings)):
            free.add_metric([str(folder)], float(shutil.disk_usage(folder).free))
        return free


def _family(query: Query, rows: Sequence[Any]) -> Metric:
    values = {(one,): 0.0 for one in query.always}
    values |= {tuple(row[:-1]): float(row[-1] or 0) for row in rows}
    kind = CounterMetricFamily if query.counts_up else GaugeMetricFamily
    family = kind(query.name.removesuffix("_total"), query.help, labels=query.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def exposition(engine: Engine, settings: Settings) -> str:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(_registry(engine, settings)).decode("utf-8")


def serve_factory(engine: Engine, settings: Settings, host: str, port: int) -> None:
    """Serve the factory's metrics at `http://host:port/metrics` until the process ends."""
    _, thread = start_http_server(port, host, _registry(engine, settings))
    thread.join()


def serve_worker(settings: Settings) -> None:
    """Serve what this worker counts beside its work, if the settings give it a port; once a process."""
    if settings.metrics_port is None or _served:
        return
    try:
        start_http_server(settings.metrics_port, registry=WORKERS)
        _served.append(settings.metrics_port)
    except OSError as error:
        log.warning(
            "port %d: %s; this shift's device seconds are not served", settings.metrics_port, error
        )


_served: list[int] = []


def _registry(engine: Engine, settings: Settings) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Factory(engine, settings))
    return registry
