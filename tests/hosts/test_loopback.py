"""Loopback hosts: really there, found again, and really gone."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import OrchestratorError
from orchestrator.hosts import loopback
from orchestrator.processes import command_line, is_alive
from tools import bubblewrap


@pytest.fixture(scope="module")
def without_bubblewrap(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A search path with every program of this machine's but bubblewrap."""
    folder = tmp_path_factory.mktemp("programs")
    for place in os.get_exec_path():
        with contextlib.suppress(OSError):
            for program in Path(place).iterdir():
                with contextlib.suppress(FileExistsError):  # the first of a name is taken
                    (folder / program.name).symlink_to(program)
    (folder / "bwrap").unlink(missing_ok=True)
    return str(folder)


@pytest.fixture(params=["bubblewrap visible", "bubblewrap hidden"])
def state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, without_bubblewrap: str
) -> Iterator[Path]:
    """A state folder, whose hosts are gone again afterwards: hosts with isolation, and without."""
    if request.param == "bubblewrap hidden":
        monkeypatch.setenv("PATH", without_bubblewrap)
    elif not shutil.which("bwrap"):
        if not bubblewrap.cached().is_file():
            pytest.skip("bubblewrap is not installed, and tools/bubblewrap.py has not unpacked it")
        monkeypatch.setenv("PATH", f"{bubblewrap.cached().parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(loopback, "_works", [])
    if request.param == "bubblewrap visible" and not loopback.isolation():
        pytest.skip("bubblewrap is not allowed to make namespaces here")
    folder = tmp_path / "state"
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(folder))
    yield folder
    for host in loopback.recorded(folder):
        loopback.remove_host(host)


