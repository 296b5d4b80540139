"""Packages that are built on one machine and uploaded to a server, with interruptions of both processes."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from orchestrator.adapters.server_connection import HttpConnection
from orchestrator.app import access, people, tokens
from orchestrator.app.uploads import RemoveUploads
from orchestrator.cli import main
from orchestrator.domain.access.principals import Actor, Binding, Method, User
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.domain.server_profiles import ServerProfile
from orchestrator.domain.uploads import LARGEST_PACKAGE, UPLOAD_KEPT_FOR, UploadPart, parse_content_range
from orchestrator.management.remote_uploads import PART_BYTES
from orchestrator.wiring import App, open_app
from tests.cli.test_packages import FILES, RELEASE
from tests.server.test_process import answer, free_port

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ENVIRONMENT = "apiVersion: orchestrator/v1\nkind: Environment\nname: staging\nprogram: null\n"
ROOT = Actor(name="root", method=Method.TOKEN)
BLOB = "provision/roles/web/files/blob"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A project with a release of several parts, the digest of its package, and the sealed file."""
    root = tmp_path_factory.mktemp("source")
    write(root, {**FILES, "releases/shop/release.yaml": RELEASE.format(version="1.0.0", timeout="30m")})
    (root / BLOB).parent.mkdir(parents=True)
    (root / BLOB).write_bytes(random.Random(1).randbytes(4 * PART_BYTES))
    assert main(["-C", str(root), "build", "shop"]) == 0
    app = open_app(root)
    [ref] = app.packages.refs()
    return root, ref.digest, root / "dist" / "shop-1.0.0.release"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """The project of a server, which has nothing yet."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    write(tmp_path / "there", {"orchestrator.yaml": FILES["orchestrator.yaml"]})
    write(tmp_path / "there", {"environments/staging/environment.yaml": ENVIRONMENT})
    return open_app(tmp_path / "there")


def upload(app: App, file: Path, digest: str, start: int = 0) -> object:
    """Upload *file* from the byte *start* on."""
    data, done = file.read_bytes(), None
    for place in range(start, len(data), PART_BYTES):
        part = data[place : place + PART_BYTES]
        done = app.uploading.upload_part(app.actor, digest, UploadPart(place, place + len(part), len(data)), part)
    return done


def refused(app: App, file: Path, digest: str, start: int = 0) -> str:
    with pytest.raises(OrchestratorError) as found:
        upload(app, file, digest, start)
    return found.value.code


def test_an_upload_survives_a_store_that_is_away(
    there: App, sealed: tuple[Path, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the store of packages is away at the last part, nothing that has arrived is lost: the part can be repeated."""
    monkeypatch.setenv("ORCHESTRATOR_ARTIFACTS", str(tmp_path / "store"))
    _, digest, file = sealed
    app = open_app(there.root)
    assert refused(app, file, digest) == "S143"
    (tmp_path / "store").mkdir()
    size = file.stat().st_size
    assert app.uploading.upload_offset(app.actor, digest) == (size, False)
    upload(app, file, digest, (size - 1) // PART_BYTES * PART_BYTES)
    assert app.uploading.upload_offset(app.actor, digest) == (0, True)


def test_an_upload_continues_where_it_ended(there: App, sealed: tuple[Path, str, Path]) -> None:
    """Parts follow each other: another place is refused, a repeated part is not, and the whole package is kept with its builder."""
    _, digest, file = sealed
    data = file.read_bytes()
    first = UploadPart(0, PART_BYTES, len(data))
    for _ in range(2):
        assert there.uploading.upload_part(there.actor, digest, first, data[:PART_BYTES]) is None
        assert there.uploading.upload_offset(there.actor, digest) == (PART_BYTES, False)
    assert refused(there, file, digest, 2 * PART_BYTES) == "N141"
    assert upload(there, file, digest, PART_BYTES) is not None
    assert there.uploading.upload_offset(there.actor, digest) == (0, True)
    assert [ref.digest for ref in there.packages.refs()] == [digest]


def end_together(*ends: Callable[[], object]) -> list[object]:
    """What each of *ends*, which start at the same moment, returns or raises."""
    start = threading.Barrier(len(ends))

    def run(end: Callable[[], object]) -> object:
        start.wait(60)
        try:
            return end()
        except OrchestratorError as error:
            return error.code

    with ThreadPoolExecutor(len(ends)) as pool:
        return list(pool.map(run, ends))


def test_clients_that_end_one_upload_get_the_same_package(there: App, sealed: tuple[Path, str, Path]) -> None:
    """Of four clients that send the last part at once each gets the package, which is kept once, and no file of the upload stays."""
    _, digest, file = sealed
    data = file.read_bytes()
    last = (len(data) - 1) // PART_BYTES * PART_BYTES
    part = UploadPart(last, len(data), len(data))
    for place in range(0, last, PART_BYTES):
        piece = data[place : place + PART_BYTES]
        there.uploading.upload_part(there.actor, digest, UploadPart(place, place + len(piece), len(data)), piece)
    others = [open_app(there.root) for _ in range(4)]
    made = end_together(*(partial(app.uploading.upload_part, app.actor, digest, part, data[last:]) for app in others))
    assert [getattr(each, "digest", each) for each in made] == [digest] * 4
    assert [ref.digest for ref in there.packages.refs()] == [digest]
    assert list((there.state / "uploads").iterdir()) == []
    later = there.uploading.upload_part(there.actor, digest, part, data[last:])  # the first response was lost
    assert later is not None
    assert later.digest == digest
    assert list((there.state / "uploads").iterdir()) == []


def test_clients_that_end_a_wrong_upload_are_both_refused(there: App, sealed: tuple[Path, str, Path]) -> None:
    """Of two clients that end an upload with another content, each is refused, by its content or its offset, and nothing stays."""
    _, digest, file = sealed
    data = file.read_bytes()[:1000]
    first, last = UploadPart(0, 500, 1000), UploadPart(500, 1000, 1000)
    there.uploading.upload_part(there.actor, digest, first, data[:500])
    others = [open_app(there.root) for _ in range(2)]
    made = end_together(*(partial(app.uploading.upload_part, app.actor, digest, last, data[500:]) for app in others))
    assert sorted(str(each)[0] for each in made) in (["N", "P"], ["P", "P"])
    assert (there.packages.refs(), list((there.state / "uploads").iterdir())) == ([], [])


def test_a_wrong_upload_is_removed(there: App, sealed: tuple[Path, str, Path], tmp_path: Path) -> None:
    """Content with another digest, damaged content, and a second content of a version are refused, and nothing of them is kept."""
    _, digest, file = sealed
    other = f"sha256:{'0' * 64}"
    assert refused(there, file, other) == "N143"
    damaged = tmp_path / "damaged.release"
    damaged.write_bytes(file.read_bytes()[:-PART_BYTES] + b"x" * PART_BYTES)
    assert refused(there, damaged, digest).startswith("P")
    assert (there.packages.refs(), list((there.state / "uploads").iterdir())) == ([], [])
    upload(there, file, digest)
    source = tmp_path / "source"
    write(source, {**FILES, "releases/shop/release.yaml": RELEASE.format(version="1.0.0", timeout="31m")})
    assert main(["-C", str(source), "build", "shop"]) == 0
    [second] = open_app(source).packages.refs()
    assert refused(there, source / "dist" / "shop-1.0.0.release", second.digest) == "N144"
    assert [ref.digest for ref in there.packages.refs()] == [digest]


def test_an_unfinished_upload_is_removed_after_a_day(there: App, sealed: tuple[Path, str, Path]) -> None:
    """The scheduler removes an upload whose last part is 24 hours old, and no younger one."""
    _, digest, file = sealed
    data = file.read_bytes()
    there.uploads.append(digest, UploadPart(0, 1000, len(data)), data[:1000], NOON)
    duty = RemoveUploads(there.uploads)
    assert any(isinstance(each, RemoveUploads) for each in there.duties(lambda _plan: ""))
    assert list(duty.do(there.acting, Now.at((NOON + UPLOAD_KEPT_FOR).isoformat()))) == []
    later = NOON + UPLOAD_KEPT_FOR + timedelta(seconds=1)
    assert list(duty.do(there.acting, Now.at(later.isoformat()))) == ["1 unfinished uploads removed"]
    assert there.uploads.offset(digest) == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "N110"),
        ("bytes 0-9", "N110"),
        ("bytes 5-4/10", "N110"),
        ("bytes 0-9/5", "N110"),
        ("bytes 0-8/20", "N110"),
        (f"bytes 0-9/{LARGEST_PACKAGE + 1}", "N142"),
    ],
)
def test_a_wrong_range_is_refused(text: str, code: str) -> None:
    """A Content-Range that cannot be read, does not fit the body, or is of a package that is too large is refused."""
    with pytest.raises(OrchestratorError) as found:
        parse_content_range(text, 10)
    assert found.value.code == code


