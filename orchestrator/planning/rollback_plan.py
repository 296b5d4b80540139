"""The rollback plan of a promotion, computed from the records of its steps: for its rollback, and in advance."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.effects import Effects, declared_change
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Record, Run
from orchestrator.domain.plan import (
    Loss,
    Plan,
    PlannedImplementation,
    PlannedReversal,
    PlannedUndo,
    PlaySpec,
    ResourceChange,
    SkippedStep,
    losses,
    play_of,
)
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.release import Manifest, Package, PackageRef
from orchestrator.domain.rollback_plan import RollbackForecast, RollbackPlan
from orchestrator.domain.sides import Side
from orchestrator.domain.started import StartedStep
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import SETTLING_STEPS, HostsSettled
from orchestrator.inspect.stacks import kept_of
from orchestrator.planning.plan_store import load_plan
from orchestrator.planning.plays import readable_plays, undo_with_plays
from orchestrator.planning.second_pass import restrict, second_pass
from orchestrator.planning.sides import of_plan
from orchestrator.planning.skipped_steps import not_run_again, not_undone
from orchestrator.planning.steps import suites_of
from orchestrator.planning.survey import lost
from orchestrator.services import Services

TAKEN_BACK = "rehearse.back"
"""The step of a rehearsal before which everything that was started has been undone and verified."""


@dataclass(frozen=True)
class PromotionProgress:
    """How far a promotion has come.

    *started*: the steps that were started, among the hosts of *hosts_only_inventory*. *provisioned*: also the stack.
    *switched*: a switch from one side to the other was started, and not reversed. *implemented*: the steps whose
    implementation plans were started.
    """

    started: Sequence[StartedStep] = ()
    hosts_only_inventory: Inventory = field(default_factory=Inventory)
    provisioned: bool = False
    switched: bool = False
    implemented: tuple[str, ...] = ()

    @classmethod
    def of(cls, effects: Effects, inventory: Inventory) -> "PromotionProgress":
        """How far a run with these *effects* has come, among the hosts of *inventory*."""
        return cls(effects.started, inventory, effects.stack_changed, effects.switching, effects.implemented)

    @property
    def touched(self) -> tuple[str, ...]:
        """The existing hosts on which something may have been changed, in the order in which that happened."""
        return tuple(dict.fromkeys(host for started in self.started for host in self.hosts(started)))

    def hosts(self, started: StartedStep) -> tuple[str, ...]:
        """The hosts that *started* may have changed; without those that went away with the infrastructure since."""
        return tuple(host for host in started.touched() if host in self.hosts_only_inventory.hosts)


def closed(plan: Plan, started: Iterable[StartedStep], implemented: tuple[str, ...] = ()) -> OrchestratorError | None:
    """Why no automatic rollback is possible: R130 to R133. None if one is.

    *started* are the steps with a playbook, *implemented* the names of those with an implementation plan.
    """
    progress = [item.step.play.step for item in started if item.step.undo == "impossible"]
    progress += [item.step for item in plan.implementations if item.step in implemented and item.undo == "impossible"]
    if not plan.automatic_rollback:
        return OrchestratorError("R130", "automatic rollback is switched off for this environment")
    if progress:
        return OrchestratorError("R131", f"{', '.join(progress)} cannot be undone")
    if plan.rollback_target.release is None:
        return OrchestratorError("R132", "there is no verified release to roll back to")
    if not plan.rollback_target.available:
        return OrchestratorError(
            "R133", f"the package of {plan.rollback_target.release} is not here: {plan.rollback_target.reason}"
        )
    return None


def compute(run: Run, plan: Plan, target: Manifest, progress: PromotionProgress) -> RollbackPlan:
    """The rollback plan of *run*, which executes *plan* with this *progress*, to the release of *target*."""
    if plan.rollback_target.release is None or run.release is None:
        raise RuntimeError("there is no rollback target")
    changed = progress.provisioned and plan.rollback_target.definition != plan.definition
    switch, live = _switch(plan, progress) if progress.switched else (None, None)
    return RollbackPlan(
        environment=run.environment,
        run=run.id,
        release=plan.rollback_target.release,
        switch=switch,
        live=live,
        undo=tuple(_undos(run.release, progress)),
        reversals=tuple(_reversals(run.release, plan, progress)),
        restore=restoring(target, progress.hosts_only_inventory, progress.touched),
        definition=plan.rollback_target.definition if changed else None,
        second_pass=second_pass(target, progress.hosts_only_inventory, progress.touched) if changed else None,
        skipped=_skipped(run.release, plan, target, progress),
        verify=suites_of(target.release),
        touched=progress.touched,
        untouched=tuple(host for host in progress.hosts_only_inventory.hosts if host not in set(progress.touched)),
    )


def with_rollback_plays(
    services: Services, plan: RollbackPlan, inventory: Inventory, own: Package | None, target: Package
) -> RollbackPlan:
    """*plan* with the plays of its playbooks.

    *own* is the package that is rolled back, which has the undo and switch playbooks; None if it is not here. *target*
    is the package that is restored.
    """

    def listed(play: PlaySpec, package: Package) -> tuple[PlannedPlay, ...]:
        return readable_plays(services, package, play, inventory)

    found: dict[str, Any] = {"restore_plays": {play.step: listed(play, target) for play in plan.restore}}
    if own is not None:
        found["undo"] = tuple(undo_with_plays(services, undo, own, inventory) for undo in plan.undo)
        found["switch_plays"] = listed(plan.switch, own) if plan.switch is not None else ()
    return plan.model_copy(update=found)


def _switch(plan: Plan, progress: PromotionProgress) -> tuple[PlaySpec | None, Side | None]:
    """The switch back, and the side that it leads to; none where there is no side to switch back to."""
    planned, sides = plan.blue_green, of_plan(plan, progress.hosts_only_inventory)
    if planned is None or sides is None or plan.rollback_target.release is None:
        return None, None
    live = planned.rollback_side(plan.current_hosts, sides, plan.rollback_target.release.digest)
    return (planned.switched(sides, progress.hosts_only_inventory), live) if live is not None else (None, None)


def _undos(release: PackageRef, progress: PromotionProgress) -> Iterable[PlannedUndo]:
    for item in reversed(progress.started):
        if item.step.undo not in (None, "nothing", "impossible") and progress.hosts(item):
            play = item.step.play.model_copy(update={"playbook": item.step.undo, "limit": progress.hosts(item)})
            yield PlannedUndo(release=release, play=play)


def _undone_before(plan: Plan, planned: PlannedImplementation, undo: Sequence[PlannedUndo]) -> int:
    """How many of *undo*, newest first, are of steps that come after the one of *planned*."""
    before = {step.play.step for step in plan.steps[: planned.position]}
    return sum(item.play.step not in before for item in undo)


def _reversals(release: PackageRef, plan: Plan, progress: PromotionProgress) -> Iterable[PlannedReversal]:
    """What undoes the implementation plans that were started, newest first."""
    undo = tuple(_undos(release, progress))
    for planned in reversed(plan.implementations):
        found = PlannedReversal.of(release, planned, _undone_before(plan, planned, undo))
        if planned.step in progress.implemented and found is not None:
            yield found


def _skipped(own: PackageRef, plan: Plan, target: Manifest, progress: PromotionProgress) -> tuple[SkippedStep, ...]:
    started = [(item.step.play.step, item.step.undo) for item in reversed(progress.started) if progress.hosts(item)]
    started += [(item.step, item.undo) for item in plan.implementations if item.step in progress.implemented]
    release = plan.rollback_target.release or own
    again = not_run_again(release, target.release.steps, progress.hosts_only_inventory, progress.touched)
    return (*not_undone(own, started), *again)


def restoring(target: Manifest, inventory: Inventory, hosts: tuple[str, ...]) -> tuple[PlaySpec, ...]:
    """The steps of the release of *target* that restore *hosts*, in their own order.

    Steps which declare an undo of their own are not run again: what they did was not undone, or was restored by the
    undo of the newer release's step.
    """
    found = []
    for step in target.release.playbook_steps:
        limit = restrict(inventory, step.hosts, hosts)
        if step.undo is None and limit:
            found.append(play_of(step, limit))
    return tuple(found)


def current_rollback_plan(services: Services, run: Run) -> RollbackPlan:
    """The rollback plan of the promotion *run* at this point of its journal; once it rolls back, the one it executes.

    Raises R130 to R133 when there is none, and R137 before it has a plan.
    """
    records = services.store.records(run.id)
    kept = next((record.data for record in reversed(records) if record.kind == "rollback plan"), None)
    if kept is not None:
        return RollbackPlan.from_json({key: value for key, value in kept.items() if key != "digest"})
    if run.plan is None:
        raise OrchestratorError("R137", f"{run.id} has no plan yet, and has touched nothing")
    plan = load_plan(services, run.plan)
    progress = _progress(plan, records)
    why = closed(plan, progress.started, progress.implemented)
    if why is not None or plan.rollback_target.release is None:
        raise why or RuntimeError("there is no rollback target")
    target, own = services.packages.fetch(plan.rollback_target.release.digest), None
    with suppress(OrchestratorError):  # without it the plan is the same, but for the plays of undo playbooks
        own = services.packages.fetch(plan.release.digest)
    return with_rollback_plays(
        services, compute(run, plan, target.manifest, progress), progress.hosts_only_inventory, own, target
    )


def preview_rollback(services: Services, run: Run, plan: RollbackPlan, job: str) -> RollbackForecast | None:
    """What the rollback *plan* of *run* would do to the stack if it were executed; None without such a change.

    Pulumi previews the restored definition under the key *job*, as the rollback will. It does not while it updates the
    stack for the promotion: a preview between two changes has no meaning.
    """
    steps = {record.step: record for record in services.store.records(run.id) if record.kind.startswith("step.")}
    if plan.definition is None or "restore.stack" in steps or run.plan is None:
        return None
    working = (record for record in steps.values() if record.kind == "step.started")
    if any(declared_change(record.step, record.data, {}).kind == "stack" for record in working):
        why = "an update of the stack is running"
    else:
        try:
            spec = kept_of(services, run.environment, plan.definition)
            seen = services.provisioner.preview(spec, job, lambda _entry: None)
        except OrchestratorError as error:
            why = error.message
        else:
            progress = lost(services, run.environment, spec, seen)
            return RollbackForecast(how="preview", counts=seen.counts, losses=progress, refused=seen.refused)
    return RollbackForecast(how="plan", why=why, losses=_other_way_round(services, load_plan(services, run.plan), plan))


def _other_way_round(services: Services, plan: Plan, target: RollbackPlan) -> tuple[Loss, ...]:
    """What would be lost as far as the promotion's *plan* shows: what it creates goes, what it replaces is replaced."""
    changes = [_reverse(change) for change in plan.stack.changes] if plan.stack is not None else []
    rules = list(services.environment(plan.environment)[0].pulumi.stateful)
    with suppress(OrchestratorError):  # the definition is not kept here: only the current rules are known
        rules += services.provisioner.kept(str(target.definition)).settings.stateful
    return losses(changes, dict.fromkeys(rules))


def _reverse(change: ResourceChange) -> ResourceChange:
    op = {"create": "delete", "delete": "create"}.get(change.op, change.op)
    return change.model_copy(update={"op": op})


def _progress(plan: Plan, records: Sequence[Record]) -> PromotionProgress:
    """How far it has come by the records; what was started and has not ended may have changed all of its hosts."""
    results = {record.step: StepResult.from_json(record.data) for record in records if record.kind == "step.finished"}
    steps = {step.play.step: step for step in plan.steps}
    unfinished, effects = StepResult(outcome=Outcome.UNKNOWN), Effects()
    for record in records:
        if record.kind != "step.started":
            continue
        if record.step == TAKEN_BACK:
            effects.take_back()
        else:
            change = declared_change(record.step, record.data, steps)
            effects.record(change, results.get(record.step, unfinished))
    settled = next((results[name] for name in reversed(SETTLING_STEPS) if name in results), None)
    good = settled is not None and settled.good
    return PromotionProgress.of(
        effects, HostsSettled.read(settled).outline if settled is not None and good else Inventory()
    )
