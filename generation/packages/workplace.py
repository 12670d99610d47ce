"""Where a release is made: a hidden directory beside the wanted one, moved into place when it is whole.

Only an earlier release is ever replaced. What a killed run left behind is cleared or undone by the next.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generation.packages.errors import PackagingError
from generation.packages.release import RELEASE_FILE, read_release


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def workplace(out_dir: Path) -> Iterator[Path]:
    """Give a hidden directory beside `out_dir` to work in; put it in place at the end, remove it on error."""
    out_dir = out_dir.resolve()
    if out_dir.is_mount():
        raise PackagingError(
            f"{out_dir} is a mount point, which cannot be replaced as a whole; give a directory inside it"
        )
    work = out_dir.with_name(f".{out_dir.name}.partial")
    previous = out_dir.with_name(f".{out_dir.name}.previous")
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir(exist_ok=True)
        lock = os.open(work, os.O_RDONLY)
    except OSError as error:
        raise PackagingError(
            f"{out_dir} cannot be written ({error}); give a place you may write to"
        ) from error
    try:
        _lock(lock, work, out_dir)
        try:
            _recover(out_dir, previous)
            _refuse_foreign(out_dir)
            _empty(work)
            yield work
            _put_in_place(work, out_dir, previous)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def _lock(lock: int, work: Path, out_dir: Path) -> None:
    """Hold the work directory alone; a killed run's lock is free, its leavings are then cleared."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(lock).st_ino == work.stat().st_ino
    except OSError:
        held = False
    if not held:
        raise PackagingError(
            f"another run is packaging into {out_dir}; wait for it, or give another place"
        )


def _recover(out_dir: Path, previous: Path) -> None:
    """Undo a replacement that was killed between its two renames, or clear what it left."""
    if not previous.exists():
        return
    if out_dir.exists():
        shutil.rmtree(previous)
    else:
        previous.rename(out_dir)


def _refuse_foreign(out_dir: Path) -> None:
    """Let pass what does not exist, is empty, or holds an earlier release and nothing else."""
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise PackagingError(f"{out_dir} is a file; give a directory to write the audiobook to")
    found = {p.relative_to(out_dir).as_posix() for p in out_dir.rglob("*") if not p.is_dir()}
    if not found:
        return
    ours = {RELEASE_FILE}
    if RELEASE_FILE in found:
        ours |= {file.path for file in read_release(out_dir).all_files()}
    foreign = sorted(found - ours) or ([] if RELEASE_FILE in found else sorted(found))
    if foreign:
        raise PackagingError(
            f"{out_dir} holds {', '.join(foreign[:3])}{' and more' if len(foreign) > 3 else ''}, which no "
            "release of Lectern's put there; give an empty or new directory"
        )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _put_in_place(work: Path, out_dir: Path, previous: Path) -> None:
    _refuse_foreign(out_dir)
    try:
        if out_dir.exists():
            out_dir.rename(previous)
        work.rename(out_dir)
    except OSError as error:
        if previous.exists() and not out_dir.exists():
            previous.rename(out_dir)
        raise PackagingError(
            f"the finished audiobook cannot be moved to {out_dir} ({error}); give another directory"
        ) from error
    shutil.rmtree(previous, ignore_errors=True)
