"""The system's clock."""

import time
from datetime import UTC, datetime

from orchestrator.domain.moments import moment_text


class SystemClock:
    """The `Clock` port on this machine."""

    def now(self) -> str:
        """Wall-clock time, UTC, ISO 8601 with milliseconds."""
        return moment_text(datetime.now(UTC))

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
