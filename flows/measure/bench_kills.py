"""`lectern bench kills`: a worker killed (−9) again and again, at moments drawn over named phases.

Books of a tiny voice are made on an embedded PostgreSQL that waits for the disk, by one worker at a time;
each is killed at some moment of a phase, and the next goes on. At the end nothing may be lost or doubled, and
every book's content digest must be that of the same book made by a worker that nobody disturbs.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from flows.factory.intake import Wish, submit
from flows.factory.plan import admit_and_plan
from flows.factory.workers import reclaim_from_the_dead
from flows.measure.bench_books import write_book
from flows.measure.bench_worker import all_published, start_worker
from flows.measure.tiny_voice import tiny_narrator
from flows.services import Services, services
from flows.settings import Settings
from generation.narration import LANES
from storage import productions
from storage.database import connect
from storage.postgres import Cluster
from storage.queue import Queue
from storage.retention import missing_objects
from storage.states import ProductionState

PHASES = (
    *("reading", "rendering", "storing", "committing"),
    *("judging", "mastering", "reporting", "publishing"),
)
"""The phases that are killed at: each is begun by a line of the worker's and lasts until its next."""

LEAST_EACH = 3
CHAPTERS = (3, 2, 3)
"""Paragraphs of the chapters of each book."""

PATIENCE_S = 600.0
"""How long a phase may take to come."""


@dataclass(frozen=True)
class Kill:
    """One kill: the phase aimed at and the one hit, milliseconds into it, and the leases held."""

    number: int
    aimed: str
    hit: str
    after_ms: float
    chapters_held: int
    windows_held: int


@dataclass(frozen=True)
class Kills:
    """What came of the kills.

    `read_twice` and `rendered_twice`: windows whose work was stored and then lost with an uncommitted lease;
    `lost`: keys that rows name and the store lacks; `doubled`: takes beyond those asked for, and releases
    beyond one a book; `published`: books with a release.
    """

    kills: tuple[Kill, ...]
    books: int
    windows: int
    same_digests: int
    published: int
    lost: int
    doubled: int
    read_twice: int
    rendered_twice: int
    seconds: float

    @property
    def by_phase(self) -> dict[str, int]:
        """How often each phase was hit."""
        return dict(Counter(kill.hit for kill in self.kills))

    @property
    def passes(self) -> bool:
        """Whether nothing was lost or doubled, digests agree, and a kill costs a window a lane at most."""
        return (
            self.same_digests == self.published == self.books
            and self.lost == self.doubled == 0
            and max((kill.chapters_held for kill in self.kills), default=0) <= LANES
            and self.read_twice <= LANES * len(self.kills)
        )

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {**asdict(self), "by_phase": self.by_phase, "passes": self.passes}


