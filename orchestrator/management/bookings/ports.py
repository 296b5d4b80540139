"""What bookings read from the project and its journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.calendar.rules import CalendarRule


@dataclass(frozen=True)
class Use:
    """A run of *by* in *environment*: requested at *requested*, with the environment from *start* to *end*.

    *run* is its id, *root* the request that it belongs to, and *package* the digest of what it promotes.
    """

    environment: str
    by: str
    requested: datetime
    start: datetime
    end: datetime
    run: str = ""
    root: str = ""
    package: str = ""


class BookingSources(Protocol):
    """The facts of bookings."""

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        """The calendar entries of the environments' files."""

    def depends_on(self) -> Mapping[str, tuple[str, ...]]:
        """The environments that each environment needs (`depends_on` of its file)."""

    def approvals_needed(self, environment: str) -> int:
        """How many approvals an ordinary promotion into *environment* needs at the lowest level of risk."""

    def uses(self, environments: tuple[str, ...], since: datetime) -> Mapping[str, tuple[Use, ...]]:
        """The runs that had each of *environments* after *since*."""
