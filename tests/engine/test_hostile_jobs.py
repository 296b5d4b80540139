"""What a job can leave and report to harm those who read it: the supervisor, the orchestrator, and the folder itself."""

import json
import os
import stat
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import trees
from orchestrator.domain.secret import Secret
from orchestrator.engine import job_output
from orchestrator.engine.jobs import LocalJobs
from orchestrator.ports import Job
from orchestrator.secret_values import SecretValues

SECRET = "not-for-the-disk"
MEMORY = Path("/dev/shm")

LEAVING = """
import os, socket, stat
job = os.environ["ORCHESTRATOR_JOB"]
for top in ("copy", "home", "files"):
    os.makedirs(f"{job}/{top}", exist_ok=True)
    at = os.open(f"{job}/{top}", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=at)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    handle = os.open("n" * 255, os.O_CREAT | os.O_WRONLY, dir_fd=at)
    os.write(handle, b"it is SECRET, deep down")
    os.close(at)
os.chdir(f"{job}/copy")
open("n" * 250 + ".json", "w").write('{"key": "SECRET"}')
open("nested.json", "w").write("[" * 200_000 + '"SECRET"')
with open("sparse", "wb") as file:
    file.truncate(1 << 40)
    file.seek(1 << 39)
    file.write(b"SECRET in the middle of nothing")
with open("sparse.json", "wb") as file:
    file.truncate(1 << 41)
    file.seek(1 << 35)
    file.write(b"SECRET")
os.mkfifo("pipe")
socket.socket(socket.AF_UNIX).bind("socket")
try:
    os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
except OSError:
    pass
os.makedirs("closed")
open("closed/file", "w").write("SECRET")
os.chmod("closed/file", 0)
os.chmod("closed", 0)
for number in range(3000):
    open(f"file{number}", "w").close()
open(f"{job}/result.json", "w").write("[" * 100_000)
"""

REPORTING = """
import json, os, sys
from orchestrator.processes import events_of
with open(events_of(os.environ["ORCHESTRATOR_JOB"]), "wb", buffering=0) as events:
    for line in (b"[" * 100_000, b'{"a":' * 50_000, b'{"number": NaN}', b'{"number": 1e999}', b"9" * 5000, b"[]", b"\\xff\\xfe",
                 b'{"first": true}'):
        events.write(line + b"\\n")
    for _ in range(520):
        events.write(b"x" * (1 << 18))
    events.write(b"\\n" + b'{"second": "\\\\ud800"}\\n')
    for _ in range(100):
        events.write(b'{"filler": "' + b"y" * 100_000 + b'"}\\n')
    whole = b'{"large": "' + b"z" * (70 << 20) + b'"}\\n'
    for at in range(0, len(whole), 1 << 18):
        events.write(whole[at:at + (1 << 18)])
    events.write(b'{"third": true}\\n')
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for jobs, in memory where the system has one: a disk needs seconds to remove thousands of folders."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path))
    yield folder
    trees.discard(folder)


def job(place: Path, code: str) -> Job:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    argv = (sys.executable, "-c", textwrap.dedent(code).replace("SECRET", SECRET))
    writes = ("copy", "home")
    return Job(key="one", argv=argv, env=env, cwd=place, writes=writes, view=None, timeout=120)


def test_what_a_job_leaves_is_masked_and_removed_whatever_it_is(place: Path) -> None:
    """Deep folders, long names, files of a terabyte, pipes, sockets, devices and closed folders hold nobody up, and hide no secret."""
    secrets = SecretValues()
    secrets.learn("here", [Secret("password", SECRET.encode())])
    jobs, began = LocalJobs(place / "jobs", secrets=secrets), time.monotonic()
    outcome = jobs.run(job(place, LEAVING))
    jobs.mask("one")
    assert (outcome.how, outcome.code) == ("exited", 0)
    assert time.monotonic() - began < 100
    copy = outcome.folder / "copy"
    with (copy / "sparse").open("rb") as file:
        file.seek(1 << 39)
        assert file.read(32) == b"[secret] in the middle of nothin"
    assert (copy / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (copy / "sparse.json").stat().st_blocks * 512 < 1 << 20
    assert json.loads((copy / f"{'n' * 250}.json").read_text()) == {"key": "[secret]"}
    assert stat.S_ISFIFO((copy / "pipe").lstat().st_mode)
    assert [each.base for each in trees.entries(outcome.folder, opens=True) if _has(each)] == [
        "job.json"
    ]  # its own code
    trees.remove(outcome.folder)
    assert not outcome.folder.exists()


def _has(each: trees.Entry) -> bool:
    if not each.is_file or each.status.st_size > 1 << 30:
        return False
    with os.fdopen(each.open(), "rb") as file:
        return SECRET.encode() in file.read()


def test_events_that_are_none_are_left_out(place: Path) -> None:
    """An event without an end, one that is nested without end and one with a number that is none stop nothing; the rest is handed on."""
    seen: list[dict[str, object]] = []
    secrets = SecretValues()
    secrets.learn("here", [Secret("password", SECRET.encode())])
    outcome = LocalJobs(place / "jobs", secrets=secrets).run(
        job(place, REPORTING), lambda _line, event: seen.append(event)
    )
    assert outcome.code == 0
    assert [len(str(event["large"])) for event in seen if "large" in event] == [70 << 20]
    assert [event for event in seen if not {"filler", "large"} & set(event)] == [
        {"first": True},
        {"kind": "notice", "level": "warning", "text": "an event of more than 128 MiB was left out"},
        {"second": "\ud800"},
        {"third": True},
    ]
    assert max(map(len, (outcome.folder / "events.jsonl").read_bytes().splitlines())) < job_output.LONGEST_EVENT


def test_events_have_a_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After too many bytes of events one more says so, and the job is not held up."""
    monkeypatch.setattr(job_output, "MOST_EVENTS", 200_000)
    events = job_output.Events(str(place), SecretValues().redactor)
    with (place / "events.pipe").open("wb", buffering=0) as pipe:
        for number in range(5000):
            pipe.write(json.dumps({"number": number, "text": "x" * 50}).encode() + b"\n")
    events.end()
    lines = (place / "events.jsonl").read_text().splitlines()
    assert 1000 < len(lines) < 3000
    assert json.loads(lines[-1])["text"].endswith("GiB were left out")
    assert json.loads(lines[0])["number"] == 0
