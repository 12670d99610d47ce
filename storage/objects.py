"""The object store: immutable bytes under keys, in a folder or in any S3 service, behind one interface.

Both back ends promise the same: an object is there whole or not at all, a conditional put never overwrites,
and what went wrong is one of the errors of `storage.errors`. A key must not be a folder of another (`a` and
`a/b`): not every back end can hold both.
"""

import base64
import errno
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import (
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    ObjectStoreError,
    StoreFull,
    StoreUnavailable,
)

CHUNK_BYTES = 1 << 20
"""How much is read at once when streaming."""

PART_BYTES = 8 << 20
"""Size of a multipart upload's parts (S3 demands 5 MiB or more); smaller objects go in one request."""

UNFINISHED = ".unfinished"
"""Folder of a `FolderStore` where objects are written before they get their names."""

Source = bytes | Path | BinaryIO
Parts = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as just stored: the SHA-256 of its bytes and how many they are."""

    key: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as found."""

    key: str
    size_bytes: int
    modified_at: datetime


class ObjectStore(Protocol):
    """What both back ends do. `digest` arguments and results are SHA-256 in lower-case hexadecimal."""

    def put(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        content_type: str = "",
        cache_control: str = "",
    ) -> Stored:
        """Store bytes, a file or a stream under `key`, durably and all or nothing.

        `content_type` and `cache_control` are what S3 serves the object with; a folder serves nothing.

        Raises
        ------
        ObjectExists
            Where `if_absent` and there is an object already. (Over a network this may be our own, stored by
            a request whose answer was lost: use `put_once` for bytes that are known.)
        StoreFull, StoreUnavailable
            Nothing was stored.
        """

    def copy(
        self, source_key: str, key: str, *, content_type: str = "", cache_control: str = ""
    ) -> None:
        """Store an object under another key too, inside the store, over whatever is there.

        Raises
        ------
        ObjectMissing, StoreFull, StoreUnavailable
        """

    def get(self, key: str, *, digest: str | None = None) -> bytes:
        """Return an object's bytes, verified against `digest` where given.

        Raises
        ------
        ObjectMissing, ObjectCorrupt, StoreUnavailable
        """

    def stream(self, key: str, *, digest: str | None = None) -> Iterator[bytes]:
        """Yield an object's bytes in pieces; a wrong `digest` is raised after the last one."""

    def info(self, key: str) -> ObjectInfo:
        """Return size and time of an object; raises ObjectMissing."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield all objects whose key begins with `prefix`, in no promised order (services differ)."""

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error."""

    def url(self, key: str, *, expires_s: int = 3600) -> str:
        """Return an address to read the object from: presigned by S3, `file://` in a folder."""

    def discard_unfinished(self, older_than_s: float) -> int:
        """Remove what killed writers left half-written, if older than that; returns how many."""


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


def put_once(
    store: ObjectStore,
    key: str,
    source: bytes | Path,
    *,
    content_type: str = "",
    cache_control: str = "",
) -> Stored:
    """Store bytes under a key that belongs to these bytes alone; storing them again is no error.

    Raises
    ------
    ObjectExists
        Where other bytes are under the key.
    """
    try:
        return store.put(
            key, source, if_absent=True, content_type=content_type, cache_control=cache_control
        )
    except ObjectExists:
        digest, size = _digest_of(source)
        try:
            for _ in store.stream(key, digest=digest):
                pass
        except ObjectCorrupt as error:
            raise ObjectExists(f"other bytes are stored under {key} already") from error
        return Stored(key, digest, size)


def fetch(store: ObjectStore, key: str, path: Path, *, digest: str | None = None) -> None:
    """Copy an object into a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file, _full(path, key):
            for piece in store.stream(key, digest=digest):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


