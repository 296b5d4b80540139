"""The probe: what it sees of a service that goes and comes, and what becomes of it when somebody dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.adapters.gates import probe_child
from orchestrator.adapters.gates.prober import LiveProber
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.domain.context import Context
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.engine.jobs import LocalJobs
from orchestrator.processes import kill_tree, tagged
from tests.flow.test_promotion import release
from tests.web import Server

PROBE = Probe(url="{{ url }}/{{ inventory_hostname }}", every="20ms", timeout="500ms")
JOB = "run.probe"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[LocalJobs]:
    made = LocalJobs(tmp_path / "jobs")
    yield made
    for folder in (tmp_path / "jobs").glob("*"):
        kill_tree(f"ORCHESTRATOR_JOB={folder}")


def now() -> str:
    return datetime.now(UTC).isoformat()


def begin(prober: LiveProber, url: str, probe: Probe = PROBE) -> str:
    package = MemoryPackages().put(release("1.0.0"))
    inventory = Inventory(hosts={host: {"url": url} for host in ("a", "b")})
    return prober.begin(probe, package, inventory, Context(run="run", environment="staging"), JOB)


def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def counted(jobs: LocalJobs, number: int, text: str) -> int:
    file = jobs.folder(f"{JOB}.{number}") / "events.jsonl"
    return file.read_text().count(text) if file.exists() else 0


def test_what_goes_and_comes_is_seen(jobs: LocalJobs, server: Server) -> None:
    """A host that stops answering for a while is told with about that time; the other was there, and so the service."""
    server.answers |= {"/a": (200, ""), "/b": (200, "")}
    prober, since = LiveProber(jobs), now()
    assert begin(prober, server.url) == ""
    until(lambda: counted(jobs, 1, '"up": true') == 2)
    server.answers["/b"] = (500, "")
    time.sleep(0.5)
    server.answers["/b"] = (200, "")
    until(lambda: counted(jobs, 1, '"up": true') == 3)
    found = prober.end(PROBE, JOB, since)
    assert (found.downtime, found.most_unavailable, found.hosts, found.gaps) == (0, 1, 2, ())
    assert 0.4 < found.host_downtime["b"] < 2
    assert found.requests > 10
    assert tagged(f"ORCHESTRATOR_JOB={jobs.folder(f'{JOB}.1')}") == []


def test_it_keeps_no_variable(jobs: LocalJobs, server: Server) -> None:
    """What the hosts' variables hold is not in the folder any more once it looks."""
    server.answers |= {"/a": (200, ""), "/b": (200, "")}
    prober = LiveProber(jobs)
    begin(prober, server.url)
    until(lambda: counted(jobs, 1, '"up": true') == 2)
    text = "".join(path.read_text() for path in jobs.folder(f"{JOB}.1").iterdir() if path.is_file())
    assert server.url not in text
    prober.stop(JOB)


def started(server: Server, folder: Path) -> "subprocess.Popen[bytes]":
    """A process of its own that begins the probe."""
    code = f"""
import sys, time
from pathlib import Path
from tests.adapters.gates.test_prober import LiveProber, LocalJobs, begin
begin(LiveProber(LocalJobs(Path({str(folder)!r}) / "jobs")), {server.url!r})
time.sleep(60)
"""
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def test_it_is_found_again(jobs: LocalJobs, server: Server, tmp_path: Path) -> None:
    """When the process that began it is killed it goes on, and the next one has one piece without a gap."""
    server.answers |= {"/a": (200, ""), "/b": (200, "")}
    since = now()
    with started(server, tmp_path) as first:
        until(lambda: counted(jobs, 1, '"up": true') == 2)
        first.send_signal(signal.SIGKILL)
    prober = LiveProber(jobs)
    begin(prober, server.url)
    before = counted(jobs, 1, "beat")
    until(lambda: counted(jobs, 1, "beat") > before + 2)
    found = prober.end(PROBE, JOB, since)
    assert (found.gaps[1:], found.downtime, jobs.folder(f"{JOB}.2").exists()) == ((), 0, False)


def test_a_run_that_waited_for_long_begins_another(jobs: LocalJobs, server: Server, tmp_path: Path) -> None:
    """A probe that ended because its run had no process for a while is followed by another, and the time between is not measured."""
    server.answers |= {"/a": (200, ""), "/b": (200, "")}
    since = now()
    first = started(server, tmp_path)
    until(lambda: counted(jobs, 1, '"up": true') == 2)
    first.kill()
    first.wait()
    (jobs.folder(f"{JOB}.1") / "stop").touch()  # what its patience does
    until((jobs.folder(f"{JOB}.1") / "outcome.json").exists)
    time.sleep(1.5)
    prober = LiveProber(jobs)
    begin(prober, server.url)
    until(lambda: counted(jobs, 2, '"up": true') == 2)
    found = prober.end(PROBE, JOB, since)
    assert 1.0 <= found.gaps[-1].seconds < 10, "the first one may be before its start"
    assert "not measured" in found.text


def test_it_is_begun_again(jobs: LocalJobs, server: Server) -> None:
    """When the probe itself is killed another takes its place, and the time between them is told as not measured."""
    server.answers |= {"/a": (200, ""), "/b": (200, "")}
    prober, since = LiveProber(jobs), now()
    begin(prober, server.url)
    until(lambda: counted(jobs, 1, '"up": true') == 2)
    time.sleep(1.2)
    os.kill(int((jobs.folder(f"{JOB}.1") / "started").read_text()), signal.SIGSTOP)
    for process in tagged(f"ORCHESTRATOR_JOB={jobs.folder(f'{JOB}.1')}"):
        os.kill(process, signal.SIGSTOP)
    time.sleep(1.5)
    for process in tagged(f"ORCHESTRATOR_JOB={jobs.folder(f'{JOB}.1')}"):
        os.kill(process, signal.SIGKILL)
    until(lambda: counted(jobs, 2, '"up": true') == 2)
    found = prober.end(PROBE, JOB, since)
    assert len(found.gaps) == 1
    assert 1.0 <= found.gaps[0].seconds < 10


def test_what_it_cannot_ask_is_named(jobs: LocalJobs, server: Server) -> None:
    """A URL with a variable that is not there is told, and what can be asked is asked."""
    server.answers["/"] = (200, "")
    probe = Probe(url="http://{{ nothing }}/", service=f"{server.url}/", every="20ms")
    prober, since = LiveProber(jobs), now()
    assert "no variable 'nothing'" in begin(prober, server.url, probe)
    until(lambda: counted(jobs, 1, '"up": true') == 1)
    assert prober.end(probe, JOB, since).by == "service"


def test_nobody_waits_for_it(jobs: LocalJobs, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A probe that nobody has waited for, for long enough, ends by itself."""
    server.answers["/"] = (200, "")
    monkeypatch.setattr(probe_child, "PATIENCE", 0.6)
    (tmp_path / "targets.json").write_text(f'{{"targets": {{"": "{server.url}/"}}, "every": 0.02, "timeout": 1}}')
    began = time.monotonic()
    assert probe_child.main(tmp_path) == 0
    assert time.monotonic() - began < 10
    assert '"up": true' in (tmp_path / "events.jsonl").read_text()
