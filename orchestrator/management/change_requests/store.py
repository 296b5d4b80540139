"""Where change requests are kept: in the register, in the order of their rank."""

from orchestrator.domain.register import RecordKind
from orchestrator.management.change_requests.model import ChangeRequest


def _position(request: ChangeRequest) -> str:
    """The highest rank first; the older one of two with the same rank."""
    return f"{100 - request.rank:08.4f}.{request.number:08}"


CHANGE_REQUESTS = RecordKind(
    "change_requests",
    ChangeRequest,
    key=lambda request: request.id,
    part=lambda request: request.state.value,
    position=_position,
    noun="change-request",
)
"""The part of a request is its state."""
