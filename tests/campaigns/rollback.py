"""Rollbacks forced at random points: `python -m tests.campaigns.rollback --runs 200 --seed 1`.

Releases of random shapes (batches, their order, canaries) go wrong by chance: a suite fails on a host, a task does, a
service answers as another one, the gate of a canary is shut, a person cancels in the middle, or the orchestrator is
killed and gone on with. Afterwards every host that was touched has, file by file, the release that it had, and its
service answers so; every other one was not touched at all: the same process serves, and its ledger knows nothing of the
run. Nothing of ours is asked for that but the run's story.

Attempts go on side by side, each lane in a project of its own with hosts of its own, which it keeps. So many rollbacks
are forced as were asked for; an attempt that went well after all, or failed before anything, does not count. What
an attempt does follows from its own seed, `--attempt SEED:NUMBER` does one again.
"""

import argparse
import hashlib
import io
import json
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.config import load_release
from orchestrator.folders import collections_folder
from orchestrator.hosts import loopback
from orchestrator.wiring import open_app
from tests.campaigns.chaos.parts import EDGE, HEAD, SMOKE, Small, ended, until
from tests.shared_hosts import state_in

HOSTS = tuple(f"web{number}" for number in range(1, 7))
KINDS = ("suite", "task", "service", "gate", "cancel", "kill")
SHAPES: tuple[int | str, ...] = (1, 1, 2, 2, 3, "25%", "40%", "50%")
ORDERS = ("inventory", "reverse", "sorted", "shuffled")
CANARIES: tuple[int | str, ...] = (1, 2, "20%", "50%", "web[0]", "web[-1]", "web3:web5")
POINTS = ("job deploy.{batch}:spawned", "job deploy.{batch}:event 3", "job deploy.{batch}:ended", "edge.deploy.{batch}:done",
          "edge.verify.smoke.deploy.{batch}:before", "edge.restore.deploy:before", "job restore.deploy:ended")  # fmt: skip
MOVE_ON = 10  # attempts of a lane after which it goes on to another release, to which the next ones go back
APP = '''"""Says what it is, and starts in a moment: a rollback starts a dozen of it."""
import os, socket, sys

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "VERSION"), "rb") as file:
    SAYS = file.read()
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    link, _ = server.accept()
    try:
        with link:
            link.settimeout(5)
            link.recv(65536)
            head = "HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % len(SAYS)
            link.sendall(head.encode() + SAYS)
    except OSError:
        pass
'''
PLAYBOOK = """- name: Put it there
  hosts: web
  gather_facts: false
  tasks:
    - name: Put the release on the host
      orchestrator.release.deploy:
        config: [{src: thing.ini.j2, dest: etc/thing.ini}]
        shared: [data]
        keep: 3
        service:
          command: ["{{ ansible_python_interpreter }}", -I, -S, app.py, "{{ ansible_host }}", "{{ app_port }}"]
        probe:
          url: "http://{{ ansible_host }}:{{ app_port }}/"
          contains: "{{ 'something else' if inventory_hostname in unserved else orchestrator_release.version }}"
          timeout: 3
"""
FAILING = """    - name: Go wrong where it should
      ansible.builtin.raw: "exit 3"
      when: inventory_hostname in failing
"""
RELEASE = """kind: Release
name: thing
version: "{version}"
artifacts: [{{path: dist/thing-{version}.tar.gz}}]
environments: [edge]
vars: {{failing: {failing}, unserved: {unserved}}}
steps:
  - {{name: deploy, playbook: playbooks/{playbook}.yml, hosts: web, rollout: {rollout}, timeout: 2m}}
verify:
  - {{name: smoke, tests: tests/smoke, timeout: 1m}}
"""


@dataclass(frozen=True)
class Truth:
    """What a host is, asked of itself: its release file by file, what its service answers, which process serves."""

    files: tuple[tuple[str, str, int], ...]
    answers: bytes
    process: str
    ledger: tuple[str, ...]