@contextmanager
def server(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """`orchestrator serve` in *folder* at *port*, once it accepts connections."""
    words = [sys.executable, "-m", "orchestrator", "serve", "--port", str(port), "--no-worker"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            assert answer(port, "GET", "/healthz")[0] == 200
            yield process
        finally:
            process.kill()


def interrupt_upload(process: "subprocess.Popen[bytes]", client: ServerProfile, path: str, data: bytes) -> None:
    """Send two parts of *data* to *path*. The client is killed afterwards, and then the server, which is *process*."""
    killed = os.fork()
    if killed == 0:
        connection = HttpConnection(client)
        for start in (0, PART_BYTES):
            part = data[start : start + PART_BYTES]
            connection.put(path, part, f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(killed, 0)
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def places_sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places of the parts that this process sends from now on."""
    sent: list[str] = []
    before = HttpConnection.put

    def put(self: HttpConnection, where: str, part: bytes, place: str) -> object:
        sent.append(place)
        return before(self, where, part, place)

    monkeypatch.setattr(HttpConnection, "put", put)
    return sent


def test_an_upload_continues_after_either_process_was_killed(
    there: App, sealed: tuple[Path, str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `kill -9` of a client and of the server during an upload, `build` sends only the parts that are missing."""
    root, digest, file = sealed
    people.add_user(there.acting, User(name="root"))
    access.grant(there.acting, Binding(role="administrator", to="user:root"))
    people.add_user(there.acting_as(ROOT), User(name="ann"))
    access.grant(there.acting_as(ROOT), Binding(role="release-manager", to="user:ann"))
    token = tokens.create_token(there.acting_as(ROOT), "ann", lifetime=timedelta(hours=1)).text
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = f"/api/v1/packages/{digest}"
    data = file.read_bytes()
    with server(there.root, port) as process:
        interrupt_upload(process, ServerProfile(name="x", url=url, token=token), path, data)
    sent = places_sent(monkeypatch)
    monkeypatch.chdir(root)
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", token)
    with server(there.root, port):
        capsys.readouterr()
        started = time.monotonic()
        assert main(["--server", url, "build", "shop"]) == 0, time.monotonic() - started
        assert digest in capsys.readouterr().out
        assert sent[0].startswith(f"bytes {2 * PART_BYTES}-"), sent
        count = len(sent)
        assert main(["--server", url, "build", "shop"]) == 0
        assert len(sent) == count
        assert main(["--server", url, "package", "list"]) == 0
        assert digest.removeprefix("sha256:")[:12] in capsys.readouterr().out
