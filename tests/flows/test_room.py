"""A disk that fills up: work is no longer taken, what was stored stays whole, and it is said what to do."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.operate.room import shortage
from flows.settings import Settings
from storage.errors import StoreFull
from storage.objects import UNFINISHED, FolderStore


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 8 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)])
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted in this container")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_store_that_fills_up_stops_work_and_loses_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home", store=str(small_disk / "objects"), room_mb=3)
    store = FolderStore(small_disk / "objects")
    assert shortage(settings) is None
    kept = {}
    with pytest.raises(StoreFull, match="free some space"):
        for number in range(20):
            stored = store.put(f"takes/{number}", os.urandom(1_000_000))
            kept[stored.key] = stored.digest
            found = shortage(settings)
            assert (found is None) == (number < 5), f"after {number + 1} MB: {found}"
    assert found is not None
    assert found.folder == small_disk / "objects"
    assert "LECTERN_ROOM_MB" in str(found)
    assert 5 < len(kept) < 9
    assert {one.key for one in store.list()} == set(kept), "a half-written object remained"
    assert list((small_disk / "objects" / UNFINISHED).iterdir()) == []
    for key, digest in kept.items():
        store.get(key, digest=digest)
    for key in list(kept)[:4]:
        store.delete(key)
    assert shortage(settings) is None
    store.put("takes/again", os.urandom(1_000_000))


def test_a_home_that_is_not_there_yet_has_the_room_of_the_disk_it_will_be_on(
    tmp_path: Path,
) -> None:
    home = tmp_path / "not" / "yet"
    assert shortage(Settings(home=home, room_mb=0)) is None
    found = shortage(Settings(home=home, room_mb=10**9))
    assert found is not None
    assert found.folder == tmp_path
