"""Rollbacks forced at random points: `python -m tests.campaigns.rollback --runs 200 --seed 1`.

Releases with batches of random shapes go wrong by chance: a suite fails on a host, a task does, a service answers as
another one, a person cancels in the middle, or the orchestrator is killed and gone on with. Afterwards every host that was
touched has, file by file, the release that it had, and its service answers so; every other one was not touched at all:
the same process serves, and its ledger knows nothing of the run. Nothing of ours is asked for that but `show`.
"""

import argparse
import hashlib
import io
import json
import random
import statistics
import sys
import tarfile
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.hosts import loopback
from tests.campaigns.chaos.parts import EDGE, HEAD, SMOKE, Small, ended, until

HOSTS = tuple(f"web{number}" for number in range(1, 7))
KINDS = ("suite", "task", "service", "cancel", "kill")
POINTS = ("job deploy.{batch}:spawned", "job deploy.{batch}:event 3", "job deploy.{batch}:ended", "edge.deploy.{batch}:done",
          "edge.verify.smoke.deploy.{batch}:before", "edge.restore.deploy:before", "job restore.deploy:ended")  # fmt: skip
APP = '''"""Says what it is."""
import http.server, pathlib, sys

SAYS = (pathlib.Path(__file__).parent / "VERSION").read_bytes()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(SAYS)))
        self.end_headers()
        self.wfile.write(SAYS)

    def log_message(self, *words):
        pass


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
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
        service: {command: ["{{ ansible_python_interpreter }}", app.py, "{{ ansible_host }}", "{{ app_port }}"]}
        probe:
          url: "http://{{ ansible_host }}:{{ app_port }}/"
          contains: "{{ 'something else' if inventory_hostname in unserved else release_version }}"
          timeout: 3
    - name: Go wrong where it should
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
  - {{name: deploy, playbook: playbooks/deploy.yml, hosts: web, rollout: {{batches: {batches}}}, timeout: 2m}}
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
        hosts = [loopback.start(f"{EDGE}-{EDGE}", name) for name in HOSTS[2:]]
        self.hosts += hosts
        self.inventory({host.name: host.variables() for host in self.hosts})
        self.write("playbooks/deploy.yml", PLAYBOOK)
        self.write("playbooks/templates/thing.ini.j2", "[thing]\nversion = {{ release_version }}\n")
        self.write("tests/smoke/test_it.py", SMOKE)

    def release(self, rng: random.Random, kind: str = "", bad: str = "") -> str:
        """Write a new release, with files and batches by chance, that goes wrong as *kind* says on the host *bad*."""
        self.number += 1
        version = f"1.{self.number}.0"
        shapes: list[int | str] = [1, 1, 2, 2, 3, "25%", "40%", "50%"]
        text = RELEASE.format(
            version=version,
            failing=json.dumps([bad] if kind == "task" else []),
            unserved=json.dumps([bad] if kind == "service" else []),
            batches=json.dumps([*rng.choices(shapes, k=rng.randint(0, 3)), "100%"]),
        )
        self.write(f"releases/{version}/release.yaml", HEAD + text)
        files = {f"lib/part{number}.bin": rng.randbytes(rng.randint(0, 20_000)) for number in range(rng.randint(0, 12))}
        says = f"{version} {bad}" if kind in {"suite", "kill"} else version
        _pack(
            self.root / "dist" / f"thing-{version}.tar.gz", {**files, "app.py": APP.encode(), "VERSION": says.encode()}
        )
        return version

    def truth(self) -> dict[str, Truth]:
        """Of every host."""
        return {host.name: _truth(host) for host in self.hosts}


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


def attempt(fleet: Fleet, seed: int, number: int) -> tuple[str, dict[str, Any], list[str]]:
    """Force one rollback: what was done, the run's story, and what is wrong afterwards."""
    rng = random.Random(f"{seed}:{number}")
    if number % 8 == 0:  # move on: what is gone back to is not always the same
        fleet.promote(fleet.release(rng))
    kind, bad = rng.choice(KINDS), rng.choice(HOSTS)
    version, before = fleet.release(rng, kind, bad), fleet.truth()
    if kind == "cancel":
        _cancelled(fleet, version, rng)
    elif kind == "kill":
        kind = _killed(fleet, version, rng)
    else:
        fleet.promote(version, code=4)
    run = fleet.last()
    story = fleet.run("show", run, "--json").json
    return f"{kind} on {bad}", story, _wrong(run, story, before, fleet.truth())


def _cancelled(fleet: Fleet, version: str, rng: random.Random) -> None:
    process = fleet.begin(version)
    until(
        lambda: any(version in _says(host) for host in fleet.hosts) or process.poll() is not None, "a host is reached"
    )
    time.sleep(rng.uniform(0, 1.5))
    fleet.run("cancel", fleet.last(), code=None)
    ended(process)


def _killed(fleet: Fleet, version: str, rng: random.Random) -> str:
    point = rng.choice(POINTS).format(batch=rng.randint(1, 2))
    code, _said = ended(fleet.begin(version, ORCHESTRATOR_CRASH=point))
    if code < 0:
        fleet.run("resume", fleet.last(), code=None)
    return f"kill at {point}" if code < 0 else "suite"


def _says(host: loopback.Host) -> str:
    file = Path(host.root) / "current" / "VERSION"
    return file.read_text() if file.exists() else ""


def _wrong(run: str, story: dict[str, Any], before: dict[str, Truth], after: dict[str, Truth]) -> list[str]:
    state = story["run"]["state"]
    if state == "succeeded" or (state == "failed" and not story["way_back"]):  # cancelled too late, or before anything
        return [] if state == "succeeded" or before == after else ["it failed, and hosts are not what they were"]
    if state != "rolled back":
        return [f"it ended as: {state}: {story['run']['message']}"]
    plan, wrong = story["way_back"], []
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


def campaign(runs: int, seed: int, first: int = 0) -> int:
    """Force *runs* rollbacks; 1 when a host was not what it had to be."""
    began, bad, times, touched, alone, back = time.monotonic(), 0, list[float](), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="orchestrator-rollback-") as folder:
        fleet = Fleet(Path(folder) / "project")
        fleet.root.mkdir()
        try:
            fleet.start_hosts()
            fleet.promote(fleet.release(random.Random(seed)))
            for number in range(first, first + runs):
                what, story, wrong = attempt(fleet, seed, number)
                plan = story["way_back"] or {"touched": [], "untouched": []}
                touched, alone = touched + len(plan["touched"]), alone + len(plan["untouched"])
                back += story["run"]["state"] == "rolled back"
                times += [story["recovery_seconds"]] if story["recovery_seconds"] is not None else []
                bad += bool(wrong)
                took = f"{story['recovery_seconds']} s" if story["recovery_seconds"] is not None else "no rollback"
                print(f"{number} {what}: {story['run']['state']}, touched {len(plan['touched'])}, {took}", flush=True)
                for line in wrong:
                    print(f"  wrong: {line}  [--seed {seed} --from {number} --runs 1]", flush=True)
        finally:
            fleet.clean()
    median = f"{statistics.median(times):.1f} s in the median, {max(times):.1f} s at the most" if times else "none"
    print(f"seed {seed}: {runs} forced, {back} rolled back ({median}) in {time.monotonic() - began:.0f} s")
    print(f"{touched} hosts went back, {alone} were left alone; {runs - bad} right, {bad} wrong")
    return 1 if bad or not back else 0


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--from", dest="first", type=int, default=0, help="begin with this one")
    chosen = parser.parse_args()
    return campaign(chosen.runs, chosen.seed, chosen.first)


if __name__ == "__main__":
    sys.exit(main())
