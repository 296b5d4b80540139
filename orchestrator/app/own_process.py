"""What the process of a front end is given also without a project: what it prints is masked, and the reason of a crash.

It is imported with every command, and imports nothing heavy.
"""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.resources import as_error, is_exhausted
from orchestrator.secret_values import process_secrets


def mask_text(text: str) -> str:
    """*text* with the secrets of the open project masked."""
    return process_secrets().text(text)


def mask_data(data: dict[str, object]) -> dict[str, object]:
    """JSON *data* with the secrets of the open project masked."""
    return dict(process_secrets().data(data))


def exhaustion(error: BaseException) -> OrchestratorError | None:
    """*error* as one of ours (S113, S116), if this machine has run out of space or processes; None otherwise."""
    return OrchestratorError(*as_error(error)) if is_exhausted(error) else None
