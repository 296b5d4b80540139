"""Documents for auditors: the printable dossier of a run, and the export of the audit stream."""

import tempfile
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import IO, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from orchestrator.app.acting import Acting
from orchestrator.app.audit import export_stream
from orchestrator.app.request_facts import RequestRules, request_id_of
from orchestrator.app.run_requests import RequestView, show_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.audit.chain import AuditEntry
from orchestrator.domain.audit.export import AuditFilter, export_files
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.run_reason import ending_reason
from orchestrator.web.changes import is_allowed, plan_with_risk
from orchestrator.web.pages.change_requests import number_of
from orchestrator.web.pages.changing import Form, shown_page, text_of
from orchestrator.web.pages.plans import parts_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, application, checked_model, moment_in, reader_zone
from orchestrator.web.run_audit import entries_about

router = APIRouter(include_in_schema=False)
LATER = timedelta(days=1)
"""For how long after its end entries about a run are expected."""
UNKNOWN_PLAN = "R121"
FORMS = ("csv", "json")
LARGEST_SAMPLE = 10_000
PIECE = 256 * 1024


@router.get("/runs/{run}/dossier")
def dossier_page(request: Request, who: Who, run: str) -> HTMLResponse:
    """Everything about one run, for print: approvals, plan, steps, hosts, tests, rollback, and its audit entries."""
    app = application(request)
    acting = app.acting_as(who.actor)
    story = app.queries.story(who.actor, run)
    seen, text = request_behind(acting, story.run, app.request_rules())
    plan, parts = None, []
    if story.run.plan:
        try:
            plan, risk = plan_with_risk(app, who.actor, story.run.plan)
            parts = parts_of(plan, risk)
        except OrchestratorError as error:
            if error.code != UNKNOWN_PLAN:
                raise
    audits = is_allowed(acting, Action.READ_AUDIT)
    entries, whole = run_entries(acting, story.run, seen) if audits else ([], True)
    about: dict[str, Any] = {
        "story": story,
        "facts": app.queries.run_facts(who.actor, story.run),
        "reason": ending_reason(story),
        "seen": seen,
        "text": text,
        "plan": plan,
        "parts": parts,
        "audits": audits,
        "entries": entries,
        "whole": whole,
        "now": parse_moment(acting.clock.now()),
    }
    return rendered(request, "dossier", who, **about)


def request_behind(acting: Acting, run: Run, rules: RequestRules) -> tuple[RequestView | None, str]:
    """The request that a run was started by, with the plan as approvers saw it; None without one."""
    found = request_id_of(acting, run)
    if found is None:
        return None, ""
    seen, text = show_request(acting, found, rules)
    return seen, text.text if text is not None else ""


def run_entries(acting: Acting, run: Run, seen: RequestView | None) -> tuple[list[AuditEntry], bool]:
    """The audit entries about a run and its request, and whether all of them were read."""
    now = parse_moment(acting.clock.now())
    start = seen.request.requested_at if seen is not None else parse_moment(run.requested_at)
    reviewed = seen is not None and seen.review is not None
    end = parse_moment(run.ended_at) + LATER if run.ended_at and not reviewed else now
    return entries_about(acting, run.id, start, min(end, now))


@router.post("/audit/export")
async def send_export(request: Request) -> Response:
    """Export the audit entries of a period as a ZIP archive: the files of `orchestrator audit export`."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> Response:
        kind = text_of(form, "format") or FORMS[0]
        if kind not in FORMS:
            raise OrchestratorError("N110", f"format: one of {', '.join(FORMS)}")
        fields = {
            "start": moment_in(zone, text_of(form, "start", needed=True), "start"),
            "end": moment_in(zone, text_of(form, "end", needed=True), "end"),
            "environment": text_of(form, "environment") or None,
        }
        acting = app.acting_as(who.actor)
        found = export_stream(acting, checked_model(AuditFilter, fields), sample_of(form))
        name = f"audit-{app.project.name}-{Now.at(acting.clock.now()).earliest:%Y-%m-%dT%H%M}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        file = zipped(export_files(found.statement, found.entries, kind))
        return StreamingResponse(pieces(file), headers=headers, media_type="application/zip")

    return await shown_page(request, work)


def sample_of(form: Form) -> tuple[int, int] | None:
    """The size and the seed of the sample; None without a size. Raises N110."""
    if not text_of(form, "sample"):
        return None
    size, seed = number_of(text_of(form, "sample"), "sample"), number_of(text_of(form, "seed") or "1", "seed")
    if not 1 <= size <= LARGEST_SAMPLE or size != int(size) or seed != int(seed):
        raise OrchestratorError("N110", f"sample: a whole number from 1 to {LARGEST_SAMPLE}, and a whole seed")
    return int(size), int(seed)


def zipped(files: Iterator[tuple[str, str]]) -> IO[bytes]:
    """A temporary file with the archive of *files*, to be read from its start."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who reads it
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files:
            archive.writestr(name, text)
    target.seek(0)
    return target


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The content of *file*, which is closed at its end."""
    with file:
        while piece := file.read(PIECE):
            yield piece
