"""The object store's contract, the same for a folder and for a real S3 service, and each one's failures."""

import errno
import io
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
import services

from storage.errors import (
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    ObjectStoreError,
    StoreFull,
    StoreUnavailable,
)
from storage.objects import (
    PART_BYTES,
    UNFINISHED,
    FolderStore,
    ObjectStore,
    fetch,
    open_store,
    put_once,
)


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return an empty store of either kind."""
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    seaweed: services.Seaweed = request.getfixturevalue("seaweed")
    return seaweed.store("contract", prefix=uuid4().hex)


def digest_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def test_what_is_put_is_got(objects: ObjectStore) -> None:
    stored = objects.put("voices/a/prompt", b"hello")
    assert (stored.digest, stored.size_bytes) == (digest_of(b"hello"), 5)
    assert objects.get("voices/a/prompt", digest=stored.digest) == b"hello"
    info = objects.info("voices/a/prompt")
    assert (info.key, info.size_bytes) == ("voices/a/prompt", 5)
    assert abs(time.time() - info.modified_at.timestamp()) < 60


def test_empty_objects_are_objects(objects: ObjectStore) -> None:
    assert objects.put("empty", b"").size_bytes == 0
    assert objects.get("empty") == b""


@pytest.mark.parametrize("size", [PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 17])
def test_files_and_streams_of_any_size(objects: ObjectStore, tmp_path: Path, size: int) -> None:
    data = os.urandom(1 << 16) * (size // (1 << 16) + 1)
    data = data[:size]
    path = tmp_path / "source"
    path.write_bytes(data)
    assert objects.put("from/file", path).digest == digest_of(data)
    assert objects.put("from/stream", Dripping(data)).digest == digest_of(data)
    for key in ("from/file", "from/stream"):
        seen = sha256()
        for piece in objects.stream(key, digest=digest_of(data)):
            seen.update(piece)
        assert seen.hexdigest() == digest_of(data)


class Dripping(io.BytesIO):
    """A stream that gives less than it is asked for, as a pipe does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size, 100_000) if size and size > 0 else size)


def test_a_put_replaces_unless_asked_not_to(objects: ObjectStore) -> None:
    objects.put("k", b"one")
    objects.put("k", b"two")
    assert objects.get("k") == b"two"
    with pytest.raises(ObjectExists):
        objects.put("k", b"three", if_absent=True)
    assert objects.get("k") == b"two"


def test_a_conditional_put_of_many_parts_does_not_overwrite(objects: ObjectStore) -> None:
    big = b"x" * (PART_BYTES + 1)
    objects.put("big", big, if_absent=True)
    with pytest.raises(ObjectExists):
        objects.put("big", b"y" * (PART_BYTES + 1), if_absent=True)
    assert objects.get("big") == big


