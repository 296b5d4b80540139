"""Survey: what is found when a plan is made: the stack, the hosts, and what runs on them. Nothing is changed."""

import os
from collections.abc import Callable, Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.error_codes import DEFINITION_NOT_KEPT, INSPECTION_FAILED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import (
    NOTHING,
    Acknowledgements,
    HostState,
    Loss,
    Plan,
    PlanAction,
    StackPreview,
    StackSpec,
    losses,
)
from orchestrator.domain.release import Package, PackageRef
from orchestrator.domain.requirements.check import CheckedHost
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.step_payloads import RequirementsChecked
from orchestrator.inspect import leftovers, tokens
from orchestrator.inspect.release_history import RestorePoint, mark_of
from orchestrator.inspect.stacks import context_of, inventory_of, kept_of, outputs_of, stack_of
from orchestrator.planning.plan_store import made_by, saved_plan, update_plan_file
from orchestrator.ports import Emit
from orchestrator.services import Services


@dataclass(frozen=True)
class PlanRequest:
    """The request for a plan.

    *check* runs Ansible's check mode. *approved* is a plan that this one will only be compared with: Pulumi's preview
    is not run again, because its update plan limits the update to what was approved. *skip_irreversible* is the
    agreement that a rollback leaves effects of irreversible steps, *named* what else was agreed to by name. *then* is
    the time that a rollback restores, and its definition. *rehearse* is whether the release is rehearsed. *coming* are
    environments in which earlier waves verify the package first. *on_inspected* is called with the results of the
    host inspection. *all_at_once*: a rollback restores all hosts at the same time.
    """

    package: Package
    environment: str
    action: PlanAction = "promote"
    check: bool = False
    approved: Plan | None = None
    fence: int = 0
    skip_irreversible: bool = False
    all_at_once: bool = False
    named: Acknowledgements = NOTHING
    then: RestorePoint | None = None
    rehearse: bool = False
    coming: frozenset[str] = frozenset()
    on_inspected: Callable[[StepResult], None] = lambda _seen: None


@dataclass(frozen=True)
class Survey:
    """The results of the inspection for a plan. *inventory* is an outline; *full* has the variables.

    *refusing* are hosts that would refuse our fencing token. *stays*: the stack is left unchanged, because the
    definition of the release to be restored is not kept. *is_missing*: nothing was inspected.
    """

    definition: str
    stack: StackPreview | None
    inventory: Inventory | None
    full: Inventory | None
    current_hosts: tuple[HostState, ...]
    unreachable: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    checked: tuple[CheckedHost, ...] = ()
    stays: bool = False
    losses: tuple[Loss, ...] = ()
    uninspected: str = ""
    refusing: Mapping[str, HostResult] = field(default_factory=dict)
    is_missing: bool = False


def make_survey(services: Services, wanted: PlanRequest, job: str, emit: Emit) -> Survey:
    """Preview the stack and inspect the hosts in parallel: they are independent if the hosts exist already."""
    environment, _ = services.environment(wanted.environment)
    spec = _wanted_stack(services, wanted)
    outputs = outputs_of(services, wanted.environment)
    context = context_of(services, wanted.environment, job, outputs, wanted.fence)
    services.deployer.prepare(context)
    known = _known_hosts(services, wanted.environment, spec, outputs)
    with ThreadPoolExecutor(max_workers=1) as pool:
        hosts = pool.submit(_inspect, services, wanted, known, context, job, emit)
        preview = _stack(services, wanted, spec, job, emit)
        seen = hosts.result()
    if seen is not None:
        wanted.on_inspected(seen)
    if environment.ephemeral is not None and spec is not None and preview is not None:
        leftovers.refuse_foreign(services, wanted.environment, spec, preview)
    refusing = tokens.too_far(seen) if wanted.action == "promote" else {}  # a rollback continues without them
    settled = _settled_hosts(wanted, preview, known)
    return Survey(
        definition=spec.definition if spec else digest_of(environment.to_json()),
        stack=preview,
        inventory=settled.hosts_only() if settled else None,
        full=settled,
        current_hosts=_current_hosts(services, wanted.environment, known, seen),
        unreachable=_unreachable(seen, refusing),
        unmet=unmet(seen) if settled is not None and seen is not None else (),
        checked=_checked(seen) if settled is not None else (),
        stays=spec is not None and wanted.action == "rollback" and preview is None,
        losses=lost(services, wanted.environment, spec, preview) if spec and preview else (),
        uninspected=_failure_as_a_whole(seen),
        refusing=_refusals(seen, refusing),
    )


