"""Pages of the phases of planned releases: what a change would move before it is made, and the forms."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.domain.moments import whole_minute
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.phase_decisions import (
    PhaseChange,
    complete_phase,
    preview_phase,
    remove_phase,
    set_phase,
    start_phase,
)
from orchestrator.management.planned_releases.queries import show_planned_release
from orchestrator.management.planned_releases.state import ReleaseState
from orchestrator.web import release_changes
from orchestrator.web.pages.changing import Form, names_of, submitted, text_of
from orchestrator.web.pages.planned_releases import release_path
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, managed_application, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
Word = Annotated[str, Query(max_length=200)]
Words = Annotated[str, Query(max_length=2000)]
NO_ENVIRONMENT = "-"
"""What the form has for a phase without an environment."""


@router.get("/planned-releases/{release}/phase")
def phase_page(
    request: Request,
    who: Who,
    release: str,
    name: Word = "",
    start: Word = "",
    end: Word = "",
    environment: Word = "",
    responsible: Word = "",
    after: Words = "",
    preview: Word = "",
) -> HTMLResponse:
    """The form of a phase; with *preview* also what its change would move, whom that affects, and conflicts."""
    app = managed_application(request)
    acting, zone = app.acting_as(who.actor), reader_zone(request)
    found = show_planned_release(acting, release, app.release_sources).release
    fields = {"name": name, "start": start, "end": end, "environment": environment, "responsible": responsible}
    sent = {**fields, "after": after}
    slip = None
    if preview:
        slip = preview_phase(acting, release, phase_change_of(found, sent, zone), app.release_sources)
    phase = found.phase(name)
    about: dict[str, Any] = {
        "release": found,
        "phase": phase,
        "sent": sent,
        "slip": slip,
        "none_word": NO_ENVIRONMENT,
        "environments": tuple(app.environments),
        "changes": release_changes.may_change(acting, found) and (phase is None or phase.completed_at is None),
        "removes": found.state is ReleaseState.DRAFT and phase is not None and len(found.phases) > 1,
    }
    return rendered(request, "release_phase", who, **about)


def phase_change_of(release: PlannedRelease, sent: dict[str, str], zone: str) -> PhaseChange:
    """The change of a phase that a form with the fields *sent* means: what was not edited stays. Raises N110."""
    start, end = (moment_in(zone, sent[name], name) for name in ("start", "end"))
    phase = release.phase(sent["name"])
    after = names_of(sent, "after")
    environment = "" if sent["environment"] == NO_ENVIRONMENT else sent["environment"]
    if phase is None:
        return PhaseChange(
            text_of(sent, "name", needed=True), start, end, environment, sent["responsible"].strip(), after or None
        )
    was = phase.span
    moved = start is not None and start != whole_minute(was.start)
    ends = end is not None and end != whole_minute(was.end)
    return PhaseChange(
        phase.name,
        start if moved else None,
        end if ends else None,
        environment if environment != (phase.environment or "") else None,
        sent["responsible"].strip() if sent["responsible"].strip() != phase.responsible else None,
        after if after != phase.after else None,
    )


@router.post("/planned-releases/{release}/phase")
async def send_phase(request: Request, release: str) -> Response:
    """Add or change a phase. What depends on it moves, and is booked again."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = app.acting_as(who.actor)
        found = show_planned_release(acting, release, app.release_sources).release
        names = ("name", "start", "end", "environment", "responsible", "after")
        wanted = phase_change_of(found, {name: text_of(form, name) for name in names}, zone)
        wait, reason = form.get("wait") == "yes", text_of(form, "reason")
        return release_path(set_phase(acting, release, wanted, app.release_sources, reason, wait=wait).release.id)

    return await submitted(request, work)


@router.post("/planned-releases/{release}/phases/{phase}/start")
async def send_phase_start(request: Request, release: str, phase: str) -> Response:
    """Record that a phase starts."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        return release_path(start_phase(app.acting_as(who.actor), release, phase).id)

    return await submitted(request, work)


@router.post("/planned-releases/{release}/phases/{phase}/complete")
async def send_phase_end(request: Request, release: str, phase: str) -> Response:
    """Record that a phase ends. A late end moves what depends on it."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        return release_path(complete_phase(app.acting_as(who.actor), release, phase, app.release_sources).release.id)

    return await submitted(request, work)


@router.post("/planned-releases/{release}/phases/{phase}/remove")
async def send_phase_removal(request: Request, release: str, phase: str) -> Response:
    """Remove a phase of a draft."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        return release_path(remove_phase(app.acting_as(who.actor), release, phase).id)

    return await submitted(request, work)
