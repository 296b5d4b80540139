"""Hosts over real SSH, and suites that are proved on them by a real pytest."""

import contextlib
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.resolution import InventoryResolver
from orchestrator.adapters.testinfra.verifier import TestinfraVerifier
from orchestrator.domain.context import Context
from orchestrator.domain.environment import EnvironmentSettings, IsolationRule
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import SuiteSpec
from orchestrator.domain.release import Release, Verification
from orchestrator.domain.release_steps import Step
from orchestrator.domain.step import StepResult
from orchestrator.engine.jobs import LocalJobs
from orchestrator.hosts import loopback
from tests.adapters.ansible.conftest import COLLECTIONS
from tests.sealed import sealed
from tests.shared_hosts import hosts_in

RELEASE = Release(
    apiVersion="orchestrator/v1",
    kind="Release",
    name="shop",
    version="1.0.0",
    environments=("test",),
    steps=(Step(name="deploy", playbook="site.yml"),),
    verify=(Verification(name="smoke", tests="tests"),),
)


@dataclass
class Room:
    """Three running hosts, two in the group `web` and one in `db`, and a folder for suites."""

    folder: Path
    hosts: list[loopback.Host]
    inventory: Inventory
    jobs: LocalJobs
    entries: list[Entry] = field(default_factory=list)
    count: int = 0
    project: Path | None = None
    isolation: IsolationRule = field(default_factory=IsolationRule)

    def verify(
        self,
        files: Mapping[str, str],
        *limit: str,
        args: tuple[str, ...] = (),
        timeout: float = 120.0,
        persistent: bool = True,
        emit: Callable[[Entry], None] | None = None,
        below: str = "tests",
        tests: str = "tests",
        after_sealing: Callable[[Path], None] = lambda _content: None,
    ) -> StepResult:
        """Run a suite of *files* (in the folder *below*) on the hosts of *limit* (none: on all)."""
        self.count += 1
        content = self.folder / f"content{self.count}"
        for name, text in files.items():
            path = content / below / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        package = sealed(content, RELEASE)
        after_sealing(content)
        resolver = InventoryResolver(Configurations(os.environ, self.project, COLLECTIONS, self.folder / "state"))
        verifier = TestinfraVerifier(self.jobs, os.environ, resolver, persistent=persistent)
        suite = SuiteSpec(name="smoke", tests=tests, limit=limit, args=args, timeout=timeout)
        settings = EnvironmentSettings(isolation=self.isolation)
        context = Context(run="r1", environment="test", settings=settings)
        return verifier.verify(suite, package, self.inventory, context, self.job, emit or self.entries.append)

    @property
    def job(self) -> str:
        """The key of the last job."""
        return f"r1.verify.{self.count}"

    def gone(self, name: str) -> None:
        """Let the inventory lead to nothing where *name* is."""
        hosts = {**self.inventory.hosts, name: {**self.inventory.hosts[name], "ansible_port": 9}}
        self.inventory = self.inventory.model_copy(update={"hosts": hosts})


def told(result: StepResult) -> dict[tuple[str, str], str]:
    """Each test's name and host, with how it ended."""
    return {(test.name.rpartition("::")[2], test.host): test.outcome.value for test in result.tests}


def of_hosts(result: StepResult) -> dict[str, str]:
    """How it ended for each host."""
    return {host.host: host.outcome.value for host in result.hosts}


def code(result: StepResult) -> Any:
    """The error code that the result carries."""
    return result.data.get("code")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[loopback.Host]]:
    """Three hosts, shared by all tests."""
    with hosts_in(tmp_path_factory.mktemp("rooms"), "rooms", "web1", "web2", "db1") as made:
        yield made


@pytest.fixture
def room(servers: list[loopback.Host], tmp_path: Path) -> Iterator[Room]:
    """An environment of the three hosts."""
    hosts = {host.name: host.variables() for host in servers}
    groups = {"web": Group(hosts=("web1", "web2")), "db": Group(hosts=("db1",))}
    jobs = LocalJobs(tmp_path / "jobs")
    made = Room(tmp_path, servers, Inventory(hosts=hosts, groups=groups), jobs)
    try:
        yield made
    finally:
        with contextlib.suppress(FileNotFoundError):
            for job in (tmp_path / "jobs").iterdir():
                jobs.stop(job.name)
