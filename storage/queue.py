"""The work queue: leases of chapters and windows, fenced by number, kept alive by heartbeats.

A `Queue` belongs to one worker. Each method is one transaction of the named statements in `queue.sql`, tried
again where PostgreSQL ends it for a deadlock. Leases that ran out, work of productions that were parked, and
writes with an old lease number are refused row by row; the rest of a batch is committed.

Reading goes along a chapter's cursor (window n + 1 only after n is committed, from the recorded entry
snapshot); rereading, rendering and judging take windows in any order; mastering takes whole chapters.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, RowMapping, TextClause, text

from storage.database import again, refusals, say
from storage.states import ON_DEVICE, STAGES, Stage

LEASE_S = 60.0
"""How long a lease holds without a heartbeat; beat at least three times as often."""

MAX_ATTEMPTS = 5
"""Attempts at one piece of work before it becomes a dead letter."""

BACKOFF_S = 5.0
LONGEST_BACKOFF_S = 600.0
"""Wait after the first failed attempt, doubled by each further one up to the longest."""

BATCH = 32
"""The usual number of rows leased or completed at once."""

Json = dict[str, Any]
Fenced = dict[tuple[int, int], str | None]
"""Rows that stand under their lease number, by id and number, each with why it is refused, if so."""

T = TypeVar("T")


def _statements() -> dict[str, TextClause]:
    source = Path(__file__).with_name("queue.sql").read_text("utf-8")
    parts = (part.split("\n", 1) for part in source.split("-- name: ")[1:])
    return {name.strip(): text(body) for name, body in parts}


STATEMENTS = _statements()
"""Every statement of the queue by its name in `queue.sql`."""


@dataclass(frozen=True, slots=True)
class ChapterLease:
    """A leased chapter: for reading, the window at `cursor` and the snapshot to enter it with."""

    id: int
    lease: int
    stage: Stage
    production_id: int
    number: int
    title: str
    script_key: str
    script_digest: str
    windows: int
    cursor: int
    snapshot_key: str | None
    snapshot_digest: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class WindowLease:
    """A leased window; `take` is the number of the take being made, its keys are those made so far."""

    id: int
    lease: int
    stage: Stage
    production_id: int
    chapter_id: int
    chapter_number: int
    number: int
    unit_start: int
    unit_end: int
    take: int
    attempts: int
    directions: Json
    script_key: str
    script_digest: str
    entry_snapshot_key: str | None
    entry_snapshot_digest: str | None
    tokens_key: str | None
    tokens_digest: str | None
    audio_key: str | None
    audio_digest: str | None
    duration_s: float | None


Lease = ChapterLease | WindowLease


@dataclass(frozen=True, slots=True)
class Reading:
    """The window at a chapter's cursor, read: its tokens and the snapshot of the state after it."""

    lease: ChapterLease
    seed: int
    tokens_key: str
    tokens_digest: str
    exit_snapshot_key: str | None
    exit_snapshot_digest: str | None


@dataclass(frozen=True, slots=True)
class Rereading:
    """A window read again from its entry snapshot, as the take that its lease names."""

    lease: WindowLease
    seed: int
    tokens_key: str
    tokens_digest: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """The sound of a take."""

    lease: WindowLease
    audio_key: str
    audio_digest: str
    duration_s: float
    measures: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of a take: `chosen_take` accepts the window with that take, none asks for another."""

    lease: WindowLease
    verdict: str
    chosen_take: int | None
    measures: Json = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Mastering:
    """A mastered chapter; `content_digest` covers its canonical unsigned products."""

    lease: ChapterLease
    audio_key: str
    audio_digest: str
    times_key: str
    times_digest: str
    duration_s: float
    content_digest: str
    measures: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A lease whose result was not written, and why; throw the result away."""

    lease: Lease
    reason: str


