"""Pages of tokens: the list without secrets, and the forms to create, rotate and revoke one. A secret is shown once."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Acting
from orchestrator.app.people import show_access
from orchestrator.app.tokens import NewToken, create_token, list_tokens, revoke_token, rotate_token
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import ActorKind, Method, Scope
from orchestrator.domain.access.tokens import MAX_LIFETIME, Token
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.change_requests import number_of
from orchestrator.web.pages.changing import Form, back_of, names_of, shown_page, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, application, checked_model

router = APIRouter(include_in_schema=False)
DAY_S = 86400


@dataclass(frozen=True)
class TokenRow:
    """A *token* with its *state*, whether the reader *changes* it, and whether it can be rotated (*rotates*)."""

    token: Token
    state: str
    changes: bool
    rotates: bool


def token_rows(acting: Acting, owner: str | None = None) -> list[TokenRow]:
    """The tokens of *owner* (None: all of which the actor may know), with what the actor can do with each."""
    every, now = is_allowed(acting, Action.MANAGE_TOKENS), Now.at(acting.clock.now())
    mine = acting.actor.name if acting.actor.kind is ActorKind.USER else ""
    return [
        TokenRow(
            token,
            token.state(now).value,
            token.is_valid(now) and (every or token.owner == mine),
            token.method is not Method.OIDC,
        )
        for token in list_tokens(acting, owner)
    ]


def creation_fields(acting: Acting) -> dict[str, Any]:
    """What the form of a new token is given: the *owners* for those who manage tokens, and the longest lifetime."""
    every = is_allowed(acting, Action.MANAGE_TOKENS)
    owners: list[str] = []
    if every:
        access = show_access(acting)
        owners += [each.name for each in access.users if each.is_active]
        owners += [each.name for each in access.service_accounts if each.is_active]
    return {"every": every, "owners": owners, "most_days": acting.tokens.longest.total_seconds() / DAY_S}


@router.get("/tokens")
def tokens_page(request: Request, who: Who) -> HTMLResponse:
    """The tokens of the reader; for those who manage tokens all of them."""
    acting = application(request).acting_as(who.actor)
    return rendered(request, "tokens", who, tokens=token_rows(acting), **creation_fields(acting))


@router.post("/tokens")
async def send_token(request: Request) -> Response:
    """Create a token, and show it once."""

    def work(app: Any, who: SignedIn, form: Form) -> HTMLResponse:
        owner = text_of(form, "owner") or who.actor.name
        lifetime, name = lifetime_of(form), text_of(form, "name")
        made = create_token(app.acting_as(who.actor), owner, name=name, lifetime=lifetime, scopes=scopes_of(form))
        return new_token_page(request, who, made, form)

    return await shown_page(request, work)


def lifetime_of(form: Form) -> timedelta:
    """The field *days* as a length. Raises N110."""
    days = number_of(text_of(form, "days", needed=True), "days")
    if not 0 < days <= MAX_LIFETIME.days:
        raise OrchestratorError("N110", f"days: more than 0 and at most {MAX_LIFETIME.days} are possible")
    return timedelta(days=days)


def scopes_of(form: Form) -> tuple[Scope, ...] | None:
    """The scope in the fields *actions* and *environment*; None for every right of the owner. Raises N110."""
    actions, place = names_of(form, "actions"), text_of(form, "environment") or "*"
    if not actions:
        if place != "*":
            raise OrchestratorError("N110", "environment: a limit to environments needs actions")
        return None
    return (checked_model(Scope, {"actions": list(actions), "environment": place}),)


@router.post("/tokens/{prefix}/rotate")
async def send_token_rotation(request: Request, prefix: str) -> Response:
    """Create a token in place of another one, which stays valid for a day, and show it once."""

    def work(app: Any, who: SignedIn, form: Form) -> HTMLResponse:
        return new_token_page(request, who, rotate_token(app.acting_as(who.actor), prefix), form)

    return await shown_page(request, work)


@router.post("/tokens/{prefix}/revoke")
async def send_token_revocation(request: Request, prefix: str) -> Response:
    """Revoke a token at once."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        revoke_token(app.acting_as(who.actor), prefix, reason=text_of(form, "reason"))
        return tokens_back(form)

    return await submitted(request, work)


def new_token_page(request: Request, who: SignedIn, made: NewToken, form: Form) -> HTMLResponse:
    """The page that shows the secret of a new token."""
    about: dict[str, Any] = {
        "heading": f"New token of {made.token.owner}",
        "label": "Token",
        "value": made.text,
        "about": "Commands use it in ORCHESTRATOR_TOKEN, and requests in the header Authorization: Bearer.",
        "until": made.token.expires_at,
        "back": tokens_back(form),
    }
    return rendered(request, "shown_once", who, **about)


def tokens_back(form: Form) -> str:
    """The page that has the form: that of tokens, of a user, or of the reader's account."""
    return back_of(form, "/tokens", "/me", "/users/")
