"""What release trains read from the project and its journal, and what they execute."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from orchestrator.domain.admission.may_start import PathFacts
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.release import PackageRef
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.trains.model import Train, TrainRun


@dataclass(frozen=True)
class ReleaseShape:
    """What a train has to know of a release: the *environments* that it declares, and how its steps are undone.

    *impossible* are the steps that cannot be undone, *has_undo* is whether a step has an undo playbook.
    """

    environments: tuple[str, ...]
    impossible: tuple[str, ...] = ()
    has_undo: bool = False


class TrainSources(BookingSources, Protocol):
    """The facts of release trains."""

    def built(self) -> Iterable[PackageRef]:
        """The kept packages."""

    def shape(self, package: PackageRef) -> ReleaseShape | None:
        """What is declared by *package*; None if it is not kept."""

    def path(self, environment: str, package: PackageRef) -> PathFacts:
        """What the journal has of *package* on its path into *environment*."""

    def needed(self, environment: str, package: PackageRef) -> Requirement:
        """The approvals that an ordinary promotion of *package* into *environment* needs at least."""

    def current(self, environment: str, name: str) -> PackageRef | None:
        """The package called *name* that was verified last in *environment*; None: none was."""

    def newest(self, environment: str) -> PackageRef | None:
        """The package that was verified last in *environment*, of any name; None: none was."""

    def undone_with(self, environment: str, package: PackageRef) -> tuple[PackageRef, ...]:
        """The releases with an undo playbook that a rollback of *environment* to *package* undoes as well."""


@dataclass(frozen=True)
class RunReport:
    """What became of a run of a train: the id under which it is *followed*, and how it *ended* (None: it runs).

    *touched* is whether it has changed the environment. *note* is the result in words. *ended_at* is when it ended;
    None: that is not known.
    """

    followed: str = ""
    ended: Literal["succeeded", "failed", "needs-help"] | None = None
    touched: bool = False
    note: str = ""
    ended_at: datetime | None = None


class TrainExecutions(Protocol):
    """Executes the runs of trains through the application."""

    def begin(self, train: Train, run: TrainRun) -> RunReport:
        """Request *run*, under its root. A second call finds what the first one has requested."""

    def current(self, run: TrainRun) -> RunReport:
        """What became of *run*, which is followed."""
