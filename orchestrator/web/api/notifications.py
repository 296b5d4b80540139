"""The routes of `/api/v1` for notifications: their rules, what was sent, and what is sent again."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from orchestrator.app.acting import Acting
from orchestrator.app.notification_rules import (
    NewRule,
    NotificationFilter,
    add_notification_rule,
    edit_notification_rule,
    list_notification_rules,
    list_notifications,
    list_own_notifications,
    remove_notification_rule,
    retry_notification,
    show_notification_rule,
    test_notification_rule,
)
from orchestrator.domain.notifications import ChannelKind, NotificationRule, QuietHours, RuleDraft
from orchestrator.domain.register import NOTIFICATION_RULES
from orchestrator.management.application import ManagedApplication
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
Word = Annotated[str | None, Query(max_length=200)]
SentState = Annotated[Literal["pending", "sent", "dead"] | None, Query()]
SentCursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9T:.+Z-]{1,40} [0-9a-f]{32}$")]
ADDRESS = Annotated[str, Field(max_length=2000, description="Where it sends to. It is stored encrypted.")]


class RuleEdit(Order):
    """The fields of a rule that change. Without *address* the target stays. Null ends *user*, *role* and *quiet*."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"digest": "daily"}]})

    events: Annotated[tuple[Text, ...], Field(min_length=1, max_length=50)] = ("*",)
    environment: Text = "*"
    user: Text | None = None
    role: Text | None = None
    needed_only: bool = False
    channel: ChannelKind | None = None
    address: ADDRESS = ""
    digest: Literal["none", "hourly", "daily"] = "none"
    quiet: QuietHours | None = None
    private: bool = False
    link: Text = ""


class RuleOrder(RuleEdit):
    """A new rule."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "ops", "channel": "webhook", "address": "https://93.184.216.34/in", "events": ["run.*"]}
            ]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=63)]
    channel: ChannelKind
    address: Annotated[ADDRESS, Field(min_length=1)]


def _rule(rule: NotificationRule) -> dict[str, Any]:
    return {"rule": {name: value for name, value in rule.to_json().items() if name != "sealed"}}


def _new(status: int, made: NewRule) -> Result:
    return status, "NewNotificationRule", {**_rule(made.rule), "secret": made.secret}


@router.get("/notification-rules", tags=["notifications"])
def get_rules(
    request: Request,
    who: Who,
    *,
    mine: bool = False,
    user: Word = None,
    channel: ChannelKind | None = None,
    sort: Literal["name", "-name"] = "name",
    cursor: KeyCursor = None,
    limit: Limit = 50,
) -> Response:
    """The rules by name, without their targets; with *mine* those for the reader, which are the subscriptions."""
    found = list_notification_rules(managed_application(request).acting_as(who.actor))
    own = str(who.actor) if mine else user
    chosen = [each for each in found if own in {None, each.user} and channel in {None, each.channel}]
    ordered = sorted(chosen, key=lambda each: each.name, reverse=sort == "-name")
    page, following = page_after(ordered, lambda each: each.name, cursor, limit)
    data = {"rules": [_rule(each)["rule"] for each in page], "cursor": following}
    return tagged_document(request, "NotificationRules", data)


@router.get("/notification-rules/{rule}", tags=["notifications"])
def get_rule(request: Request, who: Who, rule: str) -> Response:
    """One rule, without its target."""
    found = show_notification_rule(managed_application(request).acting_as(who.actor), rule)
    return tagged_document(request, "NotificationRule", _rule(found))


@router.post("/notification-rules", tags=["notifications"], status_code=201)
def post_rule(request: Request, who: Writer, order: RuleOrder, key: Key = None) -> Response:
    """Add a rule. The response has the secret of a webhook. Every user can add rules about what needs them."""
    app = managed_application(request)

    def work() -> Result:
        draft = checked_model(RuleDraft, order.model_dump(mode="json", exclude={"address"}))
        made = add_notification_rule(app.acting_as(who.actor), draft, order.address, app.notification_sources)
        return _new(201, made)

    return reply_once(request, who, key, order, work)


def _expecting(app: ManagedApplication, who: Writer, rule: str, match: str | None) -> Acting:
    """The actor for a change of the version *match* of a rule. Raises N145."""
    acting, shown = app.acting_as(who.actor), ("NotificationRule", _rule)
    return expecting_stored(acting, match, NOTIFICATION_RULES, rule, show_notification_rule, shown)


@router.post("/notification-rules/{rule}/edit", tags=["notifications"])
def post_rule_edit(
    request: Request, who: Writer, rule: str, order: RuleEdit, key: Key = None, match: Match = None
) -> Response:
    """Change fields of a rule. With `If-Match` only the version that was read is changed.

    The response has the secret of a webhook if it is new: of a rule that had another channel.
    """
    app, fields = managed_application(request), fields_to_change(order)

    def work() -> Result:
        acting, address = _expecting(app, who, rule, match), str(fields.get("address", ""))
        known = show_notification_rule(acting, rule).to_json()
        changed = {name: fields.get(name, known[name]) for name in RuleDraft.model_fields}
        draft = checked_model(RuleDraft, changed)
        return _new(200, edit_notification_rule(acting, draft, address, app.notification_sources))

    return reply_once(request, who, key, order, work)


@router.post("/notification-rules/{rule}/remove", tags=["notifications"])
def post_rule_removal(
    request: Request, who: Writer, rule: str, order: Reason, key: Key = None, match: Match = None
) -> Response:
    """Remove a rule. What it has not sent yet is not sent any more."""
    app = managed_application(request)

    def work() -> Result:
        removed = remove_notification_rule(_expecting(app, who, rule, match), rule, order.reason.strip())
        return 200, "NotificationRule", _rule(removed)

    return reply_once(request, who, key, order, work)


@router.post("/notification-rules/{rule}/test", tags=["notifications"], status_code=201)
def post_rule_test(request: Request, who: Writer, rule: str, order: Reason, key: Key = None) -> Response:
    """Have a worker send a test to the channel of a rule."""
    app = managed_application(request)

    def work() -> Result:
        made = test_notification_rule(app.acting_as(who.actor), rule)
        return 201, "Notification", {"notification": made.to_json()}

    return reply_once(request, who, key, order, work)


@router.get("/notifications", tags=["notifications"])
def get_notifications(
    request: Request,
    who: Who,
    *,
    state: SentState = None,
    rule: Word = None,
    mine: bool = False,
    sort: Literal["at", "-at"] = "-at",
    cursor: SentCursor = None,
    limit: Limit = 50,
) -> Response:
    """What was sent, is due or is dead, the newest fact first. With *mine* by the rules for the reader."""
    acting, chosen = managed_application(request).acting_as(who.actor), NotificationFilter(state, rule)
    listed = list_own_notifications if mine else list_notifications
    page = listed(acting, chosen, oldest_first=sort == "at", cursor=cursor, limit=limit)
    data = {"notifications": [each.to_json() for each in page.items], "cursor": page.cursor}
    return tagged_document(request, "Notifications", data)


@router.post("/notifications/{notification}/retry", tags=["notifications"])
def post_retry(request: Request, who: Writer, notification: str, order: Reason, key: Key = None) -> Response:
    """Send a dead notification again, with the same id."""
    app = managed_application(request)

    def work() -> Result:
        made = retry_notification(app.acting_as(who.actor), notification)
        return 200, "Notification", {"notification": made.to_json()}

    return reply_once(request, who, key, order, work)