class Fleet(Small):
    """Six hosts whose service says what it is."""

    def start_hosts(self) -> None:
        """Write the project's files, and start its hosts."""
        self.lay()
        with state_in(self.state):
            self.hosts += [loopback.start(f"{EDGE}-{EDGE}", name) for name in HOSTS[2:]]
        self.inventory({host.name: host.variables() for host in self.hosts})
        self.write("playbooks/deploy.yml", PLAYBOOK)  # the module keeps the ledger by itself
        self.write("playbooks/failing.yml", PLAYBOOK + FAILING)  # it is kept around the playbook
        self.write("playbooks/templates/thing.ini.j2", "[thing]\nversion = {{ orchestrator_release.version }}\n")
        self.write("tests/smoke/test_it.py", SMOKE)

    def environ(self) -> dict[str, str]:
        """As of every project, and what Python has compiled is kept: an attempt starts dozens of its processes."""
        return {name: value for name, value in super().environ().items() if name != "PYTHONDONTWRITEBYTECODE"}

    def release(self, rng: random.Random, kind: str = "", bad: str = "") -> "Drawn":
        """Build a new release, with files and a shape by chance, that goes wrong as *kind* says on the host *bad*."""
        self.number += 1
        version, rollout = f"1.{self.number}.0", _rollout(rng, kind)
        text = RELEASE.format(
            version=version,
            failing=json.dumps([bad] if kind == "task" else []),
            unserved=json.dumps([bad] if kind == "service" else []),
            rollout=json.dumps(rollout),
            playbook="failing" if kind == "task" else "deploy",
        )
        source = self.write(f"releases/{version}/release.yaml", HEAD + text)
        files = {f"lib/part{number}.bin": rng.randbytes(rng.randint(0, 20_000)) for number in range(rng.randint(0, 12))}
        says = f"{version} {bad}" if kind in {"suite", "kill"} else version
        _pack(
            self.root / "dist" / f"thing-{version}.tar.gz", {**files, "app.py": APP.encode(), "VERSION": says.encode()}
        )
        target = self.root / "dist" / f"thing-{version}.release"
        packages = SealedPackages(self.state / "packages", collections=collections_folder())
        packages.build(self.root, source, load_release(source, self.root), target)
        return Drawn(version, str(target.relative_to(self.root)), rollout)

    def promotes(self, file: str, **environ: str) -> "subprocess.Popen[str]":
        """Start to promote a sealed file, in a process of its own."""
        env, self.env = self.env, {**self.env, **environ}
        try:
            return self.start("promote", file, "--json")
        finally:
            self.env = env

    def truth(self) -> dict[str, Truth]:
        """Of every host."""
        return {host.name: _truth(host) for host in self.hosts}


@dataclass(frozen=True)
class Drawn:
    """A release that was drawn: its version, its sealed file, and the shape in which it goes out."""

    version: str
    file: str
    rollout: dict[str, Any]

    def __str__(self) -> str:
        canary = self.rollout.get("canary")
        first = f"canary {canary['hosts']}, then " if canary else ""
        return f"{first}{', '.join(map(str, self.rollout['batches']))} {self.rollout['order']}"


def _rollout(rng: random.Random, kind: str) -> dict[str, Any]:
    """A shape by chance; for the kind `gate` with a canary whose gate is shut."""
    found: dict[str, Any] = {
        "batches": [*rng.choices(SHAPES, k=rng.randint(0, 2)), "100%"],
        "order": rng.choice(ORDERS),
    }
    if kind == "gate" or rng.random() < 0.35:
        gate = {"name": "look", "command": ["sh", "-c", "exit 3" if kind == "gate" else "exit 0"]}
        look = {"hosts": rng.choice(CANARIES), "observe": "100ms", "every": "100ms", "gates": [gate]}
        found |= {"strategy": "canary", "canary": look}
    return found


def _pack(target: Path, files: dict[str, bytes]) -> None:
    target.parent.mkdir(exist_ok=True)
    with tarfile.open(target, "w:gz") as archive:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(data), 0o644
            archive.addfile(about, io.BytesIO(data))


