"""Sign-in with OpenID Connect providers: the authorization code flow with PKCE, and logout tokens."""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from orchestrator.app.acting import Change, access_of
from orchestrator.app.authentication import Authentication, NewSession, Source
from orchestrator.app.provider_accounts import ProviderRefusal, user_of_account
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.administrators import check_administrator
from orchestrator.domain.access.job_tokens import LONGEST_TEXT, VerifiedClaims, check_time
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor, Method
from orchestrator.domain.access.provider_sign_in import (
    ATTEMPT_LASTS,
    LONGEST_PART,
    Attempt,
    ClientCredentials,
    ProviderEndpoints,
    TokenFault,
    account_key,
    attempt_secret,
    authorization_url,
    check_id_token,
    check_logout_token,
    session_key,
)
from orchestrator.domain.access.providers import SecretPlace, SignInProvider, SignInRules
from orchestrator.domain.access.sign_in import VALUE, VALUE_BYTES, Origin, Session, secret_value, value_hash
from orchestrator.domain.error_codes import (
    ACCOUNT_NOT_ALLOWED,
    ANSWER_REFUSED,
    ATTEMPT_OVER,
    CLIENT_SECRET_MISSING,
    CLOCKS_DIFFER,
    DENIED_BY_PROVIDER,
    ISSUER_SILENT,
    JOB_REFUSED,
    LOGOUT_REFUSED,
    NO_ADMINISTRATOR,
    PROVIDER_SILENT,
)
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import digest_of
from orchestrator.domain.moments import Now
from orchestrator.domain.register import ACCOUNTS
from orchestrator.register_ports import Changes, IdentityProviders

FAILED_THERE = frozenset({"server_error", "temporarily_unavailable"})
"""The errors of a provider that does not work. Others mean that it has denied the sign-in."""


@dataclass(frozen=True)
class Departure:
    """Where a browser goes to sign in (*url*), and the secret *value* of the attempt, for a cookie."""

    url: str
    value: str


@dataclass(frozen=True)
class Arrival:
    """A *session* of a user who has signed in with a provider, and the page that comes *next*."""

    session: NewSession
    next: str


