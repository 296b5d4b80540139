"""The matrix: every release in every environment."""

from collections.abc import Mapping, Sequence

from orchestrator.app.parts import Parts
from orchestrator.domain.environment_reports import DriftMark
from orchestrator.domain.facts import EnvironmentFacts, RunFacts
from orchestrator.domain.listing import (
    ALL_RELEASES,
    PAGE_SIZE,
    Page,
    ReleaseFilter,
    ReleasePlace,
    has_words,
)
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.release_marks import marks_of
from orchestrator.inspect.kept_facts import Cell, KeptFacts
from orchestrator.inspect.release_history import hosts_without
from orchestrator.planning.guard import rolled_back_releases

PAGE = 200  # releases
NO_MARKS: Mapping[str, DriftMark] = {}


def release_page(
    parts: Parts, chosen: ReleaseFilter = ALL_RELEASES, *, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[PackageRef]:
    """A page of the releases that are kept or were ever verified here.

    Those that no run was for come first, by name and version, then the others, the one with the newest run first. The
    *cursor* has the form `RELEASE_CURSOR`.
    """
    kept = {ref.digest: ref for ref in parts.packages.refs() if chosen.accepts(ref)}
    if cursor is None or not cursor.isdigit():
        new = _without_run(parts, kept, cursor)
        if len(new) > limit or (len(new) == limit and parts.store.list_releases(chosen, limit=1).items):
            return Page(items=tuple(new[:limit]), cursor=_key(new[limit - 1]))
        cursor = None
    else:
        new = []
    found = list(new)
    while len(found) < limit:
        page = parts.store.list_releases(chosen, cursor=cursor, limit=min(limit - len(found), PAGE))
        found += _shown(parts, tuple(row.release for row in page.items), kept)
        if (cursor := page.cursor) is None:
            break
    return Page(items=tuple(found), cursor=cursor)


def find_releases(parts: Parts, words: tuple[str, ...], limit: int) -> list[PackageRef]:
    """The newest *limit* releases whose name, version or digest contain all of *words*, of those of `release_page`."""
    kept = {ref.digest: ref for ref in parts.packages.refs()}
    new = [ref for ref in _without_run(parts, kept, None) if has_words(ref, words)]
    found = tuple(row.release for row in parts.store.find_releases(words, limit=4 * limit))
    return [*new, *_shown(parts, found, kept)][:limit]


def _key(ref: PackageRef) -> str:
    """The cursor after a release that no run was for."""
    return f"{ref.name}/{ref.version}/{ref.digest}"


def _without_run(parts: Parts, kept: dict[str, PackageRef], cursor: str | None) -> list[PackageRef]:
    """Those of the packages *kept* that no run was for, after *cursor*."""
    later = {digest: ref for digest, ref in kept.items() if cursor is None or _key(ref) > cursor}
    digests = tuple(later)
    for at in range(0, len(digests), PAGE):
        part = ReleaseFilter(digests=digests[at : at + PAGE])
        for row in parts.store.list_releases(part, limit=PAGE).items:
            later.pop(row.release.digest, None)
    return sorted(later.values(), key=_key)


def _shown(parts: Parts, refs: tuple[PackageRef, ...], kept: Mapping[str, PackageRef]) -> list[PackageRef]:
    """Those of *refs* that are kept or were ever verified, in their order."""
    gone = tuple(ref.digest for ref in refs if ref.digest not in kept)
    places = parts.store.release_places(gone, tuple(parts.environments)) if gone else []
    verified = {place.digest for place in places if place.verified_at}
    return [ref for ref in refs if ref.digest in kept or ref.digest in verified]


def release_rows(
    parts: Parts,
    refs: list[PackageRef],
    facts: list[EnvironmentFacts],
    kept: KeptFacts | None = None,
    marks: Mapping[str, DriftMark] = NO_MARKS,
) -> list[dict[str, object]]:
    """The row of each release, as JSON data. Environments and releases are each read once, and not for each cell.

    What *kept* has of these *facts* is not read again. *marks* are those of the current releases, by environment.
    """
    known = {item.name: kept.cells(item) if kept is not None else {} for item in facts}
    for at in range(0, len(refs), PAGE):
        _add_cells(parts, tuple(ref.digest for ref in refs[at : at + PAGE]), facts, known)
    marked = {
        (item.name, item.release.digest): {"drift": marks[item.name].to_json()}
        for item in facts
        if item.release is not None and item.name in marks
    }
    return [
        {
            "release": ref.to_json(),
            "in": {name: cells[ref.digest] | marked.get((name, ref.digest), {}) for name, cells in known.items()},
        }
        for ref in refs
    ]


def _add_cells(
    parts: Parts, digests: tuple[str, ...], facts: list[EnvironmentFacts], known: dict[str, dict[str, Cell]]
) -> None:
    """Add those cells of *digests* that are not *known* yet."""
    missing = {item.name: [digest for digest in digests if digest not in known[item.name]] for item in facts}
    names = tuple(name for name, found in missing.items() if found)
    if not names:
        return
    wanted = tuple({digest: None for found in missing.values() for digest in found})
    places: dict[str, list[ReleasePlace]] = {name: [] for name in names}
    for place in parts.store.release_places(wanted, names):
        if place.digest not in known[place.environment]:
            places[place.environment].append(place)
    actors = _actors(parts, places)
    for item in facts:
        if item.name in places:
            column = _Column(parts, item, places[item.name], actors)
            known[item.name] |= {digest: column.cell(digest) for digest in missing[item.name]}


def _actors(parts: Parts, places: Mapping[str, Sequence[ReleasePlace]]) -> dict[str, str]:
    """Which actor requested each run that brought a release which runs on a host."""
    runs = {run for each in places.values() for place in each if place.on_hosts and (run := _bringing(place))}
    return {run.id: run.by for run in parts.store.runs_named(tuple(sorted(runs)))} if runs else {}


def _bringing(place: ReleasePlace) -> str | None:
    """The run that brought the release."""
    return place.verified_by_run or place.run


class _Column:
    """What one environment has of the releases of a page, whose *places* in it are given; *actors* requested runs."""

    def __init__(
        self, parts: Parts, facts: EnvironmentFacts, places: Sequence[ReleasePlace], actors: Mapping[str, str]
    ) -> None:
        self._parts, self._facts, self._actors = parts, facts, actors
        self._open: dict[str, RunFacts] = {}
        for run in facts.open_runs:
            if run.release is not None:
                self._open.setdefault(run.release.digest, run)
        self._places = {place.digest: place for place in places}
        self._stuck: dict[str, str] = {}
        for problem in facts.problems:
            release = parts.store.run(problem.run).release if problem.kind == "intervention" and problem.run else None
            if release is not None:
                self._stuck.setdefault(release.digest, str(problem.run))
        self._hosts: dict[str, list[HostState]] = {}
        for host in facts.hosts:
            if host.digest is not None and host.runs(host.digest):
                self._hosts.setdefault(host.digest, []).append(host)
        self._left = {place.digest for place in places if _ended_as_rolled_back(place)}
        others = self._places.keys() - self._left - self._stuck.keys() - self._hosts.keys()  # those have another state
        self._left |= set(rolled_back_releases(parts.services, facts.name, others))
        self._known = {*self._places, *self._left, *self._stuck, *self._hosts, *self._open}
        self._absent = self._cell("")

    def cell(self, digest: str) -> Cell:
        """What the release *digest* is here, as JSON data: only runs that had an effect count."""
        return self._cell(digest) if digest in self._known else self._absent

    def _cell(self, digest: str) -> Cell:
        place, run = self._places.get(digest), self._open.get(digest)
        brought = _bringing(place) if place is not None else None
        return {
            "state": self._state(digest, is_verified=place is not None and bool(place.verified_at)),
            "hosts": [host.host for host in self._hosts.get(digest, ())],
            "of": len(self._facts.hosts),
            "problem": self._stuck.get(digest),
            "verified_at": place.verified_at if place is not None else None,
            "run": place.run if place is not None else None,
            "by": self._actors.get(brought) if brought is not None and digest in self._hosts else None,
            "open_run": run.id if run is not None else None,
            "activity": run.activity if run is not None else None,
            "drifted": list(self._drifted(digest)),
            "marks": marks_of(self._facts.hosts, digest).to_json(),
            "drift": None,
        }

    def _drifted(self, digest: str) -> tuple[str, ...]:
        """The hosts that lost the release that was verified last; none while a run is open or needs intervention."""
        facts = self._facts
        if facts.release is None or facts.release.digest != digest or facts.open_runs or facts.intervention is not None:
            return ()
        return hosts_without(self._parts.services, facts.name, digest, facts.hosts)

    def _state(self, digest: str, *, is_verified: bool) -> str:
        if digest in self._stuck:
            return "needs intervention"
        if hosts := self._hosts.get(digest):
            if all(host.is_standby for host in hosts):
                return "standby"
            facts = self._facts
            return "partly" if hosts_without(self._parts.services, facts.name, digest, facts.hosts) else "current"
        if digest in self._left:
            return "rolled back"
        return "verified" if is_verified else "absent"


def _ended_as_rolled_back(place: ReleasePlace) -> bool:
    """Whether the newest run of the release there was rolled back, and was not itself a rollback to it."""
    return place.run_kind != "rollback" and place.run_state is State.ROLLED_BACK
