"""The facts of change requests, from the journal."""

from orchestrator.domain.journal import PROMOTION_KINDS
from orchestrator.domain.listing import FeedEntry, RunFilter
from orchestrator.domain.promotion import State
from orchestrator.management.change_requests.ports import FactChanges
from orchestrator.management.change_requests.risk import NEWEST, ChangeFacts, PackageFacts
from orchestrator.planning.evidence import documents
from orchestrator.ports import Store
from orchestrator.ports.lists import AT_ONCE
from orchestrator.services import Services

KINDS = tuple(sorted(PROMOTION_KINDS))
MOST_ENTRIES = 5000
"""With more new entries than so many, the facts of all requests are read again."""


def change_facts(services: Services, packages: tuple[str, ...], environments: tuple[str, ...]) -> ChangeFacts:
    """What the journal has of *packages* in *environments*."""
    return ChangeFacts(
        packages=tuple(package_facts(services, package, environments) for package in packages),
        drifting=_drifting(services, environments),
    )


def fact_changes(store: Store, cursor: str | None) -> FactChanges | None:
    """What the journal has had entries about after *cursor*; None if it ends before it, or has too many."""
    if cursor is None or store.feed_changes(cursor) is None:
        return None
    entries = list[FeedEntry]()
    while page := store.feed(cursor=entries[-1].cursor if entries else cursor, limit=AT_ONCE):
        entries += page
        if len(entries) > MOST_ENTRIES:
            return None
    if not entries:
        return FactChanges(cursor)
    runs = store.runs_named(tuple({entry.run for entry in entries}))
    packages = frozenset(run.release.name for run in runs if run.release is not None)
    return FactChanges(entries[-1].cursor, frozenset(entry.environment for entry in entries), packages)


def package_facts(services: Services, package: str, environments: tuple[str, ...]) -> PackageFacts:
    """The newest promotions of releases called *package* into *environments*, and its newest rehearsed rollback."""
    ended = (State.SUCCEEDED, State.ROLLED_BACK)
    chosen = [RunFilter(environment=name, name=package, kinds=KINDS, states=ended) for name in environments]
    runs = [run for each in chosen for run in services.store.list_runs(each, limit=NEWEST).items]
    newest = sorted(runs, key=lambda run: run.requested_at, reverse=True)[:NEWEST]
    return PackageFacts(
        package=package,
        promotions=len(newest),
        rollbacks=sum(run.state is State.ROLLED_BACK for run in newest),
        rehearsed_s=_rehearsed(services, package),
    )


def _rehearsed(services: Services, package: str) -> float | None:
    """How long the newest rehearsed rollback of *package* took, in any environment."""
    chosen = RunFilter(name=package, kinds=KINDS)
    for run in services.store.list_runs(chosen, limit=NEWEST).items:
        for document in documents(services, run.id):
            return sum(leg.seconds for leg in document.legs if leg.name == "back")
    return None


def _drifting(services: Services, environments: tuple[str, ...]) -> tuple[str, ...]:
    """The environments with hosts that do not run the release that was verified there last."""
    if not environments:
        return ()
    found = services.store.list_environments(environments, limit=len(environments)).items
    return tuple(each.environment for each in found if each.release is not None and each.hosts_on < each.hosts)
