"""The system's clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The `Clock` port on this machine."""

    def now(self) -> str:
        """Wall-clock time, UTC, ISO 8601 with milliseconds."""
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