@dataclass(frozen=True)
class SingleSignOn:
    """Sign-in with the providers of *rules*. *secret* reads the secret of a client, and raises N150."""

    authentication: Authentication
    rules: SignInRules
    providers: IdentityProviders
    secret: Callable[[SecretPlace], str]

    def check(self) -> None:
        """Return if the secret of each provider can be read. Raises N150."""
        for provider in self.rules.providers:
            self._credentials(provider)

    def depart(self, name: str, redirect: str, next_path: str) -> Departure:
        """Start a sign-in with the provider *name*, which leads back to *redirect*. Raises N111 and N151."""
        provider = self._provider(name)
        about = self._endpoints(provider)
        value, now = secret_value(secrets.token_bytes(VALUE_BYTES)), self.authentication.now()
        attempt = Attempt(
            provider=name,
            redirect=redirect,
            next=next_path,
            names_itself=about.names_itself,
            started_at=now.earliest,
        )
        ends = now.latest + ATTEMPT_LASTS
        self.authentication.sign_ins.keep_once(_attempt_key(value), attempt.model_dump_json(), ends)
        return Departure(authorization_url(about.authorization, provider, redirect, value), value)

    def arrive(self, name: str, answer: Mapping[str, str], value: str, source: Source) -> Arrival:
        """The session for the *answer* of the provider to the attempt with this *value*. Raises N111, N151 to N157.

        An attempt is used once, also if it fails. A refusal after that is recorded in the audit stream.
        """
        provider = self._provider(name)
        attempt = self._attempt(provider, answer.get("state", ""), value)
        claims: Mapping[str, object] = {}
        try:
            code = _code(provider, attempt, answer)
            claims = self._redeemed(provider, attempt, code, value)
            user = self._user(provider, claims)
        except ProviderRefusal as refusal:
            self._record_refusal(name, claims, refusal)
            raise
        sid = claims.get("sid")
        session = session_key(provider.issuer, sid) if isinstance(sid, str) else None
        origin = Origin(provider=name, account=account_key(provider.issuer, str(claims["sub"])), session=session)
        return Arrival(self.authentication.start(user, source, origin), attempt.next)

    def sign_out_url(self, name: str, back: str) -> str | None:
        """Where a browser goes to sign out at the provider, which leads to *back*. Raises N111 and N151."""
        provider = self._provider(name)
        found = self._endpoints(provider).end_session
        if found is None:
            return None
        query = urlencode({"client_id": provider.client_id, "post_logout_redirect_uri": back})
        return f"{found}{'&' if '?' in found else '?'}{query}"

    def end_sessions(self, name: str, token: str) -> int:
        """End the sessions that the logout *token* of the provider names; how many. Raises N111, N151 and N158."""
        provider = self._provider(name)
        claims = self._logout_claims(provider, token)
        sign_ins, kept = self.authentication.sign_ins, f"logout {digest_of([provider.issuer, claims.claims['jti']])}"
        if not sign_ins.keep_once(kept, "", claims.end):
            raise ProviderRefusal(LOGOUT_REFUSED, "the logout token has been used before")
        try:
            return sum(self._end(provider, each) for each in self._sessions(provider, claims.claims))
        except OrchestratorError:  # the provider may send the token again
            sign_ins.take_once(kept)
            raise

    def _provider(self, name: str) -> SignInProvider:
        found = self.rules.provider(name)
        if found is None:
            raise OrchestratorError("N111", "the provider is not configured")
        return found

    def _endpoints(self, provider: SignInProvider) -> ProviderEndpoints:
        try:
            return self.providers.endpoints(provider.issuer)
        except OrchestratorError as error:
            raise _translated(error, ANSWER_REFUSED) from error

    def _credentials(self, provider: SignInProvider) -> ClientCredentials:
        place = provider.client_secret
        return ClientCredentials(provider.issuer, provider.client_id, self.secret(place) if place else None)

    def _attempt(self, provider: SignInProvider, state: str, value: str) -> Attempt:
        """The attempt that this browser has started. It is over from now on. Raises N153."""
        if not VALUE.fullmatch(value):
            raise ProviderRefusal(ATTEMPT_OVER, "the browser has no attempt")
        if not hmac.compare_digest(state.encode(), attempt_secret(value, "state").encode()):
            raise ProviderRefusal(ATTEMPT_OVER, "the state is not that of the browser's attempt")
        text = self.authentication.sign_ins.take_once(_attempt_key(value))
        if text is None:
            raise ProviderRefusal(ATTEMPT_OVER, "the attempt has been used")
        attempt = Attempt.model_validate_json(text)
        if attempt.provider != provider.name:
            raise ProviderRefusal(ATTEMPT_OVER, f"the attempt was started with {attempt.provider}")
        if self.authentication.now().may_have_reached(attempt.started_at + ATTEMPT_LASTS):
            raise ProviderRefusal(ATTEMPT_OVER, "the attempt has expired")
        return attempt

    def _redeemed(self, provider: SignInProvider, attempt: Attempt, code: str, value: str) -> Mapping[str, object]:
        """The claims of the ID token for *code*, after all checks. Raises N151, N154 and N155."""
        try:
            client, verifier = self._credentials(provider), attempt_secret(value, "verifier")
            claims = self.providers.redeem(client, code, attempt.redirect, verifier)
            token = VerifiedClaims.of(claims)
            check_id_token(token, provider.client_id, attempt_secret(value, "nonce"))
        except (OrchestratorError, TokenFault) as error:
            raise _translated(error, ANSWER_REFUSED) from error
        _check_clock(token, self.authentication.now(), CLOCKS_DIFFER)
        return claims

    def _user(self, provider: SignInProvider, claims: Mapping[str, object]) -> str:
        """The user of the account, who and whose groups are recorded by the system. Raises N156 and N157."""
        acting = replace(self.authentication.local, actor=SYSTEM_ACTOR)

        def work(records: Changes) -> str:
            before, now = access_of(records), acting.now(records)
            reason = f"sign-in with {provider.name}"
            task = Change(acting, records, before, now, Action.MANAGE_PEOPLE, reason=reason)
            user = user_of_account(task, provider, claims)
            after = access_of(records)
            if after != before:
                check_administrator(before, after, acting.project, now)
            return user

        try:
            return acting.register.changing(str(SYSTEM_ACTOR), work)
        except OrchestratorError as error:
            if error.code == NO_ADMINISTRATOR:
                raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, error.message) from error
            raise

    def _logout_claims(self, provider: SignInProvider, text: str) -> VerifiedClaims:
        try:
            token = VerifiedClaims.of(self.providers.verified(text, provider.issuer))
            check_logout_token(token, provider.client_id)
        except (OrchestratorError, TokenFault) as error:
            raise _translated(error, LOGOUT_REFUSED) from error
        _check_clock(token, self.authentication.now(), LOGOUT_REFUSED)
        return token

    def _sessions(self, provider: SignInProvider, claims: Mapping[str, object]) -> tuple[Session, ...]:
        """The sessions that *claims* of a logout token name: those of a session there, or all of an account.

        With both also those of the account whose session there is not known.
        """
        sign_ins, sid, subject = self.authentication.sign_ins, claims.get("sid"), claims.get("sub")
        found = sign_ins.sessions_from(session_key(provider.issuer, sid)) if isinstance(sid, str) else ()
        if not isinstance(subject, str):
            return found
        key = account_key(provider.issuer, subject)
        account = self.authentication.register.reading(lambda records: records.get(ACCOUNTS, key))
        mine = sign_ins.sessions_of(account.user) if account is not None else ()
        of_account = [each for each in mine if each.origin is not None and each.origin.account == key]
        if not isinstance(sid, str):
            return tuple(of_account)
        named = [each for each in found if each.origin is not None and each.origin.account == key]
        return (*named, *(each for each in of_account if each.origin is not None and each.origin.session is None))

    def _end(self, provider: SignInProvider, session: Session) -> int:
        ended = self.authentication.sign_ins.end(session.sha256)
        if ended:
            detail: dict[str, object] = {"provider": provider.name, "user": session.user}
            self.authentication.record(SYSTEM_ACTOR, "session:end", session.id, detail)
        return int(ended)

    def _record_refusal(self, name: str, claims: Mapping[str, object], refusal: ProviderRefusal) -> None:
        actor = Actor(name="unknown", method=Method.SSO)
        detail: dict[str, object] = {"code": refusal.code, "reason": refusal.why}
        if "sub" in claims:
            detail["subject"] = str(claims["sub"])[:LONGEST_TEXT]
        self.authentication.record(actor, "session:start", f"provider:{name}", detail, denied=True)


