"""Loopback hosts as Pulumi's resources: looked at, brought back where they were, and refused when they cannot be."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.environment import PulumiSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import StackSpec
from orchestrator.domain.step import Outcome
from orchestrator.hosts import loopback

from .conftest import Infrastructure

pytestmark = pytest.mark.engines
ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import pulumi
from orchestrator.hosts import LoopbackHost, inventory
host = LoopbackHost(HOST, address=pulumi.Config().get("address"))
pulumi.export("ansible_inventory", inventory(web=[host]))
"""


class Hosts(Infrastructure):
    """An environment with one loopback host."""

    def spec(self, *, refresh: bool = False, **config: str) -> StackSpec:
        """The stack, with the program's configuration."""
        chosen = PulumiSettings(refresh=refresh, environment=("PYTHONPATH",), config=config)
        return self.environment("staging", program=PROGRAM, pulumi=chosen)

    def up(self, spec: StackSpec, job: str) -> loopback.Host:
        """Update the stack; the host that there is then."""
        result = self.provisioner.up(spec, job, lambda _: None).result
        assert result.outcome is Outcome.SUCCEEDED, result.message
        [host] = loopback.recorded(self.root / ".orchestrator")
        assert loopback.alive(host)
        return host


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """A project whose host is gone afterwards."""
    made = Hosts(tmp_path, PYTHONPATH=str(ROOT))
    yield made
    for host in loopback.recorded(made.root / ".orchestrator"):
        loopback.end_processes(host)


def _kill(host: loopback.Host) -> None:
    for process in loopback.processes(host):
        with contextlib.suppress(ProcessLookupError):  # it may have ended with the one before
            os.kill(process, signal.SIGKILL)


@pytest.mark.long
def test_a_host_that_was_killed(hosts: Hosts) -> None:
    """A preview sees that a host is gone, as a change or by a refresh, and the update brings it back at its address."""
    first = hosts.up(hosts.spec(), "first")
    assert not hosts.provisioner.preview(hosts.spec(), "same", lambda _: None).changes_something
    for refresh, op in ((False, "update"), (True, "create")):
        _kill(first)
        spec = hosts.spec(refresh=refresh)
        assert hosts.provisioner.preview(spec, f"see-{op}", lambda _: None).counts[op] == 1
        again = hosts.up(spec, f"up-{op}")
        assert (again.address, again.port) == (first.address, first.port)
    assert hosts.provisioner.destroy(hosts.spec(), "destroy", lambda _: None).outcome is Outcome.SUCCEEDED
    assert list((hosts.root / ".orchestrator/hosts").iterdir()) == []


def test_an_address_elsewhere(hosts: Hosts) -> None:
    """An address that is not of this machine alone is refused by the preview."""
    with pytest.raises(OrchestratorError, match=r"E205.*10\.1\.2\.3"):
        hosts.provisioner.preview(hosts.spec(address="10.1.2.3"), "preview", lambda _: None)
