"""Pages of hooks: the list with what was received, one hook with its checks, and the forms to change them."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Acting
from orchestrator.app.people import show_access
from orchestrator.domain.access.actions import Action
from orchestrator.management.application import ManagedApplication
from orchestrator.management.hooks.decisions import add_hook, edit_hook, remove_hook
from orchestrator.management.hooks.model import HookDraft, HookForm
from orchestrator.management.hooks.queries import list_deliveries, list_hooks, show_hook, test_hook
from orchestrator.management.hooks.state import DeliveryState
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, shown_page, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, checked_model, full_address, managed_application

router = APIRouter(include_in_schema=False)
PAGE = 50
EVENTS = ("push", "tag", "release")
Cursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9T:.+Z-]{1,40} [0-9a-f]{1,64}$")]
Word = Annotated[str, Query(max_length=63)]


@router.get("/hooks")
def hooks_page(request: Request, who: Who, *, hook: Word = "", state: Word = "", cursor: Cursor = None) -> HTMLResponse:
    """The hooks, what they have received and what became of it, and the form to add one."""
    app = managed_application(request)
    acting = app.acting_as(who.actor)
    states = [each.value for each in DeliveryState]
    chosen = DeliveryState(state) if state in states else None
    about: dict[str, Any] = {
        "hooks": list_hooks(acting),
        "deliveries": list_deliveries(acting, hook or None, state=chosen, cursor=cursor, limit=PAGE),
        "chosen": {"hook": hook, "state": state},
        "states": states,
        **hook_choices(app, acting),
    }
    return rendered(request, "hooks", who, **about)


@router.get("/hooks/{hook}")
def hook_page(request: Request, who: Who, hook: str, cursor: Cursor = None) -> HTMLResponse:
    """One hook: its address, its checks and its deliveries, and what can be changed. Raises A110."""
    app = managed_application(request)
    acting = app.acting_as(who.actor)
    found = show_hook(acting, hook)
    about: dict[str, Any] = {
        "hook": found,
        "address": full_address(request, found.address),
        "checked": test_hook(acting, hook, app.hook_sources),
        "deliveries": list_deliveries(acting, hook, cursor=cursor, limit=PAGE),
        "chosen": {"hook": hook, "state": ""},
        **hook_choices(app, acting),
    }
    return rendered(request, "hook", who, **about)


def hook_choices(app: ManagedApplication, acting: Acting) -> dict[str, Any]:
    """What the fields of a hook are given, for those who manage tokens."""
    manages = is_allowed(acting, Action.MANAGE_TOKENS)
    accounts = show_access(acting).service_accounts if manages else ()
    return {
        "manages": manages,
        "accounts": [each.name for each in accounts if each.is_active],
        "releases": sorted(app.hook_sources.release_names()) if manages else [],
        "entries": list(app.hook_sources.entry_environments()) if manages else [],
        "forms": [each.value for each in HookForm],
        "events": EVENTS,
    }


@router.post("/hooks")
async def send_hook(request: Request) -> Response:
    """Add a hook. Its secret is shown once."""

    def work(app: Any, who: SignedIn, form: Form) -> Response:
        draft = checked_model(HookDraft, {"name": text_of(form, "name", needed=True), **hook_fields(form)})
        made = add_hook(app.acting_as(who.actor), draft, app.hook_sources)
        about: dict[str, Any] = {
            "heading": f"Secret of the hook {made.hook.name}",
            "label": "Secret",
            "value": made.secret,
            "about": f"Enter it at the sender, with the address {full_address(request, made.hook.address)}",
            "until": None,
            "back": hook_path(made.hook.name),
        }
        return rendered(request, "shown_once", who, **about)

    return await shown_page(request, work)


@router.post("/hooks/{hook}/edit")
async def send_hook_edit(request: Request, hook: str) -> Response:
    """Change what a hook does. Its secret stays."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        draft = checked_model(HookDraft, {"name": hook, **hook_fields(form)})
        edit_hook(app.acting_as(who.actor), draft, app.hook_sources, text_of(form, "reason"))
        return hook_path(hook)

    return await submitted(request, work)


@router.post("/hooks/{hook}/remove")
async def send_hook_removal(request: Request, hook: str) -> Response:
    """Remove a hook with its secret."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        remove_hook(app.acting_as(who.actor), hook, text_of(form, "reason"))
        return "/hooks"

    return await submitted(request, work)


def hook_fields(form: Form) -> dict[str, Any]:
    """The fields of a hook that *form* has. Raises N110 if one is too long."""
    return {
        "form": text_of(form, "form", needed=True),
        "account": text_of(form, "account", needed=True),
        "events": [name for name in EVENTS if form.get(f"on_{name}") == "yes"],
        "ref": text_of(form, "ref") or "*",
        "then": text_of(form, "then") or "build",
        "release": text_of(form, "release", needed=True),
        "environment": text_of(form, "environment") or None,
    }


def hook_path(name: str) -> str:
    """The path of the page of a hook."""
    return f"/hooks/{quote(name)}"
