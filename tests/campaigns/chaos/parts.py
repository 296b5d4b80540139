"""The parts that faults are injected into: hosts and plays, and a small project that promotes without Pulumi."""

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.domain.inventory import Inventory
from orchestrator.hosts import loopback
from orchestrator.processes import command_line, tagged
from tests.adapters.ansible.conftest import Stage, staged
from tests.campaigns.chaos.proxy import Proxy
from tests.campaigns.chaos.table import Scene
from tests.campaigns.real import seen
from tests.checker.invariants import violations
from tests.inside import Said
from tests.journeys.conftest import Project
from tests.postgres import Server, serving
from tests.shared_hosts import hosts_in, state_in

EDGE = "edge"  # the one environment of the small project
OPEN = {"succeeded", "rolled back"}
HEAD = "apiVersion: orchestrator/v1\n"

RELEASE = """kind: Release
name: thing
version: "{version}"
artifacts: [{{path: dist/thing-{version}.tar.gz}}]
environments: [edge]
steps:
  - {{name: deploy, playbook: playbooks/{playbook}.yml, hosts: web, rollout: {{batches: [1, 100%]}}, timeout: {timeout}}}
verify:
  - {{name: smoke, tests: tests/smoke, timeout: 1m}}
"""

PLAYBOOK = """- name: Put it there
  hosts: web
  gather_facts: false
  tasks:
    - name: Put the release on the host
      orchestrator.release.deploy:
        restart: "{restart}"
"""

RESTART = (
    "echo {{ orchestrator_release.version }} >> {{ host_root }}/marks; "
    "n=0; while [ -e {{ host_root }}/hold ] && [ $n -lt 1500 ]; do sleep 0.05; n=$((n+1)); done"
)

SMOKE = '''"""What runs is what was released, and it is not a bad one."""

testinfra_hosts = ["ansible://web"]


def test_it_is_what_was_released(host) -> None:
    about = host.ansible.get_variables()
    text = host.check_output("cat %s/current/VERSION", about["host_root"])
    version, _, spoilt = text.partition(" ")
    assert version == about["orchestrator_release"]["version"]
    assert about["inventory_hostname"] not in spoilt
'''


@dataclass
class Small(Project):
    """A project with one environment of two hosts that nobody provisions: a promotion of it takes few seconds.

    Every release is a new one, so that no row has to put back what another has left.
    """

    hosts: list[loopback.Host] = field(default_factory=list)
    number: int = 0
    elsewhere: Path | None = None

    def lay(self, elsewhere: Path | None = None) -> None:
        """Write its files, and start its hosts: below its own state, or *elsewhere*, where their disk is another."""
        self.write("orchestrator.yaml", f"{HEAD}kind: Project\nname: small\n")
        about = "kind: Environment\nname: edge\nprogram: null\ninventory: {files: [inventories/edge.json]}\n"
        self.write("environments/edge/environment.yaml", HEAD + about)
        self.write("playbooks/deploy.yml", PLAYBOOK.replace("{restart}", RESTART))
        self.write("tests/smoke/test_it.py", SMOKE)
        self.elsewhere = elsewhere or self.state
        with state_in(self.elsewhere):
            self.hosts = [loopback.start(f"{EDGE}-{EDGE}", name) for name in ("web1", "web2")]
        self.inventory({host.name: host.variables() for host in self.hosts})

    def clean(self) -> None:
        """End its hosts, wherever they are, and every process that it has started."""
        with state_in(self.elsewhere or self.state):
            for host in self.hosts:
                loopback.remove_host(host)
        super().clean()

    def inventory(self, hosts: dict[str, dict[str, Any]]) -> None:
        """Let the environment have these hosts."""
        self.write("inventories/edge.json", json.dumps({"web": {"hosts": hosts}}))

    def make(self, *bad: str, playbook: str = "deploy", timeout: str = "2m", more: str = "") -> str:
        """Write a new release; its version. Its suite fails on the hosts that are named *bad*."""
        self.number += 1
        version = f"1.{self.number}.0"
        text = RELEASE.format(version=version, playbook=playbook, timeout=timeout)
        self.write(f"releases/{version}/release.yaml", HEAD + text + more)
        packed = self.root / "dist" / f"thing-{version}.tar.gz"
        packed.parent.mkdir(exist_ok=True)
        with tarfile.open(packed, "w:gz") as archive:
            data = " ".join([version, *bad]).encode()
            about = tarfile.TarInfo("VERSION")
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
        return version

    def promote(self, version: str, *words: str, code: int | None = 0) -> Said:
        """Promote it, and see that it ends with *code*."""
        return self.run("promote", f"releases/{version}", *words, code=code)

    def begin(self, version: str, **environ: str) -> "subprocess.Popen[str]":
        """Start to promote it, in a process of its own."""
        env, self.env = self.env, {**self.env, **environ}
        try:
            return self.start("promote", f"releases/{version}")
        finally:
            self.env = env

    def good_release(self) -> str:
        """See that a good release runs everywhere before a row begins; its version."""
        running = set(self.releases(EDGE).values())
        if self.number == 0 or len(running) != 1 or None in running or self.status(EDGE)["lease"]:
            version = self.make()
            self.promote(version)
            return version
        return str(next(iter(running)))

    def last(self) -> str:
        """The run that was begun last."""
        return str(self.status(EDGE)["last_run"]["id"])

    def hold(self, *numbers: int) -> None:
        """Let deployments stand still on the hosts of these numbers."""
        for number in numbers:
            (Path(self.hosts[number].root) / "hold").touch()

    def free(self) -> None:
        """Let deployments go on."""
        for host in self.hosts:
            (Path(host.root) / "hold").unlink(missing_ok=True)

    def held(self, number: int, version: str) -> None:
        """Wait until the deployment of *version* stands still on the host."""
        until(lambda: version in self.marks(number), f"{version} reaches host {number}", patience=240)

    def halfway(self, version: str) -> "subprocess.Popen[str]":
        """Start to promote it, and wait until it stands still on the first host."""
        self.hold(0)
        process = self.begin(version)
        self.held(0, version)
        return process

    def marks(self, number: int) -> list[str]:
        """Which versions were really started on the host, in order."""
        file = Path(self.hosts[number].root) / "marks"
        return file.read_text().split() if file.exists() else []

    def once(self, version: str) -> None:
        """See that *version* was started once on each host."""
        found = [self.marks(number).count(version) for number in range(len(self.hosts))]
        assert found == [1] * len(self.hosts), f"{version} was started {found} times"

    def resume(self, run: str, **environ: str) -> Said:
        """Go on with a run, to its end."""
        env, self.env = self.env, {**self.env, **environ}
        try:
            return self.run("resume", run, code=None)
        finally:
            self.env = env

    def judge(self, run: str, *ends: str) -> str:
        """See that *run* has ended as one of *ends*, and that the checker finds nothing; how it ended."""
        story = self.run("show", run, "--json").json
        state = str(story["run"]["state"])
        assert state in (ends or OPEN), f"{run} is {state}: {story['run'].get('message')}"
        wrong = violations(seen(self, self.status(EDGE), story["run"], self.hosts))
        assert wrong == [], "; ".join(wrong)
        return state

    def steps(self, run: str) -> dict[str, dict[str, Any]]:
        """The steps of a run by their names."""
        return {step["name"]: step for step in self.run("show", run, "--json").json["steps"]}


