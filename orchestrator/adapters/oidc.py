"""Tokens of CI jobs, verified with the public keys that their issuer publishes (OpenID Connect Discovery).

The keys are read for each exchange: a key that the issuer has replaced or withdrawn does not count from then on.
"""

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import jwt

from orchestrator.adapters.gates.web import fetch_url
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
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise job_refusal(f"the token is signed with {str(algorithm)[:LONGEST_TEXT]}, which is not accepted")
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
        found = _document(f"{url}{'&' if '?' in url else '?'}{query}", f"Bearer {environ.get(GITHUB_TOKEN, '')}")
        return str(found.get("value", ""))


_OPTIONS: Any = {
    "require": ["iss", "aud", "exp", "iat"],
    "enforce_minimum_key_length": True,
    "verify_aud": False,  # each service account has an audience of its own
    "verify_exp": False,  # by our clock, which may be uncertain
    "verify_iat": False,
    "verify_nbf": False,
}


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


def _published(issuer: str) -> list[Any]:
    """The keys that *issuer* currently publishes. Raises A112."""
    about = _document(f"{issuer.rstrip('/')}{DISCOVERY}")
    if about.get("issuer") != issuer:
        raise _unusable(issuer, f"its discovery document is of {str(about.get('issuer'))[:LONGEST_TEXT]}")
    keys = _document(str(about.get("jwks_uri", ""))).get("keys")
    if not isinstance(keys, list):
        raise _unusable(issuer, "it publishes no keys")
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


def _document(url: str, authorization: str = "") -> dict[str, object]:
    """The JSON object at *url*. Raises A112."""
    if not url.startswith("https://"):
        raise _unusable(url, "it does not start with https://")
    answer = fetch_url(url, PATIENCE, authorization, redirects=False)
    where = url.partition("?")[0]
    if answer.trouble or answer.status != 200:
        raise _unusable(where, answer.trouble or f"it responds with the status {answer.status}")
    try:
        found = json.loads(answer.text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _unusable(where, "it does not respond with a JSON object")
    return found


def _unusable(where: str, why: str) -> OrchestratorError:
    return OrchestratorError("A112", f"{where[:LONGEST_TEXT]} cannot be used: {why}")
