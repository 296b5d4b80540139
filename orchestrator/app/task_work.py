"""The work of a task in an environment: a command, a playbook or a gate, as a job that is found again after a crash."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from orchestrator.background import repeated
from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Gate
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import LOCK, add_seconds
from orchestrator.domain.plan import PlannedGate, PlaySpec
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Package
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.task_work import CommandTask, GateTask, PlaybookTask
from orchestrator.domain.text import with_reason
from orchestrator.inspect.release_history import last_verified
from orchestrator.inspect.stacks import context_of, inventory_of, outputs_of
from orchestrator.planning.credentials import credential_refusal, missing_for_gate, missing_for_hosts
from orchestrator.planning.second_pass import restrict
from orchestrator.ports import Jobs
from orchestrator.services import Services

LOOK_EVERY_S = 1.0
"""How often it is checked whether the work was stopped."""
LOCK_AFTER_S = 300.0
"""How long the lock of a playbook lasts beyond its timeout: a worker that died does not keep an environment."""
LONGEST_LOG = 640 * 1024


@dataclass(frozen=True)
class WorkOrder:
    """The *work* of a task, called *name* in jobs and *key* among all tasks, for the user *by*.

    *package* is that whose playbook runs; None: the one that was verified last.
    """

    key: str
    name: str
    about: str
    by: str
    work: CommandTask | PlaybookTask | GateTask
    package: Package | None = None

    @property
    def job(self) -> str:
        """The key of its job."""
        return f"{self.key}.{self.name}"


@dataclass(frozen=True)
class Place:
    """What is known of the environment when the work starts."""

    package: Package
    inventory: Inventory
    context: Context


def perform_work(services: Services, jobs: Jobs, order: WorkOrder, stopped: Callable[[], bool]) -> StepResult:
    """Do the work, or follow it if its job was started before, until it has ended or is *stopped*.

    Raises S101 while the environment is in use, R103, R180, E-codes, and E170 before it starts if this machine lacks a
    credential.
    """
    services.environment(order.work.environment)
    try:
        with _watched(jobs, order.job, stopped), _locked(services, order) as fence:
            if not jobs.folder(order.job).exists():  # what a process that died has started is completed
                _require_credentials(services, order)
            return _performed(services, order, _place(services, order, fence), stopped)
    finally:
        services.deployer.close()


def printed(jobs: Jobs, order: WorkOrder) -> bytes:
    """The end of what the work has printed, without known secrets."""
    try:
        with (jobs.folder(order.job) / "output.log").open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LONGEST_LOG))
            return file.read()
    except FileNotFoundError:
        return b""


def host_evidence(result: StepResult, work: CommandTask | PlaybookTask | GateTask) -> tuple[str, ...]:
    """What the *work* did on each host, in a line, and whether it may have changed the host before it was stopped."""
    return tuple(_host_line(host, changes=isinstance(work, PlaybookTask)) for host in result.hosts)


def _host_line(host: HostResult, *, changes: bool) -> str:
    """*host* in a line; *changes* is whether the work can change it."""
    facts = [host.outcome.value]
    if changes and host.outcome is Outcome.SUCCEEDED:
        facts.append(
            f"changed by {host.changed} task{'s' if host.changed > 1 else ''}" if host.changed else "not changed"
        )
    elif changes:
        facts.append("may have been changed" if host.touched else "not changed")
    where = f"{host.task}: " if host.task and host.message else host.task
    return with_reason(f"{host.host}: {', '.join(facts)}", f"{where}{host.message}")


def _require_credentials(services: Services, order: WorkOrder) -> None:
    """Raise E170 if this machine lacks what the work needs: for its stack, its hosts, its package and its gate."""
    work, environment = order.work, order.work.environment
    found = missing_for_hosts(services, environment, order.package)
    if isinstance(work, GateTask):
        found += missing_for_gate(services, environment, PlannedGate(gate=work.gate(order.name), own=True))
    why = credential_refusal(found)
    if why is not None:
        raise why


def _place(services: Services, order: WorkOrder, fence: int) -> Place:
    environment = order.work.environment
    package = order.package
    if package is None:
        mark = last_verified(services, environment)
        if mark is None:
            raise OrchestratorError("R180", f"no release has been verified in {environment}")
        package = services.packages.fetch(mark.release.digest)
    outputs = outputs_of(services, environment)
    inventory = inventory_of(services, environment, outputs)
    context = context_of(services, environment, order.key, outputs, fence)
    settings = context.settings.model_copy(update={"ledger": False})  # it installs no release
    return Place(package, inventory, replace(context, settings=settings))


def _performed(services: Services, order: WorkOrder, place: Place, stopped: Callable[[], bool]) -> StepResult:
    work = order.work
    if isinstance(work, PlaybookTask):
        limit = restrict(place.inventory, work.hosts, tuple(place.inventory.hosts))
        if not limit:
            raise OrchestratorError("D102", f"{work.environment} has no host {work.hosts}")
        spec = PlaySpec(
            step=order.name,
            playbook=work.playbook,
            hosts=work.hosts,
            limit=limit,
            extra_vars=dict(work.variables),
            timeout=seconds(work.timeout),
        )
        return services.deployer.deploy(
            spec, place.package, place.inventory, place.context, order.job, lambda _entry: None
        )
    if isinstance(work, CommandTask):
        gate = Gate(name=order.name, command=work.words, timeout=work.timeout)
        return _check_once(services, order, gate, place, order.job)
    return _held(services, order, work, place, stopped)


def _held(
    services: Services, order: WorkOrder, work: GateTask, place: Place, stopped: Callable[[], bool]
) -> StepResult:
    """The result of a gate, which is checked until it holds, or its time is over."""
    end, number = time.monotonic() + seconds(work.within), 1
    while True:
        job = order.job if number == 1 else f"{order.job}~{number}"
        result = _check_once(services, order, work.gate(order.name), place, job)
        if result.good or stopped() or time.monotonic() >= end:
            return result
        time.sleep(min(seconds(work.every), max(0.0, end - time.monotonic())))
        number += 1


def _check_once(services: Services, order: WorkOrder, gate: Gate, place: Place, job: str) -> StepResult:
    hosts = restrict(place.inventory, gate.hosts, tuple(place.inventory.hosts))
    if not hosts and gate.http is not None:
        raise OrchestratorError("D102", f"{order.work.environment} has no host {gate.hosts}")
    planned = PlannedGate(gate=gate, own=True)
    return services.gates.ask(planned, hosts, place.package, place.inventory, place.context, job, lambda _entry: None)


@contextmanager
def _locked(services: Services, order: WorkOrder) -> Iterator[int]:
    """Keep runs out of the environment of a playbook while it runs. Returns the fence. Raises S101."""
    work, store = order.work, services.store
    if not isinstance(work, PlaybookTask):
        yield 0
        return
    until = add_seconds(services.clock.now(), seconds(work.timeout) + LOCK_AFTER_S)
    holder = f"{LOCK}{order.key}"
    lease = store.acquire(work.environment, holder, order.by, order.about, until=until)
    try:
        yield lease.fence
    finally:
        store.release(work.environment, holder)


def _watched(jobs: Jobs, job: str, stopped: Callable[[], bool]) -> AbstractContextManager[None]:
    """End the *job* once it is *stopped*."""

    def watch() -> bool:
        if not stopped():
            return True
        jobs.stop(job)
        return False

    return repeated(watch, LOOK_EVERY_S)
