"""What the snapshot's script tells of a real machine, and of a host that shares its machine with others."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.adapters.ansible.snapshot import parse_snapshot, script
from orchestrator.domain.environment import SnapshotRule
from orchestrator.domain.model import digest_of
from orchestrator.domain.names import HOST_MARK
from orchestrator.domain.snapshot import HostSnapshot
from tests.adapters.ansible.conftest import Stage

SERVE = """
- hosts: web
  gather_facts: false
  tasks:
    - orchestrator.release.deploy:
        service: {command: ["{{ ansible_python_interpreter }}", -m, http.server, --bind, "{{ ansible_host }}", "{{ app_port }}"]}
        probe: {url: "http://{{ ansible_host }}:{{ app_port }}/"}
"""
HOLD = (
    "import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen(); print(s.getsockname()[1]); input()"
)


def ask(
    root: Path, rule: SnapshotRule | None = None, shell: str = "sh", env: Mapping[str, str] | None = None
) -> HostSnapshot:
    """Run the script on this machine, with *root* as the release root."""
    rule = rule or SnapshotRule()
    start, _, rest = script(rule).partition("root={{")
    text = f"{start}root='{root}'{rest.partition('}}')[2]}"
    clean = {"PATH": os.environ["PATH"], **(env or {})}
    done = subprocess.run([shell, "-c", text], env=clean, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    found = parse_snapshot(done.stdout, rule)
    assert isinstance(found, HostSnapshot)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A release root as the collection leaves it, with what nobody asks for."""
    for name in ("releases/new/app", "releases/old", "shared/data", ".orchestrator", ".ansible", "etc/__pycache__"):
        (tmp_path / name).mkdir(parents=True)
    for release in ("new", "old"):
        about = json.dumps({"digest": digest_of(release)})
        (tmp_path / "releases" / release / ".orchestrator-release.json").write_text(about)
    (tmp_path / "releases/new/app/run me").write_text("echo")
    (tmp_path / "releases/new/app/run me").chmod(0o755)
    (tmp_path / "releases/new/app/data").symlink_to("../../../shared/data")
    (tmp_path / "current").symlink_to("releases/new")
    for name in (
        "shared/data/x",
        "etc/__pycache__/x.pyc",
        "etc/told",
        "etc/back\\slash",
        "etc/ü|pipe",
        "etc/two\nlines",
    ):
        (tmp_path / name).write_text("text")
    (tmp_path / "etc/told").chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_files_are_told(root: Path, shell: str) -> None:
    """Files have their SHA-256, mode and owner, links their target; older releases, shared files and caches are no part of it, and odd names are told as they are."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    found = ask(root, shell=shell)
    assert found.current == "new"
    assert found.release == digest_of("new")
    assert set(found.files) == {
        "current", "etc", "etc/told", "etc/back\\slash", "etc/ü|pipe", "releases", "releases/new", "releases/new/app",
        "releases/new/.orchestrator-release.json", "releases/new/app/run me", "releases/new/app/data",
    }  # fmt: skip
    told = found.files["etc/told"]
    assert (told.type, told.mode, len(told.content)) == ("file", "0600", 64)
    assert {found.files[name].content for name in ("etc/back\\slash", "etc/ü|pipe")} == {told.content}
    assert found.files["current"].content == "releases/new"
    assert found.files["releases/new/app/run me"].mode == "0755"
    assert found.unknown == ()


def test_more_places(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Places that the environment's file names are told by their whole paths, and a kernel setting by its name."""
    place = tmp_path_factory.mktemp("more") / "conf.d"
    place.mkdir()
    (place / "a.conf").write_text("a")
    (place / "a.log").write_text("a")
    rule = SnapshotRule(files=(str(place), "/nowhere/at/all"), ignore=("*.log",), sysctl=("kernel.ostype",))
    found = ask(root, rule)
    assert {name for name in found.files if name.startswith("/")} == {str(place), str(place / "a.conf")}
    assert found.facts["sysctl:kernel.ostype"] == "Linux"


def test_a_whole_machine(root: Path) -> None:
    """A machine of its own tells its packages, its users, and every port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = ask(root)
        assert f"tcp/127.0.0.1:{server.getsockname()[1]}" in found.ports
    assert found.facts["user:root"].startswith("0:0:")
    assert found.facts["system"] == os.uname().sysname
    if shutil.which("dpkg-query"):
        assert any(name.startswith(("libc6:", "bash:")) for name in found.packages)


def test_a_host_that_shares_its_machine(root: Path) -> None:
    """Where the mark of a host is in the environment, only ports of processes that carry it are told, and nothing of the machine."""
    mark = {HOST_MARK: str(root)}
    words = ["python3", "-c", HOLD, "127.0.0.1"]
    mine = subprocess.Popen(words, env={**os.environ, **mark}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    other = {**os.environ, HOST_MARK: f"{root}0"}
    theirs = subprocess.Popen(words, env=other, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert mine.stdout is not None
        assert theirs.stdout is not None
        port, elsewhere = mine.stdout.readline().strip(), theirs.stdout.readline().strip()
        found = ask(root, env=mark)
    finally:
        for process in (mine, theirs):
            process.communicate("\n")
    assert found.ports == {f"tcp/127.0.0.1:{port}": "listening"}
    assert port != elsewhere
    assert (found.packages, found.services) == ({}, {})
    assert not [name for name in found.facts if name.startswith(("user:", "mount:"))]


def test_the_service_of_the_collection(stage: Stage) -> None:
    """The service that the collection keeps is told as running, with its port, and as stopped when that very process is no more."""
    stage.add("serve.yml", SERVE)
    assert [host.outcome for host in stage.deploy("serve.yml", "r1", 1).hosts] == ["succeeded"] * 2
    context = stage.context("r1", 1)
    seen = stage.deployer.snapshot(SnapshotRule(), stage.inventory, context, "r1.look.1", stage.entries.append)
    for host in stage.hosts:
        assert seen.hosts[host.name].services == {"release": "running"}
        assert seen.hosts[host.name].ports == {f"tcp/{host.address}:{host.app_port}": "listening"}
    (Path(stage.hosts[0].root) / ".orchestrator/service.json").write_text('{"pid": 1, "start": "1"}')
    seen = stage.deployer.snapshot(SnapshotRule(), stage.inventory, context, "r1.look.2", stage.entries.append)
    assert [seen.hosts[host.name].services["release"] for host in stage.hosts] == ["stopped", "running"]


def test_an_answer_that_ends_early() -> None:
    """What a host has not told to its end is taken for no answer."""
    assert (
        parse_snapshot("@link releases/new\n@f regular file|644|a:b|./x\n", SnapshotRule()) == "its answer ends early"
    )


def test_many_files_are_told_whole(stage: Stage) -> None:
    """A host with thousands of files is told to its end: no result is dropped for its length."""
    for number in range(6000):
        path = Path(stage.hosts[0].root) / f"app/folder{number % 60}" / f"a-file-with-a-name-of-its-own-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    context = stage.context("r1", 1)
    seen = stage.deployer.snapshot(SnapshotRule(), stage.inventory, context, "r1.look.1", stage.entries.append)
    assert seen.gaps == ()
    assert len([name for name in seen.hosts["web1"].files if "a-file" in name]) == 6000