def run(
    folder: Path,
    wanted: int = 30,
    *,
    least_each: int = LEAST_EACH,
    phases: tuple[str, ...] = PHASES,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Kills:
    """Kill workers until there were `wanted` kills, each phase at least `least_each` times.

    Parameters
    ----------
    folder : Path
        An empty folder for the home, the books and the weights.
    wanted, least_each : int
        How many kills, and how many of each phase.
    phases : tuple of str
        The phases to kill at.
    seed : int
        Seed of the moments.
    say : callable
        Told each line of the log.
    """
    began = time.monotonic()
    home = folder / "home"
    with Cluster(home).hold() as cluster:
        settings = Settings(home=home)
        calm = _calm_settings(cluster, folder / "calm")
        with services(settings) as opened, services(calm) as quiet:
            killed = _Killing(opened, settings, folder, random.Random(seed), say)
            kills = killed.until(wanted, least_each, phases)
            killed.finish()
            books = killed.books
            say(f"{len(kills)} kills over {books} books; now the same books undisturbed")
            for number in range(books):
                _submit(quiet, folder, number)
            start_worker(calm, "calm", publishes=True).end()
            digests = [_digests(one) for one in (opened, quiet)]
            result = _result(opened, kills, books, digests, time.monotonic() - began)
    say(f"the same content digest: {result.same_digests} of {books} books")
    return result


class _Killing:
    """Books queued one after the other, and the workers that are killed at them."""

    def __init__(
        self,
        opened: Services,
        settings: Settings,
        folder: Path,
        moments: random.Random,
        say: Callable[[str], None],
    ) -> None:
        self.opened, self.settings, self.folder = opened, settings, folder
        self.moments, self.say, self.books = moments, say, 0
        self.kills: list[Kill] = []

    def until(self, wanted: int, least_each: int, phases: tuple[str, ...]) -> tuple[Kill, ...]:
        """Kill until there were enough of all."""
        while True:
            hits = Counter(kill.hit for kill in self.kills)
            missing = [phase for phase in phases if hits[phase] < least_each]
            if len(self.kills) >= wanted and not missing:
                return tuple(self.kills)
            self._kill_at(self.moments.choice(missing or phases))

    def finish(self) -> None:
        """Have a worker that nobody kills finish what is left."""
        start_worker(self.settings, "last", publishes=True).end()

    def _kill_at(self, phase: str) -> None:
        """Kill a worker at some moment of a phase, the first, second or third time it comes."""
        if all_published(self.opened):
            _submit(self.opened, self.folder, self.books)
            self.books += 1
        worker = start_worker(self.settings, f"worker-{len(self.kills)}", publishes=True)
        for _ in range(self.moments.randint(1, 3)):
            thread = worker.follow(phase, PATIENCE_S)
            if thread is None:
                break
        if thread is None:  # everything was made before that
            worker.end()
            return
        pause_s = self.moments.choice((0.0, 0.002, 0.01, 0.03))
        time.sleep(pause_s)
        hit = worker.kill().get(thread, "started")
        chapters, windows = _held(self.opened)
        kill = Kill(len(self.kills) + 1, phase, hit, 1000 * pause_s, chapters, windows)
        self.kills.append(kill)
        self.say(
            f"kill {kill.number:2}: aimed at {phase}, hit {hit}; {chapters} chapters and {windows}"
            " windows were leased"
        )


def _held(opened: Services) -> tuple[int, int]:
    """Count the leases a killed worker left (chapters, windows), and give them back."""
    with opened.engine.connect() as connection:
        chapters, windows = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM chapter WHERE leased_by IS NOT NULL),"
                ' (SELECT count(*) FROM "window" WHERE leased_by IS NOT NULL)'
            )
        ).one()
    reclaim_from_the_dead(Queue(opened.engine, "bench", max_attempts=1000))
    return int(chapters), int(windows)


def _submit(opened: Services, folder: Path, number: int) -> None:
    narrator = tiny_narrator(opened, folder / "weights")
    book = write_book(folder / "books", f"Book {number}", CHAPTERS)
    production = submit(opened, book, narrator, Wish(questions=("signal",)), actor="bench")
    admit_and_plan(opened, production.id, actor="bench")


def _digests(opened: Services) -> dict[str, str | None]:
    """Return the content digests by title."""
    with Session(opened.engine) as session:
        return {
            one.manuscript.title: one.content_digest
            for one in productions.in_states(session, *ProductionState)
        }


def _result(
    opened: Services,
    kills: tuple[Kill, ...],
    books: int,
    digests: list[dict[str, str | None]],
    seconds: float,
) -> Kills:
    disturbed, calm = digests
    same = sum(
        digest is not None and calm.get(title) == digest for title, digest in disturbed.items()
    )
    with opened.engine.connect() as connection:
        windows, takes, sent_back, renderings, published, released = connection.execute(
            text(
                'SELECT (SELECT count(*) FROM "window"), (SELECT count(*) FROM take),'
                " (SELECT count(*) FROM event WHERE subject = 'window' AND to_state = 'redo'),"
                " (SELECT count(*) FROM take WHERE audio_key IS NOT NULL),"
                " (SELECT count(*) FROM production WHERE state = 'published'),"
                " (SELECT count(*) FROM release WHERE state = 'published')"
            )
        ).one()
    stored = Counter(
        ("window " if "/windows/" in info.key else "chapter ") + info.key.rpartition("-")[2]
        for info in opened.store.list("productions/")
    )
    return Kills(
        kills=kills,
        books=books,
        windows=windows,
        same_digests=same,
        published=published,
        lost=len(list(missing_objects(opened.engine, opened.store))),
        doubled=takes - windows - sent_back + released - published,
        read_twice=stored["chapter tokens"] + stored["window tokens"] - takes,
        rendered_twice=stored["window audio"] - renderings,
        seconds=round(seconds, 1),
    )


def _calm_settings(cluster: Cluster, folder: Path) -> Settings:
    """Return settings for a home on another database of the same cluster."""
    server = connect(cluster.url("postgres")).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE calm"))
    server.dispose()
    folder.mkdir(parents=True)
    url = make_url(cluster.url()).set(database="calm").render_as_string(hide_password=False)
    return Settings(home=folder, database_url=url)
