"""Where change requests are kept: in the register, in the order of their rank."""

from collections.abc import Iterable, Iterator

from orchestrator.domain.register import RecordKind
from orchestrator.management.change_requests.imports import Incoming
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.register_ports import Records, each_record


def rank_position(rank: float, number: int) -> str:
    """The highest rank first; the older one of two with the same rank."""
    return f"{100 - rank:08.4f}.{number:08}"


CHANGE_REQUESTS = RecordKind(
    "change_requests",
    ChangeRequest,
    key=lambda request: request.id,
    part=lambda request: request.state.value,
    position=lambda request: rank_position(request.rank, request.number),
    noun="change-request",
    about=lambda request: request.source_ref,
)
"""The part of a request is its state."""


def imported_before(records: Records, incoming: Iterable[Incoming]) -> Iterator[ChangeRequest]:
    """The requests that were imported before with a reference of *incoming*."""
    for reference in {each.source_ref for each in incoming if each.source_ref}:
        yield from each_record(records, CHANGE_REQUESTS, about=reference)
