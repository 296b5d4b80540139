"""The facts of environments, kept in a process: only those that may have changed are read again.

Every entry of the journal is in the feed, with its environment. So the facts of an environment are those of the last
reading if the feed has no entry of it since, and nothing of it is under way: an open run, a lease and a queue depend on
processes and on the time too, and such an environment is read each time.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.model import Model
from orchestrator.inspect.facts import Working, facts_of_all
from orchestrator.inspect.facts_reader import OpenWork
from orchestrator.services import Services

Cell = dict[str, object]
"""What a release is in an environment, as JSON data."""
MOST_CELLS = 500
"""How many cells of one environment are kept; with more, they are forgotten."""


class _Place(NamedTuple):
    """The *facts* of an environment, its *definition* when they were read, and the *cells* of releases by digest."""

    definition: Model
    facts: EnvironmentFacts
    cells: dict[str, Cell]


@dataclass(frozen=True)
class _Kept:
    """The facts as they were read after *cursor*."""

    cursor: str | None = None
    places: dict[str, _Place] = field(default_factory=dict)


class KeptFacts:
    """The facts of one project. Threads share it: each uses, and leaves, facts that belong to one cursor."""

    def __init__(self) -> None:
        self._kept = _Kept()

    def read(self, services: Services, names: tuple[str, ...], working: Working) -> list[EnvironmentFacts]:
        """What is known of each of the environments *names* now, as `facts_of_all` reads it. Raises R103."""
        definitions = {name: services.environment(name)[0] for name in names}
        kept = self._unchanged(services)
        open_work = OpenWork(services.store, names)
        busy = open_work.environments
        known = {
            name: found.facts
            for name in names
            if name not in busy
            and (found := kept.places.get(name)) is not None
            and found.definition is definitions[name]
        }
        missing = tuple(name for name in names if name not in known)
        fresh = {item.name: item for item in facts_of_all(services, missing, working, open_work)} if missing else {}
        quiet = {name: _Place(definitions[name], item, {}) for name, item in fresh.items() if _is_quiet(item)}
        self._kept = _Kept(kept.cursor, kept.places | quiet) if quiet else kept
        return [known.get(name) or fresh[name] for name in names]

    def cells(self, facts: EnvironmentFacts) -> dict[str, Cell]:
        """The cells of the environment of *facts* that were made of these facts, to read and to add to.

        Copies of *facts* share what identifies a reading. A cell that was read later is not older than the facts, and
        the next entry forgets both.
        """
        found = self._kept.places.get(facts.name)
        if found is None or not _is_same_reading(found.facts, facts):
            return {}
        if len(found.cells) <= MOST_CELLS:
            return found.cells
        self._kept.places[facts.name] = found = found._replace(cells={})  # another thread may use the earlier ones
        return found.cells

    def _unchanged(self, services: Services) -> _Kept:
        """The facts that the feed has not changed since they were read, with the cursor for what is read next."""
        kept = self._kept
        changes = services.store.feed_changes(kept.cursor)
        if changes is None:  # another store, or an earlier state of it
            return _Kept(services.store.feed_end())
        if kept.cursor is None:  # what was read before there was any entry
            return _Kept(changes.cursor)
        if not changes.environments:
            return _Kept(changes.cursor, kept.places)
        return _Kept(changes.cursor, {n: each for n, each in kept.places.items() if n not in changes.environments})


def _is_quiet(facts: EnvironmentFacts) -> bool:
    """Whether nothing is under way in the environment."""
    last = (facts.last_run, facts.last_effect)
    return not facts.open_runs and facts.lease is None and not facts.waiting and all(r is None or r.ended for r in last)


def _is_same_reading(one: EnvironmentFacts, other: EnvironmentFacts) -> bool:
    """Whether both are one reading, or copies of it: without hosts and without runs there is a problem."""
    return one.hosts is other.hosts and one.problems is other.problems and one.last_run is other.last_run