class FolderStore:
    """Objects as files of one folder, named by their keys.

    An object is written aside, flushed to disk, and then named: linked where it must not exist yet, renamed
    over where it may. Files and folders are flushed, so an object that was returned survives a power cut.

    Parameters
    ----------
    root : Path
        The folder; made if missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        (self.root / UNFINISHED).mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return where an object's file is."""
        return self.root / _checked(key)

    def put(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        content_type: str = "",
        cache_control: str = "",
    ) -> Stored:
        """See `ObjectStore.put`."""
        path = self.path(key)
        if if_absent and path.exists():
            raise ObjectExists(f"there is an object under {key} already")
        fresh = self.root / UNFINISHED / secrets.token_hex(16)
        try:
            with _full(self.root, key):
                stored = _write(fresh, key, source)
                self._name(fresh, path, if_absent=if_absent)
        finally:
            fresh.unlink(missing_ok=True)
        return stored

    def copy(
        self, source_key: str, key: str, *, content_type: str = "", cache_control: str = ""
    ) -> None:
        """See `ObjectStore.copy`; where the file system can, both names are of one file."""
        source, path = self.path(source_key), self.path(key)
        fresh = self.root / UNFINISHED / secrets.token_hex(16)
        try:
            with _full(self.root, key):
                try:
                    os.link(source, fresh)
                except FileNotFoundError:
                    raise _missing(source_key) from None
                except OSError:
                    _write(fresh, key, source)
                self._name(fresh, path, if_absent=False)
        finally:
            fresh.unlink(missing_ok=True)

    def get(self, key: str, *, digest: str | None = None) -> bytes:
        """See `ObjectStore.get`."""
        return b"".join(self.stream(key, digest=digest))

    def stream(self, key: str, *, digest: str | None = None) -> Iterator[bytes]:
        """See `ObjectStore.stream`."""
        try:
            with self.path(key).open("rb") as file:
                yield from _verified(key, iter(lambda: file.read(CHUNK_BYTES), b""), digest)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise _missing(key) from None

    def info(self, key: str) -> ObjectInfo:
        """See `ObjectStore.info`."""
        path = self.path(key)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(key) from None
        if path.is_dir():
            raise _missing(key)
        return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        for key in self._keys(self.root, "", prefix):
            with suppress(ObjectMissing):  # deleted since
                yield self.info(key)

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`; folders that become empty go with it."""
        path = self.path(key)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        _sync_folder(path.parent)
        for folder in path.parents:
            if folder == self.root:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def url(self, key: str, *, expires_s: int = 3600) -> str:
        """See `ObjectStore.url`; a `file://` address does not expire."""
        self.info(key)
        return self.path(key).as_uri()

    def discard_unfinished(self, older_than_s: float) -> int:
        """See `ObjectStore.discard_unfinished`."""
        discarded = 0
        for path in (self.root / UNFINISHED).iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_s:
                    path.unlink()
                    discarded += 1
        return discarded

    def _name(self, fresh: Path, path: Path, *, if_absent: bool) -> None:
        for attempt in range(5):
            try:
                _make_folders(path.parent, self.root)
                if if_absent:
                    os.link(fresh, path)
                else:
                    fresh.replace(path)
                break
            except FileExistsError:
                raise ObjectExists(f"there is an object under {path} already") from None
            except FileNotFoundError:  # a delete removed the empty folder in between
                if attempt == 4:
                    raise
        _sync_folder(path.parent)

    def _keys(self, folder: Path, above: str, prefix: str) -> Iterator[str]:
        """Yield keys, looking only into folders that can match."""
        try:
            entries = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            key = above + entry.name
            if entry.is_dir():
                inside = f"{key}/"
                if key != UNFINISHED and (inside.startswith(prefix) or prefix.startswith(inside)):
                    yield from self._keys(entry, inside, prefix)
            elif key.startswith(prefix):
                yield key