def no_survey(services: Services, wanted: PlanRequest) -> Survey:
    """What is known without an inspection of stack and hosts, for which credentials are missing."""
    environment, _ = services.environment(wanted.environment)
    spec = _wanted_stack(services, wanted)
    return Survey(
        definition=spec.definition if spec else digest_of(environment.to_json()),
        stack=None,
        inventory=None,
        full=None,
        current_hosts=_current_hosts(services, wanted.environment, None, None),
        is_missing=True,
    )


def _known_hosts(services: Services, environment: str, spec: StackSpec | None, outputs: Outputs) -> Inventory | None:
    """The hosts as the stack currently gives them; None if nothing has been provisioned yet."""
    try:
        return inventory_of(services, environment, outputs)
    except OrchestratorError:
        if spec is None or outputs.plain or outputs.secret:
            raise
        return None


def _unreachable(seen: StepResult | None, refusing: Container[str]) -> tuple[str, ...]:
    """The hosts that did not answer, or are *refusing* our token; none where the inspection failed as a whole."""
    if seen is None or failed_as_a_whole(seen):
        return ()
    return tuple(host.host for host in seen.hosts if host.outcome is Outcome.UNKNOWN or host.host in refusing)


def _refusals(seen: StepResult | None, refusing: Container[str]) -> dict[str, HostResult]:
    """The results of the hosts that are *refusing* our token."""
    return {host.host: host for host in seen.hosts if host.host in refusing} if seen is not None else {}


def _failure_as_a_whole(seen: StepResult | None) -> str:
    """Why no host was queried; empty if the inspection did not fail as a whole."""
    return seen.message if seen is not None and failed_as_a_whole(seen) else ""


def failed_as_a_whole(seen: StepResult) -> bool:
    """Whether a host inspection failed before any host was inspected."""
    return seen.code == INSPECTION_FAILED


def _checked(seen: StepResult | None) -> tuple[CheckedHost, ...]:
    """The checks of the requirements of hosts."""
    return RequirementsChecked.read(seen).requirements if seen is not None else ()


def lost(services: Services, environment: str, spec: StackSpec, preview: StackPreview) -> tuple[Loss, ...]:
    """The stateful resources that *preview* would replace or delete: by the current rules, and by those of *spec*."""
    now = services.environment(environment)[0].pulumi.stateful
    return losses(preview.changes, dict.fromkeys((*now, *spec.settings.stateful)))


def unmet(seen: StepResult) -> tuple[str, ...]:
    """What hosts that answered have not, in a sentence each."""
    return tuple(f"{host.host}: {host.message}" for host in seen.hosts if host.outcome is Outcome.FAILED)


def _settled_hosts(wanted: PlanRequest, preview: StackPreview | None, known: Inventory | None) -> Inventory | None:
    """The hosts that will be worked on; None while they are not known."""
    return known if known is not None and _hosts_stay(wanted, preview, known) else None


def _hosts_stay(wanted: PlanRequest, preview: StackPreview | None, known: Inventory) -> bool:
    """Whether the hosts to be worked on are known to be the current ones; a rollback starts with the existing ones."""
    if wanted.action == "rollback":
        return True
    if wanted.approved is not None:
        return wanted.approved.inventory is not None
    if preview is None or not preview.changes_something:
        return True
    return preview.inventory is not None and preview.inventory.digest == known.digest


def _wanted_stack(services: Services, wanted: PlanRequest) -> StackSpec | None:
    """The stack as it is currently defined; for a rollback as it was when the release that is restored was verified.

    Raises E105 when a time is to be restored, and how the stack was defined then is not kept.
    """
    spec = stack_of(services, wanted.environment)
    if spec is not None and wanted.then is not None and wanted.then.definition:
        there = wanted.then.definition == spec.definition
        return spec if there else kept_of(services, wanted.environment, wanted.then.definition)
    mark = mark_of(services, wanted.environment, wanted.package.digest) if wanted.action == "rollback" else None
    if spec is None or mark is None or mark.definition in {"", spec.definition}:
        return spec
    try:
        return kept_of(services, wanted.environment, mark.definition)
    except OrchestratorError as error:
        if error.code != DEFINITION_NOT_KEPT:
            raise
        return spec


