"""Tokens of CI jobs: what is accepted of an issuer on this machine, and what is refused, each with its reason."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.oidc import OidcTokens
from orchestrator.app import access, people, tokens
from orchestrator.app.acting import Acting, Denied
from orchestrator.app.actor import current_actor
from orchestrator.app.exchange import Exchange
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Binding, Method, ServiceAccount, Trust
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import TOKENS
from tests.app.desk import Desk
from tests.issuer import SUBJECT, Issuer, issuing


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with issuing(tmp_path, monkeypatch) as issuer:
        yield issuer


class CurrentDesk(Desk):
    """A project at the time of this machine, which is the time of the issuer."""

    def acting(self, name: str) -> Acting:
        return replace(super().acting(name), clock=SystemClock())


@pytest.fixture
def desk(issuer: Issuer) -> Desk:
    """A project whose service account `ci` is a release manager in staging, for jobs of one branch."""
    desk = CurrentDesk()
    root = desk.acting("root")
    trust = Trust(issuer=issuer.url, audience="orchestrator", claims={"sub": SUBJECT})
    people.add_service_account(root, ServiceAccount(name="ci", trust=(trust,), may_approve=True))
    for role in ("release-manager", "approver"):
        access.grant(root, Binding(role=role, to="service-account:ci", environment="staging"))
    return desk


def exchange(desk: Desk, text: str, account: str | None = None) -> tokens.NewToken:
    return Exchange(desk.register, SystemClock(), OidcTokens()).exchange(text, account)


def refusal(desk: Desk, text: str, account: str | None = None, code: str = "A111") -> str:
    """Why *text* is refused; the attempt is one entry, and no token is made."""
    entries = desk.entries
    with pytest.raises(OrchestratorError) as caught:
        exchange(desk, text, account)
    assert caught.value.code == code
    assert desk.entries == entries + (1 if code == "A111" else 0)
    assert desk.register.reading(lambda records: records.all(TOKENS)) == ()
    return caught.value.message


def test_a_job_promotes_to_staging_and_never_approves(desk: Desk, issuer: Issuer) -> None:
    """A token of a job is exchanged for one of an hour, with the rights of the account, without that to approve by default."""
    new = exchange(desk, issuer.token())
    assert (new.token.expires_at - new.token.created_at).total_seconds() == 3600
    actor = current_actor(desk.register, {"ORCHESTRATOR_TOKEN": new.text}, "ann", SystemClock())
    assert (str(actor), actor.method) == ("service-account:ci", Method.OIDC)
    acting = Acting(desk.register, actor, SystemClock(), ("staging", "production"))
    for action, place, allowed in (
        (Action.PROMOTE, "staging", True), (Action.PROMOTE, "production", False), (Action.APPROVE, "staging", False),
    ):  # fmt: skip
        assert access.can_i(acting, access.Question(action=action, environment=place)).allowed is allowed
    with pytest.raises(Denied):
        people.add_group(acting, "new", ())
    made = next(e for e in desk.register.reading(lambda r: r.audit()) if e.action == "token:exchange")
    assert (made.actor, made.actor_kind, made.method) == ("ci", "service-account", Method.OIDC)
    assert made.detail == {"issuer": issuer.url, "sub": SUBJECT, "jti": "job 7", "removed": []}
    with pytest.raises(OrchestratorError, match="of a CI job"):
        tokens.rotate_token(desk.acting("root"), new.token.prefix)


def test_an_issuer_replaces_its_keys(desk: Desk, issuer: Issuer) -> None:
    """A new key counts as soon as it is published, beside the old one; a token of a withdrawn key is refused."""
    old = issuer.token()
    issuer.make_key("second", "RS256")
    assert exchange(desk, old).token.owner == exchange(desk, issuer.token("second")).token.owner == "ci"
    del issuer.keys["first"]
    issuer.publish()
    with pytest.raises(OrchestratorError, match="does not publish the key first"):
        exchange(desk, old)
    assert exchange(desk, issuer.token("second")).token.method is Method.OIDC


def unsigned(issuer: Issuer, header: dict[str, Any], secret: bytes | None = None, **claims: Any) -> str:
    """A token that an attacker makes from one of the issuer: another header, no signature or one by a shared secret."""
    body = jwt.decode(issuer.token(**claims), options={"verify_signature": False})
    if secret is not None:
        return jwt.encode(body, secret, algorithm="HS256", headers=header)
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, body)]
    return f"{'.'.join(parts)}."


def test_each_fault_has_its_own_message(desk: Desk, issuer: Issuer) -> None:
    """What is wrong with a token is named: its form, algorithm, signature, key, issuer, audience, claims, or time."""
    now = int(time.time())
    good = issuer.token()
    head, body, signature = good.split(".")
    other = Issuer(issuer.server)
    other.make_key("first")  # the same name, another key
    forged = other.token()
    issuer.publish()
    faults = {
        "hello": "has not the form of a JSON Web Token",
        unsigned(issuer, {"alg": "none", "kid": "first"}): "is signed with none, which is not accepted",
        unsigned(issuer, {"kid": "first"}, secret=b"k" * 32): "is signed with HS256, which is not accepted",
        f"{head}.{body}.{signature[:-4]}AAAA": "the signature of the token was not made by",
        forged: "the signature of the token was not made by",
        issuer.token(header={"kid": "third"}): "does not publish the key third",
        issuer.token(iss="https://elsewhere.example"): "https://elsewhere.example is not an issuer that any service account trusts",
        issuer.token(aud="bank"): "ci accepts the audience orchestrator, and the token is for bank",
        issuer.token(sub="repo:shop/shop:ref:refs/heads/dev"): "and the token has sub=repo:shop/shop:ref:refs/heads/dev",
        issuer.token(sub=None): "and the token has no sub",
        issuer.token(exp=now - 1): "the token expired at",
        issuer.token(nbf=now + 600): "the token is not valid before",
        issuer.token(iat=now + 600): "the token is not valid before",
        issuer.token(exp=None): "the token is not accepted",
        issuer.token(exp="soon"): "is not a time",
    }  # fmt: skip
    for text, message in faults.items():
        assert message in refusal(desk, text)
    assert "is not an issuer that the service account robot trusts" in refusal(desk, good, "robot")
    newest = desk.register.reading(lambda records: records.audit()[-1])
    assert (newest.actor, newest.outcome, newest.detail["code"]) == ("robot", "denied", "A111")


def test_a_weak_key_and_a_secret_that_is_published_are_refused(desk: Desk, issuer: Issuer) -> None:
    """A key of 1,024 bits, and a key set with a shared secret, accept no token."""
    issuer.make_key("weak", "RS256", bits=1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        weak = issuer.token("weak")
    assert "is not accepted: The RSA key" in refusal(desk, weak)
    secret = base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()
    issuer.server.answers["/keys"] = (200, json.dumps({"keys": [{"kty": "oct", "kid": "first", "k": secret}]}))
    assert "does not publish the key first" in refusal(desk, issuer.token())


def test_an_issuer_that_cannot_be_used_is_no_refusal(
    desk: Desk, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issuer that does not respond, redirects, or says something else is an error (A112), and no entry of the stream."""
    good, found = issuer.token(), issuer.server.answers
    for path, answer, message in (
        ("/keys", (503, ""), "responds with the status 503"),
        ("/keys", (302, f"{issuer.url}/other"), "responds with the status 302"),
        ("/keys", (200, "[]"), "does not respond with a JSON object"),
        ("/keys", (200, "{}"), "publishes no keys"),
    ):
        found[path] = answer
        assert message in refusal(desk, good, code="A112")
    for about, message in (
        ({"issuer": "https://elsewhere.example"}, "discovery document is of https://elsewhere.example"),
        ({"jwks_uri": "http://127.0.0.1:1/keys"}, "does not start with https://"),
    ):
        issuer.publish(**about)
        assert message in refusal(desk, good, code="A112")
    issuer.publish()
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate" in refusal(desk, good, code="A112")


