"""Waiting out what passes by itself: a database that restarts, a store that refuses, a full disk."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

from storage.errors import ServerError, StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

PASSING = (OperationalError, InterfaceError, ServerError, StoreUnavailable, StoreFull)
"""Errors of which the same call may be free in a while."""

LONGEST_S = 15 * 60.0
"""How long a worker waits for one call before it gives up."""

_FIRST_S, _MOST_S = 0.2, 15.0

T = TypeVar("T")


def patiently(work: Callable[[], T], *, for_s: float = LONGEST_S) -> T:
    """Do something that may be repeated, again with growing waits while database or store are away.

    Raises
    ------
    OperationalError, InterfaceError, StorageError
        What it failed with at last, after `for_s` seconds.
    """
    until = time.monotonic() + for_s
    for wait_s in _waits():
        try:
            return work()
        except PASSING as error:
            if time.monotonic() + wait_s > until:
                raise
            log.warning("waiting %.1f s: %s", wait_s, _first_line(error))
            time.sleep(wait_s)
    raise AssertionError("unreachable")


def _waits() -> Iterator[float]:
    wait_s = _FIRST_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, _MOST_S)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