class S3Store:
    """Objects in a bucket of any S3 service.

    Every upload carries SHA-256 checksums, which the service verifies; conditional puts are
    `If-None-Match: *`; botocore retries requests with backoff. Credentials come from where boto3 finds them.

    Parameters
    ----------
    bucket : str
        The bucket; `ensure_bucket` makes it if missing.
    prefix : str
        Put in front of every key.
    endpoint : str, optional
        Address of a service other than Amazon's; buckets are then addressed by path.
    region : str, optional
        Its region, where the environment does not say.
    access_key, secret_key : str, optional
        Credentials, where the environment does not hold them; never shown in errors.
    attempts : int
        How often a request is made before the store counts as unavailable.
    """

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        attempts: int = 6,
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.endpoint = endpoint
        # A session of its own: boto3 gives all others in the process the credentials it found first.
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            region_name=region or (None if endpoint is None else "us-east-1"),
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=5,
                read_timeout=60,
                signature_version="s3v4",
                s3={"addressing_style": "auto" if endpoint is None else "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def ensure_bucket(self) -> None:
        """Make the bucket if it is missing."""
        with self._errors(self.bucket):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _status(error) != 404:
                    raise
                self._client.create_bucket(Bucket=self.bucket)

    def put(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        content_type: str = "",
        cache_control: str = "",
    ) -> Stored:
        """See `ObjectStore.put`."""
        where = {
            "Bucket": self.bucket,
            "Key": self._full(key),
            **_headers(content_type, cache_control),
        }
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        with _opened(source) as file, self._errors(key):
            first = _read_fully(file, PART_BYTES)
            if len(first) < PART_BYTES:
                digest = sha256(first)
                self._client.put_object(
                    Body=first, ChecksumSHA256=_base64(digest.digest()), **where, **condition
                )
                return Stored(key, digest.hexdigest(), len(first))
            if not if_absent:
                return self._put_parts(key, first, file, where)
            if self._is_there(key):  # spare the upload; the condition decides below
                raise ObjectExists(f"there is an object under {key} already")
            return self._put_whole(key, first, file, where)

    def copy(
        self, source_key: str, key: str, *, content_type: str = "", cache_control: str = ""
    ) -> None:
        """See `ObjectStore.copy`; S3 copies up to 5 GiB in one request."""
        with self._errors(source_key):
            self._client.copy_object(
                Bucket=self.bucket,
                Key=self._full(key),
                CopySource={"Bucket": self.bucket, "Key": self._full(source_key)},
                MetadataDirective="REPLACE",
                ChecksumAlgorithm="SHA256",
                **_headers(content_type, cache_control),
            )

    def get(self, key: str, *, digest: str | None = None) -> bytes:
        """See `ObjectStore.get`."""
        return b"".join(self.stream(key, digest=digest))

    def stream(self, key: str, *, digest: str | None = None) -> Iterator[bytes]:
        """See `ObjectStore.stream`."""
        with self._errors(key):
            found = self._client.get_object(Bucket=self.bucket, Key=self._full(key))
            with closing(found["Body"]) as body:
                yield from _verified(key, body.iter_chunks(CHUNK_BYTES), digest)

    def info(self, key: str) -> ObjectInfo:
        """See `ObjectStore.info`."""
        with self._errors(key):
            found = self._client.head_object(Bucket=self.bucket, Key=self._full(key))
            return ObjectInfo(key, found["ContentLength"], found["LastModified"])

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self.prefix)
                    yield ObjectInfo(key, found["Size"], found["LastModified"])

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        with self._errors(key), suppress(ObjectMissing):
            self._client.delete_object(Bucket=self.bucket, Key=self._full(key))

    def url(self, key: str, *, expires_s: int = 3600) -> str:
        """See `ObjectStore.url`."""
        address: str = self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.bucket, "Key": self._full(key)},
            ExpiresIn=expires_s,
        )
        return address

    def discard_unfinished(self, older_than_s: float) -> int:
        """See `ObjectStore.discard_unfinished`."""
        discarded = 0
        with self._errors(self.prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self.prefix
            )
            for page in pages:
                for upload in page.get("Uploads", ()):
                    age_s = datetime.now(UTC).timestamp() - upload["Initiated"].timestamp()
                    if age_s >= older_than_s:
                        self._client.abort_multipart_upload(
                            Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        discarded += 1
        return discarded

    def _full(self, key: str) -> str:
        return self.prefix + _checked(key)

    def _is_there(self, key: str) -> bool:
        try:
            self.info(key)
        except ObjectMissing:
            return False
        return True

    def _put_whole(self, key: str, first: bytes, file: BinaryIO, where: dict[str, str]) -> Stored:
        """Put in one request, if absent: not every server decides the end of a multipart upload so.

        S3 takes 5 GiB in one request; SeaweedFS 4.48 let two of four multipart uploads win.
        """
        with tempfile.TemporaryFile() as whole:
            digest, size, piece = sha256(), 0, first
            while piece:
                digest.update(piece)
                size += whole.write(piece)
                piece = _read_fully(file, PART_BYTES)
            whole.seek(0)
            self._client.put_object(
                Body=whole,
                ContentLength=size,
                ChecksumSHA256=_base64(digest.digest()),
                IfNoneMatch="*",
                **where,
            )
        return Stored(key, digest.hexdigest(), size)

    def _put_parts(self, key: str, first: bytes, file: BinaryIO, where: dict[str, str]) -> Stored:
        upload = self._client.create_multipart_upload(ChecksumAlgorithm="SHA256", **where)
        name = {
            "Bucket": where["Bucket"],
            "Key": where["Key"],
            "UploadId": upload["UploadId"],
        }
        try:
            digest, size, piece = sha256(), 0, first
            parts: Parts = []
            while piece:
                digest.update(piece)
                size += len(piece)
                checksum = _base64(sha256(piece).digest())
                number = len(parts) + 1
                sent = self._client.upload_part(
                    Body=piece, PartNumber=number, ChecksumSHA256=checksum, **name
                )
                parts.append(
                    {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}
                )
                piece = _read_fully(file, PART_BYTES)
            self._client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **name)
        except BaseException:
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**name)
            raise
        return Stored(key, digest.hexdigest(), size)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn botocore's errors into ours; none of them shows credentials."""
        try:
            yield
        except ClientError as error:
            raise self._translated(key, error) from error
        except BotoCoreError as error:
            raise StoreUnavailable(
                f"the S3 service at {self.endpoint or 'Amazon'} does not answer for"
                f" {self.bucket}/{key}: {type(error).__name__}; try again when it is back"
            ) from error

    def _translated(self, key: str, error: ClientError) -> ObjectStoreError:
        status, code = _status(error), error.response.get("Error", {}).get("Code", "")
        what = f"{self.bucket}/{key}: {code or status}"
        if code == "NoSuchBucket":
            return ObjectStoreError(
                f"there is no bucket {self.bucket}; make it, or correct its name"
            )
        if status == 404:
            return _missing(key)
        if status == 412 or code == "ConditionalRequestConflict":
            return ObjectExists(f"there is an object under {key} already")
        if status == 507 or "StorageFull" in code or code == "QuotaExceeded":
            return StoreFull(f"the S3 service has no space left for {what}; nothing was stored")
        if status >= 500 or code in {"SlowDown", "RequestTimeout", "Throttling"}:
            return StoreUnavailable(f"the S3 service cannot serve {what}; try again later")
        if status in {401, 403}:
            return ObjectStoreError(f"the S3 service denies {what}; check the credentials")
        return ObjectStoreError(f"the S3 service refuses {what}")


