"""The `Notifier` port that sends nothing, used until a receiver is configured."""

from orchestrator.domain.journal import Run


class NullNotifier:
    """Sends nothing."""

    def notify(self, run: Run, what: str) -> None:
        """Send nothing."""
        del run, what
