"""The exchange: a CI job shows the token that its CI system gave it, and gets a short-lived token of this project."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.app.acting import access_of
from orchestrator.app.tokens import NewToken, new_token_text
from orchestrator.domain.access.job_tokens import (
    LIFETIME,
    LONGEST_TEXT,
    VerifiedClaims,
    accepting,
    check_time,
    trusting,
)
from orchestrator.domain.access.principals import Actor, ActorKind, Method, Scope, ServiceAccount, Trust
from orchestrator.domain.access.tokens import Token, token_hash
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.error_codes import JOB_REFUSED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import digest_of
from orchestrator.domain.moments import ClockReading, Now, current_time, parse_moment
from orchestrator.domain.register import TOKENS
from orchestrator.ports import Clock
from orchestrator.register_ports import Changes, JobTokens, Records, Register

ACTION = "token:exchange"


@dataclass(frozen=True)
class Exchange:
    """Where tokens of CI jobs are exchanged. *tokens* verifies their signatures."""

    register: Register
    clock: Clock
    tokens: JobTokens

    def exchange(self, text: str, account: str | None = None) -> NewToken:
        """A token for the service account that accepts the token *text*; with *account* only for that one.

        It is valid for an hour, and for the actions of the rule that accepted it. It needs no right: the token shows
        what the job is. Raises A111, which is one entry of the audit stream, and A112 if the issuer does not respond.
        """
        issuer = ""
        try:
            issuer = self.tokens.issuer(text)
            accounts = self.register.reading(lambda records: access_of(records).service_accounts)
            trusting(issuer, accounts, account)
            job = VerifiedClaims.of(self.tokens.verified(text, issuer))
            return self.register.changing(f"issuer:{issuer}", lambda records: self._exchanged(records, job, account))
        except OrchestratorError as error:
            if error.code == JOB_REFUSED:
                self._record_refusal(issuer, account, error)
            raise

    def _exchanged(self, records: Changes, job: VerifiedClaims, name: str | None) -> NewToken:
        now = self._now(records)
        check_time(job, now)
        account, trust = accepting(job, trusting(job.issuer, access_of(records).service_accounts, name))
        text = new_token_text()
        token = _token(text, account, trust, now)
        over = [old for old in records.all(TOKENS, account.name) if old.method is Method.OIDC and not old.is_valid(now)]
        for old in over:  # one for each job: nothing else removes them
            records.remove(TOKENS, old.prefix)
        records.put(TOKENS, token)
        self._record(
            records,
            token.actor(),
            f"token:{token.prefix}",
            after=digest_of(token.to_json()),
            detail={**_shown(job), "removed": [old.prefix for old in over]},
        )
        return NewToken(token, text)

    def _record_refusal(self, issuer: str, account: str | None, error: OrchestratorError) -> None:
        kind = ActorKind.SERVICE_ACCOUNT
        actor = Actor(name=(account or "unknown")[:LONGEST_TEXT], kind=kind, method=Method.OIDC)
        detail = {"code": error.code, "reason": error.message}
        place = f"issuer:{issuer[:LONGEST_TEXT] or 'unknown'}"
        self.register.changing(
            str(actor), lambda records: self._record(records, actor, place, outcome="denied", detail=detail)
        )

    def _record(self, records: Changes, actor: Actor, object_: str, **fields: object) -> None:
        at = self._now(records).earliest
        records.record(record_by(actor, project=self.register.project, at=at, action=ACTION, object=object_, **fields))

    def _now(self, records: Records) -> Now:
        reading = ClockReading(parse_moment(self.clock.now()), self.clock.monotonic())
        return current_time(reading, recorded=records.newest_time())


def _token(text: str, account: ServiceAccount, trust: Trust, now: Now) -> Token:
    return Token(
        prefix=text.split("_")[1],
        sha256=token_hash(text),
        owner=account.name,
        owner_kind=ActorKind.SERVICE_ACCOUNT,
        name="CI job",
        method=Method.OIDC,
        scopes=(Scope(actions=trust.actions),),
        created_at=now.earliest,
        expires_at=now.earliest + LIFETIME,
    )


def _shown(job: VerifiedClaims) -> Mapping[str, object]:
    """The part of a job's token that the audit stream records."""
    known = {name: str(job.claims[name])[:LONGEST_TEXT] for name in ("sub", "jti") if name in job.claims}
    return {"issuer": job.issuer, **known}
