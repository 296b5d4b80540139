"""A disk that is full in the middle of a run: it stops before its next effect, and goes on when there is room again."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.processes import is_alive
from orchestrator.resources import NEEDED
from tests.journeys.conftest import Project, lay_small_shop

SIZE = 64  # MiB: more than the shop's state and what must be free


class Apart(Project):
    """A project whose state folder only its commands see: this process asks them, and opens no store."""

    def status(self, environment: str) -> dict[str, Any]:
        (found,) = self.run("status", environment, "--json", code=None).json["environments"]
        return dict(found)


class Small:
    """A project whose state folder is a small file system, which only processes in a namespace of its own see."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        project.state.mkdir(mode=0o700)
        mount = f'mount -t tmpfs -o size={SIZE}m,mode=0700 tmpfs "$1" && echo ready && exec sleep infinity'
        words = ["unshare", *self._own, "--mount", "sh", "-c", mount, "sh", str(project.state)]
        self.anchor = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.anchor.stdout is not None
        if self.anchor.stdout.readline() != "ready\n":
            self.anchor.wait()
            pytest.skip("no file system can be mounted here")
        into = ["nsenter", "--target", str(self.anchor.pid), "--mount", f"--wdns={project.root}"]
        into += ["--user", "--preserve-credentials"] if self._own else []
        project.program = (*into, sys.executable, "-m", "orchestrator")
        self.state = Path(f"/proc/{self.anchor.pid}/root{project.state}")
        self._filler = self.state / "filler"

    def fill(self, leave: int) -> None:
        """Leave so many bytes free, and no more."""
        free = shutil.disk_usage(self.state).free
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            left = free - leave
            while left > 0:
                left -= file.write(b"\0" * min(left, 65536))

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def close(self) -> None:
        """End every process that sees this file system; it is gone with the last one."""
        seen = _namespace(self.anchor.pid)
        assert seen not in {"", _namespace(os.getpid())}
        deadline = time.monotonic() + 20
        while found := [number for number in _processes() if _namespace(number) == seen]:
            assert time.monotonic() < deadline, found
            for number in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            self.anchor.poll()
            time.sleep(0.05)
        self.anchor.wait()


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and is_alive(int(path.name))]


def _namespace(process: int) -> str:
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{process}/ns/mnt").readlink())
    return ""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """The small shop with 1.0.0 in staging, whose state is on a small file system."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("this system has no namespaces")
    project = Apart(tmp_path / "project")
    project.root.mkdir()
    lay_small_shop(project)
    made = Small(project)
    try:
        project.run("promote", "releases/1.0.0", "--to", "staging")
        yield made
    finally:
        made.close()


def test_a_full_disk_stops_a_run_before_its_next_effect(small: Small) -> None:
    """A run for which there is too little room stops before its next step, says what is full and how to go on, and ends as it should once there is room."""
    project = small.project
    small.fill(leave=NEEDED // 2)
    said = project.run("promote", "releases/1.1.0", "--to", "staging", code=130)
    assert "S113" in said.err
    assert "at least 16 MiB are needed" in said.err
    doctor = project.run("doctor", "--json", code=1).json
    assert any(check["level"] == "problem" and "MiB are needed" in check["says"] for check in doctor["checks"])
    last = project.status("staging")["last_run"]
    assert last["interrupted"]
    assert f"orchestrator resume {last['id']}" in said.err
    assert set(project.releases("staging").values()) == {"1.0.0"}

    assert "S113" in project.run("resume", last["id"], code=130).err
    small.free()
    project.run("resume", last["id"])
    assert set(project.releases("staging").values()) == {"1.1.0"}


@pytest.mark.rare
@pytest.mark.parametrize(
    "step",
    [
        pytest.param("plan.preview", marks=pytest.mark.rare),
        "deploy.1",
        pytest.param("verify.smoke.environment", marks=pytest.mark.rare),
    ],
)
def test_a_disk_that_is_full_while_an_engine_works(small: Small, step: str) -> None:
    """When not one byte can be written while an engine works, nothing is told that did not happen, and once there is room the run ends: done, back, or failed with nothing changed."""
    project = small.project
    before = set(small.state.glob("jobs/*"))
    process = project.start("promote", "releases/1.1.0", "--to", "staging")
    deadline = time.monotonic() + 60
    while not any(job.parent not in before for job in small.state.glob(f"jobs/*-staging.{step}/started")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    small.fill(leave=0)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "S113" in err
    last = project.status("staging")["last_run"]
    assert last["interrupted"]
    small.free()
    project.run("resume", last["id"], code=None)
    state = project.status("staging")["last_run"]["state"]
    assert state in {"succeeded", "failed", "rolled back"}  # an engine that died of it may have been what failed
    assert set(project.releases("staging").values()) == {"1.1.0" if state == "succeeded" else "1.0.0"}
    assert not list(small.state.glob("jobs/*/*.json.*"))
