"""Zip containers that are the same bytes whenever they are made: fixed dates, given order."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

_DATE = (1980, 1, 1, 0, 0, 0)


def write_zip(path: Path, entries: Iterable[tuple[str, bytes | Path]]) -> None:
    """Write a zip; files (`Path`) and an entry `mimetype` are stored as they are, the rest deflated."""
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            if isinstance(content, bytes):
                plain = name == "mimetype"
                entry.compress_type = zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
                continue
            entry.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
