"""The object store: immutable bytes under keys, in a folder or in any S3 service, behind one interface.

Both back ends promise the same: an object is there whole or not at all, a conditional put never overwrites,
and what went wrong is one of the errors of `storage.errors`. A key must not be a folder of another (`a` and
`a/b`): not every back end can hold both.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.errors import ObjectStoreError
from storage.objects.folder import FolderStore
from storage.objects.interface import (
    UNFINISHED,
    ObjectInfo,
    ObjectStore,
    Source,
    Stored,
    fetch,
    put_once,
)
from storage.objects.s3 import PART_BYTES, S3Store

__all__ = [
    "PART_BYTES",
    "UNFINISHED",
    "FolderStore",
    "ObjectInfo",
    "ObjectStore",
    "S3Store",
    "Source",
    "Stored",
    "fetch",
    "open_store",
    "put_once",
]


def open_store(address: str, *, endpoint: str | None = None) -> ObjectStore:
    """Open the store at an address.

    Parameters
    ----------
    address : str
        A folder's path, `file:///folder`, or `s3://bucket/prefix`. S3 credentials come from where boto3 finds
        them (environment, profile, role).
    endpoint : str, optional
        Address of an S3 service other than Amazon's.
    """
    parts = urlsplit(address)
    if parts.scheme == "s3":
        return S3Store(parts.netloc, prefix=parts.path.strip("/"), endpoint=endpoint)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme:
        raise ObjectStoreError(f"'{address}' is no object store: give a folder or s3://bucket")
    return FolderStore(Path(address))
