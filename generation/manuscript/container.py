"""The ZIP container of an EPUB or DOCX, opened with suspicion: limits are checked before bytes are used."""

import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from generation.errors import (
    EncryptedManuscript,
    HostileManuscript,
    ManuscriptError,
    UnsupportedManuscript,
)

MiB = 1024 * 1024

MAX_FILE_BYTES = 512 * MiB
"""The largest manuscript file accepted, as it lies on disk."""
MAX_ENTRIES = 20_000
"""The most files in one container; the largest illustrated books stay below 5,000."""
MAX_DIRECTORY_BYTES = 8 * MiB
"""The largest ZIP directory: about 400 bytes for each of `MAX_ENTRIES`."""
MAX_UNPACKED_BYTES = 1024 * MiB
"""The most all files of a container may unpack to."""
MAX_DOCUMENT_BYTES = 32 * MiB
"""The largest single text document, unpacked: five times *War and Peace* with its markup."""
MAX_RATIO = 200
"""How many times its packed size a file may unpack to; prose packs about 3 times, blank SVG below 100."""
RATIO_EXEMPT_BYTES = 1 * MiB
"""Files that unpack to less than this are harmless whatever their ratio."""

_END_RECORD = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_MAX_COMMENT_BYTES = 65_535


class Container:
    """A checked ZIP file whose entries can be read by name.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    HostileManuscript
        For a bomb, doubled names, links, or names that reach outside.
    EncryptedManuscript
        For a ZIP with a password.
    UnsupportedManuscript
        For something that is no ZIP file.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        _check_directory(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, OSError) as error:
            raise UnsupportedManuscript(
                f"{path.name} is damaged: its ZIP directory cannot be read ({error}). "
                "Download or export the book again."
            ) from error
        try:
            self._entries = _checked_entries(self._zip.infolist(), path.name)
        except BaseException:
            self._zip.close()
            raise
        self._folded: dict[str, list[str]] = {}
        for name in self._entries:
            self._folded.setdefault(name.casefold(), []).append(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    @property
    def names(self) -> tuple[str, ...]:
        """All files' names, folders left out."""
        return tuple(self._entries)

    def find(self, name: str) -> str | None:
        """Return the entry called `name`, else the only one that differs in letter case, else None."""
        if name in self._entries:
            return name
        similar = self._folded.get(name.casefold(), [])
        return similar[0] if len(similar) == 1 else None

    def read(self, name: str, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
        """Return one file's bytes.

        Parameters
        ----------
        name
            The entry's exact name.
        limit
            The most bytes it may unpack to.

        Raises
        ------
        HostileManuscript
            Where it unpacks to more.
        ManuscriptError
            Where it is missing or damaged.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ManuscriptError(f"{self.name} lacks the file {name}. Export the book again.")
        try:
            with self._zip.open(entry) as stream:
                data = stream.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise ManuscriptError(
                f"{name} in {self.name} is damaged ({error}). Download or export the book again."
            ) from error
        if len(data) > limit:
            raise HostileManuscript(
                f"{name} in {self.name} unpacks to more than {limit // MiB} MiB, "
                "more than one text of a book. Split the book into chapters' files."
            )
        return data


def check_size(path: Path) -> None:
    """Refuse a file that is larger than `MAX_FILE_BYTES`; raises HostileManuscript."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise HostileManuscript(
            f"{path.name} is {size // MiB} MiB; at most {MAX_FILE_BYTES // MiB} MiB are read. "
            "Make an edition with smaller pictures."
        )


def resolve(base: str, href: str, name: str) -> tuple[str, str]:
    """Resolve a relative link inside a container.

    Parameters
    ----------
    base
        Path of the document that holds the link.
    href
        The link as written, percent-encoded.
    name
        The manuscript's file name, for the error.

    Returns
    -------
    tuple
        Path inside the container ("" for a link out of the book) and fragment.

    Raises
    ------
    HostileManuscript
        For a link that climbs out of the container.
    """
    try:
        parts = urlsplit(href.strip())
    except ValueError:
        return "", ""
    if parts.scheme or parts.netloc:
        return "", ""
    fragment = unquote(parts.fragment)
    if not parts.path:
        return base, fragment
    steps = list(PurePosixPath(base).parent.parts)
    for step in unquote(parts.path).replace("\\", "/").split("/"):
        if step == "..":
            if not steps:
                raise HostileManuscript(
                    f"{base} in {name} links to {href!r}, outside the book. Remove the link."
                )
            steps.pop()
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps), fragment


def _check_directory(path: Path) -> None:
    """Check the directory's claimed size before zipfile loads it into memory (ZIP APPNOTE 4.3.16)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _MAX_COMMENT_BYTES - _END_RECORD.size - _ZIP64_LOCATOR_BYTES))
        tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) < at + _END_RECORD.size:
        raise UnsupportedManuscript(
            f"{path.name} is cut off: it begins like a ZIP file but has no end. "
            "Download or export the book again."
        )
    *_, entries, directory_bytes, _offset, _comment = _END_RECORD.unpack_from(tail, at)
    zip64 = tail[max(0, at - _ZIP64_LOCATOR_BYTES) : at].startswith(_ZIP64_LOCATOR)
    if zip64 or entries > MAX_ENTRIES or directory_bytes > MAX_DIRECTORY_BYTES:
        raise HostileManuscript(
            f"{path.name} holds more files than a book can ({entries} entries; "
            f"at most {MAX_ENTRIES} are read). Remove what is not part of the book."
        )


def _checked_entries(infos: list[zipfile.ZipInfo], name: str) -> dict[str, zipfile.ZipInfo]:
    if len(infos) > MAX_ENTRIES:
        raise HostileManuscript(f"{name} holds {len(infos)} files; at most {MAX_ENTRIES} are read.")
    entries: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in infos:
        _check_entry(info, name)
        total += info.file_size
        if info.filename in entries:
            raise HostileManuscript(
                f"{name} holds {info.filename} twice, so that what is read would depend on the "
                "reader. Export the book again."
            )
        if not info.is_dir():
            entries[info.filename] = info
    if total > MAX_UNPACKED_BYTES:
        raise HostileManuscript(
            f"{name} unpacks to {total // MiB} MiB; at most {MAX_UNPACKED_BYTES // MiB} MiB are "
            "read. Make an edition with smaller pictures."
        )
    return entries


def _check_entry(info: zipfile.ZipInfo, name: str) -> None:
    raw = info.orig_filename.replace("\\", "/")
    if raw.startswith("/") or ".." in raw.split("/") or "\0" in raw or raw[1:2] == ":":
        raise HostileManuscript(
            f"{name} holds a file named {info.orig_filename!r}, which reaches outside the book."
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise HostileManuscript(f"{name} holds a symbolic link, {info.filename}. Remove it.")
    if info.flag_bits & 0x1:
        raise EncryptedManuscript(
            f"{name} is locked with a password ({info.filename}). Submit it without one."
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedManuscript(
            f"{info.filename} in {name} is packed in a way that EPUB and DOCX do not allow "
            f"(method {info.compress_type}). Export the book again."
        )
    if info.file_size > RATIO_EXEMPT_BYTES and info.file_size > MAX_RATIO * max(
        1, info.compress_size
    ):
        raise HostileManuscript(
            f"{info.filename} in {name} unpacks to {info.file_size // MiB} MiB from "
            f"{info.compress_size} bytes: a ZIP bomb."
        )
