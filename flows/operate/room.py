"""Room on the disk: whether a worker may take more work, said before anything is half done.

A full disk loses nothing (an object is stored whole or not at all, a transaction is committed or not), but
work that cannot be kept is wasted: `shortage` is asked before work is taken, and names what to do.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from flows.settings import Settings
from storage.postgres import Cluster

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Shortage:
    """A disk with too little room; as text it is what to tell the operator."""

    folder: Path
    free_mb: int
    wanted_mb: int

    def __str__(self) -> str:
        return (
            f"only {self.free_mb} MB are free under {self.folder}, and work is taken from"
            f" {self.wanted_mb} MB on (LECTERN_ROOM_MB): free some space; nothing was lost, and work"
            " goes on by itself"
        )


def shortage(settings: Settings) -> Shortage | None:
    """Return the disk with the least room if it is too little; none if work may be taken.

    Looks at the disks of the home, of the embedded database, and of the store where it is a folder; what a
    managed database or S3 has left only they know, and they say so when it runs out (`StoreFull`).
    """
    found = [
        Shortage(folder, shutil.disk_usage(folder).free // MB, settings.room_mb)
        for folder in grown_folders(settings)
    ]
    least = min(found, key=lambda one: one.free_mb)
    return least if least.free_mb < settings.room_mb else None


def grown_folders(settings: Settings) -> set[Path]:
    """Return the folders of this machine that grow by our work, or what is there above them."""
    wanted = [settings.folder]
    if "://" not in settings.store_address:
        wanted.append(Path(settings.store_address))
    if settings.database_url is None:
        place = Cluster(settings.folder).status().place
        wanted += [place] if place is not None else []
    return {next(one for one in (path, *path.parents) if one.exists()) for path in wanted}
