"""Kill every kind of job, one after the other, where the stack changes with the release: `python -m tests.campaigns.chains`.

The project has ordinary playbooks and an inventory of its own. A chain is one run of it: it is killed in its first job,
gone on with, killed in the next one, and so on to its end. What becomes of the job turns with its place in the chain:
it goes on, its engine dies, all of it dies, or it has ended and nobody has read that. With `--shifts 0,1,2,3` each job
meets all four. After each kill, and at the end, what status, show and journal say is compared with the hosts' own files.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.domain.journal import Record
from orchestrator.processes import tagged
from tests.campaigns.judge import batches_of
from tests.campaigns.plain import BAD, GOOD, LIVE, SIDES, Plain
from tests.campaigns.real import ENGINE, WHOLE, end_job
from tests.checker import hosts as own
from tests.checker.invariants import Seen, Told, violations

MOMENTS = (("event 1", WHOLE), ("spawned", ""), ("event 1", ENGINE), ("ended", ""))
"""When a job's orchestrator is killed, and what dies with it."""
SILENT = ("gate.",)
"""How jobs begin that tell nothing while they work."""
SHARED = ("plan", "restore.stack")
"""Steps that have several jobs."""
WEB = {"web1", "web2"}


@dataclass(frozen=True)
class Tale:
    """One run: what is asked for in which environment, the jobs that it comes by, and how it ends."""

    name: str
    environment: str
    jobs: tuple[str, ...]
    ends: str
    release: str = GOOD
    rehearse: bool = False
    verb: str = ""

    def words(self, project: Plain) -> tuple[str, ...]:
        """The command, with what it needs written before."""
        if self.verb:
            return ("environment", self.verb, self.environment, "--yes")
        project.guard(self.environment, drift=self.rehearse)
        version = project.make(self.environment, self.release, rehearse=self.rehearse)
        return ("promote", f"releases/{version}", "--to", self.environment)


TALES = (
    Tale(
        "it is rolled back",
        LIVE,
        (
            "plan.preview", "plan.require", "provision", "require", "prepare.1", "deploy.1", "verify.smoke.deploy.1",
            "gate.up.deploy.1.look.1", "deploy.2", "verify.smoke.environment", "undo.1.prepare", "restore.deploy",
            "restore.stack.preview", "restore.stack", "restore.look", "restore.again.deploy", "verify.smoke.restored",
        ),
        "rolled back",
        BAD,
    ),
    Tale(
        "it is rehearsed where nothing may have drifted",
        LIVE,
        ("plan.drift.snapshot", "plan.drift.refresh", "rehearse.before", "rehearse.there"),
        "succeeded",
        rehearse=True,
    ),
    Tale("it is switched", SIDES, ("deploy.1", "verify.smoke.side", "switch", "gate.kept.watch.1", "retire"), "succeeded"),
    Tale("it is switched back", SIDES, ("provision", "switch", "switch.back", "restore.deploy"), "rolled back", BAD),
    Tale("it is destroyed", SIDES, ("provision",), "succeeded", verb="destroy"),
    Tale("it is brought up", SIDES, ("provision",), "succeeded", verb="up"),
)  # fmt: skip


