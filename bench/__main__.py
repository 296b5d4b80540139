"""Print what it costs: python -m bench [--hosts 1,10,50] [--repeats 3] [--only NAME]."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench.redaction import redaction
from bench.stage import BIN, ROOT, Stage, good, paired, ssh, stage
from orchestrator.domain.release import Package
from orchestrator.hosts import loopback

TESTS = """
import pytest


@pytest.mark.parametrize("number", range(10))
def test_file(host, number):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/current").is_symlink
"""


def main() -> int:
    """Run the requested measurements; the exit status is 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--hosts", default="1,10,50", help="numbers of hosts")
    parser.add_argument("--repeats", type=int, default=3, help="the median of so many")
    parser.add_argument("--only", choices=list(MEASURES), help="one measurement")
    chosen = parser.parse_args()
    counts = [int(count) for count in chosen.hosts.split(",")]
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, median of {chosen.repeats}\n")
    print("| what | by us | by hand | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |")
    missed = 0
    for name, measure in MEASURES.items():
        if chosen.only in {None, name}:
            for row in measure(counts, chosen.repeats):
                missed += _print(*row)
    return 1 if missed else 0


Row = tuple[str, float, float | None, float]
"""What was measured, our seconds, theirs (None: none), and the goal: a ratio, or without theirs seconds."""


def _print(what: str, ours: float, theirs: float | None, goal: float) -> bool:
    if theirs is None:
        held = ours <= goal
        print(f"| {what} | {ours:.2f} s | | | ≤ {goal:g} s | {'met' if held else 'missed'} |", flush=True)
    else:
        held = ours / theirs <= goal
        print(
            f"| {what} | {ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} × | ≤ {goal:g} × | "
            f"{'met' if held else 'missed'} |",
            flush=True,
        )
    return not held


def startup(_counts: list[int], repeats: int) -> list[Row]:
    """`--help` and completion."""
    env = {**os.environ, "_ORCHESTRATOR_COMPLETE": "bash_complete", "COMP_WORDS": "orchestrator pro", "COMP_CWORD": "1"}
    command = str(BIN / "orchestrator")
    quiet = partial(subprocess.run, check=False, capture_output=True)
    helped, completed = paired(
        repeats * 5, (_none, lambda: quiet([command, "--help"])), (_none, lambda: quiet([command], env=env))
    )
    return [("orchestrator --help", helped, None, 0.15), ("completion", completed, None, 0.15)]


def hosts(_counts: list[int], _repeats: int) -> list[Row]:
    """A hundred hosts."""
    with stage(100) as made:
        return [("100 loopback hosts, from nothing to answering", made.started_in, None, 3.0)]


def deploy(counts: list[int], repeats: int) -> list[Row]:
    """The reference deployment."""
    rows: list[Row] = []
    for count in counts:
        with stage(count) as made, tempfile.TemporaryDirectory(prefix="cp-", dir="/tmp") as control:
            playbook = made.folder / "playbooks/many_tasks.yml"
            env, inventory = made.by_hand(Path(control)), made.inventory_file()
            words = [str(BIN / "ansible-playbook"), "-i", str(inventory), str(playbook)]

            by_hand = partial(subprocess.run, words, env=env, check=True, capture_output=True)

            def fresh(made: Stage = made, folder: str = control) -> None:
                _close(Path(folder))
                made.fresh()

            ours, plain, raw, same, hand = paired(
                repeats,
                (fresh, lambda: good(made.deploy())),
                (fresh, by_hand),
                (fresh, partial(_raw, made)),
                (fresh, lambda: good(made.deploy("playbooks/many_tasks.yml"))),
                (fresh, by_hand),
            )
            _close(Path(control))
        n = "1 host" if count == 1 else f"{count} hosts"
        rows += [
            (f"reference deployment to {n}, beside tuned Ansible with ordinary tasks", ours, plain, 0.5),
            (f"reference deployment to {n}, beside raw SSH", ours, raw, 2.0),
            (f"a user's playbook of 8 tasks to {n}, beside ansible-playbook", same, hand, 1.05),
        ]
    return rows


def _close(control: Path) -> None:
    """Close what Ansible by hand keeps open."""
    for socket in control.iterdir():
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "nobody"], capture_output=True, check=False)


