"""Rows 39 to 41, 44, 46, 54 and 55: two who act at once, one who wakes up late, and a world that changes under a run."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import sqlite_url
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.hosts import loopback
from orchestrator.processes import family, kill_tree, tagged
from tests.campaigns import workers
from tests.campaigns.chaos.parts import EDGE, apart, ended, kill, postgres, small
from tests.campaigns.chaos.processes import recovered
from tests.campaigns.chaos.table import Scene, row
from tests.journeys.conftest import Project

MARK = "ORCHESTRATOR_CHAOS"


@row(39, "two orchestrators on one Postgres, of which one is paused")
def split_brain(scene: Scene) -> str:
    """SIGSTOP of one past its claim, the other takes over and ends the run; then the first wakes up, and is refused."""
    server = postgres(scene)
    store = {"ORCHESTRATOR_STORE": server.fresh(), "ORCHESTRATOR_CLAIM": "4"}
    first = apart(scene, **store)
    second = Project(scene.folder / "second", env=store)
    shutil.copytree(first.root, second.root, ignore=shutil.ignore_patterns(".orchestrator"))
    second.state.mkdir()
    for common in ("packages", "plans"):  # a folder that both machines have
        (second.state / common).symlink_to(first.state / common)
    scene.end.callback(lambda: [kill_tree(f"ORCHESTRATOR_JOB={job}") for job in (second.state / "jobs").glob("*")])
    mark, all_of_it = f"{MARK}={scene.folder}", scene.rng.random() < 0.5
    version = first.make()
    first.hold(0)
    process = first.begin(version, ORCHESTRATOR_CHAOS=str(scene.folder))
    scene.end.callback(end, process)
    first.held(0, version)
    run = first.last()
    paused = [process.pid]
    if all_of_it:  # as a machine that stands still: with everything that it runs
        paused += [one for job in (first.state / "jobs").glob("*") for one in tagged(f"ORCHESTRATOR_JOB={job}")]
    for one in paused:
        os.kill(one, signal.SIGSTOP)
    time.sleep(scene.rng.uniform(5, 8))
    taker = second.start("resume", run)
    scene.end.callback(end, taker)
    time.sleep(1)
    first.free()
    code, said = ended(taker)
    assert code == 0, f"{code}: {said[-800:]}"
    before = [host_ledger(host) for host in first.hosts]
    for one in paused:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGCONT)
    late, said = ended(process)
    assert late not in {0, 4}, f"{late}: {said[-800:]}"
    assert [host_ledger(host) for host in first.hosts] == before, "the late one has written to a host"
    assert first.story(EDGE)["run"]["state"] == "succeeded"
    first.once(version)  # the ledger has a line of either: the later one found it done
    assert tagged(mark) == []
    fences = [line["fence"] for line in before[1]]
    assert fences == sorted(fences)
    return (
        f"{'all of it' if all_of_it else 'the process'} paused; the other ended the run; the late one left with {late}"
    )


def end(process: "subprocess.Popen[str]") -> None:
    """Kill a command that still runs."""
    if process.poll() is None:
        kill(process)


def host_ledger(host: loopback.Host) -> list[dict[str, Any]]:
    """The lines of a host's ledger."""
    text = Path(host.root, ".orchestrator", "ledger.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Paused(workers.Workers):
    """Workers of which one after the other stands still for a time, instead of being killed."""

    def kill_one(self) -> None:
        """SIGSTOP, and after up to twice a claim's length SIGCONT."""
        ours = {process.pid for process in self.processes.values()}
        children = [process for process in tagged(f"{workers.MARK}={self.folder}") if process not in ours]
        chosen = self.rng.choice(sorted(children) or sorted(ours))
        seconds = self.rng.uniform(1, 1.6 * workers.LASTS)
        self.killed[f"root paused for {'more' if seconds > workers.LASTS else 'less'} than its claim"] += 1
        with contextlib.suppress(ProcessLookupError):
            os.kill(chosen, signal.SIGSTOP)
        timer = threading.Timer(seconds, self.go_on, (chosen,))
        timer.daemon = True
        timer.start()

    def stop(self) -> list[str]:
        """Wake them all up, give them time to find out that they are late, and end them."""
        for process in tagged(f"{workers.MARK}={self.folder}"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        time.sleep(3)
        return super().stop()

    def go_on(self, process: int) -> None:
        """SIGCONT, when it is still there and ours."""
        if process in tagged(f"{workers.MARK}={self.folder}"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


@row(40, "workers are paused past their claims, again and again")
def late_renewals(scene: Scene) -> str:
    """Queued promotions over two workers whose processes stand still for 1 to 13 seconds: none lost, none twice."""
    server, roots = postgres(scene), 12
    folder = Path(tempfile.mkdtemp(prefix="paused-", dir=scene.folder))
    scene.end.callback(kill_tree, f"{workers.MARK}={folder}")
    scene.end.callback(os.environ.pop, "ORCHESTRATOR_STORE", None)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        bad = workers.run(server, folder, roots, 2, 1.5, random.Random(scene.rng.random()), Paused)
    assert bad == 0, said.getvalue()
    return said.getvalue().partition("\n")[0]


@row(41, "cancel, pause, abort and resume at the same moment")
def wishes(scene: Scene) -> str:
    """Everybody wants something else of one run at once: one outcome, in the order in which they were written."""
    project = small(scene)
    good, version = project.good_release(), project.make()
    process = project.halfway(version)
    run = project.last()
    wanted = [["cancel", run], ["pause", run], ["abort", run, "--yes", "-m", "no"], ["resume", run]]
    scene.rng.shuffle(wanted)
    started = [project.start(*words) for words in wanted]
    time.sleep(scene.rng.uniform(0.5, 2))
    project.free()
    code, _ = ended(process)
    answers = []
    for words, one in zip(wanted, started, strict=True):
        status, _ = ended(one)
        answers.append(f"{words[0]} {status}")
    if project.status(EDGE)["last_run"]["state"] not in {"succeeded", "rolled back", "failed"}:
        project.resume(run)
    state = project.judge(run, "succeeded", "rolled back", "failed")
    assert set(project.releases(EDGE).values()) == {version if state == "succeeded" else good}
    return f"{', '.join(answers)}, the promotion {code}: {state}"


@row(41, "an environment asks for approvals")
def approvals(scene: Scene) -> str:
    """Requested by several commands at once, it is one request that waits; nothing is touched without an approval."""
    project = small(scene)
    version = project.make()
    file = project.root / "environments/edge/environment.yaml"
    plain = file.read_text()
    scene.end.callback(file.write_text, plain)
    file.write_text(f"{plain}approvals: {{count: 1}}\n")
    started = [project.start("promote", f"releases/{version}") for _ in range(3)]
    said = [ended(one) for one in started]
    assert all("waiting for 1 of 1 approval" in text and code == 0 for code, text in said), said
    assert [project.marks(number).count(version) for number in (0, 1)] == [0, 0]
    return "requested three times: one request waits, and nothing was touched"


@row(44, "events come twice, out of order, torn, and from a former run")
def events(scene: Scene) -> str:
    """Many write the same entries in any order, one with an older fence; and a job's events are spoilt under a recovery."""
    store = DatabaseStore(sqlite_url(scene.folder / "state.db"), SystemClock())
    scene.end.callback(store.close)
    store.create(Run(id="r1-edge", root="r1", kind="promotion", environment="edge"))
    older = store.acquire("edge", "r1-edge", "ann", "first").fence
    store.release("edge", "r1-edge")
    newer = store.acquire("edge", "r1-edge", "ann", "second").fence
    entries = [Entry(kind="task", data={"n": number}, key=f"job:{number}") for number in range(40)]
    refused = list[str]()

    def write(fence: int, mine: list[Entry]) -> None:
        for entry in mine:
            try:
                store.append("r1-edge", [entry, entry], fence)
            except OrchestratorError as error:
                refused.append(error.code)

    late = [Entry(kind="task", data={"n": -1}, key=f"late:{number}") for number in range(5)]
    works = [(newer, scene.rng.sample(entries, 40)) for _ in range(3)] + [(older, late)]
    threads = [threading.Thread(target=write, args=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.records("r1-edge")
    assert [record.seq for record in found] == list(range(1, 41))
    assert sorted(record.data["n"] for record in found) == list(range(40))
    assert refused == ["S103"] * 5, refused
    return f"120 writes of 40 entries: each once; 5 of an older fence refused; {_spoilt(scene)}"


def _spoilt(scene: Scene) -> str:
    """Kill a promotion while it deploys, and spoil the events of its job before it is gone on with."""
    project = small(scene)
    version = project.make()
    process = project.halfway(version)
    kill(process)
    file = project.state / "jobs" / f"{project.last()}.deploy.1" / "events.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    scene.rng.shuffle(lines)
    former = next(iter(sorted((project.state / "jobs").glob("*.deploy.2/events.jsonl"))), None)
    with file.open("ab") as out:
        out.write(b"".join(lines) + b'{"kind": "task", "host"\n' + bytes(range(128, 256)) + b"\n[1]\n")
        out.write(former.read_bytes() if former is not None else b"")
    project.free()
    return f"a job's spoilt events, {recovered(project, version)}"


@row(46, "the key to the hosts expires in the middle of a run")
def expires(scene: Scene) -> str:
    """The host that is being worked on is finished, the next one cannot be entered: no half batch, and nobody is told more than is known."""
    project = small(scene)
    version = project.make()
    keys = Path(project.hosts[0].folder).parent / "client_key.pub"
    plain = keys.read_text()
    scene.end.callback(keys.write_text, plain)
    process = project.halfway(version)
    server, *sessions = family(loopback._server(project.hosts[1]))
    keys.write_text(f'expiry-time="20200101" {plain}')
    for session in sessions:  # what is open stays open: only who comes anew is asked for the key
        with contextlib.suppress(ProcessLookupError):
            os.kill(session, signal.SIGKILL)
    project.free()
    code, said = ended(process)
    assert code in {4, 5}, f"{code}: {said[-800:]}"
    assert version not in project.marks(1), "the second host was worked on"
    run = project.last()
    keys.write_text(plain)
    assert server in loopback._server(project.hosts[1])
    project.run("observe", EDGE, code=None)
    state = project.judge(run, "rolled back", "needs intervention")
    last = project.make()
    project.promote(last)
    project.once(last)
    return f"the first host was finished, the second left alone, the run {state}; with the key again all is well"


@row(54, "a client dies, and asks again for the same")
def again(scene: Scene) -> str:
    """Ask ten times for one release, four at once and after a death: one package, one effect, and busy names the run."""
    project = small(scene)
    version = project.make()
    process = project.halfway(version)
    run = project.last()
    kill(process)
    asked = [ended(one) for one in [project.start("promote", f"releases/{version}") for _ in range(4)]]
    assert [code for code, _ in asked] == [8] * 4, [(code, said[-200:]) for code, said in asked]
    assert all(run in said for _, said in asked)
    project.free()
    recovered(project, version)
    last = project.promote(version, code=None)
    project.once(version)
    packages = [
        item for item in project.run("package", "list", "--json").json["packages"] if item["version"] == version
    ]
    assert len(packages) == 1, packages
    return f"busy four times with {run}, then ended once; asked again: {last.code}"


@row(55, "the list of hosts changes in the middle of a run")
def hosts_change(scene: Scene) -> str:
    """One is renamed and one comes in: no host that the plan does not name is touched, and none twice."""
    project = small(scene)
    good, version = project.good_release(), project.make()
    known = {host.name: host.variables() for host in project.hosts}
    scene.end.callback(project.inventory, known)
    process = project.halfway(version)
    stranger = {**known["web2"], "ansible_host": "127.91.0.9"}
    project.inventory({"web1": known["web1"], "other": known["web2"], "web3": stranger})
    project.free()
    code, said = ended(process)
    assert code in {0, 4, 5}, f"{code}: {said[-800:]}"
    run = project.last()
    hosts = {host["host"] for step in project.steps(run).values() for host in step.get("hosts") or []}
    assert hosts <= {"web1", "web2"}, hosts
    assert max(project.marks(number).count(version) for number in (0, 1)) <= 1
    project.inventory(known)
    project.run("observe", EDGE)
    state = project.judge(run, "succeeded", "rolled back", "needs intervention")
    running = set(project.releases(EDGE).values())
    assert running == {version if state == "succeeded" else good}, running
    last = project.make()
    project.promote(last)
    project.once(last)
    return f"nobody but web1 and web2 was touched, the run {state}; with the old list all is well"


@row(55, "one host under two names")
def aliases(scene: Scene) -> str:
    """The same host twice in the list: never two releases at once on it, and what it does is told of both names."""
    project = apart(scene)  # its ledgers have the work of both names, which the checker takes for a repetition
    known = {host.name: host.variables() for host in project.hosts}
    good, version = project.good_release(), project.make()
    project.inventory({**known, "alias": known["web2"]})
    said = project.promote(version, code=None)
    starts = [project.marks(number).count(version) for number in (0, 1)]
    assert max(starts) <= 1, f"{starts}: it was started twice on one host"
    running = set(project.releases(EDGE).values())
    assert running in ({version}, {good}), running
    return f"ended with {said.code}; started {starts} times"