@dataclass
class Chain:
    """One run of a *tale* that is killed in job after job. Afterwards *wrong* says what does not hold."""

    project: Plain
    tale: Tale
    shift: int = 0
    jobs: tuple[str, ...] = ()
    wrong: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    run_id: str = ""

    def run(self) -> "Chain":
        """Kill it in each of the *jobs* (all of the tale's, when there are none), see it to its end, and judge."""
        project, tale = self.project, self.tale
        before = self._had()
        words = tale.words(project)
        for number, job in enumerate(self.jobs or tale.jobs):
            moment, also = self._moment(number, job)
            code, said = self._command(words, ",".join(f"job {name}:{moment}" for name in _attempts(job)))
            if code != -signal.SIGKILL:
                self.wrong.append(f"it was not killed in {job}: it ended with {code}: {said[-600:]}")
                break
            over = bool(also) and end_job(project, *_attempts(job), whole=also == WHOLE)
            self.killed.append(f"{job}:{moment}{also}{' (over)' if over else ''}")
            self.run_id = self._interrupted(job)
            words = ("resume", self.run_id)
        else:
            _, said = self._command(words)
        self._judge(before, said)
        return self

    def _moment(self, number: int, job: str) -> tuple[str, str]:
        moment, also = MOMENTS[(number + self.shift) % len(MOMENTS)]
        return ("spawned" if moment == "event 1" and job.startswith(SILENT) else moment), also

    def _command(self, words: Sequence[str], point: str = "") -> tuple[int, str]:
        process = subprocess.Popen(
            [*self.project.program, *words],
            cwd=self.project.root,
            env={**self.project.environ(), **({"ORCHESTRATOR_CRASH": point} if point else {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said, _ = process.communicate(timeout=600)
        return process.returncode, said

    def _interrupted(self, job: str) -> str:
        """The run, which status says to be interrupted; nothing that it says of hosts is untrue."""
        status = self.project.status(self.tale.environment)
        last = status["last_run"]
        if not last["interrupted"]:
            self.wrong.append(f"{job}: status says {last['state']}, and it was killed")
        roots = self._roots()
        told = {host: what for host, what in told_by(status["hosts"]).items() if what.truth == "seen"}
        there = {host: own.running(root) for host, root in roots.items() if host in told}
        now = Seen(running=there, told=told, approved=_approved(self.project), ended={str(last["id"]): "failed"})
        self.wrong += [f"{job}: {text}" for text in violations(now)]
        return str(last["id"])

    def _judge(self, before: "Had", said: str) -> None:
        status = self.project.status(self.tale.environment)
        last = status["last_run"]
        self.run_id = str(last["id"])
        if last["state"] != self.tale.ends:
            self.wrong.append(f"it ended as {last['state']}: {said[-1500:]}")
        self.wrong += violations(seen(self.project, self.tale.environment, status, before))
        ran = {
            path.name.removeprefix(f"{self.run_id}.") for path in (self.project.state / "jobs").glob(f"{self.run_id}.*")
        }
        self.ran = sorted(name for name in ran if "~" not in name)

    def _roots(self) -> dict[str, Path]:
        return roots(self.project, self.tale.environment)

    def _had(self) -> "Had":
        """A good release everywhere, unless the infrastructure is only brought up, and what each host has."""
        if self.tale.verb != "up":
            self.project.good_release(self.tale.environment)
        return Had.of(self.project, self.tale.environment)


def _attempts(job: str) -> list[str]:
    """The names of a job in the attempts of its step: a job that was killed before it belongs to the same step."""
    step = next((step for step in SHARED if job == step or job.startswith(f"{step}.")), job)
    return [job, *(f"{step}~{number}{job[len(step) :]}" for number in (2, 3))]


@dataclass(frozen=True)
class Had:
    """What each host ran, the files that it had, and where the router led to, before a run."""

    running: dict[str, str | None]
    files: dict[str, dict[str, bytes]]
    live: tuple[str, ...]

    @staticmethod
    def of(project: Plain, environment: str) -> "Had":
        """What it is now."""
        found = roots(project, environment)
        live = routed(found).get("router", ())
        kept = {host: own.files(root) for host, root in found.items() if not live or host in {*live, "router"}}
        return Had({host: own.running(root) for host, root in found.items() if host in WEB}, kept, live)


def roots(project: Plain, environment: str) -> dict[str, Path]:
    """The folder of each host that there is."""
    return {path.parent.name: path for path in sorted(project.folder(environment).glob("*/root"))}


def routed(found: dict[str, Path]) -> dict[str, tuple[str, ...]]:
    """Where the router leads to, by its own file."""
    file = found["router"] / "upstreams" if "router" in found else None
    return {"router": tuple(file.read_text().split())} if file is not None and file.exists() else {}


def told_by(states: list[dict[str, Any]]) -> dict[str, Told]:
    """What a document says of hosts."""
    return {
        state["host"]: Told(
            state["truth"],
            (state.get("release") or {}).get("digest"),
            bool(state.get("is_standby")),
            bool(state.get("switch_uncertain")),
        )
        for state in states
    }


def seen(project: Plain, environment: str, status: dict[str, Any], before: Had) -> Seen:
    """What is there now by the hosts' own files, the backend's, and the process table; and what is told of it."""
    found, last = roots(project, environment), status["last_run"]
    run = str(last["id"])
    told = told_by(status["hosts"])
    with project.opened() as app:
        records = app.store.records(run)
    web = {host: root for host, root in found.items() if host in WEB}
    live = [host for host in web if host in told and not told[host].is_standby and told[host].truth != "empty"]
    jobs = [path.name for path in (project.state / "jobs").glob(f"{run}.*") if tagged(f"ORCHESTRATOR_JOB={path}")]
    motto = outputs(project, environment).get("motto")
    return Seen(
        running={host: own.running(root) for host, root in web.items() if told.get(host, Told("", None)).truth != "empty"
                 or own.running(root) is not None},
        told={host: what for host, what in told.items() if host in WEB},
        approved=_approved(project),
        ended={run: str(last["state"])},
        ledgers=[effect for host, root in found.items() for effect in own.done(host, root)],
        order=ordered(records, found),
        verified=(status["release"] or {}).get("digest"),
        before=before.running,
        leases=[status["lease"]["holder"]] if status["lease"] else [],
        waiting=[str(wait) for wait in status["waiting"]],
        leftovers=[f"processes of {name}" for name in jobs],
        batches=batches_of(run, records),
        routed=routed(found),
        live=before.live,
        given={host: (own.configured(web[host]).get("motto"), own.configured(web[host]).get("outputs")) for host in live},
        gives=(motto, motto),
        documents={} if last["interrupted"] else {"show": _of_web(project.story(environment)["hosts"]), "the journal": _journal(records)},
        claimed={line for host, root in found.items() for line in own.claimed(host, root)},
        had=before.files,
        has={host: own.files(root) for host, root in found.items()},
    )  # fmt: skip


def _of_web(states: Any) -> dict[str, Told]:
    found = list(states.values()) if isinstance(states, dict) else list(states)
    return {host: what for host, what in told_by(found).items() if host in WEB}


def _journal(records: list[Record]) -> dict[str, Told]:
    """What the journal of a run says last of each host of the web."""
    return _of_web({record.host: {**record.data, "host": record.host} for record in records if record.kind == "host"})


def ordered(records: list[Record], found: dict[str, Path]) -> list[tuple[str, ...]]:
    """What was written to the journal and done on hosts, by the clock that both have."""
    timed: list[tuple[float, tuple[str, ...]]] = []
    run = records[0].run if records else ""
    for record in records:
        about = (
            (record.host, str(record.data["truth"]))
            if record.kind == "host"
            else (record.step, str(record.data.get("outcome", "")))
        )
        timed.append((datetime.fromisoformat(record.at).timestamp(), ("journal", run, record.kind, *about)))
    for host, root in found.items():
        notes = (note for note in own.noted(host, root) if note.run == run and note.began)
        timed += [(note.time, ("effect", run, note.step, host)) for note in notes]
    return [what for _, what in sorted(timed, key=lambda item: item[0])]


def outputs(project: Plain, environment: str) -> dict[str, Any]:
    """The stack's outputs, by the backend's own file."""
    file = project.state / f"pulumi/backend/.pulumi/stacks/{environment}/{environment}.json"
    resources = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"].get("resources", [])
    return dict(resources[0].get("outputs", {})) if resources else {}


def _approved(project: Plain) -> set[str]:
    return {f"sha256:{path.stem}" for path in (project.state / "packages").glob("*.release")}


@contextmanager
def plain_project() -> Iterator[Plain]:
    """The project in a folder of its own, with nothing in it yet."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-chains-") as folder:
        project = Plain(Path(folder) / "project")
        project.root.mkdir()
        project.lay()
        try:
            yield project
        finally:
            project.clean()


def main() -> int:
    """Try each tale with each shift; the exit status is 1 when something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shifts", default="0,1,2,3", help="by how many places the moments are moved, one chain each")
    parser.add_argument("--only", default="", help="tales whose name holds one of these, with commas between")
    chosen = parser.parse_args()
    began, bad, kills = time.monotonic(), 0, 0
    tales = [tale for tale in TALES if any(words in tale.name for words in chosen.only.split(","))]
    shifts = [int(word) for word in chosen.shifts.split(",")]
    with ExitStack() as stack:
        project = stack.enter_context(plain_project())
        for shift, tale in itertools.product(shifts, tales):
            since = time.monotonic()
            chain = Chain(project, tale, shift).run()
            bad, kills = bad + bool(chain.wrong), kills + len(chain.killed)
            print(
                f"{tale.name}, shift {shift}: {len(chain.killed)} kills, {time.monotonic() - since:.0f} s", flush=True
            )
            print(f"  killed in {', '.join(chain.killed)}\n  ran {', '.join(chain.ran)}", flush=True)
            for line in chain.wrong:
                print(f"  WRONG: {line}", flush=True)
    chains = len(tales) * len(shifts)
    print(f"{chains} chains, {kills} kills, {time.monotonic() - began:.0f} s")
    print(f"{chains - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    sys.exit(main())