def _raw(made: Stage) -> None:
    """The same deployment by a shell script over one SSH connection for each host."""
    artifact = Path(str(made.package.root)) / made.package.manifest.release.artifacts[0].path
    data = artifact.read_bytes()
    digest = hashlib.sha256(data).hexdigest()

    def one(number: int) -> None:
        host = made.hosts[number]
        python = host.variables()["ansible_python_interpreter"]
        ini = f"[shop]\nname = The Corner Shop\naddress = {host.address}\nport = {host.app_port}\ntax = 7.5\n"
        script = f"""set -e; cd {host.root}; mkdir -p releases/shop-1.0.0 shared/data
cat >artifact; echo "{digest}  artifact" | sha256sum -c --quiet
tar -xzf artifact -C releases/shop-1.0.0; rm artifact; ln -sfn ../../shared/data releases/shop-1.0.0/data
printf '%s' '{ini}' > releases/shop-1.0.0/shop.ini; ln -sfn releases/shop-1.0.0 current
{_serve(host, str(python))}"""
        ssh(host, script, data)

    with ThreadPoolExecutor(min(len(made.hosts), 20)) as pool:
        list(pool.map(one, range(len(made.hosts))))


def rollback(counts: list[int], repeats: int) -> list[Row]:
    """Restore the previous release, which is still on the disks, on all hosts, as a rollback does."""
    rows: list[Row] = []
    for count in counts:
        with stage(count) as made:
            before, newer = made.package, made.pack("1.1.0")

            def released(made: Stage = made, older: Package = before, newer: Package = newer) -> None:
                made.fresh()
                good(made.deploy(package=older))
                good(made.deploy(package=newer))
                made.deployer.close()

            ours, raw = paired(
                repeats,
                (released, lambda: good(made.deploy(step="restore.deploy"))),
                (released, partial(_raw_back, made)),
            )
        n = "1 host" if count == 1 else f"{count} hosts"
        rows.append(
            (f"{n} back to the release before, switched, restarted and answering, beside raw SSH", ours, raw, 1.5)
        )
    return rows


def _raw_back(made: Stage) -> None:
    """The same restoration by a shell script over one SSH connection for each host, which compares no file."""

    def one(host: loopback.Host) -> None:
        python = host.variables()["ansible_python_interpreter"]
        script = f"""set -e; cd {host.root}; now=$(readlink current)
for folder in releases/*; do [ "$folder" = "$now" ] || before=$folder; done
ln -sfn "$before" current.new; mv -T current.new current
kill -- -$(sed 's/.*"pid": \\([0-9]*\\).*/\\1/' .orchestrator/service.json)
{_serve(host, str(python))}"""
        ssh(host, script)

    with ThreadPoolExecutor(min(len(made.hosts), 20)) as pool:
        list(pool.map(one, made.hosts))


def _serve(host: loopback.Host, python: str) -> str:
    """Lines of a shell script that start the shop, and wait until its first release answers."""
    return f"""nohup {python} current/server.py >shop.log 2>&1 </dev/null & echo $! >shop.pid
exec {python} -S -c 'import socket, sys, time
for _ in range(200):
    try:
        link = socket.create_connection(("{host.address}", {host.app_port}), 5)
        link.sendall(b"GET /health HTTP/1.0\\r\\n\\r\\n")
        answer = link.makefile("rb").read()
        if b"ok 1.0.0" in answer:
            sys.exit(0)
    except OSError:
        pass
    time.sleep(0.05)
sys.exit(1)'"""


def smoke(counts: list[int], repeats: int) -> list[Row]:
    """Ten tests on each host."""
    rows: list[Row] = []
    for count in (count for count in counts if count > 1):
        with stage(count) as made:
            (made.folder / "tests/bench").mkdir()
            (made.folder / "tests/bench/test_ten.py").write_text(TESTS)
            made.package = made.pack("1.0.0", "tests/bench", "playbooks/many_tasks.yml")
            good(made.deploy())
            words = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "tests/bench",
                "--connection=ansible",
            ]
            words.append(f"--ansible-inventory={made.inventory_file()}")
            run = partial(subprocess.run, words, cwd=made.folder, env=made.environ, check=True, capture_output=True)
            ours, plain = paired(repeats, (_none, lambda: good(made.verify("tests/bench"))), (_none, run))
        rows.append((f"10 tests on {count} hosts, beside plain pytest", ours, plain, 1.0))
    return rows


