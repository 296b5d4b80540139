"""Pages of users, groups, service accounts and absences, and the forms of their changes."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Acting, unknown
from orchestrator.app.people import (
    add_absence,
    add_group,
    add_service_account,
    add_user,
    disable_service_account,
    disable_user,
    edit_user,
    end_absence,
    remove_group,
    set_members,
    show_access,
)
from orchestrator.app.provider_accounts import list_accounts, unlink_account
from orchestrator.app.sign_in_links import create_link
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import ServiceAccount, User
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.register import USERS
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, back_of, expecting_shown, names_of, shown_page, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.pages.tokens import token_rows
from orchestrator.web.requests import SignedIn, application, checked_model, full_address, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
USER_FIELDS = ("display_name", "email", "team", "local", "zone")
REMOVABLE = ("team", "local")
"""The fields of a user that an empty field of a form removes."""


@router.get("/users")
def users_page(request: Request, who: Who, *, disabled: bool = False) -> HTMLResponse:
    """The users, groups, service accounts and absences, with the forms of those who may change them."""
    acting = application(request).acting_as(who.actor)
    access = show_access(acting)
    about: dict[str, Any] = {
        "access": access,
        "users": [user for user in access.users if disabled or user.is_active],
        "disabled": disabled,
        "groups_of": Directory(access).groups_of,
        "manages": is_allowed(acting, Action.MANAGE_PEOPLE),
        "now": parse_moment(acting.clock.now()),
    }
    return rendered(request, "users", who, **about)


@router.post("/users")
async def send_user(request: Request) -> Response:
    """Add a user."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        user = checked_model(User, {"name": text_of(form, "name", needed=True), **user_fields(form)})
        return user_path(add_user(app.acting_as(who.actor), user).name)

    return await submitted(request, work)


def user_fields(form: Form) -> dict[str, Any]:
    """The fields of a user that *form* has. Raises N110 if one is too long."""
    fields: dict[str, Any] = {name: text_of(form, name) for name in USER_FIELDS if name in form}
    return fields | {name: None for name in REMOVABLE if fields.get(name) == ""}


@router.get("/users/{user}")
def user_page(request: Request, who: Who, user: str) -> HTMLResponse:
    """One user: groups, roles, tokens and absences, and what can be changed. Raises A110."""
    acting = application(request).acting_as(who.actor)
    access = show_access(acting)
    directory = Directory(access)
    found = directory.users.get(user)
    if found is None:
        raise unknown("user", user, sorted(directory.users))
    about: dict[str, Any] = {
        "user": found,
        "groups": directory.groups_of.get(user, ()),
        "bindings": directory.bindings_of("user", user),
        "absences": [each for each in access.absences if each.user == user],
        "tokens": token_rows(acting, user),
        "accounts": list_accounts(acting, user),
        "sees_tokens": user == who.actor.name or is_allowed(acting, Action.MANAGE_TOKENS),
        "manages": is_allowed(acting, Action.MANAGE_PEOPLE),
        "grants": is_allowed(acting, Action.MANAGE_ACCESS),
        "now": parse_moment(acting.clock.now()),
    }
    return rendered(request, "user", who, **about)


@router.post("/users/{user}/edit")
async def send_user_edit(request: Request, user: str) -> Response:
    """Change fields of a user."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        fields = user_fields(form)
        if not fields:
            raise OrchestratorError("N110", f"one of the fields {', '.join(USER_FIELDS)} is required")
        checked_model(User, {"name": user, **fields})
        acting = expecting_shown(app.acting_as(who.actor), USERS, user, form)
        return user_path(edit_user(acting, user, fields, reason=text_of(form, "reason")).name)

    return await submitted(request, work)


@router.post("/users/{user}/disable")
async def send_user_disabling(request: Request, user: str) -> Response:
    """Disable a user: every right ends at once."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        return user_path(disable_user(app.acting_as(who.actor), user, reason=text_of(form, "reason")).name)

    return await submitted(request, work)


