"""Pages of notifications: rules and what they have sent, one rule, and what a user has subscribed to."""

from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

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
    rule_version,
    show_notification_rule,
    test_notification_rule,
    unchanged_rule,
)
from orchestrator.app.people import show_access
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import ActorKind
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.notifications import RuleDraft
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, back_of, names_of, shown_page, submitted, text_of
from orchestrator.web.pages.rendering import Who, after_form, rendered
from orchestrator.web.requests import (
    SignedIn,
    checked_model,
    full_address,
    managed_application,
    reader_zone,
)

router = APIRouter(include_in_schema=False)
PAGE = 50
OWN = "/me/notifications"
SentState = Annotated[Literal["", "pending", "sent", "dead"], Query()]
Word = Annotated[str, Query(max_length=63)]
SentCursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9T:.+Z-]{1,40} [0-9a-f]{32}$")]


@router.get("/notifications")
def notifications_page(
    request: Request, who: Who, *, state: SentState = "", rule: Word = "", cursor: SentCursor = None
) -> HTMLResponse:
    """The rules, and for those who may read the audit stream what was sent, is due or is dead."""
    acting = managed_application(request).acting_as(who.actor)
    rules = list_notification_rules(acting)
    reads = is_allowed(acting, Action.READ_AUDIT)
    chosen = NotificationFilter(state or None, rule or None)
    about: dict[str, Any] = {
        "rules": rules,
        "reads": reads,
        "sent": list_notifications(acting, chosen, cursor=cursor, limit=PAGE) if reads else None,
        "chosen": chosen,
        **rule_fields(request, acting, who),
    }
    return rendered(request, "notifications", who, **about)


@router.get("/notification-rules/{rule}")
def rule_page(request: Request, who: Who, rule: str, cursor: SentCursor = None) -> HTMLResponse:
    """One rule with what it has sent, and what can be done with it. Raises A110."""
    acting = managed_application(request).acting_as(who.actor)
    found = show_notification_rule(acting, rule)
    own = found.own_user == str(who.actor)
    listed = list_notifications if is_allowed(acting, Action.READ_AUDIT) else list_own_notifications
    about: dict[str, Any] = {
        "rule": found,
        "shown": rule_version(found),
        "sent": listed(acting, NotificationFilter(rule=rule), cursor=cursor, limit=PAGE),
        "reads": own or is_allowed(acting, Action.READ_AUDIT),
        "changes": own or is_allowed(acting, Action.MANAGE_TOKENS),
        **rule_fields(request, acting, who),
    }
    return rendered(request, "notification_rule", who, **about)


@router.get(OWN)
def own_page(request: Request, who: Who, *, state: SentState = "", cursor: SentCursor = None) -> HTMLResponse:
    """The subscriptions of the reader: the rules for them, what those have sent, and the form to add one."""
    acting = managed_application(request).acting_as(who.actor)
    chosen = NotificationFilter(state or None)
    about: dict[str, Any] = {
        "rules": [each for each in list_notification_rules(acting) if each.user == str(who.actor)],
        "sent": list_own_notifications(acting, chosen, cursor=cursor, limit=PAGE),
        "chosen": chosen,
        "subscribes": who.actor.kind is ActorKind.USER,
        **rule_fields(request, acting, who),
    }
    return rendered(request, "own_notifications", who, **about)


def rule_fields(request: Request, acting: Acting, who: SignedIn) -> dict[str, Any]:
    """What the fields of a rule are given: users, roles, environments and the address of this server."""
    access = show_access(acting)
    own = [rule.name for rule in list_notification_rules(acting) if rule.own_user == str(who.actor)]
    return {
        "own_rules": own,
        "manages": is_allowed(acting, Action.MANAGE_TOKENS),
        "me": str(who.actor),
        "users": [user.name for user in access.users if user.is_active],
        "roles": sorted(Directory(access).roles),
        "link": full_address(request, "").rstrip("/"),
    }


