"""Local copies of audio, verified by digest: what is heard is what is approved, by ranges if asked.

Copies are files of one folder named by digest, made once and dropped when the folder grows too large, the
longest unused first. Peaks for drawing waveforms are kept beside them.
"""

import json
import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import soundfile

from storage.objects import ObjectStore, fetch

PEAKS_PER_S = 20
"""Peaks a second of a waveform: a pixel each at the usual zoom."""

_BLOCK_S = 60
_LEVEL_DBFS = -23.0
"""Mean level to which takes are brought before they are compared, so that loudness decides nothing."""

_PEAK_DBFS = -1.0


class Shelf:
    """A folder of local copies.

    Parameters
    ----------
    store : ObjectStore
        Where the originals are.
    folder : Path
        Where the copies go; made if missing.
    most_bytes : int
        How large the folder may grow.
    """

    def __init__(self, store: ObjectStore, folder: Path, most_bytes: int) -> None:
        self.store = store
        self.folder = folder
        self.most_bytes = most_bytes
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def audio(self, key: str, digest: str) -> Path:
        """Return the file of an object's bytes; raises ObjectMissing, ObjectCorrupt, StoreUnavailable."""
        path = self.folder / f"{digest}.audio"
        with self._locks[digest]:
            if not path.exists():
                fetch(self.store, key, path, digest=digest)
                self._make_room(path)
            os.utime(path)
        return path

    def levelled(self, key: str, digest: str) -> Path:
        """Return a take as FLAC at the common level, with nothing in it that names the take."""
        path = self.folder / f"{digest}.level.flac"
        source = self.audio(key, digest)
        with self._locks[digest]:
            if not path.exists():
                samples, rate_hz = soundfile.read(source, dtype="float32", always_2d=True)
                mono = samples.mean(axis=1)
                rms = float(np.sqrt(np.mean(mono**2))) if len(mono) else 0.0
                gain = 10 ** (_LEVEL_DBFS / 20) / max(rms, 1e-6)
                peak = float(np.abs(mono).max(initial=0.0))
                gain = min(gain, 10 ** (_PEAK_DBFS / 20) / max(peak, 1e-6))
                fresh = path.with_suffix(f".{os.getpid()}.new")
                soundfile.write(fresh, mono * gain, rate_hz, format="FLAC", subtype="PCM_16")
                fresh.replace(path)
                self._make_room(path)
        return path

    def peaks(self, key: str, digest: str) -> dict[str, Any]:
        """Return the largest absolute sample of each twentieth of a second, 0 to 255."""
        path = self.folder / f"{digest}.peaks.json"
        source = self.audio(key, digest)
        with self._locks[digest]:
            if path.exists():
                found: dict[str, Any] = json.loads(path.read_bytes())
                return found
            made = {"per_second": PEAKS_PER_S, "peaks": _peaks(source)}
            fresh = path.with_suffix(f".{os.getpid()}.new")
            fresh.write_text(json.dumps(made, separators=(",", ":")), "ascii")
            fresh.replace(path)
        return made

    def _make_room(self, keep: Path) -> None:
        """Drop the copies longest unused until the folder is small enough; open ones stay readable."""
        files = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                facts = path.stat()
                files.append((facts.st_mtime, facts.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.most_bytes:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size


def _peaks(path: Path) -> list[int]:
    """Read a file in blocks, so that memory does not grow with the chapter."""
    with soundfile.SoundFile(path) as file:
        rate_hz: int = file.samplerate
        edges_per_block = PEAKS_PER_S * _BLOCK_S
        peaks: list[int] = []
        for block in file.blocks(blocksize=rate_hz * _BLOCK_S, dtype="float32", always_2d=True):
            level = np.abs(block).max(axis=1)
            count = min(edges_per_block, -(-len(level) * PEAKS_PER_S // rate_hz))
            starts = (np.arange(count) * rate_hz) // PEAKS_PER_S
            loudest = np.maximum.reduceat(level, starts[starts < len(level)])
            peaks += [round(255 * min(1.0, float(value))) for value in loudest]
    return peaks
