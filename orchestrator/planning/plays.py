"""The plays that a plan lists: those of steps, of undo playbooks, and of the playbooks that switch and retire sides."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.once_tags import NO_TAGS, OnceTags
from orchestrator.domain.plan import HostState, PlannedSides, PlannedStep, PlannedUndo, PlaySpec
from orchestrator.domain.plays import Batches, PlannedPlay, planned_plays
from orchestrator.domain.release import Package
from orchestrator.services import Services

NO_PLAYBOOK = (None, "nothing", "impossible")
"""What the `undo` of a step is when no playbook undoes it."""


def plays_of(
    services: Services,
    package: Package,
    playbook: str,
    batches: Batches | None,
    inventory: Inventory | None,
    once: OnceTags = NO_TAGS,
) -> tuple[PlannedPlay, ...]:
    """Every play of *playbook* in *package*, run on *batches* of hosts. Raises D150."""
    return planned_plays(services.deployer.plays(playbook, package), batches, inventory, once)


def with_plays(services: Services, step: PlannedStep, package: Package, inventory: Inventory | None) -> PlannedStep:
    """*step* with its hosts in batches, where they are known, and with the plays of its two playbooks. Raises D150."""
    batches = step.cut(inventory) if inventory is not None else None
    plays = plays_of(services, package, step.play.playbook, batches, inventory, step.once)
    found = step.model_copy(update={"batches": batches, "plays": plays})
    if step.undo is None or step.undo in NO_PLAYBOOK:
        return found
    every = None if batches is None else (tuple(host for batch in batches for host in batch),)
    return found.model_copy(update={"undo_plays": plays_of(services, package, step.undo, every, inventory)})


def sides_with_plays(
    services: Services,
    planned: PlannedSides | None,
    package: Package,
    inventory: Inventory | None,
    base: tuple[HostState, ...],
) -> PlannedSides | None:
    """*planned* with the plays of the playbooks that switch and retire, if something is switched. Raises D101, D150."""
    if planned is None or planned.to is None:
        return planned
    switched = retired = None
    if inventory is not None and planned.hosts is not None:
        switched = (planned.switched(planned.hosts, inventory).limit,)
        retired = (planned.retired(base, planned.hosts, planned.to),)
    plays = {"switch_plays": plays_of(services, package, planned.switch.playbook, switched, inventory)}
    if planned.retire is not None:
        plays["retire_plays"] = plays_of(services, package, planned.retire.playbook, retired, inventory)
    return planned.model_copy(update=plays)


def undo_with_plays(services: Services, undo: PlannedUndo, package: Package, inventory: Inventory) -> PlannedUndo:
    """*undo* with the plays of its playbook in *package*."""
    return undo.model_copy(update={"plays": readable_plays(services, package, undo.play, inventory)})


def readable_plays(
    services: Services, package: Package, play: PlaySpec, inventory: Inventory
) -> tuple[PlannedPlay, ...]:
    """The plays of the playbook of *play*; none if they cannot be read: that must not hold up a rollback."""
    try:
        return plays_of(services, package, play.playbook, (play.limit,), inventory)
    except (OrchestratorError, OSError):
        return ()
