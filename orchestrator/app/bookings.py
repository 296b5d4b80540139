"""The port through which admission knows of bookings: who keeps whom out of an environment, and what a use is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from orchestrator.domain.calendar.verdict import Booking
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import Now
from orchestrator.register_ports import Records

if TYPE_CHECKING:
    from orchestrator.app.acting import Acting


class Bookings(Protocol):
    """The bookings of a project."""

    def booked(self, records: Records, now: Now, environments: Sequence[str] | None = None) -> tuple[Booking, ...]:
        """The bookings that reserve an environment, or one of *environments*, at *now*, or later."""

    def use(self, acting: "Acting", run: Run) -> None:
        """Record that *run*, which was admitted, is the first use of a booking, if it is. *acting* is the system."""


class NullBookings:
    """The `Bookings` of a project without any."""

    def booked(self, records: Records, now: Now, environments: Sequence[str] | None = None) -> tuple[Booking, ...]:
        """Nothing."""
        del records, now, environments
        return ()

    def use(self, acting: "Acting", run: Run) -> None:
        """Nothing."""