@router.post("/notification-rules")
async def send_rule(request: Request) -> Response:
    """Add a rule. The secret of a webhook is shown once."""

    def work(app: Any, who: SignedIn, form: Form) -> Response:
        fields = draft_fields(form, reader_zone(request)) | {"name": text_of(form, "name", needed=True)}
        draft, address = checked_model(RuleDraft, fields), text_of(form, "address", needed=True)
        made = add_notification_rule(app.acting_as(who.actor), draft, address, app.notification_sources)
        return after_rule(request, who, made, form)

    return await shown_page(request, work)


@router.post("/notification-rules/{rule}/edit")
async def send_rule_edit(request: Request, rule: str) -> Response:
    """Change a rule: every field that its page has. An empty address keeps the target."""

    def work(app: Any, who: SignedIn, form: Form) -> Response:
        unchanged = unchanged_rule(rule, form.get("shown", ""))
        acting = replace(app.acting_as(who.actor), precondition=unchanged)
        draft = checked_model(RuleDraft, draft_fields(form, reader_zone(request)) | {"name": rule})
        address, reason = text_of(form, "address"), text_of(form, "reason")
        made = edit_notification_rule(acting, draft, address, app.notification_sources, reason)
        return after_rule(request, who, made, form)

    return await shown_page(request, work)


@router.post("/notification-rules/{rule}/remove")
async def send_rule_removal(request: Request, rule: str) -> Response:
    """Remove a rule."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        remove_notification_rule(app.acting_as(who.actor), rule, text_of(form, "reason"))
        return back_of(form, "/notifications", OWN)

    return await submitted(request, work)


@router.post("/notification-rules/{rule}/test")
async def send_rule_test(request: Request, rule: str) -> Response:
    """Have a worker send a test."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        test_notification_rule(app.acting_as(who.actor), rule)
        return back_of(form, rule_path(rule), OWN)

    return await submitted(request, work)


@router.post("/notifications/{notification}/retry")
async def send_retry(request: Request, notification: str) -> Response:
    """Send a dead notification again."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        retry_notification(app.acting_as(who.actor), notification)
        return back_of(form, "/notifications", OWN, "/notification-rules/")

    return await submitted(request, work)


def draft_fields(form: Form, zone: str) -> dict[str, Any]:
    """The fields of a rule that *form* has. Raises N110 if one is too long."""
    start, end = text_of(form, "quiet_start"), text_of(form, "quiet_end")
    if bool(start) != bool(end):
        raise OrchestratorError("N110", "quiet: a start and an end are required, or neither")
    quiet = {"start": start, "end": end, "zone": text_of(form, "quiet_zone") or zone}
    return {
        "events": list(names_of(form, "events")) or ["*"],
        "environment": text_of(form, "environment") or "*",
        "user": text_of(form, "user") or None,
        "role": text_of(form, "role") or None,
        "needed_only": form.get("needed_only") == "yes",
        "channel": text_of(form, "channel", needed=True),
        "digest": text_of(form, "digest") or "none",
        "quiet": quiet if start else None,
        "private": form.get("private") == "yes",
        "link": text_of(form, "link"),
    }


def after_rule(request: Request, who: SignedIn, made: NewRule, form: Form) -> Response:
    """The page that shows the secret of *made*, or the page of the rule if it has no new one."""
    back = back_of(form, rule_path(made.rule.name), OWN)
    if not made.secret:
        return after_form(back)
    about: dict[str, Any] = {
        "heading": f"Secret of the rule {made.rule.name}",
        "label": "Secret of the signatures",
        "value": made.secret,
        "about": "The receiver verifies requests with it, by Standard Webhooks.",
        "until": None,
        "back": back,
    }
    return rendered(request, "shown_once", who, **about)


def rule_path(name: str) -> str:
    """The path of the page of a rule."""
    return f"/notification-rules/{quote(name)}"
