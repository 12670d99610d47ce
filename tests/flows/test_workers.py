"""Workers by name: the dead of this machine are told from the living and from other machines' workers."""

import subprocess
import sys
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.exc import OperationalError

from flows.factory.nightly import closing_time
from flows.factory.patience import patiently
from flows.factory.workers import dead_neighbours, worker_name
from storage.errors import ObjectMissing, StoreUnavailable


def test_only_the_dead_of_this_machine_are_named() -> None:
    code = "from flows.factory.workers import worker_name; print(worker_name())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    dead, mine = done.stdout.strip(), worker_name()
    place, _, started = mine.rpartition("/")
    reborn = f"{place}/{float(started) - 1:.2f}"
    names = [mine, dead, reborn, "elsewhere/1/2/3.00", "a worker of a test"]
    assert dead_neighbours(names) == [dead, reborn]


def test_a_worker_waits_out_what_passes_and_nothing_else() -> None:
    tries = []

    def unavailable_twice() -> str:
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise StoreUnavailable("not now")
        return "done"

    assert patiently(unavailable_twice) == "done"
    assert tries[2] - tries[0] >= 0.5

    def never() -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    with pytest.raises(OperationalError):
        patiently(never, for_s=0.5)

    def missing() -> None:
        raise ObjectMissing("no such object")

    with pytest.raises(ObjectMissing):
        patiently(missing)


def test_a_night_closes_when_the_clock_says_so() -> None:
    zone = ZoneInfo("Europe/Berlin")
    evening = datetime(2026, 3, 1, 21, 0, tzinfo=zone)
    assert closing_time("06:00", evening) == datetime(2026, 3, 2, 6, 0, tzinfo=zone)
    assert closing_time("23:30", evening) == datetime(2026, 3, 1, 23, 30, tzinfo=zone)
