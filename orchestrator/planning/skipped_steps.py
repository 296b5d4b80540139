"""The steps that a rollback neither undoes nor runs again, because they declare it."""

from collections.abc import Iterable

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import SkippedStep
from orchestrator.domain.release import PackageRef
from orchestrator.domain.release_steps import AnyStep, ImplementationStep
from orchestrator.planning.second_pass import restrict


def not_run_again(
    release: PackageRef, steps: Iterable[AnyStep], inventory: Inventory | None = None, hosts: tuple[str, ...] = ()
) -> tuple[SkippedStep, ...]:
    """Those of *steps*, of the *release* that is restored, which declare an undo; with an *inventory*: for *hosts*."""

    def meant(step: AnyStep) -> bool:
        return inventory is None or isinstance(step, ImplementationStep) or bool(restrict(inventory, step.hosts, hosts))

    return tuple(
        SkippedStep(release=release, step=step.name, undo=step.undo)
        for step in steps
        if step.undo is not None and meant(step)
    )


def not_undone(release: PackageRef, steps: Iterable[tuple[str, str | None]]) -> tuple[SkippedStep, ...]:
    """Those of *steps* (name and undo) of a *release* that is rolled back which declare `undo: nothing`."""
    names = dict.fromkeys(name for name, undo in steps if undo == "nothing")
    return tuple(SkippedStep(release=release, step=name, undo="nothing") for name in names)
