"""What a failed test leaves."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.leftovers import Leftovers

TEST = f"""
import subprocess

def test_fails(left) -> None:
    process = subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(60)"])
    left.append(process)
    assert not process.pid
"""


def test_a_failed_test_leaves_no_process(tmp_path: Path) -> None:
    """A process that a test has started ends when the test fails."""
    (tmp_path / "test_it.py").write_text(TEST)
    left: list[subprocess.Popen[bytes]] = []

    class Shared:
        @pytest.fixture(name="left")
        def shared(self) -> list[subprocess.Popen[bytes]]:
            return left

    words = [
        str(tmp_path),
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-q",
        "-c",
        "/dev/null",
        "--rootdir",
        str(tmp_path),
    ]
    assert pytest.main(words, plugins=[Leftovers(), Shared()]) == pytest.ExitCode.TESTS_FAILED
    assert [process.wait(10) for process in left] == [-9]
