"""Where a failure would lead, what a rollback undoes, and what it leaves."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import (
    PlannedImplementation,
    PlannedReversal,
    PlannedSides,
    PlannedStep,
    PlannedUndo,
    RollbackTarget,
    SecondPass,
    SkippedStep,
    play_of,
)
from orchestrator.domain.release import Package
from orchestrator.domain.release_steps import ImplementationStep, Step
from orchestrator.inspect.release_history import Begun, last_verified, release_history, steps_to_undo
from orchestrator.planning.plays import NO_PLAYBOOK, undo_with_plays
from orchestrator.planning.second_pass import restrict, second_pass
from orchestrator.planning.skipped_steps import not_run_again, not_undone
from orchestrator.planning.survey import PlanRequest, Survey
from orchestrator.services import Services


def find_rollback_target(services: Services, wanted: PlanRequest) -> RollbackTarget:
    """Where a failure would lead, found out before anything is done."""
    if wanted.action == "rollback":
        return RollbackTarget(reason="this is a rollback")
    release = wanted.package.manifest.release
    impossible = tuple(step.name for step in release.steps if step.undo == "impossible")
    last = last_verified(services, wanted.environment)
    if services.environment(wanted.environment)[0].ephemeral is not None:
        return RollbackTarget(impossible=impossible, reason="what is made for it is destroyed")
    if last is None:
        return RollbackTarget(impossible=impossible, reason="no release has been verified here yet")
    try:
        target = services.packages.fetch(last.release.digest)
    except OrchestratorError as error:
        return RollbackTarget(release=last.release, impossible=impossible, reason=error.message)
    return RollbackTarget(
        release=last.release,
        definition=last.definition or None,
        available=True,
        impossible=impossible,
        skipped=(
            *not_undone(wanted.package.ref, ((step.name, step.undo) for step in reversed(release.steps))),
            *not_run_again(last.release, target.manifest.release.steps),
        ),
    )


def left_alone(package: Package, undone: tuple[Begun, ...]) -> tuple[SkippedStep, ...]:
    """The steps that a rollback to *package* neither undoes nor runs again, of all that is *undone*."""
    left = [kept for item in undone for kept in not_undone(item.package.ref, [(item.step.name, item.step.undo)])]
    return tuple(dict.fromkeys((*left, *not_run_again(package.ref, package.manifest.release.steps))))


def with_second_pass(
    services: Services, target: RollbackTarget, survey: Survey, steps: tuple[PlannedStep, ...]
) -> RollbackTarget:
    """*target* with what a failure runs on hosts after the rollback of the infrastructure, if this plan changes it.

    The hosts are those that *steps* go to; none are named while they are not known.
    """
    stays = survey.stack is None or target.definition in {None, survey.definition}
    if target.release is None or not target.available or stays:
        return target
    manifest = services.packages.fetch(target.release.digest).manifest
    hosts = tuple(host for step in steps for batch in step.batches or () for host in batch)
    return target.model_copy(update={"second_pass": second_pass(manifest, survey.inventory or Inventory(), hosts)})


def rollback_second_pass(wanted: PlanRequest, survey: Survey, sides: PlannedSides | None) -> SecondPass | None:
    """What a rollback runs on hosts after the infrastructure was restored; None for a promotion, or if it stays."""
    if wanted.action != "rollback" or survey.stack is None or not survey.stack.changes_something:
        return None
    inventory = survey.inventory or Inventory()
    hosts = tuple(host for host in inventory.hosts if sides is None or host not in sides.unchanged_hosts)
    return second_pass(wanted.package.manifest, inventory, hosts)


def left_over(services: Services, environment: str, package: Package) -> tuple[str, ...]:
    """The steps that cannot be undone of the releases which took the place of *package*; none where it is not older."""
    older = [mark.release.digest for mark in release_history(services, environment)][1:]
    if package.digest not in older:
        return ()
    begun = steps_to_undo(services, environment, package)
    return tuple(dict.fromkeys(item.step.name for item in begun if item.step.undo == "impossible"))


def irreversible(undone: tuple[Begun, ...]) -> RollbackTarget:
    """A rollback has no rollback plan itself; the plan names in advance what it cannot undo."""
    impossible = tuple(dict.fromkeys(begun.step.name for begun in undone if begun.step.undo == "impossible"))
    return RollbackTarget(impossible=impossible, reason="this is a rollback")


def planned_undos(services: Services, begun: tuple[Begun, ...], inventory: Inventory | None) -> tuple[PlannedUndo, ...]:
    """The undo playbooks of what was *begun*, on the hosts that still exist."""
    found = []
    for item in begun:
        wanted = _undo_limit(item, inventory)
        if inventory is not None and wanted and isinstance(item.step, Step):
            play = play_of(item.step).model_copy(update={"playbook": item.step.undo, "limit": wanted})
            found.append(
                undo_with_plays(services, PlannedUndo(release=item.package.ref, play=play), item.package, inventory)
            )
    return tuple(found)


def _undo_limit(item: Begun, inventory: Inventory | None) -> tuple[str, ...]:
    """The existing hosts on which the undo playbook of *item* runs; none without a playbook."""
    if inventory is None or not isinstance(item.step, Step) or item.step.undo in NO_PLAYBOOK:
        return ()
    return restrict(inventory, item.step.hosts, item.hosts or tuple(inventory.hosts))


def planned_reversals(begun: tuple[Begun, ...], inventory: Inventory | None) -> tuple[PlannedReversal, ...]:
    """The implementation plans that undo those of what was *begun*, among the undo playbooks for *inventory*."""
    found, position = [], 0
    for item in begun:
        if isinstance(item.step, ImplementationStep):
            planned = PlannedImplementation.of(item.step, 0)
            reversal = PlannedReversal.of(item.package.ref, planned, position)
            found += [reversal] if reversal is not None else []
        elif _undo_limit(item, inventory):
            position += 1
    return tuple(found)