def promotion(_counts: list[int], _repeats: int) -> list[Row]:
    """A whole promotion with nothing to do, and a rollback."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-bench-")) / "shop"
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    run = partial(_orchestrator, folder, env)
    try:
        shutil.copytree(ROOT / "examples/shop", folder, ignore=shutil.ignore_patterns("dist", ".orchestrator"))
        words = [sys.executable, "app/build.py", "1.0.0", "1.1.0", "1.2.0"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        run("promote", "releases/1.0.0")
        own, read = [], _read(run)
        for _ in range(3):
            began = time.monotonic()
            run("promote", "1.0.0", "--to", "production", "--redeploy")
            wall = time.monotonic() - began
            last = json.loads(run("history", "production", "--json"))["runs"][0]["id"]
            own.append(wall - read - _engines(folder / ".orchestrator" / "jobs", last))
        run("promote", "releases/1.2.0", "--to", "staging")
        run("promote", "1.2.0", "--to", "production", code=4)
        last = json.loads(run("history", "production", "--json"))["runs"][0]["id"]
        recovery = json.loads(run("show", last, "--json"))["recovery_seconds"]
        return [
            ("a promotion with nothing to do: wall time less the engines' own", sorted(own)[1], None, 1.0),
            ("a rollback, from the failure to 1 host restored and 4 verified", recovery, None, 10.0),
        ]
    finally:
        for name in ("production", "staging"):
            run("environment", "destroy", name, "--yes", code=None)
        shutil.rmtree(folder.parent)


SHAPES: dict[str, dict[str, object]] = {
    "all at once": {"batches": ["100%"]},
    "rolling, half by half": {"batches": ["50%"]},
    "rolling, one by one": {"batches": [1]},
    "canary, then the rest": {"strategy": "canary", "canary": {"observe": "1s", "every": "500ms"}},
}
ASKED = {"url": "http://{{ ansible_host }}:{{ app_port }}/health", "hosts": "web", "every": "20ms"}


def strategies(_counts: list[int], repeats: int) -> list[Row]:
    """What the probe sees of four hosts in each shape of a rollout, beside all of them at once in the same run."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-bench-")) / "shop"
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    run = partial(_orchestrator, folder, env)
    try:
        shutil.copytree(ROOT / "examples/shop", folder, ignore=shutil.ignore_patterns("dist", ".orchestrator"))
        words = [sys.executable, "app/build.py", "1.0.0", "1.1.0", "1.2.0"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        run("promote", "releases/1.0.0")
        seen: dict[str, list[tuple[float, int, float]]] = {shape: [] for shape in SHAPES}
        for number in range(repeats):
            for place, (shape, rollout) in enumerate(SHAPES.items()):
                run("promote", _shaped(folder, f"1.1.{number}-{place}", rollout))
                last = json.loads(run("history", "production", "--json"))["runs"][0]["id"]
                probe = json.loads(run("show", last, "--json"))["probe"]
                each = sum(probe["away"].values()) / probe["hosts"]
                seen[shape].append((probe["downtime"], probe["most_away"], each))
        return [*_shapes(seen), *_two_sides(folder.with_name("two-sides"), repeats)]
    finally:
        for name in ("production", "staging"):
            run("environment", "destroy", name, "--yes", code=None)
        shutil.rmtree(folder.parent)


def _shaped(
    folder: Path, version: str, rollout: dict[str, object] | None, more: dict[str, object] | None = None
) -> str:
    """A release of the shop that goes out in this shape (None: its own), and answers with a version of its own."""
    shutil.copytree(folder / "app/1.1.0", folder / "app" / version)
    server = folder / "app" / version / "server.py"
    server.write_text(server.read_text().replace('"1.1.0"', f'"{version}"'))
    words = [sys.executable, "app/build.py", version]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    source = yaml.safe_load((folder / "releases/1.1.0/release.yaml").read_text().replace("1.1.0", version))
    source |= more or {}
    if rollout is not None:
        source |= {"probe": ASKED}
        source["steps"][0]["rollout"] = rollout
    target = folder / "releases" / version / "release.yaml"
    target.parent.mkdir()
    target.write_text(yaml.safe_dump(source))
    return f"releases/{version}"


LATE = {
    "name": "promise",
    "hosts": "web",
    "http": {"url": "http://{{ ansible_host }}:{{ app_port }}/gift-cards", "contains": "{{ promised }}"},
}


def _two_sides(folder: Path, repeats: int) -> list[Row]:
    """What the probe sees of a router before two sides of two hosts, and how fast it leads back after a failure."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    run = partial(_orchestrator, folder, env)
    try:
        for example in ("shop", "blue-green"):
            ignored = shutil.ignore_patterns("dist", ".orchestrator")
            shutil.copytree(ROOT / "examples" / example, folder, ignore=ignored, dirs_exist_ok=True)
        for name, promised in (("staging", "10"), ("production", "100")):
            file = folder / f"environments/{name}/environment.yaml"
            file.write_text(f'{file.read_text()}vars: {{promised: "{promised}"}}\n')
        words = [sys.executable, "app/build.py", "1.0.0", "1.1.0"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        run("promote", "releases/1.0.0")
        downs, backs = [], []
        for number in range(repeats):
            run("promote", _shaped(folder, f"1.4.{number}", None))
            downs.append(_last(run)["probe"]["downtime"])
            late: dict[str, object] = {"watch": {"for": "500ms", "every": "500ms", "gates": [LATE]}}
            where = _shaped(folder, f"1.5.{number}", None, late)
            run("promote", where, "--to", "staging")
            run("promote", where, "--to", "production", code=4)
            story = _last(run)
            downs.append(story["probe"]["downtime"])
            backs.append(story["switch_back_seconds"])
        return [
            ("downtime of two sides of two hosts, blue/green, there or back", sorted(downs)[repeats], None, 0.1),
            ("blue/green, from a failure after the switch until it leads back", sorted(backs)[repeats // 2], None, 2.0),
        ]
    finally:
        for name in ("production", "staging"):
            run("environment", "destroy", name, "--yes", code=None)


def _last(run: Callable[..., str]) -> dict[str, Any]:
    """The last run in production, as `show` prints it."""
    last = json.loads(run("history", "production", "--json"))["runs"][0]["id"]
    return dict(json.loads(run("show", last, "--json")))


def _shapes(seen: dict[str, list[tuple[float, int, float]]]) -> Iterator[Row]:
    """A row for each shape: its downtime, beside that of all hosts at once where there was any."""
    middle = {shape: sorted(down for down, *_ in found)[len(found) // 2] for shape, found in seen.items()}
    for shape, down in middle.items():
        most = max(away for _, away, _ in seen[shape])
        each = sorted(each for *_, each in seen[shape])[len(seen[shape]) // 2]
        what = f"downtime of four hosts, {shape}; at most {most} away at once, each for {each:.2f} s"
        yield what, down, middle["all at once"] or None, 1.0


def _orchestrator(folder: Path, env: dict[str, str], *words: str, code: int | None = 0) -> str:
    done = subprocess.run(
        [str(BIN / "orchestrator"), *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if code is not None and done.returncode != code:
        raise SystemExit(f"orchestrator {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _read(run: Callable[..., str]) -> float:
    """Seconds that Pulumi takes to read a stack's state, which every promotion does once."""
    (without, with_state) = paired(
        3, (_none, lambda: run("environment", "list")), (_none, lambda: run("environment", "outputs", "production"))
    )
    return with_state - without


def _engines(jobs: Path, run: str) -> float:
    """Seconds during which an engine of *run* was at work: the union of its jobs' times."""
    spans = sorted(
        ((job / "started").stat().st_mtime, (job / "outcome.json").stat().st_mtime)
        for job in jobs.glob(f"{run}.*")
        if (job / "started").exists()
    )
    total, until = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _none() -> None:
    pass


MEASURES: dict[str, Callable[[list[int], int], list[Row]]] = {
    "startup": startup,
    "hosts": hosts,
    "deploy": deploy,
    "rollback": rollback,
    "smoke": smoke,
    "promotion": promotion,
    "redaction": redaction,
    "strategies": strategies,
}


if __name__ == "__main__":
    sys.exit(main())
