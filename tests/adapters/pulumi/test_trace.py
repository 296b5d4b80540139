"""The trace of an operation: whose a lock is, and whether its holder is dead."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
from getpass import getuser
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi.trace import LockHolder, Trace, holders
from orchestrator.domain.view import View
from orchestrator.isolation.isolator import Isolator, Kind
from orchestrator.isolation.mounts import mounts
from orchestrator.isolation.run import run_in_view
from orchestrator.isolation.start import start_in_view
from tests.isolators import working


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    found = Trace(tmp_path / "traces" / "one")
    found.begin("up", "job-1")
    return found


def ended(trace: Trace) -> LockHolder:
    """The holder of a lock that an engine of ours took, which is no more."""
    process = subprocess.Popen(trace.traced(["/bin/true"]))
    process.wait()
    return LockHolder(process.pid, getuser(), socket.gethostname(), time.time(), "")


def test_there_only_while_an_operation_goes_on(trace: Trace) -> None:
    """An operation that has ended leaves nothing, one that died its verb, and one with an uncertain end what it may have made."""
    assert (trace.left, trace.died) == (True, "up")
    trace.end(["urn:a"])
    assert (trace.left, trace.died, trace.uncertain) == (True, "", ["urn:a"])
    trace.end([])
    assert not trace.left


def test_dead_and_ours(trace: Trace) -> None:
    """Only a process that was an engine of ours, here, and is no more, is proved dead."""
    holder = ended(trace)
    assert trace.proves_dead(holder)
    for other in ({"pid": holder.pid + 1}, {"user": "somebody"}, {"host": "elsewhere"}):
        assert not trace.proves_dead(dataclasses.replace(holder, **other))
    trace.end([])
    assert not trace.proves_dead(holder)


def test_alive(trace: Trace) -> None:
    """An engine that runs is told, and not proved dead, until it has ended."""
    process = subprocess.Popen(trace.traced(["/bin/sleep", "60"]))
    try:
        deadline = time.monotonic() + 10
        while not trace.living() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert trace.living() == trace.living("job-1") == [process.pid]
        assert trace.living("job-2") == []
        holder = LockHolder(process.pid, getuser(), socket.gethostname(), time.time(), "")
        assert not trace.proves_dead(holder)
    finally:
        process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert trace.living() == []  # not yet reaped, and dead all the same
    process.wait()
    assert trace.proves_dead(holder)


def changed(trace: Trace, path: Path, **values: object) -> None:
    lines = [json.loads(line) for line in path.read_text().split("\n") if line]
    path.write_text(
        "".join(json.dumps({**line, **{k: v for k, v in values.items() if k in line}}) + "\n" for line in lines)
    )


def test_a_number_that_came_again(trace: Trace, tmp_path: Path) -> None:
    """A process that has the engine's number and began at another time is not the engine."""
    holder = dataclasses.replace(ended(trace), pid=os.getpid())
    changed(trace, tmp_path / "traces" / "one", pid=os.getpid())
    assert trace.proves_dead(holder)


def test_another_boot(trace: Trace, tmp_path: Path) -> None:
    """After a restart of the machine the holder is dead whoever has its number now; on a machine that may be another one nothing is proved."""
    path = tmp_path / "traces" / "one"
    holder = dataclasses.replace(ended(trace), pid=os.getpid())
    changed(trace, path, boot="another", machine="this", pid=os.getpid())
    assert not trace.proves_dead(holder)
    machine = Path("/etc/machine-id")
    if machine.is_file() and machine.read_text().strip():
        changed(trace, path, machine=machine.read_text().strip())
        assert trace.proves_dead(holder)
        assert not trace.proves_dead(dataclasses.replace(holder, at=0.0))  # taken long before our operation began


def test_another_namespace(trace: Trace, tmp_path: Path) -> None:
    """A number of another process namespace, as in another container, says nothing here."""
    holder = ended(trace)
    changed(trace, tmp_path / "traces" / "one", namespace="pid:[1]")
    assert not trace.proves_dead(holder)


def test_torn_line(trace: Trace, tmp_path: Path) -> None:
    """What a crash has torn is passed over."""
    with (tmp_path / "traces" / "one").open("a") as file:
        file.write('{"pid": 12')
    holder = ended(trace)
    assert trace.proves_dead(holder)