def _attempt_key(value: str) -> str:
    return f"sign-in {value_hash(value)}"


def _code(provider: SignInProvider, attempt: Attempt, answer: Mapping[str, str]) -> str:
    """The code in *answer*, which the provider of the attempt has given (RFC 9207). Raises N151, N152 and N154."""
    issuer = answer.get("iss")
    if issuer != provider.issuer and (issuer is not None or attempt.names_itself):
        raise ProviderRefusal(ANSWER_REFUSED, f"the answer is of {str(issuer)[:LONGEST_TEXT]}")
    error = answer.get("error")
    if error is not None:
        code = PROVIDER_SILENT if error in FAILED_THERE else DENIED_BY_PROVIDER
        raise ProviderRefusal(code, f"the provider answers with {error[:LONGEST_TEXT]}")
    code = answer.get("code", "")
    if not 0 < len(code) <= LONGEST_PART:
        raise ProviderRefusal(ANSWER_REFUSED, "the answer has no code")
    return code


def _check_clock(token: VerifiedClaims, now: Now, code: str) -> None:
    try:
        check_time(token, now)
    except OrchestratorError as error:
        raise ProviderRefusal(code, error.message) from error


def _translated(error: OrchestratorError | TokenFault, refused: str) -> OrchestratorError:
    """*error* for users: *refused* for a token that is not accepted, N151 for a provider that cannot be used."""
    if isinstance(error, TokenFault):
        return ProviderRefusal(refused, str(error))
    if error.code == JOB_REFUSED:
        return ProviderRefusal(refused, error.message)
    if error.code in {ISSUER_SILENT, CLIENT_SECRET_MISSING}:
        return ProviderRefusal(PROVIDER_SILENT, error.message)
    return error
