"""Release notes: what differs between what runs in the environment of a release, and what the release brings."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import Commit, PackageRef
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.planned_releases.model import Deferral, PlannedRelease, ScopePackage
from orchestrator.management.planned_releases.ports import PackagePlace, ReleaseSources
from orchestrator.management.planned_releases.progress import ReleaseFacts, release_facts
from orchestrator.management.planned_releases.store import PLANNED_RELEASES

TEST = re.compile(r"^(?P<sign>[+-])\s*(?:async\s+)?def\s+(?P<name>test_\w+)")
Sign = Literal["added", "removed", "changed"]
CHANGES: Mapping[str, Sign] = {"A": "added", "D": "removed", "M": "changed", "T": "changed"}
"""The change of a file, by the letter that Git has for it."""


class ChangedFile(Model):
    """A file that is *added*, *removed* or *changed*. *area* is the part of the package."""

    change: Sign
    path: str
    area: str


class ChangedTest(Model):
    """A test function that is *added* or *removed*, in the file *path*."""

    change: Literal["added", "removed"]
    path: str
    name: str


class PackageNotes(Model):
    """What a package changes. *before* runs, or ran before. *after* comes, once it is built.

    *commits* are newest first; None with the reason in *commits_unknown*. *fields* are those of `release.yaml`.
    *infrastructure* are the changed files of the environment and its Pulumi program, *tests* those of its suites.
    """

    package: str
    before: PackageRef | None = None
    after: PackageRef | None = None
    commits: tuple[Commit, ...] | None = None
    commits_unknown: str = ""
    fields: tuple[str, ...] = ()
    files: tuple[ChangedFile, ...] = ()
    infrastructure: tuple[ChangedFile, ...] = ()
    tests: tuple[ChangedTest, ...] = ()


class RequestNote(Model):
    """A change request in the notes."""

    id: str
    title: str
    state: str
    packages: tuple[str, ...]
    links: tuple[str, ...]


class ReleaseNotes(Model):
    """The notes of a planned release, in the order of its scope."""

    release: str
    title: str
    description: str
    environment: str
    state: str
    release_at: Moment
    released_at: Moment | None
    requests: tuple[RequestNote, ...]
    packages: tuple[PackageNotes, ...]
    deferred: tuple[Deferral, ...]


@dataclass(frozen=True)
class FileDifference:
    """A file in which two packages differ. *lines* are those of a unified diff, if it is a small text."""

    file: ChangedFile
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageDifference:
    """Two packages side by side. *suites* are the folders and files of tests.

    *infrastructure* are files of the environment in which the commits of the packages differ, if these are known.
    """

    files: tuple[FileDifference, ...] = ()
    fields: tuple[str, ...] = ()
    commits: tuple[Commit, ...] | None = None
    commits_unknown: str = ""
    suites: tuple[str, ...] = ()
    infrastructure: tuple[ChangedFile, ...] = ()


class NoteSources(ReleaseSources, Protocol):
    """The facts of release notes."""

    def difference(self, environment: str, before: PackageRef, after: PackageRef) -> PackageDifference:
        """What differs between two kept packages, for their use in *environment*. Raises P-codes."""


@forwarded
def write_notes(acting: Acting, key: str, sources: NoteSources) -> ReleaseNotes:
    """The notes of a planned release: against what runs, or against what ran before it was released. Raises A110."""

    def work(view: View) -> tuple[PlannedRelease, ReleaseFacts]:
        release = view.existing(PLANNED_RELEASES, key)
        return release, release_facts(view, release, sources)

    release, facts = read_register(acting, Action.VIEW, work)
    packages = tuple(_package_notes(release, each, facts.places.get(each.name), sources) for each in release.packages)
    return ReleaseNotes(
        release=release.id,
        title=release.title,
        description=release.description,
        environment=release.environment,
        state=release.state.value,
        release_at=release.release_at,
        released_at=release.released_at,
        requests=tuple(_request_note(request) for request in facts.requests.values()),
        packages=packages,
        deferred=release.deferred,
    )


def _request_note(request: ChangeRequest) -> RequestNote:
    return RequestNote(
        id=request.id,
        title=request.title,
        state=request.state.value,
        packages=request.packages,
        links=request.links,
    )


def _package_notes(
    release: PlannedRelease, package: ScopePackage, place: PackagePlace | None, sources: NoteSources
) -> PackageNotes:
    before = package.replaces or (place.replaces if place is not None else None)
    if not package.digest:
        return PackageNotes(package=str(package), before=before, commits_unknown=f"{package} is not built")
    after = PackageRef(name=package.name, version=package.version, digest=package.digest)
    if before is None:
        text = f"no other {package.name} was verified in {release.environment}"
        return PackageNotes(package=str(package), after=after, commits_unknown=text)
    return noted(before, after, sources.difference(release.environment, before, after))


@forwarded
def compare_release(
    acting: Acting, environment: str, before: PackageRef, after: PackageRef, sources: NoteSources
) -> PackageNotes:
    """What the package *after* changes in *environment* against the package *before*. Raises P-codes."""
    read_register(acting, Action.VIEW, lambda _: None, environment=environment)
    return noted(before, after, sources.difference(environment, before, after))


def noted(before: PackageRef, after: PackageRef, found: PackageDifference) -> PackageNotes:
    """The notes of a package by its difference."""
    return PackageNotes(
        package=str(after),
        before=before,
        after=after,
        commits=found.commits,
        commits_unknown=found.commits_unknown,
        fields=found.fields,
        files=tuple(each.file for each in found.files),
        infrastructure=found.infrastructure,
        tests=tuple(_tests(each for each in found.files if _is_in(each.file, found.suites))),
    )


def _is_in(file: ChangedFile, places: Iterable[str]) -> bool:
    """Whether *file* of the tree is one of *places*, or lies in one."""
    return file.area == "content" and any(file.path == place or file.path.startswith(f"{place}/") for place in places)


def _tests(files: Iterable[FileDifference]) -> Iterator[ChangedTest]:
    """The test functions that were added and removed. One whose lines have changed is neither."""
    for each in files:
        found = [match for match in map(TEST.match, each.lines) if match is not None]
        signs = {sign: [m["name"] for m in found if m["sign"] == sign] for sign in "+-"}
        for sign, other, change in (("+", "-", "added"), ("-", "+", "removed")):
            for name in signs[sign]:
                if name not in signs[other]:
                    yield ChangedTest.from_json({"change": change, "path": each.file.path, "name": name})
