"""Who acts: users, groups, service accounts and the system; and how an actor was authenticated."""

import re
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic.json_schema import SkipJsonSchema

from orchestrator.domain.access.actions import BUILT_IN, JOB_ACTIONS, Action
from orchestrator.domain.calendar.zones import ZoneName
from orchestrator.domain.model import Model, Name, text_schema
from orchestrator.domain.moments import Moment, Now

PRINCIPAL = re.compile(r"^(user|group|service-account):([a-z0-9][a-z0-9._-]{0,62})$")
PROJECT_PATTERN = r"^(\*|[a-z0-9][a-z0-9-]{0,62})$"
ENVIRONMENT_PATTERN = r"^[a-z0-9*?-]{1,63}$"

PrincipalName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""The name of a user, group or service account: lower-case letters, digits, dots, dashes and underscores."""


def _principal(text: str) -> str:
    if not PRINCIPAL.fullmatch(text):
        raise ValueError("must be user:NAME, group:NAME or service-account:NAME")
    return text


PrincipalRef = Annotated[str, AfterValidator(_principal), WithJsonSchema(text_schema(PRINCIPAL.pattern))]
"""A user, group or service account that a role is bound to: `user:ann`."""


class ActorKind(StrEnum):
    """What an actor is."""

    USER = "user"
    SERVICE_ACCOUNT = "service-account"
    SYSTEM = "system"


class Method(StrEnum):
    """How an actor was authenticated."""

    LOCAL = "local"
    """By the operating system: the user of the process on this machine."""
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    SESSION = "session"
    """By a password, at a server."""
    SSO = "sso"
    """By an OpenID Connect provider, at a server."""
    OIDC = "oidc"
    """By a token of a CI job, exchanged for a short token."""
    HOOK = "hook"
    """By the signature of a request to a hook, which acts as its service account."""
    SYSTEM = "system"


class User(Model):
    """A user of the project. *local* is the name of the user on machines, where it differs. *team* is at most one.

    Users are disabled and never deleted: what they did keeps their name.
    """

    name: PrincipalName
    display_name: str = ""
    email: str = ""
    team: PrincipalName | None = None
    local: str | None = None
    zone: ZoneName = "UTC"
    disabled_at: Moment | None = None

    @property
    def is_active(self) -> bool:
        """Whether the user has not been disabled."""
        return self.disabled_at is None


class Group(Model):
    """Users that roles are bound to together."""

    name: PrincipalName
    members: tuple[PrincipalName, ...] = ()


class Trust(Model):
    """The OIDC tokens that a service account accepts: *issuer*, *audience*, and exact values of *claims*.

    The token that one is exchanged for is limited to *actions*, of those that the account has a right to.
    """

    issuer: Annotated[str, StringConstraints(pattern=r"^https://[^\s#?]+$", max_length=500)]
    audience: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    claims: Annotated[dict[str, str], Field(min_length=1)]
    actions: Annotated[tuple[Action, ...], Field(min_length=1, exclude_if=lambda actions: actions == JOB_ACTIONS)] = (
        JOB_ACTIONS
    )

    def accepts(self, issuer: str, audiences: tuple[str, ...], claims: dict[str, object]) -> bool:
        """Whether a token whose signature is valid has this issuer and audience, and every claim as it is here."""
        return (
            issuer == self.issuer
            and self.audience in audiences
            and all(claims.get(name) == value for name, value in self.claims.items())
        )


class ServiceAccount(Model):
    """An account of a machine. It approves only with *may_approve*."""

    name: PrincipalName
    description: str = ""
    trust: tuple[Trust, ...] = ()
    may_approve: bool = False
    disabled_at: Moment | None = None

    @property
    def is_active(self) -> bool:
        """Whether the account has not been disabled."""
        return self.disabled_at is None


class Absence(Model):
    """A time, half-open, in which *deputy* has the approval right of *user*."""

    user: PrincipalName
    deputy: PrincipalName
    start: Moment
    end: Moment

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.end <= self.start:
            raise ValueError("ends before it starts")
        if self.user == self.deputy:
            raise ValueError("names the absent user as the deputy")
        return self

    def lasts(self, now: Now) -> bool:
        """Whether the user is certainly absent."""
        return now.within(self.start, self.end)


class Role(Model):
    """A role of the project's own, out of the list of actions."""

    name: Name
    description: str = ""
    actions: Annotated[tuple[Action, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_not_built_in(self) -> Self:
        if self.name in BUILT_IN:
            raise ValueError(f"has the name of the built-in role {self.name}")
        return self


class Binding(Model):
    """A *role* for a principal (*to*) in a *project* (or `*`), in the environments that fit a pattern.

    *until* is the moment at which the binding ends, *reason* why it exists.
    """

    role: Name
    to: PrincipalRef
    project: Annotated[str, StringConstraints(pattern=PROJECT_PATTERN)] = "*"
    environment: Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)] = "*"
    until: Moment | None = None
    reason: str = ""

    @property
    def key(self) -> str:
        """What identifies the binding: there is one for each role, principal, project and pattern."""
        return f"{self.to} has {self.role} in {self.project}/{self.environment}"

    def __str__(self) -> str:
        return self.key

    def applies_to(self, environment: str | None) -> bool:
        """Whether the binding is for *environment*; None is the whole project."""
        return pattern_covers(self.environment, environment)

    def is_over(self, now: Now) -> bool:
        """Whether the binding may have ended."""
        return self.until is not None and now.may_have_reached(self.until)


class Scope(Model):
    """What a token may be used for: *actions* in the environments that fit a pattern. Never more than its owner may."""

    actions: Annotated[tuple[Action, ...], Field(min_length=1)]
    environment: Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)] = "*"

    def covers(self, environment: str | None) -> bool:
        """Whether the token may be used in *environment*; None is the whole project, which only `*` covers."""
        return pattern_covers(self.environment, environment)


def pattern_covers(pattern: str, environment: str | None) -> bool:
    """Whether *pattern* covers *environment*; only `*` covers a whole project (None)."""
    return pattern == "*" or (environment is not None and fnmatchcase(environment, pattern))


class Actor(Model):
    """Who acts, and how that is known. *credential* is the prefix of the token; *scopes* are those of the token."""

    name: str
    kind: ActorKind = ActorKind.USER
    method: Method = Method.LOCAL
    credential: str | None = None
    scopes: tuple[Scope, ...] | None = None
    ends_at: SkipJsonSchema[Moment | None] = Field(default=None, exclude=True)
    """The end of the token, in the process that has authenticated it. It is neither sent nor kept."""

    @property
    def principal(self) -> str:
        """The actor as bindings name it."""
        return f"{self.kind.value}:{self.name}"

    def end_of_credential(self, end: datetime) -> datetime:
        """When a credential ends that the actor makes until *end*: with the token of the actor at the latest."""
        return end if self.ends_at is None else min(end, self.ends_at)

    def __str__(self) -> str:
        return self.name if self.kind is ActorKind.USER else self.principal


SYSTEM_ACTOR = Actor(name="system", kind=ActorKind.SYSTEM, method=Method.SYSTEM)
