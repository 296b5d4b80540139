"""What of release management has a package: trains, planned releases and tasks that have not ended."""

from collections.abc import Iterator

from orchestrator.app.package_uses import PackageUse
from orchestrator.domain.register import OPEN
from orchestrator.domain.release import PackageRef
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.state import TASK_TABLE, TaskEvent
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.state import CHANGEABLE
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.trains.model import Train
from orchestrator.management.trains.state import TRAIN_TABLE, TrainEvent
from orchestrator.management.trains.store import TRAINS
from orchestrator.register_ports import Records


class RegisterPackageUses:
    """The `PackageUses` of the register."""

    def uses(self, records: Records, ref: PackageRef) -> Iterator[PackageUse]:
        """The trains that *ref* is aboard, the planned releases with it in their scope, and the tasks that promote it.

        What a task rolls back to has been in its environment, and is kept because the journal has it.
        """
        for train in records.all(TRAINS, OPEN):
            if any(member.digest == ref.digest for member in train.aboard):
                yield PackageUse(f"aboard {train.id}", _off(train, ref))
        for release in records.all(PLANNED_RELEASES, OPEN):
            if any(package.digest == ref.digest for package in release.packages):
                yield PackageUse(f"in the scope of {release.id}", _out(release, ref))
        for plan in records.all(IMPLEMENTATION_PLANS, OPEN):
            for task in plan.tasks:
                if not task.has_ended and task.promotion is not None and ref.is_meant_by(task.promotion.package):
                    yield PackageUse(f"in the task {plan.id}:{task.name}", _undone(plan, task))


def _off(train: Train, ref: PackageRef) -> str:
    """How *ref* leaves *train*; after the departure only its end helps."""
    if TRAIN_TABLE.allows(train.state, TrainEvent.LEAVE):
        return f"orchestrator train leave {train.id} {ref.name}"
    return f"wait for the end of {train.id}: orchestrator train show {train.id}"


def _out(release: PlannedRelease, ref: PackageRef) -> str:
    """How *ref* leaves the scope of *release*; a released one has to end first."""
    if release.state in CHANGEABLE:
        return f"orchestrator release remove {release.id} --package {ref.name}-{ref.version}"
    return f"wait for the end of {release.id}: orchestrator release show {release.id}"


def _undone(plan: ImplementationPlan, task: Task) -> str:
    """How *task* of *plan* ends without its promotion; one that is under way has to end first."""
    if task.root and TASK_TABLE.allows(task.state, TaskEvent.REQUEST_HELP):
        return f"wait for the end of {plan.id}:{task.name}: orchestrator implementation status {plan.id}"
    return f"orchestrator implementation skip {plan.id} {task.name} -m replaced"
