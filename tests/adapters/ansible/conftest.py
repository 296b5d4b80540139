"""Hosts over real SSH, a release package, and plays on them."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.deployer import AnsibleDeployer
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.environment import EnvironmentSettings, IsolationRule
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import PlaySpec
from orchestrator.domain.release import Artifact, Package, Release
from orchestrator.domain.step import HostResult, StepResult
from orchestrator.engine.jobs import LocalJobs
from orchestrator.hosts import loopback
from tests.sealed import sealed
from tests.shared_hosts import hosts_in

COLLECTIONS = Path(__file__).resolve().parents[3] / "orchestrator" / "ansible"

PLAIN = """
- name: An ordinary playbook
  hosts: web
  gather_facts: false
  tasks:
    - name: Leave a mark
      ansible.builtin.shell: echo mark >> {{ host_root }}/marks
    - name: Fail where it is wanted
      ansible.builtin.command: "false"
      when: (fail_on | default('')) == inventory_hostname
"""

DEPLOY = """
- name: The collection
  hosts: web
  gather_facts: false
  tasks:
    - name: Put the release on the host
      orchestrator.release.deploy:
        restart: "echo restart >> {{ host_root }}/marks; test ! -e {{ host_root }}/slow || sleep 30"
"""

BESIDE = """
- name: What lies beside a playbook
  hosts: all
  gather_facts: false
  roles: [mine]
  tasks:
    - name: All of it is found
      ansible.builtin.assert:
        that:
          - greeting == 'group'
          - from_role == 'role'
          - (6 | twice) == 12
          - playbook_dir is search('plays$')
    - name: A module of the collection beside it
      own.things.hello:
"""

FILES = {
    "plays/site.yml": PLAIN,
    "plays/deploy.yml": DEPLOY,
    "plays/beside.yml": BESIDE,
    "plays/slow.yml": "- hosts: web\n  gather_facts: false\n  tasks:\n    - ansible.builtin.command: sleep 300\n",
    "plays/nobody.yml": "- hosts: elsewhere\n  gather_facts: false\n  tasks: []\n",
    "plays/tagged.yml": PLAIN.replace("marks\n", "marks\n      tags: [fast]\n"),
    "plays/group_vars/web.yml": "greeting: group\n",
    "plays/roles/mine/tasks/main.yml": "- ansible.builtin.set_fact: {from_role: role}\n",
    "plays/filter_plugins/twice.py": "class FilterModule:\n    def filters(self):\n        return {'twice': lambda n: n * 2}\n",
    "plays/collections/ansible_collections/own/things/galaxy.yml": "namespace: own\nname: things\nversion: 1.0.0\n",
    "plays/collections/ansible_collections/own/things/plugins/modules/hello.py": (
        "from ansible.module_utils.basic import AnsibleModule\nAnsibleModule({}).exit_json(changed=False)\n"
    ),
    "tests/test_smoke.py": "def test_nothing():\n    pass\n",
    "app/file.txt": "1.0.0\n",
}


@dataclass
class Stage:
    """Running hosts, a package, and the deployer; every play is told what it is for."""

    folder: Path
    hosts: list[loopback.Host]
    package: Package
    inventory: Inventory
    jobs: LocalJobs
    deployer: AnsibleDeployer
    entries: list[Entry] = field(default_factory=list)
    isolation: IsolationRule = field(default_factory=IsolationRule)

    def context(self, run: str, fence: int, **settings: Any) -> Context:
        found = EnvironmentSettings(**{"isolation": self.isolation, **settings})
        return Context(run=run, environment="test", project="shop", fence=fence, settings=found)

    def play(self, playbook: str, **more: Any) -> PlaySpec:
        limit = tuple(self.inventory.hosts)
        return PlaySpec(
            **{
                "step": "deploy",
                "playbook": f"plays/{playbook}",
                "hosts": "web",
                "limit": limit,
                "timeout": 120.0,
                **more,
            }
        )

    def deploy(self, playbook: str, run: str, fence: int, step: str = "deploy.1", **more: Any) -> StepResult:
        settings, outputs = more.pop("settings", {}), more.pop("outputs", Outputs({}))
        kept = more.pop("controller_files", ())
        context = replace(self.context(run, fence, **settings), outputs=outputs, controller_files=kept)
        play = self.play(playbook, **more)
        return self.deployer.deploy(play, self.package, self.inventory, context, f"{run}.{step}", self.entries.append)

    def add(self, name: str, text: str) -> None:
        """Put a file beside the package's playbooks, as another build of it would have."""
        assert self.package.root is not None
        plays = Path(self.package.root) / self.package.manifest.project / "plays"
        plays.chmod(0o700)
        (plays / name).write_text(text.lstrip("\n"))
        files = sealed(Path(self.package.root), self.package.manifest.release).manifest.files
        others = tuple(file for file in self.package.manifest.files if file.area != "content")
        manifest = self.package.manifest.model_copy(update={"files": (*files, *others)})
        self.package = self.package.model_copy(update={"manifest": manifest, "digest": manifest.digest})

    def marks(self) -> list[int]:
        """How often the playbook has really worked on each host."""
        paths = [Path(host.root) / "marks" for host in self.hosts]
        return [path.read_text().count("\n") if path.exists() else 0 for path in paths]

    def lines(self, number: int) -> list[dict[str, Any]]:
        path = Path(self.hosts[number].root) / ".orchestrator" / "ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def outcomes(result: StepResult) -> list[str]:
    return [host.outcome.value for host in result.hosts]


