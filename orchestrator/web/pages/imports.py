"""Files that the browser sends: calendar entries and change requests, shown as changes before they are imported."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.app.calendar import import_rules, preview_import
from orchestrator.app.opening import this_machine
from orchestrator.domain.calendar.import_options import ImportOptions
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.change_requests.decisions import import_changes
from orchestrator.management.change_requests.imports import of_file
from orchestrator.management.change_requests.queries import preview_changes
from orchestrator.web.multipart import form_files
from orchestrator.web.pages.changing import Form, names_of, submitted_file, text_of
from orchestrator.web.pages.rendering import after_form, rendered
from orchestrator.web.requests import SignedIn

router = APIRouter(include_in_schema=False)
KEPT = ("kind", "zone", "environments")


@dataclass(frozen=True)
class SentFile:
    """A *text* that was sent with its *name*: as a file, or as the page of its changes has sent it again."""

    name: str
    text: str

    @classmethod
    def of(cls, form: Form) -> "SentFile":
        """The file of *form*. Raises N110 without one, and for one that is not text."""
        if form.get("text"):
            return cls(text_of(form, "name") or "file", form["text"])
        found = form_files(form, "file")
        if not found:
            raise OrchestratorError("N110", "file: a file is required")
        name, content = found[0]
        try:
            return cls(name[-200:], base64.b64decode(content).decode())
        except UnicodeDecodeError as error:
            raise OrchestratorError("N110", f"file: {name[:60]!r} is not a text in UTF-8") from error


@router.post("/calendar/import")
async def send_calendar_file(request: Request) -> Response:
    """Show what the events of a calendar file would add and change, and with `confirm` import them."""

    def work(app: Any, who: SignedIn, form: Form) -> Response:
        file, acting = SentFile.of(form), app.acting_as(who.actor)
        rules = calendar_rules(file, form, str(who.actor))
        if form.get("confirm") == "yes":
            import_rules(acting, rules)
            return after_form("/calendar#entries")
        found = preview_import(acting, rules)
        about = shown_changes(
            map(rule_text, found.added), map(rule_text, found.changed), (f"{t}: {why}" for t, why in found.skipped)
        )
        return _preview(request, who, form, file, ("/calendar", "Calendar", "Import the entries"), about)

    return await submitted_file(request, work)


def calendar_rules(file: SentFile, form: Form, owner: str) -> tuple[CalendarRule, ...]:
    """The entries of a calendar file with what *form* sets for all. Raises N110 and C-codes."""
    kind = text_of(form, "kind") or RuleKind.HARD_FREEZE.value
    if kind not in set(RuleKind):
        raise OrchestratorError("N110", f"kind: one of {', '.join(RuleKind)}")
    places = names_of(form, "environments") or ("*",)
    options = ImportOptions(file.name, RuleKind(kind), places, text_of(form, "zone") or "UTC", owner)
    return this_machine().calendar_files.read(file.text, options)


def rule_text(rule: CalendarRule) -> str:
    """An entry in one line."""
    when = f"{rule.start:%Y-%m-%d %H:%M} to {rule.end:%Y-%m-%d %H:%M} {rule.zone}"
    return f"{rule.kind.value} “{rule.title}”, {when}" + (f", {rule.rule}" if rule.rule else "")


@router.post("/change-requests/import")
async def send_change_file(request: Request) -> Response:
    """Show what a file with change requests would add and change, and with `confirm` import them as drafts."""

    def work(app: Any, who: SignedIn, form: Form) -> Response:
        file, acting = SentFile.of(form), app.acting_as(who.actor)
        drafts = of_file(app.import_files.read_text(file.text, file.name))
        if form.get("confirm") == "yes":
            import_changes(acting, drafts, app.change_sources)
            return after_form("/change-requests?state=draft")
        found = preview_changes(acting, drafts)
        about = shown_changes(
            (each.draft.title for each in found.added),
            (f"{request.id}: {each.draft.title}" for request, each in found.changed),
            (f"{each.title}: {each.why}" for each in found.skipped),
        )
        return _preview(request, who, form, file, ("/change-requests", "Change requests", "Import as drafts"), about)

    return await submitted_file(request, work)


def shown_changes(added: Iterable[str], changed: Iterable[str], skipped: Iterable[str]) -> dict[str, list[str]]:
    """What an import would do, each part with its texts."""
    return {"add": list(added), "change": list(changed), "skip": list(skipped)}


def _preview(
    request: Request, who: SignedIn, form: Form, file: SentFile, page: tuple[str, str, str], found: dict[str, list[str]]
) -> Response:
    """The page of what an import would do, with the form that imports the same text."""
    path, heading, button = page
    kept = {name: form[name] for name in KEPT if name in form}
    about: dict[str, Any] = {"found": found, "file": file, "kept": kept, "path": path}
    return rendered(request, "import_preview", who, **about, heading=heading, button=button)
