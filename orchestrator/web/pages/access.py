"""Pages of roles: who has which, with the forms to grant and revoke one, and the check of a right."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.access import Question, can_i, grant, revoke
from orchestrator.app.people import show_access
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import Binding
from orchestrator.domain.moments import parse_moment
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, back_of, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, application, checked_model, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
Word = Annotated[str, Query(max_length=200)]


@router.get("/roles")
def roles_page(request: Request, who: Who) -> HTMLResponse:
    """The bindings of roles, and the actions of each role."""
    app = application(request)
    acting = app.acting_as(who.actor)
    access = show_access(acting)
    roles = Directory(access).roles
    about: dict[str, Any] = {
        "bindings": access.bindings,
        "roles": {name: sorted(action.value for action in actions) for name, actions in roles.items()},
        "abouts": {role.name: role.description or "of this project" for role in access.roles},
        "principals": principals_of(access),
        "environments": tuple(app.environments),
        "grants": is_allowed(acting, Action.MANAGE_ACCESS),
        "now": parse_moment(acting.clock.now()),
    }
    return rendered(request, "roles", who, **about)


def principals_of(access: Access) -> list[str]:
    """To whom a role can be bound: active users and service accounts, and groups, as bindings name them."""
    users = [f"user:{each.name}" for each in access.users if each.is_active]
    groups = [f"group:{each.name}" for each in access.groups]
    return [*users, *groups, *(f"service-account:{each.name}" for each in access.service_accounts if each.is_active)]


@router.post("/bindings")
async def send_binding(request: Request) -> Response:
    """Give a role to a user, group or service account."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        fields: dict[str, Any] = {name: text_of(form, name, needed=True) for name in ("role", "to")}
        fields |= {name: text_of(form, name) or "*" for name in ("project", "environment")}
        fields |= {"until": moment_in(zone, text_of(form, "until"), "until"), "reason": text_of(form, "reason")}
        grant(app.acting_as(who.actor), checked_model(Binding, fields))
        return "/roles"

    return await submitted(request, work)


@router.post("/bindings/revoke")
async def send_binding_end(request: Request) -> Response:
    """Remove a binding of a role."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        role, to = text_of(form, "role", needed=True), text_of(form, "to", needed=True)
        project, place = text_of(form, "project") or "*", text_of(form, "environment") or "*"
        checked_model(Binding, {"role": role, "to": to, "project": project, "environment": place})
        revoke(app.acting_as(who.actor), role, to, project, place, reason=text_of(form, "reason"))
        return back_of(form, "/roles", "/users/")

    return await submitted(request, work)


@router.get("/can-i")
def can_i_page(
    request: Request, who: Who, user: Word = "", action: Action | None = None, environment: Word = ""
) -> HTMLResponse:
    """Whether a user or service account may do something, with the reason. Raises A110 and R103."""
    app = application(request)
    acting = app.acting_as(who.actor)
    access = show_access(acting)
    verdict = None
    if action is not None:
        if environment:
            app.require_environment(environment)
        other = user if user not in ("", str(who.actor)) else None
        verdict = can_i(acting, Question(action=action, environment=environment or None, name=other))
    accounts = [f"service-account:{each.name}" for each in access.service_accounts]
    chosen = {"user": user or str(who.actor), "action": action or "", "environment": environment}
    about: dict[str, Any] = {
        "names": [*(each.name for each in access.users), *accounts],
        "actions": tuple(Action),
        "environments": tuple(app.environments),
    }
    return rendered(request, "can_i", who, verdict=verdict, chosen=chosen, **about)
