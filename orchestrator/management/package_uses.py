"""What of release management has a package: trains and planned releases that have not ended."""

from collections.abc import Iterator

from orchestrator.app.package_uses import PackageUse
from orchestrator.domain.register import OPEN
from orchestrator.domain.release import PackageRef
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
        """The trains that *ref* is aboard, and the planned releases with it in their scope."""
        for train in records.all(TRAINS, OPEN):
            if any(member.digest == ref.digest for member in train.aboard):
                yield PackageUse(f"aboard {train.id}", _off(train, ref))
        for release in records.all(PLANNED_RELEASES, OPEN):
            if any(package.digest == ref.digest for package in release.packages):
                yield PackageUse(f"in the scope of {release.id}", _out(release, ref))


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
