"""An OIDC issuer on this machine: real keys, published over HTTPS, and the tokens that a CI system signs with them."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.web import Server, certified, serving

SUBJECT = "repo:shop/shop:ref:refs/heads/main"
ALGORITHMS: dict[str, Any] = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}


@dataclass
class Issuer:
    """What a CI system does: it has keys, publishes their public parts, and signs tokens of its jobs."""

    server: Server
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.server.url

    def make_key(self, name: str, algorithm: str = "ES256", bits: int = 2048) -> None:
        """Make the key *name*, and publish it beside the others."""
        private = (
            ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, bits)
        )
        self.keys[name] = (algorithm, private)
        self.publish()

    def publish(self, **about: Any) -> None:
        """Publish the keys as they are now."""
        found = []
        for name, (algorithm, private) in self.keys.items():
            public = json.loads(ALGORITHMS[algorithm].to_jwk(private.public_key()))
            found.append({**public, "kid": name, "alg": algorithm, "use": "sig"})
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **about}
        self.server.answers["/.well-known/openid-configuration"] = (200, json.dumps(document))
        self.server.answers["/keys"] = (200, json.dumps({"keys": found}))

    def token(self, key: str = "first", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of a job, valid for 5 minutes, signed with *key*. A claim that is None is left out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": "orchestrator", "sub": SUBJECT, "iat": now, "exp": now + 300, "jti": "job 7"}
        algorithm, private = self.keys[key]
        wanted = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(wanted, private, algorithm=algorithm, headers={"kid": key, **(header or {})})


@contextlib.contextmanager
def issuing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """An issuer with one key, whose certificate this process accepts, for as long as the block lasts."""
    with serving(certified(folder)) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        issuer = Issuer(server)
        issuer.make_key("first")
        yield issuer