def test_words_of_the_engine() -> None:
    """The holders are read from what the engine says of a locked stack."""
    text = """error: the stack is currently locked by 2 lock(s). Either wait or cancel
  file:///a%20b/.pulumi/locks/organization/shop/staging/1.json: created by me@here (pid 12) at 2026-11-24T22:08:08Z
  s3://bucket/.pulumi/locks/2.json: created by ci@there (pid 3) at 2026-11-24T22:08:08+01:00"""
    first, second = holders(text)
    assert (first.pid, first.user, first.host, first.at) == (12, "me", "here", 1795558088.0)
    assert first.where == "file:///a%20b/.pulumi/locks/organization/shop/staging/1.json"
    assert first.at - second.at == 3600


ISOLATED = """
import json, os, subprocess, sys
from pathlib import Path
from orchestrator.adapters.pulumi.trace import Trace
trace = Trace(Path(sys.argv[1]))
trace.begin("up", "job-inside")
subprocess.run(trace.traced([sys.executable, "-I", "-S", "-c", "import time; time.sleep(float(%r))" % sys.argv[2]]))
"""

NEXT = """
import json, sys
from pathlib import Path
from orchestrator.adapters.pulumi.trace import LockHolder, Trace
trace = Trace(Path(sys.argv[1]), json.loads(sys.argv[2]), alone=json.loads(sys.argv[4]))
print(json.dumps([trace.living(), trace.proves_dead(LockHolder(*json.loads(sys.argv[3])))]))
"""


@pytest.mark.parametrize("kind", ["bubblewrap", "namespaces"])
def test_an_engine_in_a_namespace_of_its_own(tmp_path: Path, kind: Kind) -> None:
    """An isolated engine is seen to run and to have ended from outside; the next isolated operation is told so."""
    isolator, file = working(kind), tmp_path / "traces" / "one"
    file.parent.mkdir()
    view, env = View(write=(str(file.parent),)), {"ORCHESTRATOR_NAMESPACE": str(Path("/proc/self/ns/pid").readlink())}
    command, cwd = [sys.executable, "-P", "-c", ISOLATED, str(file), "60"], str(tmp_path)
    made = mounts(view.more(write=(str(tmp_path),)))
    process = start_in_view(isolator, made, command, cwd=cwd, env=env, start_new_session=True)
    trace = Trace(file)
    try:
        deadline = time.monotonic() + 20
        while not trace.living() and time.monotonic() < deadline:
            time.sleep(0.02)
        (number,) = trace.living("job-inside")
        assert b"time.sleep" in Path(f"/proc/{number}/cmdline").read_bytes()
        engine = next(line for line in map(json.loads, filter(None, file.read_text().splitlines())) if "pid" in line)
        holder = LockHolder(engine["pid"], getuser(), socket.gethostname(), time.time(), "")
        assert (trace.proves_dead(holder), trace.ended()) == (False, [])
        assert follower(isolator, tmp_path, file, [], holder) == [[engine["pid"]], False]
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while trace.living() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert trace.living() == []
    assert trace.proves_dead(holder)
    assert follower(isolator, tmp_path, file, [], holder) == [[engine["pid"]], False]  # it cannot know
    assert follower(isolator, tmp_path, file, trace.ended(), holder) == [[], True]
    assert follower(isolator, tmp_path, file, [], holder, alone=True) == [[], True]  # nobody else has the copy


def follower(
    isolator: Isolator, folder: Path, file: Path, ended: list[str], holder: LockHolder, *, alone: bool = False
) -> list[object]:
    """What the next isolated operation knows: which engines live, and whether the holder of a lock is dead."""
    env = {"ORCHESTRATOR_NAMESPACE": str(Path("/proc/self/ns/pid").readlink())}
    words = [sys.executable, "-P", "-c", NEXT, str(file)]
    words += [json.dumps(ended), json.dumps(dataclasses.astuple(holder)), json.dumps(alone)]
    done = run_in_view(isolator, View(write=(str(folder),)), words, cwd=str(folder), env=env)
    assert done.returncode == 0, done.stderr.decode()
    return list(json.loads(done.stdout))
