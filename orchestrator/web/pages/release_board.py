"""The board of a release: its path through the environments, what it waits for, its changes, requests and runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from orchestrator.app.acting import Acting
from orchestrator.app.admission import why
from orchestrator.app.run_requests import RequestView, list_requests
from orchestrator.domain.access.actions import Action
from orchestrator.domain.admission.conditions import Admission
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.listing import ReleaseFilter, RunFilter
from orchestrator.domain.model import DIGEST
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.release import Package, PackageRef
from orchestrator.management.application import ManagedApplication
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.notes import PackageNotes, compare_release
from orchestrator.management.planned_releases.queries import show_schedule
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import managed_application

router = APIRouter(include_in_schema=False)
Word = Annotated[str, Query(max_length=200)]
CHECKED = 12
"""For how many environments the conditions of a promotion are shown; those of others are on the page to promote."""
RECENT = 20
NOT_KEPT = "R106"
MOST_FILES = 200
"""How many files of a package are shown."""


@dataclass(frozen=True)
class Place:
    """One environment on the path of a release: what is true there, and the *cell* of the matrix.

    *admission* are the conditions of a promotion; None where the release runs, or where they are not checked here.
    *promotes* is whether the reader may promote, *requests* whether that needs approvals.
    """

    facts: EnvironmentFacts
    cell: Mapping[str, Any]
    admission: Admission | None
    promotes: bool
    requests: bool

    @property
    def runs_it(self) -> bool:
        """Whether the release runs there on all hosts."""
        return bool(self.cell["state"] == "current")


@router.get("/releases/{release}")
def board_page(request: Request, who: Who, release: str, against: Word = "") -> HTMLResponse:
    """A release in each environment, with what it waits for, its changes *against* what runs in one, and its runs."""
    app = managed_application(request)
    acting = app.acting_as(who.actor)
    ref, package = release_and_package(app, acting, release)
    stops = places_on_path(app, acting, ref, package)
    others = [each.facts for each in stops if runs_other(each, ref)]
    chosen = next((each for each in others if each.name == against), others[0] if others else None)
    about: dict[str, Any] = {
        "ref": ref,
        "package": package,
        "stops": stops,
        "others": [each.name for each in others],
        "against": chosen.name if chosen is not None else "",
        "notes": notes_against(app, acting, chosen, ref),
        "most": MOST_FILES,
        "requests": requests_for(app, acting, ref.digest),
        "runs": app.queries.run_page(who.actor, RunFilter(digest=ref.digest), None, RECENT).items,
        "planned": planned_of(show_schedule(acting, ended=True), ref),
        "now": parse_moment(acting.clock.now()),
    }
    return rendered(request, "release_board", who, **about)


def release_and_package(app: ManagedApplication, acting: Acting, wanted: str) -> tuple[PackageRef, Package | None]:
    """The release that *wanted* names, and its package, or None if only the journal knows it. Raises R106 and R107."""
    try:
        package = app.releases.kept_package(acting.actor, wanted)
    except OrchestratorError as error:
        known: tuple[PackageRef, ...] = ()
        if error.code == NOT_KEPT and DIGEST.fullmatch(wanted):
            known = app.queries.releases(acting.actor, ReleaseFilter(digests=(wanted,)), None, 1).items
        if not known:
            raise
        return known[0], None
    return package.ref, package


def places_on_path(app: ManagedApplication, acting: Acting, ref: PackageRef, package: Package | None) -> list[Place]:
    """The environments in the order of the path, with the conditions of those where the release does not run."""
    facts = app.queries.facts_of_all(acting.actor, tuple(app.environments))
    row: Any = app.queries.release_rows(acting.actor, [ref], facts)[0]
    approvals, left, found = app.request_rules().approvals, CHECKED, []
    for item in facts:
        cell = row["in"][item.name]
        checked = package if cell["state"] != "current" and left > 0 else None
        left -= checked is not None
        found.append(
            Place(
                item,
                cell,
                why(acting, app.promotion(checked, item.name)) if checked is not None else None,
                package is not None and is_allowed(acting, Action.PROMOTE, item.name),
                approvals.govern(ref.name, item.name),
            )
        )
    return found


def runs_other(place: Place, ref: PackageRef) -> bool:
    """Whether another package of the same name was verified last in the environment."""
    release = place.facts.release
    return release is not None and release.name == ref.name and release.digest != ref.digest


def notes_against(
    app: ManagedApplication, acting: Acting, facts: EnvironmentFacts | None, ref: PackageRef
) -> PackageNotes | None:
    """What the release changes where another one runs; None without such an environment."""
    if facts is None or facts.release is None:
        return None
    try:
        return compare_release(acting, facts.name, facts.release, ref, app.release_sources)
    except OrchestratorError as error:
        if error.code.startswith("A"):
            raise
        text = f"{facts.release} cannot be compared: {error.message} ({error.code})"
        return PackageNotes(package=str(ref), after=ref, commits_unknown=text)


def requests_for(app: ManagedApplication, acting: Acting, digest: str) -> list[RequestView]:
    """The requests for a package: all open ones, and those of the newest that have ended."""
    rules = app.request_rules()
    newest = list_requests(acting, rules, everything=True).items
    found = {each.request.id: each for each in (*list_requests(acting, rules).items, *newest)}
    mine = [each for each in found.values() if each.request.package == digest]
    return sorted(mine, key=lambda each: each.request.requested_at, reverse=True)


def planned_of(schedule: Sequence[PlannedRelease], ref: PackageRef) -> list[PlannedRelease]:
    """The planned releases with this package in their scope."""
    return [
        each
        for each in schedule
        if any((package.name, package.version) == (ref.name, ref.version) for package in each.packages)
    ]


def board_path(digest: str) -> str:
    """The path of the board of the release with a *digest*."""
    return f"/releases/{quote(digest)}"
