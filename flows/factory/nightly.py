"""A night: productions are admitted by priority and due date until the closing time, and worked on."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from flows.factory.plan import admit_next
from flows.factory.reconcile import Reconciled, reconcile
from flows.factory.shift import Shift
from flows.factory.tally import Limits, Tally
from flows.operate.room import shortage
from flows.services import Services
from storage.models import Production

log = logging.getLogger(__name__)

ACTOR = "nightly"


@dataclass(frozen=True)
class Night:
    """What a night did: productions admitted (titles by id), the shift's tally, and what reconcile found."""

    admitted: dict[int, str]
    tally: Tally
    found: Reconciled

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "admitted": self.admitted,
            "shift": self.tally.as_json(),
            "reconciled": self.found.as_json(),
        }


@dataclass
class Admission:
    """Admits productions in the order of the queue until the night closes, while the disk has room."""

    services: Services
    closing: datetime
    admitted: dict[int, str] = field(default_factory=dict)

    def __call__(self) -> bool:
        """Admit and plan the next production; returns whether there was one."""
        if datetime.now(self.closing.tzinfo) >= self.closing:
            return False
        short = shortage(self.services.settings)
        if short is not None:
            log.warning("nothing is admitted: %s", short)
            return False
        planned = admit_next(self.services, actor=ACTOR)
        if planned is None:
            return False
        self.admitted[planned.id] = _title(self.services, planned)
        return True


def closing_time(until: str, now: datetime) -> datetime:
    """Return the next moment at which the clock shows `until` (HH:MM), in the zone of `now`."""
    hours, minutes = (int(part) for part in until.split(":"))
    closing = now.replace(hour=hours, minute=minutes, second=0, microsecond=0)
    return closing if closing > now else closing + timedelta(days=1)


def nightly(
    services: Services,
    closing: datetime,
    *,
    device: str = "cpu",
    limits: Limits | None = None,
    phase: Callable[[str], None] = lambda name: None,
) -> Night:
    """Work through the queue until it is empty or the night closes; what is under way is kept for the next.

    Parameters
    ----------
    services : Services
        Database and object store.
    closing : datetime
        When the night closes, with a zone.
    device : str
        The device of this worker.
    limits : Limits, optional
        How leases are kept; its end is the closing time.
    phase : callable
        As for `flows.factory.shift.Shift`.
    """
    found = reconcile(services)
    left_s = (closing - datetime.now(closing.tzinfo)).total_seconds()
    kept = limits or Limits()
    shift = Shift(
        services,
        Limits(time.monotonic() + left_s, None, kept.lease_s, kept.max_attempts),
        device=device,
        more=(admission := Admission(services, closing)),
        phase=phase,
    )
    tally = shift.run()
    return Night(admission.admitted, tally, found)


def _title(services: Services, production: Production) -> str:
    with Session(services.engine) as session:
        return session.get_one(Production, production.id).manuscript.title