def _headers(content_type: str, cache_control: str) -> dict[str, str]:
    wanted = {"ContentType": content_type, "CacheControl": cache_control}
    return {name: value for name, value in wanted.items() if value}


def _checked(key: str) -> str:
    """Return the key if it stays inside the store and can be a file's name."""
    parts = PurePosixPath(key).parts
    sound = "/".join(parts) == key and key and "\0" not in key and "\\" not in key
    if not sound or key.startswith("/") or {"..", UNFINISHED} & set(parts):
        raise ObjectStoreError(
            f"'{key}' cannot be a key: use names joined by '/', none of them '..'"
        )
    return key


def _missing(key: str) -> ObjectMissing:
    return ObjectMissing(f"there is no object under {key}")


def _verified(key: str, pieces: Iterator[bytes], digest: str | None) -> Iterator[bytes]:
    seen = sha256()
    for piece in pieces:
        if digest is not None:
            seen.update(piece)
        yield piece
    if digest is not None and seen.hexdigest() != digest:
        raise ObjectCorrupt(
            f"the object under {key} has digest {seen.hexdigest()}, not {digest}:"
            " restore it from a backup or make it again"
        )


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        yield source


def _read_fully(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end (a pipe may give less at a time)."""
    pieces, left = [], size
    while left and (piece := file.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _digest_of(source: bytes | Path) -> tuple[str, int]:
    digest, size = sha256(), 0
    with _opened(source) as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _write(path: Path, key: str, source: Source) -> Stored:
    digest, size = sha256(), 0
    with _opened(source) as file, path.open("xb") as out:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return Stored(key, digest.hexdigest(), size)


@contextmanager
def _full(root: Path, key: str) -> Iterator[None]:
    """Say clearly that there is no room, whichever way the system says it."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise StoreFull(
            f"no room for {key} under {root} ({os.strerror(error.errno)}): free some space or raise the"
            " limit, then run again; nothing half-written was kept"
        ) from error


def _make_folders(folder: Path, root: Path) -> None:
    """Make a folder and those above it, each flushed into the one that holds it."""
    missing = []
    while folder != root and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        _sync_folder(one.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