def small(scene: Scene) -> Small:
    """The small project, with a good release on its hosts. Shared by all rows."""

    def make(folder: Path, stack: ExitStack) -> Small:
        project = Small(folder / "project")
        project.root.mkdir()
        stack.callback(project.clean)
        project.lay()
        return project

    project = scene.shared.part("small", make)
    scene.end.callback(project.free)
    project.good_release()
    return project


def apart(scene: Scene, **environ: str) -> Small:
    """A small project of this row's own, with a good release on its hosts."""
    project = Small(scene.folder / "project", env=environ)
    project.root.mkdir()
    scene.end.callback(project.clean)
    project.lay()
    scene.end.callback(project.free)
    project.promote(project.make())
    return project


def stage(scene: Scene, **more: Any) -> Stage:
    """A package, plays, and two empty hosts that all rows share."""

    def make(folder: Path, stack: ExitStack) -> list[loopback.Host]:
        return stack.enter_context(hosts_in(folder, "yard", "web1", "web2"))

    hosts = scene.shared.part("yard", make)
    for host in hosts:
        if not loopback.alive(host):
            revive(host)
    return scene.end.enter_context(staged(hosts, scene.folder / "stage", **more))


def revive(host: loopback.Host) -> None:
    """Start a host again that was ended, as it was."""
    with state_in(Path(host.folder).parents[2]):
        loopback.start(Path(host.folder).parent.name, host.name)


def through(scene: Scene, made: Stage, number: int = 1) -> Proxy:
    """A proxy before one of the stage's hosts, which its plays go through from now on."""
    host = made.hosts[number]
    proxy = scene.end.enter_context(Proxy((host.address, host.port)))
    hosts = {**made.inventory.hosts, host.name: proxied(host, proxy)}
    made.inventory = Inventory(hosts=hosts, groups=made.inventory.groups)
    return proxy


def proxied(host: loopback.Host, proxy: Proxy) -> dict[str, Any]:
    """The host's variables, through the proxy, with the key that the host itself is known by."""
    known = host.variables()
    arguments = f"{known['ansible_ssh_common_args']} -o HostKeyAlias=[{host.address}]:{host.port}"
    return {**known, "ansible_host": "127.0.0.1", "ansible_port": proxy.port, "ansible_ssh_common_args": arguments}


def postgres(scene: Scene) -> Server:
    """A Postgres server that all rows share."""
    return scene.shared.part("postgres", lambda _folder, stack: stack.enter_context(serving()))


def until(true: Callable[[], object], what: str, patience: float = 60.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"it never came to pass in {patience:.0f} s that {what}"
        time.sleep(0.02)


def kill(process: "subprocess.Popen[str]") -> None:
    """`kill -9` of a command with its process group, as when its machine's user is thrown out."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def ended(process: "subprocess.Popen[str]", patience: float = 120.0) -> tuple[int, str]:
    """Wait for a command; its exit status, and what it said."""
    out, err = process.communicate(timeout=patience)
    return process.returncode, out + err


def nothing_left(folder: Path) -> None:
    """See that no process of the job in *folder* is left, but connections that wait for the next job."""
    found = {process: command_line(process) for process in tagged(f"ORCHESTRATOR_JOB={folder}")}
    left = [line or str(process) for process, line in found.items() if not line.endswith("[mux]")]
    assert left == [], f"processes of {folder.name} are left: {left}"
