"""Comparisons that are interrupted leave nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.processes import command_line, family, kill_tree
from tests.unchanged.known import SHORT

ROOT = Path(__file__).resolve().parents[2]
COMPARE = """
import signal
from tests.unchanged.__main__ import run
from tests.unchanged.project import corpus
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the processes of pytest-xdist have it
list(run([each for each in corpus() if each.name == {name!r}] * 8, 1))  # more than the test waits for
"""
DIRECT = """
import signal
from tests.unchanged.processes import in_a_process
from tests.unchanged.project import corpus
signal.signal(signal.SIGTERM, signal.default_int_handler)
[in_a_process(each) for each in corpus() if each.name == {name!r}]
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files with a short name, as sockets need it; what has it in its environment ends with the test."""
    with tempfile.TemporaryDirectory(prefix="left-") as folder:
        yield Path(folder)
        kill_tree(f"TMPDIR={folder}", roots=lambda: _about(Path(folder)))


def _about(place: Path) -> list[int]:
    """The processes, other than this one, that name *place* in their command lines or environments."""
    found = []
    for process in (int(path.name) for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())):
        with contextlib.suppress(OSError):
            said = b"".join(Path(f"/proc/{process}/{name}").read_bytes() for name in ("cmdline", "environ"))
            if str(place).encode() in said:
                found.append(process)
    return found


@pytest.mark.engines
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
@pytest.mark.parametrize("script", [DIRECT, COMPARE], ids=["one", "in threads"])
def test_an_interrupted_comparison_leaves_nothing(place: Path, script: str) -> None:
    """After the interruption of a comparison whose product runs there is no process, host or folder of it."""
    words = [sys.executable, "-c", script.format(name=SHORT[0])]
    with subprocess.Popen(words, cwd=ROOT, env={**os.environ, "TMPDIR": str(place)}) as process:
        deadline = time.monotonic() + 120
        while not any("sshd" in command_line(each) for each in _about(place)) or not _promotes(process.pid):
            assert process.poll() is None
            assert time.monotonic() < deadline, "no host, or no promotion"
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) != 0
    assert [f"{each} {command_line(each)}" for each in _about(place)] == []
    assert [each.name for each in place.glob("unchanged-*")] == []


def _promotes(root: int) -> bool:
    """Whether a process below *root* executes a playbook."""
    return any("ansible-playbook" in command_line(each) for each in family([root]))
