"""A version identifies one content once an environment has seen it. Until then another build may replace it."""

from collections.abc import Callable, Iterator

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.facts import had_effect
from orchestrator.domain.journal import Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.plan import HostState
from orchestrator.domain.release import Manifest, PackageRef, Release
from orchestrator.ports import Packages, Store
from orchestrator.ports.lists import each_host, each_run

PAGE = 500  # environments
SHOWN = 8  # files that a message names


def uses(store: Store, digest: str) -> list[str]:
    """The runs and hosts that have to do with the package *digest*: runs that have not ended, or had an effect."""
    found = [run.id for run in each_run(store, RunFilter(digest=digest)) if _counts(run)]
    for names in _environments(store):
        hosts = each_host(store, names)
        found += [f"{row.state.host} in {row.environment}" for row in hosts if _has(row.state, digest)]
    return found


def _environments(store: Store) -> Iterator[tuple[str, ...]]:
    """The names of all environments that a run was for, page by page."""
    cursor: str | None = None
    while True:
        page = store.list_environments(cursor=cursor, limit=PAGE)
        yield tuple(row.environment for row in page.items)
        if (cursor := page.cursor) is None:
            return


def _has(host: HostState, digest: str) -> bool:
    """Whether a host has the package *digest*, or may have had it before a step started to change it."""
    return any(state and state.release and state.release.digest == digest for state in (host, host.before))


def _counts(run: Run) -> bool:
    return not run.ended or had_effect(run)


class Versions:
    """The kept *packages* of one version of a *release*, of which the journal *store* knows the use.

    *keep* raises an error for one that is needed although no environment has seen it; *remove* removes those that are
    not, and raises the same error.
    """

    def __init__(
        self,
        packages: Packages,
        store: Store,
        release: Release,
        keep: Callable[[PackageRef], object],
        remove: Callable[[tuple[PackageRef, ...]], object],
    ) -> None:
        self._packages, self._store, self._keep, self._remove = packages, store, keep, remove
        refs = packages.refs()
        self._others = [ref for ref in refs if (ref.name, ref.version) == (release.name, release.version)]

    def admit(self, manifest: Manifest, named: frozenset[str]) -> None:
        """Raise P106 if an environment has seen another content under the version; the files that differ are named.

        Raises what *keep* raises.
        """
        for ref in self._others:
            if ref.digest == manifest.digest:
                continue
            if uses(self._store, ref.digest):
                raise _taken(ref, self._packages.fetch(ref.digest).manifest, manifest, named)
            self._keep(ref)

    def supersede(self, digest: str) -> None:
        """Remove the other packages of the version, now that *digest* is built."""
        others = tuple(ref for ref in self._others if ref.digest != digest)
        if others:
            self._remove(others)


def _taken(ref: PackageRef, old: Manifest, new: Manifest, named: frozenset[str]) -> OrchestratorError:
    """Why *new* cannot have the version: an environment has seen *old*, which differs in these files."""
    text = f"{ref} was promoted with another content ({ref.digest[:19]})"
    if old.format != new.format:
        hint = f"promote the kept package with {ref.name}-{ref.version}, or raise the version"
        return OrchestratorError("P106", f"{text}, sealed in format {old.format}", hint=hint)
    changed = _changed_files(old, new)
    shown = [name.removeprefix("content/") for name in changed]
    text += f"; {_list(shown) or 'the release itself'} {'differs' if len(shown) < 2 else 'differ'}"
    hint = "raise the version"
    if changed and not named.intersection(shown) and _is_content_alone(changed, old, new):
        hint = f"the release names none of these files: add them to package.exclude in orchestrator.yaml, or {hint}"
    return OrchestratorError("P106", text, hint=hint)


def _changed_files(old: Manifest, new: Manifest) -> list[str]:
    before, after = ({file.name: file for file in manifest.files} for manifest in (old, new))
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _is_content_alone(changed: list[str], old: Manifest, new: Manifest) -> bool:
    """Whether only files of the project differ, and nothing in the release itself."""
    same = old.release.model_dump(exclude={"package"}) == new.release.model_dump(exclude={"package"})
    return same and all(name.startswith("content/") for name in changed)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
