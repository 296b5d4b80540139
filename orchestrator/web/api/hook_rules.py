"""The routes of `/api/v1` by which users manage hooks, and read what those have received."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from orchestrator.app.acting import Acting
from orchestrator.management.application import ManagedApplication
from orchestrator.management.documents import hook_item
from orchestrator.management.hooks.decisions import add_hook, edit_hook, remove_hook
from orchestrator.management.hooks.model import HookDraft, HookForm
from orchestrator.management.hooks.queries import list_deliveries, list_hooks, show_hook, test_hook
from orchestrator.management.hooks.state import DeliveryState
from orchestrator.management.hooks.store import HOOKS
from orchestrator.web.api.changing import Key, Result, Writer, reply_once
from orchestrator.web.api.documents import (
    PREFIX,
    KeyCursor,
    Limit,
    Match,
    Who,
    expecting_stored,
    page_after,
    tagged_document,
)
from orchestrator.web.api.orders import Order, Reason, Text, fields_to_change
from orchestrator.web.requests import checked_model, managed_application

router = APIRouter(prefix=PREFIX)
HookName = Annotated[str, Path(max_length=200)]
Word = Annotated[str | None, Query(max_length=200)]
DeliveryCursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9T:.+Z-]{1,40} [0-9a-f]{1,64}$")]
Events = Annotated[tuple[Literal["push", "tag", "release"], ...], Field(min_length=1, max_length=3)]


class HookEdit(Order):
    """The fields of a hook that change. An *environment* of null is the first one of the path."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ref": "v*", "events": ["tag"]}]})

    form: HookForm | None = None
    account: Text = ""
    events: Events = ("push",)
    ref: Text = "*"
    then: Literal["build", "promote"] = "build"
    release: Text = ""
    environment: Text | None = None


class HookOrder(HookEdit):
    """A new hook: a service account acts for it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "main", "form": "github", "account": "ci", "release": "shop"}]}
    )

    name: Annotated[str, Field(min_length=1, max_length=63)]
    form: HookForm
    account: Annotated[Text, Field(min_length=1)]
    release: Annotated[Text, Field(min_length=1)]


@router.get("/hooks", tags=["hooks"])
def get_hooks(
    request: Request,
    who: Who,
    account: Word = None,
    release: Word = None,
    sort: Literal["name", "-name"] = "name",
    cursor: KeyCursor = None,
    limit: Limit = 50,
) -> Response:
    """The hooks by name, without their secrets."""
    found = list_hooks(managed_application(request).acting_as(who.actor))
    chosen = [each for each in found if account in {None, each.account} and release in {None, each.release}]
    ordered = sorted(chosen, key=lambda each: each.name, reverse=sort == "-name")
    page, following = page_after(ordered, lambda each: each.name, cursor, limit)
    return tagged_document(request, "Hooks", {"hooks": [hook_item(each) for each in page], "cursor": following})


@router.get("/hooks/{hook}", tags=["hooks"])
def get_hook(request: Request, who: Who, hook: HookName) -> Response:
    """One hook, without its secret."""
    found = show_hook(managed_application(request).acting_as(who.actor), hook)
    return tagged_document(request, "Hook", hook_item(found))


@router.get("/hooks/{hook}/check", tags=["hooks"])
def get_hook_check(request: Request, who: Who, hook: HookName) -> Response:
    """What a delivery to a hook would meet: its account, rights, release and repository. Nothing is sent."""
    app = managed_application(request)
    return tagged_document(request, "HookTest", test_hook(app.acting_as(who.actor), hook, app.hook_sources).to_json())


@router.post("/hooks", tags=["hooks"], status_code=201)
def post_new_hook(request: Request, who: Writer, order: HookOrder, key: Key = None) -> Response:
    """Add a hook. The response has its secret and its address, for the settings of the sender."""
    app = managed_application(request)

    def work() -> Result:
        draft = checked_model(HookDraft, order.model_dump(mode="json"))
        made = add_hook(app.acting_as(who.actor), draft, app.hook_sources)
        return 201, "NewHook", {**hook_item(made.hook), "secret": made.secret}

    return reply_once(request, who, key, order, work)


def _expecting(app: ManagedApplication, who: Writer, hook: str, match: str | None) -> Acting:
    """The actor for a change of the version *match* of a hook. Raises N145."""
    return expecting_stored(app.acting_as(who.actor), match, HOOKS, hook, show_hook, ("Hook", hook_item))


@router.post("/hooks/{hook}/edit", tags=["hooks"])
def post_hook_edit(
    request: Request, who: Writer, hook: HookName, order: HookEdit, key: Key = None, match: Match = None
) -> Response:
    """Change fields of a hook. Its secret stays. With `If-Match` only the version that was read is changed."""
    app, fields = managed_application(request), fields_to_change(order)

    def work() -> Result:
        acting = _expecting(app, who, hook, match)
        known: dict[str, Any] = hook_item(show_hook(acting, hook))["hook"]
        draft = checked_model(HookDraft, {**known, **fields})
        return 200, "Hook", hook_item(edit_hook(acting, draft, app.hook_sources))

    return reply_once(request, who, key, order, work)


@router.post("/hooks/{hook}/remove", tags=["hooks"])
def post_hook_removal(
    request: Request, who: Writer, hook: HookName, order: Reason, key: Key = None, match: Match = None
) -> Response:
    """Remove a hook with its secret. Its deliveries stay listed."""
    app = managed_application(request)

    def work() -> Result:
        return 200, "Hook", hook_item(remove_hook(_expecting(app, who, hook, match), hook, order.reason.strip()))

    return reply_once(request, who, key, order, work)


@router.get("/hook-deliveries", tags=["hooks"])
def get_deliveries(
    request: Request,
    who: Who,
    hook: Word = None,
    state: DeliveryState | None = None,
    sort: Literal["received", "-received"] = "-received",
    cursor: DeliveryCursor = None,
    limit: Limit = 50,
) -> Response:
    """What hooks have received and what became of it, the newest first. With a filter a page may have fewer rows."""
    acting, order = managed_application(request).acting_as(who.actor), sort == "received"
    page = list_deliveries(acting, hook, state=state, oldest_first=order, cursor=cursor, limit=limit)
    data = {"deliveries": [each.to_json() for each in page.items], "cursor": page.cursor}
    return tagged_document(request, "HookDeliveries", data)
