"""What goes wrong with a place for artifacts is told by its kind, and nothing secret with it."""

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.artifacts import s3 as bucket
from orchestrator.adapters.artifacts.places import artifacts
from orchestrator.domain.errors import OrchestratorError, lookup
from tests import s3 as servers


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's own credentials are used."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def told(work: Callable[[], object]) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as error:
        work()
    assert lookup(error.value.code)
    assert error.value.__cause__ is None or isinstance(error.value.__cause__, OSError)
    return error.value


def given(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"content")
    return tmp_path / "file"


def test_no_bucket(s3: servers.Bucketeer, monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path) -> None:
    """A bucket that is not there is named, whatever is tried with it, and is not made."""
    given(monkeypatch, s3.env())
    place = artifacts("s3://not-there/prefix", tmp_path)
    works = (place.check, lambda: place.put(file), lambda: place.names(""), lambda: place.named("a"))
    assert {told(work).code for work in works} == {"S143"}
    assert "not-there" in told(place.check).message


@pytest.mark.parametrize(
    ("who", "may"), [(servers.READER, {"named", "names"}), (servers.NOBODY, set()), (("writer", "wrong-secret"), set())]
)
def test_permission(
    s3: servers.Bucketeer,
    who: tuple[str, str],
    may: set[str],
    monkeypatch: pytest.MonkeyPatch,
    file: Path,
    tmp_path: Path,
) -> None:
    """Who may only read is refused when writing, who is unknown or has a wrong secret always, and no secret is told."""
    name = s3.fresh()
    given(monkeypatch, s3.env(who))
    place = artifacts(f"s3://{name}", tmp_path)
    works: dict[str, Callable[[], object]] = {
        "check": place.check,
        "put": lambda: place.put(file),
        "named": lambda: place.named("a"),
        "names": lambda: place.names(""),
    }
    for word, work in works.items():
        if word in may:
            work()
            continue
        error = told(work)
        assert error.code == "S144", (word, error)
        assert who[1] not in str(error.to_json())
        assert s3.url not in error.message


def test_no_credentials(s3: servers.Bucketeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without any credentials the place cannot be asked, and that is what is said."""
    name = s3.fresh()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    error = told(artifacts(f"s3://{name}", tmp_path).check)
    assert (error.code, "NoCredentials" in error.message) == ("S144", True)


@pytest.mark.parametrize("url", ["closed", "http://user:hunter2@127.0.0.1:1/", "hunter2", "http://127.0.0.1:hunter2"])
def test_nobody_answers(url: str, monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path) -> None:
    """Where no server answers, or the URL is none, the place does not answer, and the URL is not repeated."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}" if url == "closed" else url
    given(monkeypatch, {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hunter2"})
    place = artifacts("s3://bucket", tmp_path)
    for work in (place.check, lambda: place.put(file), lambda: place.names("")):
        error = told(work)
        assert error.code == "S142"
        assert "hunter2" not in str(error.to_json())
        assert error.__cause__ is None


@contextlib.contextmanager
def answering(answers: list[bytes]) -> Iterator[str]:
    """A server that gives each of *answers* to one connection, and then the last one to all."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answers.pop(0) if len(answers) > 1 else answers[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def test_a_transfer_that_breaks_off_is_begun_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An answer that ends in its middle is asked for again, and what had come of it is not in the file."""
    whole = b"sha256:" + b"a" * 64
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 71\r\nConnection: close\r\n\r\n"
    with answering([head + whole[:20], head + b"", head + whole]) as url:
        given(monkeypatch, {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
        assert artifacts("s3://bucket", tmp_path).named("a/b") == whole.decode()


def test_a_server_that_is_overloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server that says that it can do nothing now is asked several times, and then does not answer."""
    monkeypatch.setattr(bucket, "TIMES", 2)
    body = b"<Error><Code>SlowDown</Code><Message>hunter2</Message></Error>"
    busy = b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
    with answering([busy]) as url:
        given(monkeypatch, {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
        error = told(lambda: artifacts("s3://bucket", tmp_path).names(""))
        assert (error.code, "SlowDown" in error.message, "hunter2" in error.message) == ("S142", True, False)


# -- a folder ------------------------------------------------------------------------------------------------------


def test_no_folder(file: Path, tmp_path: Path) -> None:
    """A folder that is not there is not made: one that is not mounted would look like an empty store."""
    place = artifacts(str(tmp_path / "not-mounted"), tmp_path)
    for work in (place.check, lambda: place.put(file), lambda: place.names("a/"), lambda: place.named("a")):
        assert told(work).code == "S143"
    assert not (tmp_path / "not-mounted").exists()
    (tmp_path / "a-file").write_text("")
    assert told(artifacts("a-file", tmp_path).check).code == "S143"


def test_a_full_disk(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no space left that is said, and no half file is left."""
    (tmp_path / "shared").mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert told(lambda: artifacts("shared", tmp_path).put(file)).code == "S113"
    assert [path for path in (tmp_path / "shared").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", [13, 30])
def test_a_folder_that_refuses(number: int, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be written to, or is mounted read-only, refuses."""
    (tmp_path / "shared").mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert told(lambda: artifacts("shared", tmp_path).put(file)).code == "S144"


def test_who_may_read_the_folder_may_read_what_is_in_it(file: Path, tmp_path: Path) -> None:
    """Files and folders below have the folder's own permissions, whatever the umask: colleagues may share it."""
    (tmp_path / "shared").mkdir()
    for mode, inside in ((0o2770, 0o660), (0o700, 0o600)):
        (tmp_path / "shared").chmod(mode)
        before = os.umask(0o077)
        try:
            artifacts("shared", tmp_path).put(file)
        finally:
            os.umask(before)
        below = list((tmp_path / "shared").rglob("*"))
        assert {path.stat().st_mode & 0o777 for path in below if path.is_file()} == {inside}
        assert {path.stat().st_mode & 0o2777 for path in below if path.is_dir()} == {mode & 0o2777}
        shutil.rmtree(tmp_path / "shared" / "blobs")