@pytest.mark.parametrize("size", [10, PART_BYTES + 10])
def test_of_many_conditional_puts_at_once_one_wins(objects: ObjectStore, size: int) -> None:
    outcomes: list[bytes | None] = []
    start = threading.Barrier(4)

    def race(mark: bytes) -> None:
        start.wait()
        try:
            objects.put("race", mark * size, if_absent=True)
            outcomes.append(mark)
        except ObjectExists:
            outcomes.append(None)

    threads = [threading.Thread(target=race, args=(bytes([65 + n]),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [mark for mark in outcomes if mark]
    assert objects.get("race") == winner * size


def test_put_once_accepts_the_same_bytes_only(objects: ObjectStore) -> None:
    first = put_once(objects, "once", b"same")
    assert put_once(objects, "once", b"same") == first
    with pytest.raises(ObjectExists, match="other bytes"):
        put_once(objects, "once", b"different")


def test_missing_objects_are_said_to_be_missing(objects: ObjectStore) -> None:
    for look in (objects.get, objects.info, lambda key: list(objects.stream(key))):
        with pytest.raises(ObjectMissing, match="not/there"):
            look("not/there")
    objects.delete("not/there")


def test_wrong_bytes_are_noticed_where_asked(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put("k", b"other bytes")
    with pytest.raises(ObjectCorrupt, match="backup"):
        objects.get("k", digest=digest_of(b"these bytes"))
    with pytest.raises(ObjectCorrupt):
        fetch(objects, "k", tmp_path / "copy", digest=digest_of(b"these bytes"))
    assert list(tmp_path.glob("*copy*")) == []
    fetch(objects, "k", tmp_path / "copy", digest=digest_of(b"other bytes"))
    assert (tmp_path / "copy").read_bytes() == b"other bytes"


def test_listing_is_by_prefix(objects: ObjectStore) -> None:
    names = ["a-b/c", "a/b", "a/b-c", "a/b.d/e", "a0", "b/ä", "b/z", "productions/10/x"]
    for name in reversed(names):
        objects.put(name, name.encode())

    def listed(prefix: str) -> list[str]:
        return sorted(found.key for found in objects.list(prefix))

    assert listed("") == sorted(names)
    assert listed("a/b") == ["a/b", "a/b-c", "a/b.d/e"]
    assert listed("productions/1") == ["productions/10/x"]
    assert listed("productions/2") == []


def test_deleted_is_gone(objects: ObjectStore) -> None:
    objects.put("x/y/z", b"1")
    objects.put("x/q", b"2")
    objects.delete("x/y/z")
    with pytest.raises(ObjectMissing):
        objects.get("x/y/z")
    assert [found.key for found in objects.list()] == ["x/q"]
    objects.put("x/y/z", b"3", if_absent=True)


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", "a/", "a\0b", "./a", "a\\b"])
def test_keys_cannot_leave_the_store(objects: ObjectStore, key: str) -> None:
    with pytest.raises(ObjectStoreError, match="cannot be a key"):
        objects.put(key, b"x")


def test_a_source_that_breaks_leaves_nothing(objects: ObjectStore) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            piece = super().read(min(size or 0, 1 << 20))
            if not piece:
                raise OSError(errno.EIO, "the source broke")
            return piece

    with pytest.raises(OSError, match="the source broke"):
        objects.put("half", Breaking(b"x" * (PART_BYTES + 5)))
    assert list(objects.list()) == []
    assert objects.discard_unfinished(0) == 0


def test_addresses_can_be_read_from(objects: ObjectStore) -> None:
    objects.put("report", b"{}")
    address = objects.url("report", expires_s=60)
    if address.startswith("file://"):
        assert Path(address.removeprefix("file://")).read_bytes() == b"{}"
    else:
        assert services.status_of(address) == 200
        assert services.status_of(address.replace("report", "secret")) == 403


# The folder -----------------------------------------------------------------------------------------


def test_a_killed_writer_leaves_no_object(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    script = (
        "import sys; from pathlib import Path; from storage.objects import FolderStore\n"
        "class Slow:\n"
        "    def read(self, size):\n"
        "        print('writing', flush=True); import time; time.sleep(0.05); return b'x' * 1000\n"
        "FolderStore(Path(sys.argv[1])).put('k/v', Slow())"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(3):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert list(store.list()) == []
    assert len(list((tmp_path / UNFINISHED).iterdir())) == 1
    assert store.discard_unfinished(3600) == 0
    assert store.discard_unfinished(0) == 1


def full_store(folder: Path) -> FolderStore:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True)
    return FolderStore(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[FolderStore]:
    """Return a store on a disk of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root; the file size limit is tested anyway")
    folder = tmp_path / "disk"
    store = full_store(folder)
    yield store
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_clearly_and_leaves_nothing(small_disk: FolderStore) -> None:
    small_disk.put("before", b"x" * 100_000)
    with pytest.raises(StoreFull, match=r"free some space") as caught:
        small_disk.put("too/big", b"y" * 300_000)
    assert "too/big" in str(caught.value)
    assert [found.key for found in small_disk.list()] == ["before"]
    assert list((small_disk.root / UNFINISHED).iterdir()) == []
    small_disk.put("after", b"z" * 50_000)


def limited(size: int, work: Callable[[], None]) -> None:
    """Do work under a limit on the size of files."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_file_size_limit_is_said_clearly_and_leaves_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")

    def too_big() -> None:
        with pytest.raises(StoreFull, match="File too large"):
            store.put("too/big", b"y" * 300_000)
        with pytest.raises(StoreFull):
            store.put("too/big", b"y" * 300_000, if_absent=True)

    limited(200_000, too_big)
    assert list(store.list()) == []
    assert list((store.root / UNFINISHED).iterdir()) == []


def test_folders_that_deletes_empty_do_not_stop_puts(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            store.put("deep/er/one", b"1")
            store.delete("deep/er/one")

    churner = threading.Thread(target=churn)
    churner.start()
    try:
        for n in range(60):
            store.put(f"deep/er/two-{n}", b"2", if_absent=True)
            store.delete(f"deep/er/two-{n}")
    finally:
        stop.set()
        churner.join()


def test_stores_open_by_address(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), FolderStore)
    assert isinstance(open_store(tmp_path.as_uri()), FolderStore)
    with pytest.raises(ObjectStoreError, match="no object store"):
        open_store("ftp://somewhere/else")


# S3 -------------------------------------------------------------------------------------------------


def test_an_outage_is_unavailable_and_ends(tmp_path: Path) -> None:
    with services.running_seaweed(tmp_path / "weed") as seaweed:
        store = seaweed.store("outage", attempts=2)
        store.put("k", b"kept")
        seaweed.stop()
        for attempt in (lambda: store.get("k"), lambda: store.put("new", b"x")):
            with pytest.raises(StoreUnavailable, match="does not answer") as caught:
                attempt()
            assert seaweed.secret_key not in str(caught.value)
        seaweed.start()
        assert store.get("k") == b"kept"
        store.put("new", b"x", if_absent=True)


def test_wrong_credentials_are_said_without_showing_them(seaweed: services.Seaweed) -> None:
    seaweed.store("private").put("k", b"x")
    from storage.objects import S3Store

    stranger = S3Store(
        "private",
        endpoint=seaweed.endpoint,
        access_key="somebody",
        secret_key="wrong-secret-key",
    )
    with pytest.raises(ObjectStoreError, match="credentials") as caught:
        stranger.get("k")
    assert "wrong-secret-key" not in str(caught.value)


def test_a_missing_bucket_is_said(seaweed: services.Seaweed) -> None:
    store = seaweed.store("present")
    store.bucket = "absent-bucket"
    with pytest.raises(ObjectStoreError, match=r"absent-bucket|no object"):
        store.get("k")


def test_abandoned_uploads_are_discarded(seaweed: services.Seaweed) -> None:
    store = seaweed.store("uploads", prefix="p")
    store._client.create_multipart_upload(Bucket="uploads", Key="p/half")
    assert store.discard_unfinished(3600) == 0
    assert store.discard_unfinished(0) == 1
    assert store.discard_unfinished(0) == 0


def test_a_copy_has_the_same_bytes_and_its_own_headers(
    store: FolderStore, seaweed: services.Seaweed
) -> None:
    """Content type and cache header are served by S3; a folder only keeps the bytes."""
    remote = seaweed.store("copies")
    for one in (store, remote):
        one.put("a/first.mp3", b"sound", content_type="audio/mpeg", cache_control="no-cache")
        for _ in range(2):
            one.copy("a/first.mp3", "b/second", content_type="audio/x", cache_control="immutable")
        assert one.get("b/second") == b"sound"
        one.delete("a/first.mp3")
        assert one.get("b/second") == b"sound"
        with pytest.raises(ObjectMissing):
            one.copy("a/first.mp3", "c")
        assert [found.key for found in one.list("c")] == []
    with urllib.request.urlopen(remote.url("b/second"), timeout=10) as answer:
        assert answer.headers["Content-Type"] == "audio/x"
        assert answer.headers["Cache-Control"] == "immutable"
