"""Tokens: how they are written, what is stored of them, and whether one is valid. No secret is ever stored.

orch_PREFIX_SECRET          PREFIX: 8 characters, to find the token      SECRET: 256 random bits, base64url
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, authorize
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import Actor, ActorKind, Method, PrincipalName, Scope
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment, Now, span
from orchestrator.domain.quantities import Duration

SECRET_BYTES = 32
GRACE = timedelta(hours=24)
"""How long a token that was rotated can still be used."""
MAX_LIFETIME = timedelta(days=365)
"""How long a token is valid at most, unless the project sets less."""
TOKEN = re.compile(r"orch_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")


def _possible(lifetime: str) -> str:
    if not timedelta() < span(lifetime) <= MAX_LIFETIME:
        raise ValueError(f"must be at most {MAX_LIFETIME.days}d, and more than 0")
    return lifetime


class TokenRules(Model):
    """`tokens:` in `orchestrator.yaml`: *lifetime* is how long a new token is valid at most."""

    lifetime: Annotated[Duration, AfterValidator(_possible)] = f"{MAX_LIFETIME.days}d"

    @property
    def longest(self) -> timedelta:
        """The longest time for which a new token is valid."""
        return span(self.lifetime)


class TokenState(StrEnum):
    """Whether a token can be used."""

    ACTIVE = "active"
    GRACE = "rotated, still valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Token(Model):
    """What is stored of a token: its *prefix* and the hash of its secret (*sha256*), never the secret.

    *grace_until* is set when it was rotated. *last_used_at* is kept for each token. *method* is OIDC if
    it was exchanged for the token of a CI job.
    """

    prefix: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{8}$")]
    sha256: Digest
    owner: PrincipalName
    owner_kind: ActorKind = ActorKind.USER
    method: Annotated[Method, Field(exclude_if=lambda method: method is Method.TOKEN)] = Method.TOKEN
    name: str = ""
    scopes: tuple[Scope, ...] | None = None
    created_at: Moment
    expires_at: Moment
    grace_until: Moment | None = None
    last_used_at: Moment | None = None
    revoked_at: Moment | None = None

    def state(self, now: Now) -> TokenState:
        """Whether the token can be used *now*. In doubt it has expired."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        ends = [end for end in (self.expires_at, self.grace_until) if end is not None]
        if now.may_have_reached(min(ends)):
            return TokenState.EXPIRED
        return TokenState.ACTIVE if self.grace_until is None else TokenState.GRACE

    def is_valid(self, now: Now) -> bool:
        """Whether the token authenticates its owner *now*."""
        return self.state(now) in {TokenState.ACTIVE, TokenState.GRACE}

    def rotated(self, at: datetime, grace: timedelta = GRACE) -> Self:
        """The token after its rotation at the moment *at*: valid for the *grace* time, and never longer than before."""
        end = min(at + grace, self.expires_at, self.grace_until or self.expires_at)
        return self.model_copy(update={"grace_until": end})

    def actor(self) -> Actor:
        """The actor that the token authenticates."""
        return Actor(
            name=self.owner,
            kind=self.owner_kind,
            method=self.method,
            credential=self.prefix,
            scopes=self.scopes,
            ends_at=self.expires_at,
        )


def token_text(prefix: str, secret: bytes) -> str:
    """The token as its owner gets it, once. Raises `ValueError` if *secret* does not have 256 bits."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a token has a secret of {SECRET_BYTES} bytes")
    return f"orch_{prefix}_{urlsafe_b64encode(secret).decode().rstrip('=')}"


def token_prefix(text: str) -> str | None:
    """The prefix by which a token is found; None if *text* is not a token."""
    found = TOKEN.fullmatch(text)
    return found[1] if found else None


def token_hash(text: str) -> str:
    """What is stored of the token *text*. A secret of 256 random bits needs no slow hash."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def authenticates(token: Token, text: str, now: Now) -> bool:
    """Whether *text* is the secret of *token*, compared in constant time, and the token is valid *now*."""
    return hmac.compare_digest(token.sha256, token_hash(text)) and token.is_valid(now)


def exceeding(
    scopes: Iterable[Scope], owner: Actor, project: str, environments: Iterable[str], directory: Directory, now: Now
) -> tuple[tuple[Action, str], ...]:
    """The actions and environments of *scopes* that the *owner* has no right to, among the known *environments*."""
    known = sorted(environments)
    whole = owner.model_copy(update={"scopes": None})
    return tuple(
        (action, environment)
        for scope in scopes
        for action in scope.actions
        for environment in known
        if scope.covers(environment)
        and not authorize(whole, action, Target(project, environment), directory, now).allowed
    )
