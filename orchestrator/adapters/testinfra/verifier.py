"""The `Verifier` port: a suite as its authors wrote it, with every result reported as it comes."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.adapters.ansible.known_secrets import KnownSecrets
from orchestrator.adapters.ansible.resolution import InventoryResolver
from orchestrator.adapters.testinfra.reachability import reachable
from orchestrator.adapters.testinfra.suite_job import Hosts, SuiteJob, narrowed
from orchestrator.adapters.testinfra.tally import Tally
from orchestrator.domain.context import Context
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import SuiteSpec
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.ports import Emit, JobOutcome, Jobs
from orchestrator.secret_values import SecretValues

OnEvent = Callable[[int, dict[str, Any]], None]


class TestinfraVerifier:
    """Suites of release packages against the hosts of an environment.

    A suite runs in a verified copy of its package's content, and sees no settings, plugins or code outside of it but
    those of the Python environment that the orchestrator is installed in.

    Args:
        jobs: runs the suites.
        environ: the user's environment variables.
        resolver: knows the variables of hosts and how they are reached, as Ansible does.
        persistent: keep one connection open to each host; the results are the same without.
        known: learns the secrets that a suite may repeat, also in a process that resumes a run after its plays.
    """

    __test__ = False  # not a pytest class

    def __init__(
        self,
        jobs: Jobs,
        environ: Mapping[str, str],
        resolver: InventoryResolver,
        *,
        persistent: bool = True,
        known: KnownSecrets | None = None,
    ) -> None:
        self._jobs, self._environ, self._resolver, self._persistent = jobs, environ, resolver, persistent
        self._known = known or KnownSecrets(resolver.configurations, SecretValues())

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Check which hosts can be reached, then run the suite against them.

        A suite that, limited to some hosts, has no test for them is *skipped* there when it has tests for others.
        """
        inventory = self._resolver.hosts(inventory, context.settings)
        wanted = list(suite.limit or inventory.hosts)
        connections = self._resolver.connections(inventory, context)
        gone = [host for host, there in reachable(wanted, connections, self._environ).items() if not there]
        here = [host for host in wanted if host not in gone]
        tally = Tally(suite.name, emit, job)
        others = set(inventory.hosts) - set(wanted)
        env = {"ORCHESTRATOR_OTHERS": json.dumps(sorted(others))}
        hosts = Hosts(narrowed(inventory, here), connections)
        made = self._job(suite, package, hosts, context, job) if here else None
        outcome = self._run(made, tally.take, env) if made is not None else None
        if outcome and others and not gone and tally.found_nothing(outcome):
            meant = self._meant(suite, package, Hosts(inventory, connections), context, f"{job}.elsewhere")
            return tally.elsewhere(outcome, here) if others & meant else tally.result(outcome, here, gone)
        result = tally.result(outcome, here, gone)
        return result if made is None else made.explained(result)

    def _meant(self, suite: SuiteSpec, package: Package, hosts: Hosts, context: Context, job: str) -> frozenset[str]:
        """The hosts of the whole environment that the suite has tests for; it is collected and not run."""
        meant: list[str] = []
        collecting = suite.model_copy(update={"args": (*suite.args, "--collect-only")})
        env = {"ORCHESTRATOR_COLLECT": "1"}

        def take(_number: int, event: dict[str, Any]) -> None:
            meant.extend(event.get("hosts", ()))

        self._run(self._job(collecting, package, hosts, context, job), take, env)
        return frozenset(meant)

    def _job(self, suite: SuiteSpec, package: Package, hosts: Hosts, context: Context, job: str) -> SuiteJob:
        """The suite as a job against *hosts*."""
        folder, configurations = self._jobs.folder(job), self._resolver.configurations
        made = SuiteJob(folder, job, suite, package, hosts, context, configurations, persistent=self._persistent)
        self._known.of_play(package, hosts.inventory.files, made.effective)
        self._known.of_context(context, None)
        return made

    def _run(self, suite_job: SuiteJob, take: OnEvent, more: Mapping[str, str]) -> JobOutcome:
        """Run the job, or follow the one that runs already; its copy is removed when it has ended."""
        outcome = self._jobs.run(suite_job.prepare(more), take)
        suite_job.discard()
        return outcome
