"""An ssh of our own for machines that have none, and what takes long says so."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.hosts import sshd
from orchestrator.processes import progress_heartbeat
from orchestrator.wiring import App

PROGRAMS = ("ssh", "scp", "sftp")


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A cache with the machine's own clients, laid as the unpacked package has them."""
    root = tmp_path / "cache" / "orchestrator" / "sshd"
    (root / "usr/bin").mkdir(parents=True)
    for name in PROGRAMS:
        shutil.copy2(shutil.which(name) or name, root / "usr/bin" / name)
    sshd.lay_clients(root, root)
    return root


def test_our_own_ssh_where_there_is_none(unpacked: Path, tmp_path: Path) -> None:
    """Without an ssh on PATH everything that a project runs finds the unpacked one, which works."""
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    (tmp_path / "bin").mkdir()
    environ = {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    path = App(tmp_path, environ).environ["PATH"]
    assert [shutil.which(name, path=path) for name in PROGRAMS] == [str(unpacked / "client" / n) for n in PROGRAMS]
    done = subprocess.run(["ssh", "-V"], env={**environ, "PATH": path}, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("OpenSSH_")


def test_the_machines_own_ssh_is_preferred(unpacked: Path, tmp_path: Path) -> None:
    """Where there is an ssh on PATH, PATH stays as it is."""
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert App(tmp_path, environ).environ["PATH"] == os.environ["PATH"]
    assert unpacked.is_dir()


def test_what_takes_long_says_so() -> None:
    """While something goes on a line tells for how long, and in the end how long it took."""
    said: list[str] = []
    with progress_heartbeat(said.append, "the build", every=0.05):
        time.sleep(0.2)
    assert said[0] == "the build: 0 s so far"
    assert (len(said) > 2, said[-1]) == (True, "the build: took 0 s")
