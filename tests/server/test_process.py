"""The server as users start it: a process, its address, TLS, and its worker."""

import ctypes
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from orchestrator.app.opening import ServerOptions
from orchestrator.domain.errors import OrchestratorError
from orchestrator.processes import command_line, family
from orchestrator.web.own_worker import OwnWorker
from orchestrator.web.serving import HEAPS, THREADS, bound_socket, check_options

HEAPS_OF_THREADS = """
import ctypes, sys, threading
from pathlib import Path
from orchestrator.web.serving import limit_heaps

most, file = int(sys.argv[1]), Path(sys.argv[2])
assert not most or limit_heaps(most)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
everyone = threading.Barrier(40)

def work():
    everyone.wait()
    libc.malloc(ctypes.c_size_t(1000))
    everyone.wait()

threads = [threading.Thread(target=work) for _ in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stream = ctypes.c_void_p(libc.fopen(bytes(file), b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
print(file.read_text().count("<heap "))
"""
"""A process of 40 threads that allocate at the same time: it prints how many heaps its C library has made."""
PROJECT = "apiVersion: orchestrator/v1\nkind: Project\nname: demo\n"
ENVIRONMENT = "apiVersion: orchestrator/v1\nkind: Environment\nname: staging\nprogram: null\n"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="a C library without this limit")
def test_threads_of_a_server_share_heaps(tmp_path: Path) -> None:
    """The threads of a process with the limit of a server share so many heaps of the C library; without it they have more."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}

    def heaps(most: int) -> int:
        words = [sys.executable, "-c", HEAPS_OF_THREADS, str(most), str(tmp_path / "heaps.xml")]
        return int(subprocess.run(words, env=environ, capture_output=True, text=True, check=True).stdout)

    assert heaps(HEAPS) == HEAPS
    assert heaps(0) > HEAPS


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(
    folder: Path, *more: str, port: int = 0, rules: str = "", variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """`orchestrator serve` in *folder*, whose project has more *rules*; its port and its process."""
    (folder / "environments" / "staging").mkdir(parents=True, exist_ok=True)
    (folder / "orchestrator.yaml").write_text(PROJECT + rules)
    (folder / "environments" / "staging" / "environment.yaml").write_text(ENVIRONMENT)
    port = port or free_port()
    words = [sys.executable, "-m", "orchestrator", "serve", "--port", str(port), *more]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1", **variables}
    with subprocess.Popen(
        words, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield port, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def serving_in(
    folder: Path, port: int, environ: Mapping[str, str], *more: str
) -> Iterator[tuple[int, "subprocess.Popen[bytes]", Path]]:
    """`orchestrator serve` in *folder* with the variables *environ*; its port, its process, and what it has printed."""
    words = [sys.executable, "-m", "orchestrator", "serve", "--port", str(port), *more]
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(words, cwd=folder, env=dict(environ), stdout=file, stderr=file)
    try:
        yield port, process, log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def answer(port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
    """The response of the server, once it accepts connections."""
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method, path, body or None, {name.replace("_", "-"): v for name, v in headers.items()})
            found = connection.getresponse()
            return found.status, {name.lower(): value for name, value in found.getheaders()}, found.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        finally:
            connection.close()


def test_the_first_start_leads_to_an_administrator(tmp_path: Path) -> None:
    """`serve` prints a one-time link; with it a browser creates the administrator, and reads live events; Ctrl-C ends it with 0."""
    with served(tmp_path, "--no-worker") as (port, process):
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/link/\S+)", line)
        assert found, line
        form = urllib.parse.urlencode({"name": "root", "password": "correct horse battery"})
        kind = {"content_type": "application/x-www-form-urlencoded", "origin": f"http://127.0.0.1:{port}"}
        status, headers, _ = answer(port, "POST", found[2], form, **kind)
        assert (status, headers["location"]) == (303, "/")
        cookie = headers["set-cookie"].split(";")[0]
        status, headers, page = answer(port, "GET", "/", cookie=cookie, accept="text/html")
        assert (status, "staging is open" in page, headers["x-frame-options"]) == (200, True, "DENY")
        assert answer(port, "POST", found[2], form, **kind)[0] == 403
        assert json.loads(answer(port, "GET", "/readyz")[2]) == {"store": True, "worker": False}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/api/v1/events", headers={"cookie": cookie, "last-event-id": "0.0"})
        events = connection.getresponse()
        assert (events.status, events.getheader("content-type", "").split(";")[0]) == (200, "text/event-stream")
        assert events.readline() == b"retry: 1000\n"
        connection.close()
        second = subprocess.run(
            [sys.executable, "-m", "orchestrator", "serve", "--port", str(port), "--no-worker"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (second.returncode, "N104" in second.stderr) == (8, True), second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_worker_of_a_server_needs_no_user_of_the_project(tmp_path: Path) -> None:
    """The worker of `serve` runs although the user of this machine has no role, and `worker` by that user is refused."""
    program = [sys.executable, "-m", "orchestrator"]
    with served(tmp_path, "--no-worker"):
        for words in (
            ("people", "add", "ann", "--local", "somebody"),
            ("access", "grant", "administrator", "user:ann"),
        ):
            subprocess.run([*program, *words], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    refused = subprocess.run([*program, "worker", "--once"], cwd=tmp_path, check=False, capture_output=True, timeout=60)
    assert b"A101" in refused.stderr
    with served(tmp_path) as (port, process):
        deadline = time.monotonic() + 60
        while not json.loads(answer(port, "GET", "/readyz")[2])["worker"]:
            assert time.monotonic() < deadline, "no worker is running"
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_many_requests_at_once_take_a_limited_number_of_threads(tmp_path: Path) -> None:
    """200 requests at the same time are all served, by at most 20 threads: the memory of a server does not grow with its clients."""
    request = b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with served(tmp_path, "--no-worker") as (port, process):
        assert answer(port, "GET", "/sign-in")[0] == 200

        def threads() -> int:
            return len(list(Path(f"/proc/{process.pid}/task").iterdir()))

        before, most, clients = threads(), 0, [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        for client in clients:
            client.sendall(request)
        for client in clients:
            with client, client.makefile("rb") as response:
                assert response.readline().startswith(b"HTTP/1.1 200")
                most = max(most, threads())
                response.read()
    assert before < most <= before + THREADS, (before, most)


def test_the_worker_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    """After `kill -9` of `serve` its worker ends by itself, and the next server has one of its own."""

    def worker_of(port: int, process: "subprocess.Popen[str]") -> int:
        deadline = time.monotonic() + 60
        while not json.loads(answer(port, "GET", "/readyz")[2])["worker"]:
            assert time.monotonic() < deadline, "no worker is running"
            time.sleep(0.2)
        [found] = [each for each in family([process.pid])[1:] if " worker " in f"{command_line(each)} "]
        return found

    with served(tmp_path) as (port, process):
        first = worker_of(port, process)
        process.kill()
        process.wait(30)
        deadline = time.monotonic() + 30
        while command_line(first):
            assert time.monotonic() < deadline, "the worker has outlived its server"
            time.sleep(0.1)
    with served(tmp_path) as (port, process):
        assert worker_of(port, process) != first


def test_other_machines_need_tls(tmp_path: Path) -> None:
    """An address of other machines needs a certificate that fits its key, or a proxy; a port in use is named."""
    with pytest.raises(OrchestratorError, match="N103"):
        check_options(ServerOptions("0.0.0.0", 1))
    check_options(ServerOptions("0.0.0.0", 1, behind_proxy=True))
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for key in (wrong, None):
        with pytest.raises(OrchestratorError, match="N105"):
            check_options(ServerOptions("0.0.0.0", 1, wrong, key))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OrchestratorError, match="N104"):
            bound_socket(ServerOptions("127.0.0.1", taken.getsockname()[1]))
    assert ssl.HAS_TLSv1_3


def test_a_worker_that_ends_is_started_again(tmp_path: Path) -> None:
    """The worker of a server is a process of its own; after its end another one starts, and a stop ends it for good."""
    script = "import os, time, pathlib; pathlib.Path(f'pid-{os.getpid()}').touch(); time.sleep(60)"
    worker = OwnWorker(tmp_path, (sys.executable, "-c", script))
    worker.start()
    found = _waited(tmp_path, 1)
    os.kill(int(found[0]), signal.SIGKILL)
    found = _waited(tmp_path, 2)
    worker.stop()
    assert worker.process is None
    for process in found:
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


def _waited(folder: Path, count: int) -> list[str]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [path.name.removeprefix("pid-") for path in folder.glob("pid-*")]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{count} workers have not started")
