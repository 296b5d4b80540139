"""OpenID Connect providers, as a client: their endpoints, and the exchange of a code for an ID token.

Tokens are verified by the code that verifies those of CI jobs. The discovery document and the keys are read each time.
"""

import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import quote

import jwt
from cryptography.hazmat.primitives import hashes

from orchestrator.adapters.oidc import OidcTokens, accepted_algorithm, discovery, fetched, object_of, unusable
from orchestrator.domain.access.job_tokens import LONGEST_TEXT, job_refusal
from orchestrator.domain.access.provider_sign_in import ClientCredentials, ProviderEndpoints

IN_FORM = "client_secret_post"
FAULTY = range(400, 500)
"""The statuses with which a token endpoint refuses a code. Others mean that it cannot be used."""


class RealIdentityProviders:
    """The `IdentityProviders` that are reached over HTTPS."""

    def endpoints(self, issuer: str) -> ProviderEndpoints:
        """What the provider publishes."""
        about = discovery(issuer)
        authentication = about.get("token_endpoint_auth_methods_supported")
        names = {"authorization": "authorization_endpoint", "token": "token_endpoint"}
        found = {field: _address(issuer, about, name) for field, name in names.items()}
        end = about.get("end_session_endpoint")
        return ProviderEndpoints(
            **found,
            end_session=end if isinstance(end, str) and end.startswith("https://") else None,
            names_itself=about.get("authorization_response_iss_parameter_supported") is True,
            authentication=tuple(map(str, authentication)) if isinstance(authentication, list) else (),
        )

    def redeem(self, client: ClientCredentials, code: str, redirect: str, verifier: str) -> Mapping[str, object]:
        """The claims of the ID token."""
        about = self.endpoints(client.issuer)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        authorization, more = _authentication(client, about)
        answer = fetched(about.token, authorization, {**form, **more})
        found = object_of(about.token, answer)
        if answer.status in FAULTY:
            raise job_refusal(f"the provider does not accept the code: {str(found.get('error'))[:LONGEST_TEXT]}")
        if answer.status != 200:
            raise unusable(about.token, f"it responds with the status {answer.status}")
        text = found.get("id_token")
        if not isinstance(text, str):
            raise job_refusal("the provider does not give an ID token")
        claims = self.verified(text, client.issuer)
        _check_access_token(claims, accepted_algorithm(text), found.get("access_token"))
        return claims

    def verified(self, text: str, issuer: str) -> Mapping[str, object]:
        """The claims of a token that the provider has signed."""
        return OidcTokens().verified(text, issuer)


def _address(issuer: str, about: Mapping[str, object], name: str) -> str:
    found = about.get(name)
    if not isinstance(found, str) or not found.startswith("https://"):
        raise unusable(issuer, f"it has no {name} that starts with https://")
    return found


def _authentication(client: ClientCredentials, about: ProviderEndpoints) -> tuple[str, dict[str, str]]:
    """How the client shows its secret: the header, and what the form has besides."""
    if client.secret is None:
        return "", {"client_id": client.id}
    if IN_FORM in about.authentication and "client_secret_basic" not in about.authentication:
        return "", {"client_id": client.id, "client_secret": client.secret}
    both = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"  # RFC 6749, section 2.3.1
    return f"Basic {b64encode(both.encode()).decode()}", {}


def _check_access_token(claims: Mapping[str, object], algorithm: str, access_token: object) -> None:
    """Return if the ID token is for *access_token*, where it has a hash of one (`at_hash`). Raises A111."""
    given = claims.get("at_hash")
    if given is None:
        return
    whole = hashes.Hash(_hash_of(algorithm))
    whole.update(str(access_token).encode())
    digest = whole.finalize()
    expected = urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), expected.encode()):
        raise job_refusal("the ID token is for another access token (at_hash)")


def _hash_of(algorithm: str) -> hashes.HashAlgorithm:
    """The hash of the signature *algorithm*; that of Ed25519 is SHA-512."""
    found = getattr(jwt.get_algorithm_by_name(algorithm), "hash_alg", hashes.SHA512)
    made: hashes.HashAlgorithm = found()
    return made