def test_a_disabled_account_and_a_withdrawn_trust_accept_nothing(desk: Desk, issuer: Issuer) -> None:
    """Withdrawing the trust revokes what was exchanged, a disabled account is named, and two accounts need a name."""
    root, good = desk.acting("root"), issuer.token()
    [trust] = people.show_access(root).service_accounts[0].trust
    people.add_service_account(root, ServiceAccount(name="robot", trust=(trust,)))
    with pytest.raises(OrchestratorError, match="several service accounts accept the token: ci, robot"):
        exchange(desk, good)
    assert exchange(desk, good, "robot").token.owner == "robot"
    people.disable_service_account(root, "robot")
    new = exchange(desk, good)
    tokens.distrust_issuer(root, "ci", issuer.url)
    with pytest.raises(OrchestratorError, match=r"A108|revoked"):
        current_actor(desk.register, {"ORCHESTRATOR_TOKEN": new.text}, "ann", SystemClock())
    with pytest.raises(OrchestratorError, match="the service account robot is disabled"):
        exchange(desk, good)


def test_the_token_of_the_job_comes_from_its_ci_system(issuer: Issuer) -> None:
    """GitLab puts the token into a variable; GitHub Actions gives one for an audience; a process without either is told."""
    reader = OidcTokens()
    assert reader.of_job({"ORCHESTRATOR_ID_TOKEN": " abc\n"}, "orchestrator") == "abc"
    issuer.server.answers["/job"] = (200, json.dumps({"value": "def"}))
    github = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/job?v=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the job"}
    assert reader.of_job(github, "or chestrator") == "def"
    assert (issuer.server.asked[-1], issuer.server.shown[-1]) == (
        "/job?v=2&audience=or+chestrator",
        "Bearer of the job",
    )
    with pytest.raises(OrchestratorError, match="no token of a CI job"):
        reader.of_job({}, "orchestrator")
