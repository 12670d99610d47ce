"""`lectern bench night`: ten books, three workers, and everything that goes wrong in one night.

A worker is killed (−9), the database restarted, S3 refuses for a while, a manuscript is poisoned, a consent
is revoked half-way. PostgreSQL and S3 are real, the voice is the untrained `tiny` preset. Every good book has
to end complete, the bad ones in clear states, and each content digest be that of a night without trouble.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from flows.factory.intake import Wish, submit
from flows.measure.bench_books import write_book
from flows.measure.bench_worker import UNFINISHED, Worker, start_worker
from flows.measure.seaweed import Seaweed, running_seaweed
from flows.measure.tiny_voice import tiny_narrator
from flows.services import Services, services
from flows.settings import Settings
from storage import enrolment, productions
from storage.postgres import Cluster
from storage.retention import missing_objects
from storage.states import ProductionState, WindowState

WORKERS = 3
OUTAGE_S = 4.0
"""How long S3 refuses."""

LONGEST_S = 3600.0
"""A night that is not over by then has failed."""

POISONED, REVOKED = "The Long Word", "The Borrowed Voice"


@dataclass(frozen=True)
class Title:
    """A book of the night: paragraphs of its chapters, voice, priority, days until it is due."""

    title: str
    chapters: tuple[int, ...]
    voice: str = "ann"
    priority: int = 0
    due_days: int | None = None


TITLES = (
    Title("The Lamp", (3, 2)),
    Title("The Road", (2,), priority=5),
    Title("The Snow", (1, 1, 1), voice="ben"),
    Title("The Hill", (4,), due_days=2),
    Title("The Boats", (2, 2), voice="ben", priority=-3),
    Title("The Window", (1,), priority=9),
    Title("The Village", (2, 1, 2), voice="ben", due_days=1),
    Title("The Stones", (1, 3)),
    Title(POISONED, (1,)),
    Title(REVOKED, (6, 6), voice="cat", priority=2),
)
"""Ten books of different sizes, priorities and voices."""

VOICES = {"ann": 1, "ben": 2, "cat": 3}
"""The voices, with the seeds of their weights."""


@dataclass(frozen=True)
class Ended:
    """How a book ended: its state, what stood in its way, its digest, and the undisturbed night's."""

    title: str
    state: str
    trouble: str | None
    content_digest: str | None
    undisturbed: str | None


@dataclass
class NightBench:
    """What came of the night; `lines` is its log."""

    books: list[Ended] = field(default_factory=list)
    lost: int = 0
    requeued: int = 0
    night_s: float = 0.0
    lines: list[str] = field(default_factory=list)

    @property
    def passes(self) -> bool:
        """Whether every good book is complete and the same, and the bad ones say why."""
        by_title = {book.title: book for book in self.books}
        good = [b for b in self.books if b.title not in {POISONED, REVOKED}]
        return (
            len(self.books) == len(TITLES)
            and self.lost == 0
            and all(
                b.state == ProductionState.AWAITING_REVIEW
                and b.content_digest is not None
                and b.content_digest == b.undisturbed
                for b in good
            )
            and by_title[POISONED].state == ProductionState.FAILED
            and by_title[REVOKED].state == ProductionState.REFUSED
            and all(by_title[bad].trouble for bad in (POISONED, REVOKED))
        )

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {**asdict(self), "passes": self.passes}


def run(folder: Path, *, say: Callable[[str], None] = lambda line: None) -> NightBench:
    """Work through a night of trouble and one without, and compare them.

    Parameters
    ----------
    folder : Path
        An empty folder for homes, books and weights.
    say : callable
        Told each line of the log.
    """
    bench = NightBench()
    began = time.monotonic()

    def log(line: str) -> None:
        bench.lines.append(f"{time.monotonic() - began:6.1f} s  {line}")
        say(bench.lines[-1])

    with running_seaweed(folder / "s3") as seaweed:
        log("a night without trouble")
        with _factory(folder, "calm", seaweed) as night:
            night.submit_all()
            night.work(None, log)
            undisturbed = {book.title: book.content_digest for book in night.ended({})}
        log("a night with everything going wrong")
        with _factory(folder, "night", seaweed) as night:
            night.submit_all()
            started = time.monotonic()
            night.work(_Troubles(night, seaweed, log), log)
            bench.night_s = round(time.monotonic() - started, 1)
            bench.books = night.ended(undisturbed)
            bench.lost = len(list(missing_objects(night.opened.engine, night.opened.store)))
            bench.requeued = night.requeued()
    for book in bench.books:
        same = "same digest" if book.content_digest == book.undisturbed else "no digest to compare"
        log(f"{book.title}: {book.state}, {book.trouble or same}")
    log("passed" if bench.passes else "FAILED")
    return bench


