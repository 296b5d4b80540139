"""What planned releases read from the project and its journal."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from orchestrator.domain.release import PackageRef
from orchestrator.management.bookings.ports import BookingSources


class PlaceState(StrEnum):
    """What a package is in an environment."""

    ABSENT = "absent"
    RUNNING = "running"
    """A run that puts it there has not ended."""
    VERIFIED = "verified"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class PackagePlace:
    """A package in an environment: its *state* by the *run*, *at* a time. *replaces* is what ran there before it.

    *requested_at* is when the run was requested.
    """

    state: PlaceState = PlaceState.ABSENT
    run: str = ""
    at: datetime | None = None
    replaces: PackageRef | None = None
    requested_at: datetime | None = None


class ReleaseSources(BookingSources, Protocol):
    """The facts of planned releases."""

    def built(self) -> Iterable[PackageRef]:
        """The kept packages."""

    def place(self, environment: str, package: PackageRef) -> PackagePlace:
        """What the journal has of *package* in *environment*."""
