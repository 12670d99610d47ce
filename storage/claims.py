"""Who starts, stops and holds a service of a home: file locks, which die with the process that has them.

A folder has two lock files: `lock`, taken by whoever starts or stops the service, and `holders`, shared by
all who need it running. A killed process leaves no claim behind, and no pid is ever believed.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import ServerError


class Claims:
    """The claims on one service.

    Parameters
    ----------
    folder : Path
        Where the lock files are; must exist when a claim is made.
    service : str
        The service's name, for errors.
    patience_s : float
        How long to wait for another process that is starting or stopping it, in seconds.
    """

    def __init__(self, folder: Path, service: str, patience_s: float) -> None:
        self.folder, self.service, self.patience_s = folder, service, patience_s

    @contextmanager
    def alone(self, *, insist: bool = True) -> Iterator[None]:
        """Be the only one to start or stop the service.

        Raises
        ------
        ServerError
            Another process had the lock all the time; without `insist` we go ahead all the same.
        """
        with (self.folder / "lock").open("a") as lock:
            deadline = time.monotonic() + self.patience_s
            while not _taken(lock.fileno(), fcntl.LOCK_EX):
                if time.monotonic() > deadline and not insist:
                    break
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"another process has been starting or stopping {self.service} in"
                        f" {self.folder} for {self.patience_s:.0f} s; end it, then try again"
                    )
                time.sleep(0.02)
            yield

    @contextmanager
    def held(self, start: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
        """Call `start` and hold the service; whoever leaves last calls `stop`."""
        with (self.folder / "holders").open("a") as claim:
            with self.alone():
                fcntl.flock(claim, fcntl.LOCK_SH)
                start()
            try:
                yield
            finally:
                with self.alone():
                    if _taken(claim.fileno(), fcntl.LOCK_EX):  # ours alone: nobody else holds it
                        stop()
                    fcntl.flock(claim, fcntl.LOCK_UN)


def _taken(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
