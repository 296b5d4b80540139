"""A rehearsal: a release is promoted, rolled back and promoted again. Its result is evidence.

N → N+1 → N → N+1, by the packages' own steps, with the suites at each stop. What is on the hosts before and after is
compared: what was not restored is listed.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from orchestrator.domain.environment import SnapshotRule
from orchestrator.domain.model import Digest, Model, digest_of
from orchestrator.domain.release import PackageRef
from orchestrator.domain.snapshot import Difference, Snapshot, compare_snapshots, gaps, ignored

LISTED = 500  # differences that a document lists


class Timed(Model):
    """One step of a leg, and how long it took."""

    name: str
    seconds: float


class Leg(Model):
    """One leg, `there` (N → N+1), `back` or `again`, with its tests. *seconds* are those of the journal."""

    name: Literal["there", "back", "again"]
    seconds: float
    steps: tuple[Timed, ...] = ()


class InfrastructureRehearsal(Model):
    """Whether the infrastructure, which N+1 had changed, went *back* as well and forward again; and *why* not."""

    back: bool
    why: str = ""


class Rehearsal(Model):
    """The evidence of one rehearsal of *release*, and of its rollback to *back*, in *environment* by *run*.

    *left* was not restored with N. *again* differs between the first and the second promotion of N+1: it is listed,
    and does not count against the release. *carried* was left by an earlier rehearsal, and still exists. *unknown*
    could not be inspected. *infrastructure* is whether the stack was rolled back as well; null if the release does not
    change it. *snapshots* are the digests of the snapshots of hosts before, and after each leg.
    """

    apiVersion: Literal["orchestrator/v1"] = "orchestrator/v1"
    kind: Literal["Rehearsal"] = "Rehearsal"
    project: str
    environment: str
    run: str
    release: PackageRef
    back: PackageRef
    plan: Digest
    legs: tuple[Leg, ...]
    infrastructure: InfrastructureRehearsal | None = Field(default=None, exclude_if=lambda rehearsal: rehearsal is None)
    left: tuple[Difference, ...] = ()
    again: tuple[Difference, ...] = ()
    carried: tuple[Difference, ...] = ()
    unknown: tuple[str, ...] = ()
    snapshots: dict[str, Digest]

    @property
    def good(self) -> bool:
        """Whether everything was checked, and everything was restored."""
        return not self.left and not self.carried and not self.unknown

    @property
    def digest(self) -> str:
        """The digest of this document."""
        return digest_of(self.to_json())

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not good evidence, a sentence each."""
        left = [f"{item} in the rollback" for item in self.left]
        carried = [f"{item} by an earlier rehearsal, and unchanged since" for item in self.carried]
        return (*left, *carried, *(f"unknown: {text}" for text in self.unknown))


def not_restored(before: Snapshot, after: Snapshot, rule: SnapshotRule, hosts: Iterable[str]) -> tuple[Difference, ...]:
    """What differs on *hosts* between two times at which they had the same release."""
    return tuple(item for item in compare_snapshots(before, after, rule.ignore) if item.host in set(hosts))[:LISTED]


def unseen(snapshots: Iterable[Snapshot], hosts: Iterable[str]) -> tuple[str, ...]:
    """What could not be checked on *hosts* in one of *snapshots*, one sentence each."""
    first, *rest = snapshots
    wanted = set(hosts)
    found = [text for other in rest for text in gaps(first, other) if text.partition(":")[0] in wanted]
    return tuple(dict.fromkeys(found))


def still_left(before: Snapshot, earlier: Iterable[Difference], rule: SnapshotRule) -> tuple[Difference, ...]:
    """What *earlier* rehearsals have left on hosts, and is in *before* as they left it."""
    found = {}
    for item in earlier:
        current = before.hosts[item.host].things(item.kind).get(item.name) if item.host in before.hosts else None
        if item.before is None and str(current) == item.after and not ignored(rule.ignore, item.kind, item.name):
            found[item.host, item.kind, item.name] = item
    return tuple(found.values())