@dataclass(frozen=True, slots=True)
class Stalled:
    """A lease that ran out: whose it was, and when it was last known alive to hold."""

    subject: str
    id: int
    production_id: int
    state: str
    lease: int
    leased_by: str
    lease_until: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work given up, with the reason; `number` is the window's, none for a whole chapter."""

    subject: str
    id: int
    production_id: int
    chapter_number: int
    number: int | None
    attempts: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What `reclaim` did: work requeued, work given up, and productions refused for lapsed consent."""

    requeued: int
    dead: int
    refused: tuple[int, ...]


class Queue:
    """The queue as one worker sees it.

    Parameters
    ----------
    engine : Engine
        Lectern's database, migrated.
    worker : str
        The worker's name, as it shall stand in leases and events: machine, process and device.
    lease_s : float
        How long a lease holds without a heartbeat, in seconds.
    max_attempts : int
        Attempts before a dead letter.
    production_id : int, optional
        The only production to lease work of; none: of all.
    profile : str, optional
        Digest of what decides the bits of the worker's takes. It reads and renders only for productions that
        no other profile works on; none leaves that unasked.
    """

    def __init__(
        self,
        engine: Engine,
        worker: str,
        *,
        lease_s: float = LEASE_S,
        max_attempts: int = MAX_ATTEMPTS,
        production_id: int | None = None,
        profile: str | None = None,
    ) -> None:
        self.engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.worker = worker
        self.lease_s = lease_s
        self.max_attempts = max_attempts
        self.production_id = production_id
        self.profile = profile

    # Reading ------------------------------------------------------------------------------------

    def lease_reading(self, limit: int = 1) -> list[ChapterLease]:
        """Lease up to `limit` chapters to be read on from their cursors, first in the queue first."""
        return self._lease_chapters(Stage.READING, limit)

    def commit_readings(
        self, readings: Sequence[Reading]
    ) -> tuple[list[ChapterLease], list[Refused]]:
        """Commit one window each of several chapters, and go on with the same leases.

        Returns
        -------
        tuple[list[ChapterLease], list[Refused]]
            The leases as they stand now, cursor and snapshot moved on, without the chapters that are read to
            their end (their leases are over); and those refused.
        """
        rows = _json(
            {
                "id": done.lease.id,
                "lease": done.lease.lease,
                "number": done.lease.cursor,
                "seed": done.seed,
                "tokens_key": done.tokens_key,
                "tokens_digest": done.tokens_digest,
                "snapshot_key": done.exit_snapshot_key,
                "snapshot_digest": done.exit_snapshot_digest,
            }
            for done in readings
        )

        def commit(connection: Connection) -> tuple[Fenced, dict[int, int]]:
            fenced = _refusals(_all(connection, "fence_readings", rows=rows))
            allowed = [
                row for row in json.loads(rows) if fenced.get((row["id"], row["lease"]), "") is None
            ]
            if not allowed:
                return fenced, {}
            kept = json.dumps(allowed)
            _run(connection, "commit_windows", rows=kept, worker=self.worker)
            moved = _all(connection, "advance_cursors", rows=kept, lease_s=self.lease_s)
            return fenced, {row["id"]: row["cursor"] for row in moved}

        fenced, cursors = self._transaction("read", commit)
        going_on = [
            replace(
                done.lease,
                cursor=cursors[done.lease.id],
                snapshot_key=done.exit_snapshot_key,
                snapshot_digest=done.exit_snapshot_digest,
                attempts=1,
            )
            for done in readings
            if fenced.get((done.lease.id, done.lease.lease), "") is None
            and cursors[done.lease.id] < done.lease.windows
        ]
        return going_on, _refused([done.lease for done in readings], fenced)

    # Windows, in any order -------------------------------------------------------------------------

    def lease_rereading(self, limit: int = 1) -> list[WindowLease]:
        """Lease up to `limit` windows to be read again from their entry snapshots."""
        return self._lease_windows(Stage.REREADING, limit)

    def lease_rendering(self, limit: int = BATCH) -> list[WindowLease]:
        """Lease up to `limit` windows to be rendered from their tokens."""
        return self._lease_windows(Stage.RENDERING, limit)

    def lease_judging(self, limit: int = BATCH) -> list[WindowLease]:
        """Lease up to `limit` windows whose new takes are to be judged."""
        return self._lease_windows(Stage.JUDGING, limit)

    def complete_rereadings(self, rereadings: Sequence[Rereading]) -> list[Refused]:
        """Write the tokens of new takes; their windows are to be rendered next. Returns the refused."""
        rows = _json(
            {
                "id": done.lease.id,
                "lease": done.lease.lease,
                "seed": done.seed,
                "tokens_key": done.tokens_key,
                "tokens_digest": done.tokens_digest,
            }
            for done in rereadings
        )
        fenced = self._complete("complete_rereadings", "read again", rows)
        return _refused([done.lease for done in rereadings], fenced)

    def complete_renderings(self, renderings: Sequence[Rendering]) -> list[Refused]:
        """Write the sound of takes; their windows are to be judged next. Returns the refused."""
        rows = _json(
            {
                "id": done.lease.id,
                "lease": done.lease.lease,
                "take": done.lease.take,
                "audio_key": done.audio_key,
                "audio_digest": done.audio_digest,
                "duration_s": done.duration_s,
                "measures": done.measures,
            }
            for done in renderings
        )
        fenced = self._complete("complete_renderings", "rendered", rows)
        return _refused([done.lease for done in renderings], fenced)

    def complete_judgements(self, judgements: Sequence[Judgement]) -> list[Refused]:
        """Accept windows or send them back for another take; returns the refused.

        A chapter whose last window is accepted becomes ready for mastering in the same transaction.
        """
        rows = _json(
            {
                "id": done.lease.id,
                "lease": done.lease.lease,
                "take": done.lease.take,
                "chosen_take": done.chosen_take,
                "verdict": done.verdict,
                "measures": done.measures,
                "reason": done.reason,
            }
            for done in judgements
        )

        def complete(connection: Connection) -> Fenced:
            chapters = sorted({done.lease.chapter_id for done in judgements})
            _run(connection, "lock_chapters", ids=chapters)
            found = _all(connection, "complete_judgements", rows=rows)
            _run(connection, "accept_chapters", ids=chapters)
            return _refusals(found)

        fenced = self._transaction("judged", complete)
        return _refused([done.lease for done in judgements], fenced)

    # Mastering ----------------------------------------------------------------------------------

    def lease_mastering(self, limit: int = 1) -> list[ChapterLease]:
        """Lease up to `limit` chapters whose windows are all accepted."""
        return self._lease_chapters(Stage.MASTERING, limit)

    def complete_masterings(self, masterings: Sequence[Mastering]) -> list[Refused]:
        """Write mastered chapters; returns the refused."""
        rows = _json(
            {
                "id": done.lease.id,
                "lease": done.lease.lease,
                "audio_key": done.audio_key,
                "audio_digest": done.audio_digest,
                "times_key": done.times_key,
                "times_digest": done.times_digest,
                "duration_s": done.duration_s,
                "content_digest": done.content_digest,
                "measures": done.measures,
            }
            for done in masterings
        )
        fenced = self._complete("complete_masterings", "mastered", rows)
        return _refused([done.lease for done in masterings], fenced)

    # Keeping and giving back ---------------------------------------------------------------------

    def heartbeat(self, leases: Iterable[Lease]) -> list[Refused]:
        """Hold leases for another `lease_s` seconds; returns those lost: stop working on them."""
        held = list(leases)

        def beat(connection: Connection) -> set[tuple[str, int]]:
            alive = set()
            for subject, some in _by_table(held).items():
                ids, numbers = [one.id for one in some], [one.lease for one in some]
                beaten = _all(
                    connection,
                    f"heartbeat_{subject}s",
                    ids=ids,
                    leases=numbers,
                    lease_s=self.lease_s,
                )
                alive |= {(subject, row["id"]) for row in beaten}
            return alive

        alive = self._transaction("still at work", beat)
        return [
            Refused(lease, _lost(lease)) for lease in held if (_table(lease), lease.id) not in alive
        ]

    def release(self, leases: Iterable[Lease], reason: str = "the shift ends") -> None:
        """Give leases back unfinished; the attempt does not count and the work is free at once."""
        rows = [(lease, False, None) for lease in leases]
        self._transaction(reason, lambda c: self._give_back(c, rows, counts=False))

    def fail(self, lease: Lease, trouble: str, *, permanent: bool = False) -> bool:
        """Give a lease back because the work failed; returns whether it became a dead letter.

        Parameters
        ----------
        lease : Lease
            What was tried.
        trouble : str
            What went wrong, in words; it is kept with the row, in the event, and with the production.
        permanent : bool
            Whether trying again cannot help (a manuscript that cannot be read, say).
        """
        rows = [(lease, permanent, trouble)]
        dead = self._transaction(trouble, lambda c: self._give_back(c, rows, counts=True))
        return dead > 0

    # Looking after the whole queue ------------------------------------------------------------------

    def stalled(self, limit: int = 1000) -> list[Stalled]:
        """Return the leases that ran out, longest silence first, without touching them."""
        with self.engine.connect() as connection:
            return [Stalled(**row) for row in _all(connection, "stalled", limit=limit)]

    def reclaim(self, limit: int = 1000) -> Reclaimed:
        """Requeue work whose leases ran out, and refuse productions whose consent lapsed."""

        def work(connection: Connection) -> Reclaimed:
            found = [Stalled(**row) for row in _all(connection, "stalled", limit=limit)]
            dead = self._give_back_rows(
                connection,
                {
                    subject: [_back(one, _silence(one)) for one in found]
                    for subject, found in _stalled_by_table(found).items()
                },
                counts=True,
                expired=True,
            )
            say(connection, self.worker, "consent or text rights lapsed")
            lapsed = tuple(row["id"] for row in _all(connection, "refuse_lapsed"))
            return Reclaimed(len(found) - dead, dead, lapsed)

        return self._transaction("the lease ran out", work)

    def leasing_workers(self) -> list[str]:
        """Return the names of the workers that hold leases, alive or not."""
        with self.engine.connect() as connection:
            return sorted(row["leased_by"] for row in _all(connection, "leasing_workers"))

    def expire(self, workers: Sequence[str]) -> Reclaimed:
        """Let the leases of workers that are known to be dead run out, and `reclaim`."""

        def work(connection: Connection) -> None:
            _run(connection, "expire_windows", workers=list(workers))
            _run(connection, "expire_chapters", workers=list(workers))

        if workers:
            self._transaction("the worker is dead", work)
        return self.reclaim()

    def depth(self) -> dict[str, int]:
        """Return how much work there is for this worker in each state, chapters under `chapter <state>`."""
        with self.engine.connect() as connection:
            return {
                row["state"]: row["rows"] for row in _all(connection, "depth", profile=self.profile)
            }

    def dead_letters(self) -> list[DeadLetter]:
        """Return the work that was given up, by production and place."""
        with self.engine.connect() as connection:
            return [DeadLetter(**row) for row in _all(connection, "dead_letters")]

    # The transactions ---------------------------------------------------------------------------

    def _transaction(self, reason: str, work: Callable[[Connection], T]) -> T:
        def once() -> T:
            with self.engine.begin() as connection:
                say(connection, self.worker, reason)
                return work(connection)

        with refusals():
            return again(once)

    def _lease_windows(self, stage: Stage, limit: int) -> list[WindowLease]:
        rows = self._leased("lease_windows", stage, limit)
        return [WindowLease(stage=stage, **row) for row in rows]

    def _lease_chapters(self, stage: Stage, limit: int) -> list[ChapterLease]:
        rows = self._leased("lease_chapters", stage, limit)
        rows.sort(key=lambda row: (row["rank"], row["id"]))
        return [
            ChapterLease(stage=stage, **{k: v for k, v in row.items() if k != "rank"})
            for row in rows
        ]

    def _leased(self, statement: str, stage: Stage, limit: int) -> list[Json]:
        _, ready, busy = STAGES[stage]
        rows = self._statement(
            statement,
            reason=f"leased for {stage}",
            ready=ready,
            busy=busy,
            limit=limit,
            lease_s=self.lease_s,
            production_id=self.production_id,
            profile=self.profile if stage in ON_DEVICE else None,
        )
        return [{k: v for k, v in row.items() if k not in {"who", "why"}} for row in rows]

    def _complete(self, statement: str, reason: str, rows: str) -> Fenced:
        return _refusals(self._statement(statement, reason=reason, rows=rows))

    def _statement(self, statement: str, **parameters: Any) -> list[RowMapping]:
        """Run a statement that is a transaction of its own."""

        def once() -> list[RowMapping]:
            with self._single.connect() as connection:
                return _all(connection, statement, worker=self.worker, **parameters)

        with refusals():
            return again(once)

    def _give_back(
        self,
        connection: Connection,
        rows: Sequence[tuple[Lease, bool, str | None]],
        *,
        counts: bool,
    ) -> int:
        tables: dict[str, list[Json]] = {}
        for lease, dead, trouble in rows:
            back = _back(lease, trouble, dead=dead)
            tables.setdefault(_table(lease), []).append(back)
        return self._give_back_rows(connection, tables, counts=counts)

    def _give_back_rows(
        self,
        connection: Connection,
        tables: Mapping[str, list[Json]],
        *,
        counts: bool,
        expired: bool = False,
    ) -> int:
        """Give rows back by table; returns how many are dead letters now, their productions failed."""
        productions = {row["production_id"] for rows in tables.values() for row in rows}
        _run(connection, "lock_productions", ids=sorted(productions))
        dead: list[Json] = []
        for subject in sorted(tables):
            back = _all(
                connection,
                f"give_back_{subject}s",
                rows=json.dumps(tables[subject]),
                counts=counts,
                expired=expired,
                max_attempts=self.max_attempts,
                backoff_s=BACKOFF_S,
                longest_backoff_s=LONGEST_BACKOFF_S,
            )
            dead += [
                {
                    "id": row["production_id"],
                    "trouble": f"{subject} {row['id']}, attempt {row['attempts']}:"
                    f" {row['trouble']}",
                }
                for row in back
                if row["state"] == "dead"
            ]
        if dead:
            _run(connection, "fail_productions", rows=json.dumps(dead))
        return len(dead)


def _run(connection: Connection, statement: str, **parameters: Any) -> CursorResult[Any]:
    return connection.execute(STATEMENTS[statement], parameters)


def _all(connection: Connection, statement: str, **parameters: Any) -> list[RowMapping]:
    return list(_run(connection, statement, **parameters).mappings())


def _json(rows: Iterable[Json]) -> str:
    return json.dumps(list(rows), allow_nan=False)


def _refusals(rows: Iterable[RowMapping]) -> Fenced:
    return {(row["id"], row["lease"]): row["refusal"] for row in rows}


def _refused(leases: Sequence[Lease], fenced: Fenced) -> list[Refused]:
    """Return the leases that the fence stopped: not found under their number, or found refused."""
    stopped = []
    for lease in leases:
        reason = fenced.get((lease.id, lease.lease), _lost(lease))
        if reason is not None:
            stopped.append(Refused(lease, reason))
    return stopped


def _lost(lease: Lease) -> str:
    return f"lease {lease.lease} of {_table(lease)} {lease.id} is no longer held"


def _table(lease: Lease) -> str:
    return STAGES[lease.stage][0]


def _by_table(leases: Iterable[Lease]) -> dict[str, list[Lease]]:
    tables: dict[str, list[Lease]] = {}
    for lease in leases:
        tables.setdefault(_table(lease), []).append(lease)
    return tables


def _stalled_by_table(found: Iterable[Stalled]) -> dict[str, list[Stalled]]:
    tables: dict[str, list[Stalled]] = {}
    for one in found:
        tables.setdefault(one.subject, []).append(one)
    return tables


def _silence(one: Stalled) -> str:
    return f"lease {one.lease} of {one.leased_by} ran out at {one.lease_until:%Y-%m-%d %H:%M:%S %Z}"


def _back(held: Lease | Stalled, trouble: str | None, *, dead: bool = False) -> Json:
    return {
        "id": held.id,
        "lease": held.lease,
        "production_id": held.production_id,
        "dead": dead,
        "trouble": trouble,
    }
