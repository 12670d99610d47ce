"""Reconcile: whatever was begun and forgotten is found and taken up again, and what may go is removed."""

import logging
from dataclasses import asdict, dataclass
from typing import Any

from flows.factory.patience import patiently
from flows.factory.plan import replan_admitted
from flows.factory.produce import finish_ready
from flows.factory.workers import reclaim_from_the_dead, worker_name
from flows.services import Services
from storage import enrolment, productions, releases, retention
from storage.database import transaction
from storage.queue import Queue
from storage.states import ProductionState

log = logging.getLogger(__name__)

ACTOR = "reconcile"


@dataclass(frozen=True)
class Reconciled:
    """What was found and done.

    `requeued` and `dead`: leases that ran out, by what became of the work; `refused`: productions whose
    consent lapsed; `planned`, `reported`, `to_publish`: productions taken up where somebody left them;
    `erased`: voices; `expired_takes`, `expired_snapshots`, `orphans`: objects removed.
    """

    requeued: int
    dead: int
    refused: tuple[int, ...]
    planned: tuple[int, ...]
    reported: tuple[int, ...]
    to_publish: tuple[int, ...]
    erased: tuple[int, ...]
    expired_takes: int
    expired_snapshots: int
    orphans: int

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


def reconcile(services: Services, *, sweep: bool = True) -> Reconciled:
    """Take up what was forgotten; safe to run at any time and beside anything.

    Parameters
    ----------
    services : Services
        Database and object store.
    sweep : bool
        Whether to remove what retention and orphanhood allow, too.
    """
    engine, store, settings = services.engine, services.store, services.settings
    queue = Queue(engine, worker_name())
    reclaimed = patiently(lambda: reclaim_from_the_dead(queue))
    planned = replan_admitted(services, actor=ACTOR)
    reported = finish_ready(services, ACTOR)
    takes = snapshots = orphans = 0
    erased: list[int] = []
    if sweep:
        releases.withdraw_unpublished(engine, store)
        erased = enrolment.finish_erasures(engine, store, actor=ACTOR)
        takes = retention.expire_takes(engine, store, actor=ACTOR, days=settings.takes_days).objects
        snapshots = retention.expire_snapshots(
            engine, store, actor=ACTOR, days=settings.snapshots_days
        ).objects
        orphans = len(retention.sweep_orphans(engine, store))
    return Reconciled(
        requeued=reclaimed.requeued,
        dead=reclaimed.dead,
        refused=reclaimed.refused,
        planned=tuple(planned),
        reported=tuple(reported),
        to_publish=tuple(to_publish(services)),
        erased=tuple(erased),
        expired_takes=takes,
        expired_snapshots=snapshots,
        orphans=orphans,
    )


def to_publish(services: Services) -> list[int]:
    """Return the productions that are approved and not published: none of them is ever forgotten."""
    wanted = ProductionState.APPROVED, ProductionState.PUBLISHING
    with transaction(services.engine, actor=ACTOR, reason="looks for approvals") as session:
        return [one.id for one in productions.in_states(session, *wanted)]
