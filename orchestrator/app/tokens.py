"""Tokens: created once, shown once, and stored as a hash."""

import secrets
import string
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.app.acting import Acting, Change, View, change, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.powers import powers_of_credential, powers_of_scopes
from orchestrator.domain.access.principals import Actor, ActorKind, Method, Scope, ServiceAccount, Trust
from orchestrator.domain.access.tokens import (
    GRACE,
    MAX_LIFETIME,
    SECRET_BYTES,
    Token,
    exceeding,
    token_hash,
    token_text,
)
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import SERVICE_ACCOUNTS, TOKENS, USERS
from orchestrator.domain.text import few

MANAGE = Action.MANAGE_TOKENS
ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class NewToken:
    """A *token* with its secret *text*, which is shown once and kept nowhere."""

    token: Token
    text: str


@forwarded
def create_token(
    acting: Acting, owner: str, *, name: str = "", lifetime: timedelta, scopes: tuple[Scope, ...] | None = None
) -> NewToken:
    """A new token of *owner*. Every user may create tokens of their own. Raises A101, A109 and A110.

    A token creates none that has more scopes than itself, or ends later: the new one then ends with it.
    """
    text = new_token_text()

    def work(task: Change) -> NewToken:
        actor = _owner(task, owner)
        if not timedelta() < lifetime <= acting.tokens.longest:
            raise OrchestratorError("A109", f"a token of this project is valid for at most {acting.tokens.lifetime}")
        known = (*task.acting.environments, "*") if not task.acting.environments else task.acting.environments
        more = exceeding(scopes or (), actor, acting.project, known, task.directory, task.now)
        if more and task.access.bindings:
            rights = few([f"{action.value} in {environment}" for action, environment in more])
            raise OrchestratorError("A109", f"{owner} has no right to {rights}")
        _require_giving(task, actor, scopes)
        token = Token(
            prefix=text.split("_")[1],
            sha256=token_hash(text),
            owner=owner,
            owner_kind=actor.kind,
            name=name,
            scopes=scopes,
            created_at=task.now.earliest,
            expires_at=acting.actor.end_of_credential(task.now.earliest + lifetime),
        )
        return NewToken(task.put(TOKENS, token), text)

    return change(acting, MANAGE, work, owner=owner)


@forwarded
def list_tokens(acting: Acting, owner: str | None = None) -> tuple[Token, ...]:
    """The tokens of *owner* (None: all of which the actor may know), the newest first."""

    def work(view: View) -> tuple[Token, ...]:
        every = view.verdict(MANAGE).allowed
        mine = acting.actor.name
        found = [t for t in view.records.all(TOKENS, owner) if every or t.owner == mine]
        return tuple(sorted(found, key=lambda token: token.created_at, reverse=True))

    return read_register(acting, Action.VIEW, work)


@forwarded
def rotate_token(acting: Acting, prefix: str, grace: timedelta = GRACE) -> NewToken:
    """A new token with the name, scopes and lifetime of the one with *prefix*, which is valid for the *grace* time.

    The rule for new tokens counts, except for a token that rotates itself. Raises A101, A109 and A110.
    """
    if not timedelta() <= grace <= MAX_LIFETIME:
        raise OrchestratorError("A109", f"a rotated token stays valid for at most {MAX_LIFETIME.days} days")
    text, owner = new_token_text(), _owner_of(acting, prefix)

    def work(task: Change) -> NewToken:
        old = task.existing(TOKENS, prefix)
        if old.method is Method.OIDC:
            raise OrchestratorError("A109", f"the token {prefix} is of a CI job, which exchanges another one")
        if not old.is_valid(task.now):
            raise OrchestratorError("A109", f"the token {prefix} is {old.state(task.now).value}")
        is_itself = acting.actor.credential == prefix
        if not is_itself:
            _require_giving(task, _owner(task, old.owner), old.scopes)
        lifetime = min(old.expires_at - old.created_at, acting.tokens.longest)
        end = task.now.earliest + lifetime
        fields = {
            "prefix": text.split("_")[1],
            "sha256": token_hash(text),
            "created_at": task.now.earliest,
            "expires_at": end if is_itself else acting.actor.end_of_credential(end),
            "grace_until": None,
            "last_used_at": None,
        }
        task.put(TOKENS, old.rotated(task.now.earliest, grace))
        return NewToken(task.put(TOKENS, old.model_copy(update=fields), replaces=prefix), text)

    return change(acting, MANAGE, work, owner=owner)


@forwarded
def revoke_token(acting: Acting, prefix: str, *, reason: str = "") -> Token:
    """Revoke a token at once. Raises A110."""

    def work(task: Change) -> Token:
        token = task.existing(TOKENS, prefix)
        return task.put(TOKENS, token.model_copy(update={"revoked_at": token.revoked_at or task.now.earliest}))

    return change(acting, MANAGE, work, owner=_owner_of(acting, prefix), reason=reason)


@forwarded
def trust_issuer(acting: Acting, name: str, trust: Trust) -> ServiceAccount:
    """Let the service account *name* accept tokens of CI jobs by *trust*, in place of the rule for the same claims.

    That is a credential of the account, as a token is. Raises A110.
    """

    def work(task: Change) -> ServiceAccount:
        account = task.existing(SERVICE_ACCOUNTS, name)
        kept = [each for each in account.trust if _about(each) != _about(trust)]
        return task.put(SERVICE_ACCOUNTS, account.model_copy(update={"trust": (*kept, trust)}), issuer=trust.issuer)

    return change(acting, MANAGE, work)


@forwarded
def distrust_issuer(acting: Acting, name: str, issuer: str, *, reason: str = "") -> ServiceAccount:
    """Let the service account *name* accept no token of *issuer* any more, and revoke those exchanged. Raises A110."""

    def work(task: Change) -> ServiceAccount:
        account = task.existing(SERVICE_ACCOUNTS, name)
        kept = tuple(trust for trust in account.trust if trust.issuer != issuer)
        if kept == account.trust:
            raise unknown("trusted issuer", issuer, [trust.issuer for trust in account.trust])
        for token in task.records.all(TOKENS, name):
            if token.method is Method.OIDC and token.is_valid(task.now):
                task.put(TOKENS, token.model_copy(update={"revoked_at": task.now.earliest}))
        return task.put(SERVICE_ACCOUNTS, account.model_copy(update={"trust": kept}), issuer=issuer)

    return change(acting, MANAGE, work, reason=reason)


def _require_giving(task: Change, owner: Actor, scopes: tuple[Scope, ...] | None) -> None:
    """Raise `Denied` if a token of *owner* with *scopes* would have more power than the actor."""
    acting, powers = task.acting, set(powers_of_scopes(scopes))
    if owner.principal != acting.actor.principal:
        powers |= powers_of_credential(owner, scopes, acting.project, task.directory, task.now)
    task.require_giving(powers)


def _about(trust: Trust) -> object:
    return trust.issuer, trust.audience, trust.claims


def _owner_of(acting: Acting, prefix: str) -> str:
    return read_register(acting, Action.VIEW, lambda view: view.existing(TOKENS, prefix).owner)


def _owner(task: Change, name: str) -> Actor:
    if task.records.get(SERVICE_ACCOUNTS, name):
        return Actor(name=name, kind=ActorKind.SERVICE_ACCOUNT)
    task.existing(USERS, name)
    return Actor(name=name)


def new_token_text() -> str:
    """The text of a new, random token, as its owner gets it."""
    prefix = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return token_text(prefix, secrets.token_bytes(SECRET_BYTES))