def _truth(host: loopback.Host) -> Truth:
    root = Path(host.root)
    release = (root / "current").resolve()
    files = [
        (path.relative_to(release).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
        for path in sorted(release.rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]
    about = host.variables()
    with urllib.request.urlopen(f"http://{about['ansible_host']}:{about['app_port']}/", timeout=10) as answer:
        says = answer.read()
    own = root / ".orchestrator"
    return Truth(
        tuple(files), says, (own / "service.json").read_text(), tuple((own / "ledger.jsonl").read_text().split("\n"))
    )


def attempt(fleet: Fleet, seed: str) -> tuple[str, dict[str, Any], list[str]]:
    """Force one rollback: what was done, the run's story, and what is wrong afterwards. *seed* decides what."""
    rng = random.Random(seed)
    kind, bad = rng.choice(KINDS), rng.choice(HOSTS)
    drawn, before = fleet.release(rng, kind, bad), fleet.truth()
    if kind == "cancel":
        story = _cancelled(fleet, drawn, rng)
    elif kind == "kill":
        kind, story = _killed(fleet, drawn, rng)
    else:
        story = fleet.run("promote", drawn.file, "--json", code=4).json["runs"][0]
    return f"{kind} on {bad} ({drawn})", story, _wrong(story["run"]["id"], story, before, fleet.truth())


def _cancelled(fleet: Fleet, drawn: Drawn, rng: random.Random) -> dict[str, Any]:
    process = fleet.promotes(drawn.file)
    until(
        lambda: any(drawn.version in _says(host) for host in fleet.hosts) or process.poll() is not None,
        "a host is reached",
    )
    time.sleep(rng.uniform(0, 1.5))
    fleet.run("cancel", _last(fleet), code=None)
    return _story(ended(process)[1])


def _killed(fleet: Fleet, drawn: Drawn, rng: random.Random) -> tuple[str, dict[str, Any]]:
    point = rng.choice(POINTS).format(batch=rng.randint(1, 2))
    code, said = ended(fleet.promotes(drawn.file, ORCHESTRATOR_CRASH=point))
    if code >= 0:
        return "suite", _story(said)
    return f"kill at {point}", fleet.run("resume", _last(fleet), "--json", code=None).json["runs"][0]


def _story(said: str) -> dict[str, Any]:
    """The run's story, which a command has written before whatever else it said."""
    found: dict[str, Any] = json.JSONDecoder().raw_decode(said)[0]["runs"][0]
    return found


def _last(fleet: Fleet) -> str:
    """The run that was begun last."""
    store = open_app(fleet.root, fleet.environ()).store
    try:
        return store.runs(EDGE, limit=1)[0].id
    finally:
        store.close()


def _says(host: loopback.Host) -> str:
    file = Path(host.root) / "current" / "VERSION"
    return file.read_text() if file.exists() else ""


def _wrong(run: str, story: dict[str, Any], before: dict[str, Truth], after: dict[str, Truth]) -> list[str]:
    state = story["run"]["state"]
    if state == "succeeded" or (
        state == "failed" and not story["rollback_plan"]
    ):  # cancelled too late, or before anything
        return [] if state == "succeeded" or before == after else ["it failed, and hosts are not what they were"]
    if state != "rolled back":
        return [f"it ended as: {state}: {story['run']['message']}"]
    plan, wrong = story["rollback_plan"], []
    if sorted(plan["touched"] + plan["untouched"]) != sorted(HOSTS):
        wrong.append(f"the plan knows {plan['touched']} and {plan['untouched']}")
    for host, was in before.items():
        now = after[host]
        if (now.files, now.answers) != (was.files, was.answers):
            wrong.append(f"{host} is not what it was: {sorted(set(now.files) ^ set(was.files))[:4]}, {now.answers!r}")
        if host in plan["untouched"] and now.process != was.process:
            wrong.append(f"{host} was not to be touched, and another process serves")
        known = [line for line in now.ledger if f'"run": "{run}"' in line]
        if (host in plan["touched"]) != bool(known):
            wrong.append(f"{host} has {len(known)} lines of this run in its ledger: {plan['touched']} were touched")
    return wrong


@dataclass
class Tally:
    """What the lanes have counted so far. *left* rollbacks are still to be forced; *once*: by one attempt, or not."""

    seed: int
    left: int
    following: int = 0
    once: bool = False
    attempts: int = 0
    back: int = 0
    bad: int = 0
    touched: int = 0
    alone: int = 0
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> str | None:
        """The seed of the next attempt; None when there are enough."""
        with self.lock:
            if self.left <= 0 or self.bad:
                return None
            self.left -= 1  # given back by an attempt that was none
            self.following += 1
            return f"{self.seed}:{self.following - 1}"

    def take(self, seed: str, what: str, story: dict[str, Any], wrong: list[str]) -> None:
        """Count one attempt, and tell of it."""
        plan, state = story["rollback_plan"] or {"touched": [], "untouched": []}, story["run"]["state"]
        took = story["recovery_seconds"]
        with self.lock:
            self.attempts += 1
            self.back += state == "rolled back"
            self.left += state != "rolled back" and not self.once
            self.touched, self.alone = self.touched + len(plan["touched"]), self.alone + len(plan["untouched"])
            self.times += [took] if took is not None else []
            self.bad += bool(wrong)
            text = f"{took} s" if took is not None else "no rollback"
            print(f"{seed} {what}: {state}, touched {len(plan['touched'])}, {text}", flush=True)
            for line in wrong:
                print(f"  wrong: {line}  [--attempt {seed}]", flush=True)

    def broken(self, seed: str, trouble: str) -> None:
        """An attempt that did not come to its end."""
        with self.lock:
            self.attempts, self.bad = self.attempts + 1, self.bad + 1
            print(f"{seed} did not come to its end  [--attempt {seed}]\n{trouble}", flush=True)

    def report(self, seconds: float, lanes: int) -> None:
        """The figures."""
        times = self.times
        median = f"{statistics.median(times):.1f} s in the median, {max(times):.1f} s at the most" if times else "none"
        each = f"{seconds / max(1, self.attempts):.1f} s an attempt, {lanes} side by side"
        print(f"seed {self.seed}: {self.attempts} attempts, {self.back} rolled back ({median})")
        print(f"{seconds:.0f} s, {each}")
        print(f"{self.touched} hosts went back, {self.alone} were left alone; {self.bad} wrong")


def _lane(fleet: Fleet, tally: Tally) -> None:
    """One attempt after the other, until there are enough; every so often on to another release."""
    number = 0
    while (seed := tally.next()) is not None:
        try:
            if number % MOVE_ON == 0:
                fleet.run("promote", fleet.release(random.Random(f"{seed}:good")).file)
            tally.take(seed, *attempt(fleet, seed))
        except (AssertionError, LookupError, OSError, ValueError, subprocess.SubprocessError):
            tally.broken(seed, traceback.format_exc())
        number += 1


def campaign(runs: int, seed: int, lanes: int = 1, only: int | None = None) -> int:
    """Force *runs* rollbacks, or the *only* attempt; 1 when a host was not what it had to be."""
    tally = Tally(seed, runs, following=only or 0, once=only is not None)
    with tempfile.TemporaryDirectory(prefix="orchestrator-rollback-") as folder:
        fleets = [Fleet(Path(folder) / f"project{number}") for number in range(lanes)]
        try:
            for fleet in fleets:
                fleet.root.mkdir()
                fleet.start_hosts()
            began = time.monotonic()
            with ThreadPoolExecutor(lanes) as pool:
                list(pool.map(lambda fleet: _lane(fleet, tally), fleets))
            tally.report(time.monotonic() - began, lanes)
        finally:
            for fleet in fleets:
                fleet.clean()
    return 1 if tally.bad or not tally.back else 0


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="rollbacks to be forced")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--lanes", type=int, default=3, help="attempts side by side")
    parser.add_argument("--attempt", metavar="SEED:NUMBER", help="do this one alone")
    chosen = parser.parse_args()
    if chosen.attempt:
        seed, number = map(int, chosen.attempt.split(":"))
        return campaign(1, seed, only=number)
    return campaign(chosen.runs, chosen.seed, chosen.lanes)


if __name__ == "__main__":
    sys.exit(main())
