"""The object store in a bucket of any S3 service, through boto3."""

import base64
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import (
    ObjectExists,
    ObjectMissing,
    ObjectStoreError,
    StoreFull,
    StoreUnavailable,
)
from storage.objects.interface import (
    CHUNK_BYTES,
    ObjectInfo,
    Source,
    Stored,
    checked_key,
    missing,
    opened,
    verified,
)

PART_BYTES = 8 << 20
"""Size of a multipart upload's parts (S3 demands 5 MiB or more); smaller objects go in one request."""

Parts = list[dict[str, Any]]


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
        with opened(source) as file, self._errors(key):
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
                yield from verified(key, body.iter_chunks(CHUNK_BYTES), digest)

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
        return self.prefix + checked_key(key)

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
            return missing(key)
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


def _read_fully(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end (a pipe may give less at a time)."""
    pieces, left = [], size
    while left and (piece := file.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
