"""The port through which packages know of release management: what still has a package that no environment has seen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import OPEN, REQUESTS
from orchestrator.domain.release import PackageRef
from orchestrator.register_ports import Records, Register

SHOWN = 5  # uses that a message names


@dataclass(frozen=True)
class PackageUse:
    """Where a package is, such as `aboard T-1`, and the *remedy*: the command that takes it out."""

    place: str
    remedy: str


class PackageUses(Protocol):
    """What release management knows of packages."""

    def uses(self, records: Records, ref: PackageRef) -> Iterable[PackageUse]:
        """What has not ended and has exactly the package *ref*."""


def remove_unused(
    register: Register,
    by: str,
    uses: PackageUses,
    refs: Iterable[PackageRef],
    remove: Callable[[PackageRef], object],
    remedy: str = "",
) -> None:
    """Call *remove* for each of *refs*, for the actor *by*, unless one of them is in use: see `refuse_used`.

    It happens in a transaction that changes the register, of which there is one at a time. What refers to a package
    requires in its own transaction that it is kept. *remove* can be called more than once for a package.
    """
    wanted = tuple(refs)

    def work(records: Records) -> None:
        for ref in wanted:
            refuse_used(records, uses, ref, remedy)
        for ref in wanted:
            remove(ref)

    register.changing(by, work)


def refuse_used(records: Records, uses: PackageUses, ref: PackageRef, remedy: str = "") -> None:
    """Raise P123 if a train, planned release, task or run request that has not ended has the package *ref*.

    *remedy* is another one, which comes first.
    """
    found = (*_requested(records, ref), *uses.uses(records, ref))
    if found:
        shown = found[:SHOWN]
        text = f"{ref} ({ref.digest[:19]}) is {', '.join(use.place for use in shown)}"
        if len(found) > SHOWN:
            text += f" and {len(found) - SHOWN} more"
        remedies = dict.fromkeys((*filter(None, (remedy,)), *(use.remedy for use in shown)))
        raise OrchestratorError("P123", text, hint="; or ".join(remedies))


def _requested(records: Records, ref: PackageRef) -> tuple[PackageUse, ...]:
    """The run requests that have not ended."""
    found = (request for request in records.all(REQUESTS, OPEN) if request.package == ref.digest)
    return tuple(PackageUse(f"in the request {each.id}", f"orchestrator withdraw {each.id}") for each in found)
