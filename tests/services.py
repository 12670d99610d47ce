"""Real services for the tests: PostgreSQL from its wheel, and SeaweedFS as the S3 service.

Use them as context managers in a session fixture; each has its own folder and its own free ports, waits until
it is ready, and leaves nothing behind.
"""

import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.measure.seaweed import Seaweed, running_seaweed, weed
from storage.postgres import Cluster

__all__ = ["Seaweed", "running_postgres", "running_seaweed", "status_of", "weed"]


@contextmanager
def running_postgres(home: Path | None = None) -> Iterator[Cluster]:
    """Run an embedded cluster in `home`, or in a folder of its own; stopped and removed afterwards."""
    with ExitStack() as stack:
        folder = home or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="lectern-pg-"))
        )
        cluster = Cluster(folder)
        stack.callback(cluster.destroy)
        cluster.start()
        yield cluster


def status_of(address: str) -> int:
    """Return the HTTP status of a GET, whatever it is."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
