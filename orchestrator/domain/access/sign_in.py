"""How users sign in at a server: passwords, one-time links, sessions, and delays after failures."""

import hashlib
import hmac
import ipaddress
import re
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta

from pydantic import Field

from orchestrator.domain.access.principals import Actor, Method, PrincipalName
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment, Now

VALUE_BYTES = 32
IDLE = timedelta(hours=12)
"""How long a session lasts without a request."""
LONGEST = timedelta(days=7)
"""How long a session lasts in any case."""
LINK_LIFETIME = timedelta(hours=1)
USED_EVERY = timedelta(minutes=1)
"""How often the use of a session is recorded at most."""
FREE_FAILURES = 5
"""How many failures in a row have no delay."""
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=1), timedelta(minutes=15)
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256
VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


class Password(Model):
    """The argon2id *hash* of the password of *user*."""

    user: PrincipalName
    hash: str
    changed_at: Moment


class SignInLink(Model):
    """A link with which *user* sets a password, once; with None the first administrator is created."""

    sha256: Digest
    user: PrincipalName | None
    created_at: Moment
    expires_at: Moment
    used_at: Moment | None = None

    def is_valid(self, now: Now) -> bool:
        """Whether the link can be used *now*. In doubt it has expired."""
        return self.used_at is None and not now.may_have_reached(self.expires_at)


class Origin(Model):
    """The *provider* that a session comes from, by its name, and the key of the *account* at it.

    *session* is the key of the provider's own session, if it names one.
    """

    provider: str
    account: Digest
    session: Digest | None = None


class Session(Model):
    """A sign-in of *user*. *sha256* is the hash of the value in the cookie. *address* and *agent* are for its owner.

    *origin* is None for a sign-in with a password.
    """

    sha256: Digest
    user: PrincipalName
    started_at: Moment
    used_at: Moment
    address: str = ""
    agent: str = Field(default="", max_length=200)
    origin: Origin | None = Field(default=None, exclude_if=lambda origin: origin is None)

    @property
    def id(self) -> str:
        """What lists and the audit stream call it."""
        return self.sha256.removeprefix("sha256:")[:12]

    @property
    def ends_at(self) -> datetime:
        """When it ends unless a request extends it."""
        return min(self.used_at + IDLE, self.started_at + LONGEST)

    def is_valid(self, now: Now) -> bool:
        """Whether the session authenticates its user *now*. In doubt it has ended."""
        return not now.may_have_reached(self.ends_at)

    def actor(self) -> Actor:
        """The actor that it authenticates."""
        method = Method.SESSION if self.origin is None else Method.SSO
        return Actor(name=self.user, method=method, credential=self.id)


class Failures(Model):
    """The failed sign-ins of one account since its last successful one, or of one address.

    A successful sign-in at an address takes away the failures of its own name there, and those of no other name.
    """

    count: int = Field(ge=1)
    last_at: Moment

    @property
    def delayed_until(self) -> datetime:
        """The time before which no sign-in is checked: each failure after the free ones doubles the delay."""
        more = self.count - FREE_FAILURES
        if more <= 0:
            return self.last_at
        doubled: int = 2 ** min(more - 1, 30)
        return self.last_at + min(FIRST_DELAY * doubled, LONGEST_DELAY)

    def delays(self, now: Now) -> bool:
        """Whether a sign-in has to wait *now*. In doubt it has."""
        return self.count > FREE_FAILURES and not now.has_reached(self.delayed_until)


def secret_value(data: bytes) -> str:
    """The text of a link or session of these random bytes. Raises `ValueError` unless there are 256 bits."""
    if len(data) != VALUE_BYTES:
        raise ValueError(f"a secret value has {VALUE_BYTES} bytes")
    return urlsafe_b64encode(data).decode().rstrip("=")


def value_hash(value: str) -> str:
    """What is stored of a secret value. 256 random bits need no slow hash."""
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def form_token(value: str) -> str:
    """The token that forms of the session with this *value* contain: another site cannot know it."""
    return hmac.new(value.encode(), b"orchestrator/v1 form", hashlib.sha256).hexdigest()


def network_of(address: str) -> str:
    """What failed sign-ins of an *address* are counted for: itself, or the network of 64 bits of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 4 or found.is_loopback:
        return str(found)
    return str(ipaddress.ip_network(f"{found}/64", strict=False))
