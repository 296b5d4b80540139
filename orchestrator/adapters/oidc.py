"""Tokens, verified with the public keys that their issuer publishes (OpenID Connect Discovery).

They are those of CI jobs, and those of providers with which users sign in. The keys are read for each token: a key
that the issuer has replaced or withdrawn does not count from then on.
"""

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import jwt

from orchestrator.adapters.gates.web import Answer, fetch_url
from orchestrator.domain.access.job_tokens import LONGEST_TEXT, job_refusal
from orchestrator.domain.errors import OrchestratorError

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""What an issuer may sign with: public keys only. A shared secret, or no signature, is never accepted."""
KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
DISCOVERY = "/.well-known/openid-configuration"
PATIENCE = 10.0
"""Seconds for each of the two requests to an issuer."""
JOB_TOKEN = "ORCHESTRATOR_ID_TOKEN"  # noqa: S105 - the name of a variable, not a secret
"""The variable in which a CI system puts the token of the job."""
GITHUB_URL, GITHUB_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
"""The variables with the URL that gives a job of GitHub Actions its token, and with the credential for it."""


class OidcTokens:
    """The `JobTokens` of issuers that are reached over HTTPS."""

    def issuer(self, text: str) -> str:
        """The issuer that the token *text* names, which is not verified. Raises A111."""
        return str(_unverified(text).get("iss", ""))

    def verified(self, text: str, issuer: str) -> Mapping[str, object]:
        """The claims of the token *text* if *issuer* has signed it. Raises A111 and A112."""
        header = _header(text)
        algorithm = accepted_algorithm(text)
        key = _signing_key(_published(issuer), header.get("kid"), algorithm)
        try:
            claims = jwt.decode(text, key, algorithms=[algorithm], issuer=issuer, options=_OPTIONS)
        except jwt.InvalidSignatureError:
            raise job_refusal(f"the signature of the token was not made by {issuer}") from None
        except jwt.InvalidIssuerError:
            raise job_refusal(f"the token is not of the issuer {issuer}") from None
        except jwt.PyJWTError as error:
            raise job_refusal(f"the token is not accepted: {error}") from error
        return dict(claims)

    def of_job(self, environ: Mapping[str, str], audience: str) -> str:
        """The token of the CI job that this process is part of, for *audience*. Raises A111 and A112."""
        if environ.get(JOB_TOKEN):
            return environ[JOB_TOKEN].strip()
        url = environ.get(GITHUB_URL)
        if not url:
            hint = f"GitLab: id_tokens with {JOB_TOKEN}. GitHub Actions: permissions with id-token: write"
            raise job_refusal(f"this process has no token of a CI job: {JOB_TOKEN} and {GITHUB_URL} are not set", hint)
        query = urllib.parse.urlencode({"audience": audience})
        found = fetched_object(f"{url}{'&' if '?' in url else '?'}{query}", f"Bearer {environ.get(GITHUB_TOKEN, '')}")
        return str(found.get("value", ""))


_OPTIONS: Any = {
    "require": ["iss", "aud", "exp", "iat"],
    "enforce_minimum_key_length": True,
    "verify_aud": False,  # each service account has an audience of its own
    "verify_exp": False,  # by our clock, which may be uncertain
    "verify_iat": False,
    "verify_nbf": False,
}


def accepted_algorithm(text: str) -> str:
    """The signature algorithm that the header of the token *text* names. Raises A111 unless it has public keys."""
    algorithm = _header(text).get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise job_refusal(f"the token is signed with {str(algorithm)[:LONGEST_TEXT]}, which is not accepted")
    return algorithm


def _header(text: str) -> dict[str, object]:
    try:
        return jwt.get_unverified_header(text)
    except jwt.PyJWTError:
        raise job_refusal("this is not a token of a CI job: it has not the form of a JSON Web Token") from None


def _unverified(text: str) -> dict[str, object]:
    _header(text)
    try:
        return dict(jwt.decode(text, options={"verify_signature": False}))
    except jwt.PyJWTError:
        raise job_refusal("this is not a token of a CI job: its claims cannot be read") from None


def discovery(issuer: str) -> dict[str, object]:
    """What *issuer* currently publishes about itself. Raises A112."""
    about = fetched_object(f"{issuer.rstrip('/')}{DISCOVERY}")
    if about.get("issuer") != issuer:
        raise unusable(issuer, f"its discovery document is of {str(about.get('issuer'))[:LONGEST_TEXT]}")
    return about


def _published(issuer: str) -> list[Any]:
    """The keys that *issuer* currently publishes. Raises A112."""
    keys = fetched_object(str(discovery(issuer).get("jwks_uri", ""))).get("keys")
    if not isinstance(keys, list):
        raise unusable(issuer, "it publishes no keys")
    return keys


def _signing_key(keys: list[Any], kid: Any, algorithm: str) -> jwt.PyJWK:
    """The key of *keys* that is called *kid*; without a name the only one. Raises A111."""
    usable = [k for k in keys if isinstance(k, dict) and k.get("kty") in KEY_TYPES and k.get("use", "sig") == "sig"]
    found = [key for key in usable if kid is None or key.get("kid") == kid]
    if len(found) != 1:
        name = f"the key {str(kid)[:LONGEST_TEXT]}" if kid is not None else "exactly one key"
        raise job_refusal(f"the issuer does not publish {name}, with which the token would be signed")
    try:
        return jwt.PyJWK(found[0], algorithm=found[0].get("alg") or algorithm)
    except (jwt.PyJWTError, ValueError) as error:
        raise job_refusal(f"the key of the issuer does not fit {algorithm}: {error}") from error


def fetched_object(url: str, authorization: str = "") -> dict[str, object]:
    """The JSON object at *url*. Raises A112."""
    answer = fetched(url, authorization)
    where = url.partition("?")[0]
    if answer.status != 200:
        raise unusable(where, f"it responds with the status {answer.status}")
    return object_of(where, answer)


def fetched(url: str, authorization: str = "", form: Mapping[str, str] | None = None) -> Answer:
    """The answer of *url*, which is reached over HTTPS and does not redirect. Raises A112 without an answer."""
    if not url.startswith("https://"):
        raise unusable(url, "it does not start with https://")
    answer = fetch_url(url, PATIENCE, authorization, redirects=False, form=form)
    if answer.trouble:
        raise unusable(url.partition("?")[0], answer.trouble)
    return answer


def object_of(where: str, answer: Answer) -> dict[str, object]:
    """The JSON object that *answer* is. Raises A112."""
    try:
        found = json.loads(answer.text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise unusable(where, "it does not respond with a JSON object")
    return found


def unusable(where: str, why: str) -> OrchestratorError:
    """The error for an issuer, or an address of one, that cannot be used."""
    return OrchestratorError("A112", f"{where[:LONGEST_TEXT]} cannot be used: {why}")
