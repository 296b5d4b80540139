"""A sign-in with a provider: what is remembered between its two halves, and what ID and logout tokens must contain."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from orchestrator.domain.access.job_tokens import LONGEST_TEXT, VerifiedClaims
from orchestrator.domain.access.principals import PrincipalName
from orchestrator.domain.access.providers import SignInProvider
from orchestrator.domain.model import Model, digest_of
from orchestrator.domain.moments import Moment

ATTEMPT_LASTS = timedelta(minutes=10)
"""How long a user may take at the provider."""
LONGEST_LOGOUT = timedelta(hours=1)
"""How far in the future a logout token may end: its identifier is kept for that time."""
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LONGEST_PART = 2000
"""How many characters of a parameter of the provider's answer are read."""


class Account(Model):
    """An account at a provider: its *issuer* and its *subject*, which stays when the account is renamed.

    *user* is the user of this project that it belongs to.
    """

    issuer: str
    subject: str
    user: PrincipalName
    name: str = ""
    linked_at: Moment

    @property
    def key(self) -> str:
        """What identifies the account."""
        return account_key(self.issuer, self.subject)


class Attempt(Model):
    """A sign-in that was started: with which *provider*, under which *redirect* address, and which page comes after it.

    *names_itself*: the answers of the provider name it. The secrets of the attempt are not part of it: they are
    made from the value in the browser's cookie.
    """

    provider: str
    redirect: str
    next: str
    names_itself: bool
    started_at: Moment


@dataclass(frozen=True)
class ProviderEndpoints:
    """What the discovery document of an issuer contains. *names_itself*: its answers have the parameter `iss`."""

    authorization: str
    token: str
    end_session: str | None = None
    names_itself: bool = False
    authentication: tuple[str, ...] = ("client_secret_basic",)


@dataclass(frozen=True)
class ClientCredentials:
    """This server as the *issuer* knows it. A public client has no *secret*."""

    issuer: str
    id: str
    secret: str | None = None

    def __repr__(self) -> str:
        return f"ClientCredentials({self.issuer!r}, {self.id!r})"


class TokenFault(ValueError):
    """What is wrong with an ID token or a logout token, in a sentence for the audit stream and the log."""


def account_key(issuer: str, subject: str) -> str:
    """What identifies the account *subject* of *issuer*: neither part can be read as the other."""
    return digest_of([issuer, subject])


def session_key(issuer: str, sid: str) -> str:
    """What identifies a session of *issuer* with the identifier *sid*."""
    return digest_of([issuer, "sid", sid])


def attempt_secret(value: str, what: str) -> str:
    """The secret *what* of the attempt with this *value* in the cookie: `state`, `nonce` or `verifier` (PKCE)."""
    code = hmac.digest(value.encode(), f"orchestrator/v1 sign-in {what}".encode(), hashlib.sha256)
    return _text(code)


def challenge(verifier: str) -> str:
    """The challenge for *verifier* (PKCE, S256)."""
    return _text(hashlib.sha256(verifier.encode()).digest())


def authorization_url(endpoint: str, provider: SignInProvider, redirect: str, value: str) -> str:
    """Where the browser goes for the attempt with this *value*."""
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect,
        "scope": " ".join(provider.scopes),
        "state": attempt_secret(value, "state"),
        "nonce": attempt_secret(value, "nonce"),
        "code_challenge": challenge(attempt_secret(value, "verifier")),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def check_id_token(token: VerifiedClaims, client: str, nonce: str) -> None:
    """Return if the verified *token* is for *client* and for the attempt with *nonce*. Raises `TokenFault`."""
    _check_audience(token, client)
    given = token.claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise TokenFault("the nonce is not that of the attempt")
    if not _is_subject(token.claims.get("sub")):
        raise TokenFault("it has no subject")


def check_logout_token(token: VerifiedClaims, client: str) -> None:
    """Return if the verified *token* ends sessions of *client*. Raises `TokenFault`."""
    _check_audience(token, client)
    events = token.claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise TokenFault("it has no logout event")
    if "nonce" in token.claims:
        raise TokenFault("it has a nonce, as ID tokens have")
    if not _is_subject(token.claims.get("jti")):
        raise TokenFault("it has no identifier (jti)")
    if not (_is_subject(token.claims.get("sub")) or _is_subject(token.claims.get("sid"))):
        raise TokenFault("it has neither a subject nor a session")
    if token.end - token.start > LONGEST_LOGOUT:
        raise TokenFault("it is valid for too long")


def user_name_of(claims: Mapping[str, object], claim: str) -> str:
    """The name for a new user: the value of *claim* in lower case, of an address the part before the @."""
    found = claims.get(claim)
    return found.lower().partition("@")[0] if isinstance(found, str) else ""


def text_claim(claims: Mapping[str, object], name: str) -> str:
    """The claim *name* if it is a text of a usable length, otherwise empty."""
    found = claims.get(name)
    return found[:LONGEST_TEXT] if isinstance(found, str) and found.isprintable() else ""


def _check_audience(token: VerifiedClaims, client: str) -> None:
    if client not in token.audiences:
        raise TokenFault("it is for another client")
    authorized = token.claims.get("azp")
    if (authorized is not None or len(token.audiences) > 1) and authorized != client:
        raise TokenFault("it was issued to another client")


def _is_subject(found: Any) -> bool:
    return isinstance(found, str) and 0 < len(found) <= 255


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
