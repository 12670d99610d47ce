"""Keeping: what every thread of a shift does with its leases: store under them, complete or give them up."""

import logging
from collections.abc import Sequence
from pathlib import Path

from flows.factory.patience import patiently
from flows.factory.tally import Tally
from flows.factory.workers import Pulse
from generation.errors import LecternError
from storage import keys
from storage.errors import ObjectCorrupt, ObjectMissing
from storage.objects import ObjectStore, Stored, put_once
from storage.queue import ChapterLease, Lease, Queue, Refused

log = logging.getLogger(__name__)

SPOILED = (LecternError, ObjectMissing, ObjectCorrupt)
"""What is wrong with one piece of work and leaves the rest of the shift unharmed."""


class Keeping:
    """A shift's leases and what is stored under them.

    Parameters
    ----------
    store : ObjectStore
        Where products go.
    queue, pulse, tally
        The shift's own.
    """

    def __init__(self, store: ObjectStore, queue: Queue, pulse: Pulse, tally: Tally) -> None:
        self.store, self.queue, self.pulse, self.tally = store, queue, pulse, tally

    def get(self, key: str, digest: str | None) -> bytes:
        """Fetch an object; raises ObjectMissing or ObjectCorrupt."""
        return patiently(lambda: self.store.get(key, digest=digest))

    def put(self, lease: Lease, name: str, data: bytes | Path) -> Stored:
        """Store something made under a lease, once."""
        if isinstance(lease, ChapterLease):
            key = keys.chapter_part(lease.production_id, lease.number, lease.lease, name)
        else:
            place = lease.chapter_number, lease.number, lease.take, lease.lease
            key = keys.window_part(lease.production_id, *place, name)
        return patiently(lambda: put_once(self.store, key, data))

    def done(self, leases: Sequence[Lease], refused: Sequence[Refused]) -> None:
        """Let leases go that were completed; what was refused is thrown away."""
        for one in refused:
            self.tally.add(lost=1)
            log.warning("a result is thrown away: %s", one.reason)
        self.pulse.drop(leases)

    def give_up(self, lease: Lease, trouble: str, *, permanent: bool = False) -> None:
        """Give a lease back because its work cannot be done."""
        log.error("%s", trouble)
        self.tally.troubles.append(trouble)
        patiently(lambda: self.queue.fail(lease, trouble, permanent=permanent))
        self.pulse.drop([lease])
