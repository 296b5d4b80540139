"""What a suite can reach of the controller."""

import contextlib
from pathlib import Path

import pytest

from tests.adapters.testinfra.conftest import Room, told

pytestmark = pytest.mark.engines

PEEK = """
import os, subprocess, pytest

@pytest.mark.parametrize("path", {paths})
def test_hidden(host, path) -> None:
    with pytest.raises(OSError):
        open(path)

def test_inside(host) -> None:
    assert os.getcwd() == {where!r}
    assert host.check_output("echo there") == "there"
    open("written", "w")
    subprocess.Popen(["sleep", "86396.25"], env={{}}, start_new_session=True)
"""


@pytest.fixture
def isolated(isolation: None, room: Room) -> Room:
    """An environment whose suites are isolated."""
    return room


def sleeping() -> list[str]:
    """The processes of the suite that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [path.parent.name] if b"86396.25" in path.read_bytes() else []
    return found


def test_a_suite_reads_nothing_of_the_controller(isolated: Room, tmp_path: Path) -> None:
    """A suite finds its hosts and its copy; it finds no file of the state folder or of the machine, and leaves no process."""
    paths = [str(tmp_path / name) for name in ("jobs/other/output.log", "secret", "state/passphrase")]
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    where = str(isolated.jobs.folder("r1.verify.1") / "content")  # the format of the package has no path of a project
    result = isolated.verify({"test_peek.py": PEEK.format(paths=paths, where=where)}, "web1")
    assert set(told(result).values()) == {"succeeded"}, result.tests
    assert sleeping() == []