def _stack(
    services: Services, wanted: PlanRequest, spec: StackSpec | None, job: str, emit: Emit
) -> StackPreview | None:
    if spec is None or _forgotten(services, wanted, spec):
        return None
    if wanted.approved is not None:
        return _derived(services, wanted.approved, spec)
    made = made_by(services, job)
    preview = services.provisioner.preview(spec, f"{job}.preview", emit, save_plan=made)
    if preview.update_file is not None:
        _link(made, update_plan_file(services, preview.update_file))
    return preview


def _derived(services: Services, plan: Plan, spec: StackSpec) -> StackPreview:
    """What the update would do, derived from Pulumi's saved update plan and never believed from the document.

    Where Pulumi would refuse the update, nothing was saved, and the plan is not executed either (E140). Raises E162,
    E163, and E164 when the document states other operations than the saved update plan allows.
    """
    approved = plan.stack
    if approved is None:
        return StackPreview(state_digest=services.provisioner.state_digest(spec))
    if approved.refused:
        return approved.model_copy(update={"state_digest": services.provisioner.state_digest(spec)})
    derived = services.provisioner.planned(spec, saved_plan(services, approved)).in_form_of(approved)
    same_start = derived.state_digest == approved.state_digest and spec.definition == plan.definition
    stated = StackPreview.model_fields.keys() - {
        "state_digest",
        "versions",
    }  # these are compared with the current state
    before, after = approved.to_json(), derived.to_json()
    names = sorted(name for name in stated if before.get(name) != after.get(name))
    if same_start and names:
        message = f"the plan states other {', '.join(names)} than Pulumi's saved update plan; nothing was changed"
        raise OrchestratorError("E164", message)
    return derived


def _link(saved: Path, target: Path) -> None:
    """Link *target* to *saved*, which stays in its place: a process that takes over reads its finished job again."""
    new = target.with_name(f"{target.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.hardlink_to(saved)
    new.replace(target)
    new.unlink(missing_ok=True)  # the rename of a link to the same file changes nothing


def _forgotten(services: Services, wanted: PlanRequest, spec: StackSpec) -> bool:
    """Whether a rollback does not know how the stack was defined with the release that it restores."""
    if wanted.action != "rollback" or (wanted.then is not None and wanted.then.definition):
        return False
    mark = mark_of(services, wanted.environment, wanted.package.digest)
    return mark is None or mark.definition != spec.definition


def _inspect(
    services: Services, wanted: PlanRequest, known: Inventory | None, context: Context, job: str, emit: Emit
) -> StepResult | None:
    """Query every host: whether it responds and has what is required, and what runs on it."""
    if known is None or not known.hosts:
        return None
    requirements = wanted.package.manifest.release.requirements
    seen = services.deployer.inspect(requirements, known, context, f"{job}.require", emit)
    return tokens.limit_tokens(services, wanted.environment, seen, emit, wanted.fence)


def _current_hosts(
    services: Services, environment: str, known: Inventory | None, seen: StepResult | None
) -> tuple[HostState, ...]:
    """What runs on each host: its own report, otherwise what the journal last knew of it."""
    remembered = {state.host: state.settled for state in services.store.hosts(environment)}
    reported = {host.host: host for host in seen.hosts} if seen else {}
    states = []
    for host in known.hosts if known else ():
        state = remembered.get(host, HostState(host=host, truth="empty"))
        result = reported.get(host)
        if result is not None and (result.outcome is Outcome.UNKNOWN or result.invalid):
            state = state.model_copy(update={"truth": "unknown"})
        elif result is not None and result.release is not None:
            state = _seen(services, state, result.release)
        states.append(state.model_copy(update={"serves": ""}))
    return tuple(states)


def _seen(services: Services, state: HostState, digest: str) -> HostState:
    """*state*, corrected by the digest that the host itself reported."""
    if state.release is not None and state.release.digest == digest:
        return state.model_copy(update={"truth": "seen"})
    unknown = PackageRef(name="unknown", version="0", digest=digest)
    release = services.packages.ref(digest) or unknown
    return HostState(host=state.host, truth="seen", release=release).on_side_of(state)