@dataclass
class _Night:
    """A factory of the benchmark: its home, services, and books."""

    folder: Path
    settings: Settings
    cluster: Cluster
    opened: Services

    def submit_all(self) -> None:
        for title in TITLES:
            narrator = tiny_narrator(
                self.opened, self.folder / "weights", title.voice, VOICES[title.voice]
            )
            book = write_book(
                self.folder / "books",
                title.title,
                title.chapters,
                poisoned=title.title == POISONED,
            )
            due = None
            if title.due_days is not None:
                due = datetime.now(UTC) + timedelta(days=title.due_days)
            wish = Wish(priority=title.priority, due_at=due, questions=("signal",))
            submit(self.opened, book, narrator, wish, actor="bench")

    def work(self, troubles: "_Troubles | None", log: Callable[[str], None]) -> None:
        """Have three workers work until everything is made, and trouble them meanwhile."""
        workers, failed = [self._start(n) for n in range(WORKERS)], 0
        deadline = time.monotonic() + LONGEST_S
        try:
            while self.unfinished() or not all(worker.ended for worker in workers):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the night is not over after {LONGEST_S:.0f} s")
                for n, worker in enumerate(workers):
                    worker.follow("done", 0.1)
                    if not worker.ended or not self.unfinished():
                        continue
                    code = worker.process.exitcode
                    if code == 0 and not all(one.ended for one in workers):
                        continue  # it found nothing left to do; the others still work
                    failed += code not in {0, -signal.SIGKILL}
                    if failed > WORKERS:
                        raise RuntimeError(f"workers fail: see {self.settings.folder}/*.log")
                    log(f"another takes the place of worker {n}")
                    workers[n] = self._start(n)
                if troubles is not None:
                    troubles.make(workers)
        finally:
            for worker in workers:
                if not worker.ended:
                    worker.kill()

    def _start(self, number: int) -> Worker:
        """Start a worker; the first has the night admit books, the others only work."""
        night_s = LONGEST_S if number == 0 else None
        return start_worker(self.settings, f"worker-{number}", night_s=night_s)

    def unfinished(self) -> int:
        """Count the productions that are not made yet; many while nobody knows."""
        try:
            with Session(self.opened.engine) as session:
                return len(productions.in_states(session, *UNFINISHED))
        except DBAPIError:  # the database is being restarted
            return len(TITLES)

    def accepted(self) -> dict[str, float]:
        """Return the share of each book's windows that are accepted, by title."""
        with Session(self.opened.engine) as session:
            return {
                one.manuscript.title: productions.progress(session, one.id).done
                for one in productions.in_states(session, *ProductionState)
            }

    def done(self) -> float:
        """Return the share of all windows planned so far that are accepted."""
        statement = text('SELECT state, count(*) FROM "window" GROUP BY state')
        with self.opened.engine.connect() as connection:
            states = {state: count for state, count in connection.execute(statement)}
        total = sum(states.values())
        return states.get(WindowState.ACCEPTED, 0) / total if total else 0.0

    def ended(self, undisturbed: dict[str, str | None]) -> list[Ended]:
        with Session(self.opened.engine) as session:
            return [
                Ended(
                    one.manuscript.title,
                    one.state,
                    one.trouble,
                    one.content_digest,
                    undisturbed.get(one.manuscript.title),
                )
                for one in productions.in_states(session, *ProductionState)
            ]

    def requeued(self) -> int:
        """Count the leases that ran out or were taken from the dead."""
        statement = text("SELECT count(*) FROM event WHERE reason = 'the lease ran out'")
        with self.opened.engine.connect() as connection:
            return int(connection.execute(statement).scalar_one())


@dataclass
class _Troubles:
    """What goes wrong, each once, in this order, when so much of the night is done."""

    night: _Night
    seaweed: Seaweed
    log: Callable[[str], None]
    made: list[str] = field(default_factory=list)
    refusing_until: float | None = None

    def make(self, workers: list[Worker]) -> None:
        """Make the next trouble if its time has come."""
        if self.refusing_until is not None:
            if time.monotonic() >= self.refusing_until:
                self.seaweed.start()
                self.refusing_until = None
                self.log("S3 serves again")
            return
        try:
            done, shares = self.night.done(), self.night.accepted()
        except DBAPIError:
            return
        if "revoked" not in self.made and shares.get(REVOKED, 0.0) > 0:
            self._revoke()
        elif "killed" not in self.made and done > 0.15:
            hit = workers[1].kill()
            self._made("killed", f"worker 1 is killed (−9) at {hit}")
        elif "restarted" not in self.made and done > 0.35 and "killed" in self.made:
            self.night.cluster.stop()
            self.night.cluster.start()
            self._made("restarted", "the database was restarted")
        elif "refused" not in self.made and done > 0.55 and "restarted" in self.made:
            self.seaweed.stop()
            self.refusing_until = time.monotonic() + OUTAGE_S
            self._made("refused", f"S3 refuses for {OUTAGE_S:.0f} s")

    def _revoke(self) -> None:
        with Session(self.night.opened.engine) as session:
            voice_id = enrolment.voice_named(session, "cat").id
        enrolment.revoke_consents(
            self.night.opened.engine, voice_id=voice_id, actor="cat", reason="revoked in the night"
        )
        self._made("revoked", f"the consent of the voice of '{REVOKED}' is revoked half-way")

    def _made(self, what: str, line: str) -> None:
        self.made.append(what)
        self.log(line)


@contextmanager
def _factory(folder: Path, name: str, seaweed: Seaweed) -> Iterator[_Night]:
    """Run a factory of its own: PostgreSQL that waits for the disk, and a bucket."""
    seaweed.store(name)
    os.environ.update(seaweed.environment())
    home = folder / name
    with ExitStack() as stack:
        cluster = Cluster(home)
        stack.callback(shutil.rmtree, home / "objects", ignore_errors=True)
        stack.callback(cluster.destroy)
        cluster.start()
        settings = Settings(
            home=home,
            database_url=cluster.url(),
            store=f"s3://{name}",
            s3_endpoint=seaweed.endpoint,
        )
        opened = stack.enter_context(services(settings))
        yield _Night(folder, settings, cluster, opened)
