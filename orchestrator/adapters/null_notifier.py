"""The `Notifier` port that tells nobody: what there is until a receiver is configured."""

from orchestrator.domain.journal import Run


class NullNotifier:
    """Says nothing."""

    def notify(self, run: Run, what: str) -> None:
        """Say nothing."""
        del run, what
