"""The three marks of a release in an environment: on how many hosts it is declared, seen, and serves."""

from collections.abc import Iterable

from orchestrator.domain.model import Model
from orchestrator.domain.plan.hosts import HostState


class ReleaseMarks(Model):
    """The number of hosts on which a release is declared, seen, and serves.

    *declared* hosts have it by the journal. *seen* hosts have reported it. On *serves* hosts the service reported its
    version at the last observation; None if the service of no declared host was queried.
    """

    declared: int = 0
    seen: int = 0
    serves: int | None = None


def marks_of(hosts: Iterable[HostState], digest: str) -> ReleaseMarks:
    """The marks of the release *digest* on *hosts*, which are all hosts of an environment."""
    declared = [host for host in hosts if digest and host.digest == digest and host.truth != "gone"]
    queried = [host for host in declared if host.serves]
    return ReleaseMarks(
        declared=len(declared),
        seen=sum(host.truth == "seen" for host in declared),
        serves=sum(not host.differs for host in queried) if queried else None,
    )
