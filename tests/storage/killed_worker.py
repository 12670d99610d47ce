"""A worker process that is killed (−9) at a named moment, told by `phase:n`: the n-th time it gets there.

`statement` is a moment inside a transaction: its statement is done, nothing is committed.

Arguments: database address, store folder, worker's name, and the moment or `never`. It works until nothing is
left of its production (or it is killed), and prints what it finished.
"""

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from scenarios import judge, master, read, render, reread
from sqlalchemy.event import listen

from storage.database import connect
from storage.objects import FolderStore
from storage.queue import Queue
from storage.states import Stage

LEASE_S = 1.0
PAUSE_S = 0.05
"""How long making something takes, so that kills from outside find work in progress."""


class Moment:
    """Counts how often a phase is reached, and dies where it was told to."""

    def __init__(self, moment: str) -> None:
        self.phase, _, number = moment.partition(":")
        self.number = int(number or 0)
        self.seen: Counter[str] = Counter()

    def reached(self, phase: str) -> None:
        self.seen[phase] += 1
        print(phase, flush=True)
        if phase == self.phase and self.seen[phase] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, folder: str, name: str, moment: str) -> None:
    engine, store, at = connect(url), FolderStore(Path(folder)), Moment(moment)
    listen(engine, "after_cursor_execute", lambda *_: at.reached("statement"))
    queue = Queue(engine, name, lease_s=LEASE_S, max_attempts=100)
    stages = {
        Stage.READING: (queue.lease_reading, lambda w: read(store, w), queue.commit_readings),
        Stage.REREADING: (
            queue.lease_rereading,
            lambda w: reread(store, w),
            queue.complete_rereadings,
        ),
        Stage.RENDERING: (
            lambda: queue.lease_rendering(2),
            lambda w: render(store, w),
            queue.complete_renderings,
        ),
        Stage.JUDGING: (lambda: queue.lease_judging(2), judge, queue.complete_judgements),
        Stage.MASTERING: (
            queue.lease_mastering,
            lambda w: master(engine, store, w),
            queue.complete_masterings,
        ),
    }
    while queue.depth():
        queue.reclaim()
        idle = True
        for stage, (lease, make, complete) in stages.items():
            leases = lease()
            if not leases:
                continue
            idle = False
            at.reached(f"{stage}-leased")
            made = [make(one) for one in leases]
            time.sleep(PAUSE_S)
            at.reached(f"{stage}-stored")
            complete(made)
            at.reached(f"{stage}-committed")
            if stage is Stage.READING:  # leave the cursor to whoever comes, half the time
                queue.release(leases)
        if idle:
            time.sleep(0.05)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