def _listens(host: loopback.Host, port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex((host.address, port)) == 0


def _ssh(host: loopback.Host, command: str) -> list[str]:
    about = host.variables()
    words = ["ssh", "-o", "BatchMode=yes", *str(about["ansible_ssh_common_args"]).split()]
    words += ["-i", str(about["ansible_ssh_private_key_file"]), "-p", str(host.port)]
    return [*words, f"{host.user}@{host.address}", command]


def _until(what: str, holds: Callable[[], object], patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_host_is_found_again_and_started_once(state: Path) -> None:
    """A host that is there is found again as it is, by what is recorded, and not started a second time."""
    host = loopback.start("s", "web1")
    assert loopback.alive(host)
    before = loopback._server(host)
    assert loopback.start("s", "web1") == host
    assert loopback.recorded(state) == [host]
    assert loopback._server(host) == before


def test_what_is_stopped_is_gone(state: Path) -> None:
    """A stopped host leaves no server, no open session, no process that was started on it, whatever its environment, and no folder."""
    host = loopback.start("s", "web1")
    session = subprocess.Popen(_ssh(host, "sleep 300"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for environment in ("", "env -i"):
        left = f"cd /; setsid {environment} sleep 301 >/dev/null 2>&1 </dev/null &"
        subprocess.run(_ssh(host, left), check=True, capture_output=True)
    _until("the session begins", lambda: len(loopback.processes(host)) >= 5)
    sleeping = [process for process in loopback.processes(host) if command_line(process) == "sleep 301"]
    assert len(sleeping) == 2 or host.isolated
    known = loopback.processes(host)
    loopback.remove_host(host)
    assert session.wait(10) != 0
    assert not _listens(host, host.port)
    assert [process for process in known if is_alive(process)] == []
    assert not (state / "hosts" / "s").exists()


def test_a_host_whose_server_died_is_not_there(state: Path) -> None:
    """A host is not there when its server is gone, whether or not what it ran outlives it; it is started again where it was.

    An isolated host has a process namespace, which ends with its server and takes everything along.
    """
    host = loopback.start("s", "web1")
    subprocess.run(_ssh(host, "setsid sleep 301 >/dev/null 2>&1 </dev/null &"), check=True, capture_output=True)
    for process in loopback._server(host):
        os.kill(process, signal.SIGKILL)
    _until("the server is gone", lambda: not _listens(host, host.port))
    if host.isolated:
        _until("nothing of it is left", lambda: not loopback.processes(host))
    else:
        assert "sleep 301" in [command_line(process) for process in loopback.processes(host)]
    assert not loopback.alive(host)
    again = loopback.start("s", "web1")
    assert (again.address, again.port) == (host.address, host.port)
    assert loopback.alive(again)


def test_another_program_is_not_taken_for_a_host(state: Path) -> None:
    """A number that was given to another process since is not believed, and that process is left alone."""
    host = loopback.start("s", "web1")
    loopback.end_processes(host)
    other = subprocess.Popen(["sleep", "300"])
    try:
        Path(host.folder, "sshd.pid").write_text(f"{other.pid}\n")
        assert loopback.processes(host) == []
        loopback.remove_host(host)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_address_that_is_taken(state: Path) -> None:
    """An address that another program listens on is an error that names it, and nothing is left of the attempt."""
    with socket.create_server(("127.93.4.5", loopback.SSH_PORT)), pytest.raises(OrchestratorError) as caught:
        loopback.start("s", "web1", address="127.93.4.5")
    assert caught.value.code == "E204"
    assert "127.93.4.5:2222" in caught.value.message
    assert list(state.rglob("*")) == [state / "hosts"]


def test_a_host_that_cannot_start(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a host whose server ends at once nothing is left, and the other hosts of its stack stay."""
    other = loopback.start("s", "web1")
    monkeypatch.setenv("ORCHESTRATOR_SSHD", shutil.which("false") or "/bin/false")
    with pytest.raises(OrchestratorError) as caught:
        loopback.start("s", "web2")
    assert caught.value.code == "E203"
    assert [path.name for path in (state / "hosts/s").iterdir() if path.is_dir()] == ["web1"]
    assert loopback.alive(other)
    with pytest.raises(OrchestratorError):
        loopback.start("t", "web1")
    assert not (state / "hosts/t").exists()


@pytest.mark.parametrize(
    ("name", "asked", "code"),
    [
        ("web1", {"address": "0.0.0.0"}, "E205"),
        ("web1", {"address": "10.1.2.3"}, "E205"),
        ("web1", {"address": "localhost"}, "E205"),
        ("web1", {"address": "::1"}, "E205"),
        ("web1", {"port": 70000}, "E205"),
        ("../x", {}, "E123"),
        ("", {}, "E123"),
    ],
)
def test_what_no_host_may_be(state: Path, name: str, asked: dict[str, Any], code: str) -> None:
    """A name or an address that is none of a loopback host is refused before anything is made."""
    with pytest.raises(OrchestratorError) as caught:
        loopback.start("s", name, **asked)
    assert caught.value.code == code
    assert not state.exists()


def test_nobody_else_can_know_the_folder_for_files_of_ansible() -> None:
    """A host whose own folder Ansible cannot use has one in the shared temporary folder, under a word of its own."""
    host = loopback.Host("web1", "127.0.0.1", 1, 2, "me", "/a folder/web1", isolated=False, word="0123")
    assert host.variables()["ansible_remote_tmp"] == "/tmp/.ansible-me-0123"
    plain = loopback.Host("web1", "127.0.0.1", 1, 2, "me", "/folder/web1", isolated=False, word="0123")
    assert plain.variables()["ansible_remote_tmp"] == "/folder/web1/root/.ansible/tmp"


def test_what_ansible_put_on_a_host_goes_with_it(state: Path) -> None:
    """A host in a folder with a blank in its path leaves nothing in the shared temporary folder."""
    del state
    host = loopback.start("a stack", "web1")
    shared = Path(str(host.variables()["ansible_remote_tmp"]))
    assert shared.parent == Path("/tmp")
    shared.mkdir(mode=0o700)
    (shared / "left").write_text("a module that was killed\n")
    loopback.remove_host(host)
    assert not shared.exists()
