"""Tokens of CI jobs: their claims, and the service account that accepts one.

A CI system gives each of its jobs an identity token (OIDC). Its signature is verified before its claims are read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.access.principals import ServiceAccount, Trust
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, minute_text, moment_of_seconds
from orchestrator.domain.text import few

LIFETIME = timedelta(hours=1)
"""How long a token is valid that was exchanged for one of a CI job."""
LEEWAY = timedelta(seconds=30)
"""How far the clock of an issuer may be ahead."""
LONGEST_TEXT = 200
"""How many characters of a claim are repeated in messages and in the audit stream."""


@dataclass(frozen=True)
class VerifiedClaims:
    """The claims of a token of *issuer* whose signature is valid: for *audiences*, from *start* to *end*."""

    issuer: str
    audiences: tuple[str, ...]
    start: datetime
    end: datetime
    claims: Mapping[str, Any]

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> "VerifiedClaims":
        """The *claims* with their standard ones in our types. Raises A111."""
        for name in ("iss", "aud", "exp", "iat"):
            if name not in claims:
                raise job_refusal(f"the token has no claim {name}")
        audience = claims["aud"]
        if not isinstance(audience, str | list):
            raise job_refusal("the claim aud of the token is neither a text nor a list")
        audiences = (audience,) if isinstance(audience, str) else tuple(map(str, audience))
        starts = [_moment(claims, name) for name in ("iat", "nbf") if name in claims]
        return cls(str(claims["iss"]), audiences, max(starts), _moment(claims, "exp"), claims)

    @property
    def subject(self) -> str:
        """What the issuer calls the job."""
        return str(self.claims.get("sub", ""))[:LONGEST_TEXT]


def job_refusal(why: str, hint: str | None = None) -> OrchestratorError:
    """The error for a token of a CI job that is not accepted."""
    return OrchestratorError("A111", why, hint=hint)


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    try:
        return moment_of_seconds(float(claims[name]))
    except (TypeError, ValueError, OverflowError, OrchestratorError):
        raise job_refusal(f"the claim {name} of the token is not a time") from None


def check_time(job: VerifiedClaims, now: Now) -> None:
    """Return if the token is valid *now*; in doubt it has expired. Raises A111."""
    if now.may_have_reached(job.end):
        raise job_refusal(f"the token expired at {minute_text(job.end)}", "get a new token: it is for one job")
    if not now.has_reached(job.start - LEEWAY):
        raise job_refusal(
            f"the token is not valid before {minute_text(job.start)}", "compare the clocks of the machines"
        )


def trusting(issuer: str, accounts: Iterable[ServiceAccount], name: str | None = None) -> tuple[ServiceAccount, ...]:
    """The active *accounts* that accept tokens of *issuer*; with *name* only that one. Raises A111."""
    chosen = [account for account in accounts if name in {None, account.name}]
    found = tuple(a for a in chosen if a.is_active and any(trust.issuer == issuer for trust in a.trust))
    if found:
        return found
    disabled = [a.name for a in chosen if any(trust.issuer == issuer for trust in a.trust)]
    if disabled:
        raise job_refusal(f"the service account {few(disabled)} is disabled")
    who = f"the service account {name}" if name is not None else "any service account"
    hint = f"orchestrator service-account trust {name or 'NAME'} --issuer URL --audience TEXT --claim NAME=VALUE"
    raise job_refusal(f"{issuer[:LONGEST_TEXT]} is not an issuer that {who} trusts", hint)


def accepting(job: VerifiedClaims, accounts: Iterable[ServiceAccount]) -> tuple[ServiceAccount, Trust]:
    """The one of *accounts* that accepts the claims, with the rule that does. Raises A111."""
    candidates = [(a, trust) for a in accounts for trust in a.trust if trust.issuer == job.issuer]
    found = {a.name: (a, t) for a, t in candidates if t.accepts(job.issuer, job.audiences, dict(job.claims))}
    if len(found) > 1:
        raise job_refusal(f"several service accounts accept the token: {few(sorted(found))}", "name one with --for")
    if not found:
        raise job_refusal("; ".join(dict.fromkeys(_missing(job, account, trust) for account, trust in candidates)))
    return next(iter(found.values()))


def _missing(job: VerifiedClaims, account: ServiceAccount, trust: Trust) -> str:
    """Why *account* does not accept the token by *trust*."""
    if trust.audience not in job.audiences:
        audiences = few([text[:LONGEST_TEXT] for text in job.audiences])
        return f"{account.name} accepts the audience {trust.audience}, and the token is for {audiences}"
    for name, value in trust.claims.items():
        if job.claims.get(name) != value:
            has = f"{name}={str(job.claims[name])[:LONGEST_TEXT]}" if name in job.claims else f"no {name}"
            return f"{account.name} accepts {name}={value}, and the token has {has}"
    return f"{account.name} accepts the token"