@router.post("/users/{user}/enable")
async def send_user_enabling(request: Request, user: str) -> Response:
    """Enable a user who was disabled."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        reason = text_of(form, "reason")
        return user_path(edit_user(app.acting_as(who.actor), user, {"disabled_at": None}, reason=reason).name)

    return await submitted(request, work)


@router.post("/users/{user}/unlink")
async def send_unlinking(request: Request, user: str) -> Response:
    """Remove the account of a sign-in provider from a user: its sessions end at once."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        issuer, reason = text_of(form, "issuer", needed=True), text_of(form, "reason")
        unlink_account(app.acting_as(who.actor), user, issuer, reason=reason)
        return user_path(user)

    return await submitted(request, work)


@router.post("/users/{user}/link")
async def send_link(request: Request, user: str) -> Response:
    """Make a one-time link with which the user sets a password, and show it once."""

    def work(app: Any, who: SignedIn, form: Form) -> HTMLResponse:
        del form
        made = create_link(app.acting_as(who.actor), user, app.sign_in_place)
        about: dict[str, Any] = {
            "heading": f"One-time link for {user}",
            "label": "Link",
            "value": full_address(request, f"/link/{made.text}"),
            "about": f"{user} sets a password with it, once. Earlier links that were not used have ended.",
            "until": made.link.expires_at,
            "back": user_path(user),
        }
        return rendered(request, "shown_once", who, **about)

    return await shown_page(request, work)


@router.post("/groups")
async def send_group(request: Request) -> Response:
    """Add a group."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        add_group(app.acting_as(who.actor), text_of(form, "name", needed=True), names_of(form, "members"))
        return "/users#groups"

    return await submitted(request, work)


@router.post("/groups/{group}/members")
async def send_members(request: Request, group: str) -> Response:
    """Change the members of a group: the difference from those that the page has shown."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        before, after = set(names_of(form, "shown")), set(names_of(form, "members"))
        set_members(app.acting_as(who.actor), group, sorted(after - before), sorted(before - after))
        return "/users#groups"

    return await submitted(request, work)


@router.post("/groups/{group}/remove")
async def send_group_removal(request: Request, group: str) -> Response:
    """Remove a group and the bindings to it."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        remove_group(app.acting_as(who.actor), group)
        return "/users#groups"

    return await submitted(request, work)


@router.post("/service-accounts")
async def send_service_account(request: Request) -> Response:
    """Add a service account."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        fields = {"name": text_of(form, "name", needed=True), "description": text_of(form, "description")}
        account = checked_model(ServiceAccount, {**fields, "may_approve": form.get("may_approve") == "yes"})
        add_service_account(app.acting_as(who.actor), account)
        return "/users#accounts"

    return await submitted(request, work)


@router.post("/service-accounts/{account}/disable")
async def send_account_disabling(request: Request, account: str) -> Response:
    """Disable a service account: its tokens are no longer accepted."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        disable_service_account(app.acting_as(who.actor), account, reason=text_of(form, "reason"))
        return "/users#accounts"

    return await submitted(request, work)


@router.post("/absences")
async def send_absence(request: Request) -> Response:
    """Record an absence and its deputy; every user may do that for their own."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting: Acting = app.acting_as(who.actor)
        start = moment_in(zone, text_of(form, "start"), "start") or parse_moment(acting.clock.now())
        end = moment_in(zone, text_of(form, "end", needed=True), "end")
        assert end is not None
        user = text_of(form, "user") or who.actor.name
        add_absence(acting, user, text_of(form, "deputy", needed=True), start, end)
        return back_of(form, "/users#absences", "/me", "/users/")

    return await submitted(request, work)


@router.post("/absences/end")
async def send_absence_end(request: Request) -> Response:
    """Remove the absence of a user that lasts or comes next."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        end_absence(app.acting_as(who.actor), text_of(form, "user") or who.actor.name)
        return back_of(form, "/users#absences", "/me", "/users/")

    return await submitted(request, work)


def user_path(user: str) -> str:
    """The path of the page of a user."""
    return f"/users/{quote(user)}"