def named(result: StepResult) -> dict[str, HostResult]:
    return {host.host: host for host in result.hosts}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[loopback.Host]]]:
    """Two hosts, shared by all tests; each test begins with empty ones."""
    folder = tmp_path_factory.mktemp("servers")
    with hosts_in(folder, "test", "web1", "web2") as made:
        yield folder, made


@contextlib.contextmanager
def staged(
    hosts: list[loopback.Host],
    folder: Path,
    files: Mapping[str, str] = FILES,
    environ: Mapping[str, str] | None = None,
    **more: Any,
) -> Iterator[Stage]:
    """A project with *files* in *folder*, its release with *more* in it, on empty *hosts*."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))
    about: dict[str, Any] = {
        "apiVersion": "orchestrator/v1",
        "kind": "Release",
        "name": "shop",
        "version": "1.0.0",
        "environments": ("test",),
        "artifacts": (Artifact(path="app/file.txt"),),
        "steps": ({"name": "deploy", "playbook": "plays/site.yml"},),
        "verify": ({"name": "smoke", "tests": "tests"},),
        "include": ("plays",),
    }
    packages = SealedPackages(folder / "state" / "packages")
    built = packages.build(folder, folder / "release.yaml", Release(**{**about, **more}), folder / "shop.release")
    package = packages.keep(Path(built.path))
    for host in hosts:
        below = ["-mindepth", "1", "-maxdepth", "1", "!", "-name", ".ansible"]
        subprocess.run(["find", host.root, *below, "-exec", "rm", "-rf", "{}", "+"], check=True)
    variables = {host.name: host.variables() for host in hosts}
    inventory = Inventory(hosts=variables, groups={"web": Group(hosts=tuple(variables))})
    jobs = LocalJobs(folder / "state" / "jobs")
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | dict(environ or {})
    deployer = AnsibleDeployer(jobs, folder / "state", COLLECTIONS, env, folder)
    try:
        yield Stage(folder, hosts, package, inventory, jobs, deployer)
    finally:
        with contextlib.suppress(FileNotFoundError):
            for job in (folder / "state" / "jobs").iterdir():
                jobs.stop(job.name)
        deployer.close()


@pytest.fixture
def stage(servers: tuple[Path, list[loopback.Host]], tmp_path: Path) -> Iterator[Stage]:
    """A project of its own, in a folder with an odd name, on empty hosts."""
    with staged(servers[1], tmp_path / "odd'project") as made:
        yield made
