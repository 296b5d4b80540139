"""The authentication code of a backup: an HMAC-SHA256 over its manifest, with a key derived from a passphrase.

The manifest has the digest of every file, so that the code covers the whole backup. The key is derived by Argon2id with
the second recommended parameters of RFC 9106, section 4: 3 iterations, 4 lanes, 64 MiB, a salt of 128 bits, a key of
256 bits. Other parameters are refused: a file from elsewhere must not decide how much memory a restore needs.
"""

import functools
import hashlib
import hmac
import secrets
from typing import Annotated, Literal

from pydantic import StringConstraints

from orchestrator.domain.model import Model, canonical_json

ITERATIONS, LANES, MEMORY_KIB = 3, 4, 64 * 1024
SALT_BYTES, KEY_BYTES = 16, 32
PREFIX = b"orchestrator/v1 backup\0"


class BackupAuthentication(Model):
    """How the key was derived, and the *code*."""

    kdf: Literal["argon2id"] = "argon2id"
    iterations: Literal[3] = 3
    lanes: Literal[4] = 4
    memory_kib: Literal[65536] = 65536
    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    code: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""


def authenticate(document: dict[str, object], passphrase: bytes) -> BackupAuthentication:
    """The authentication of the manifest *document*, with a new salt."""
    about = BackupAuthentication(salt=secrets.token_bytes(SALT_BYTES).hex())
    return about.model_copy(update={"code": _code(document, about, passphrase)})


def fits(document: dict[str, object], about: BackupAuthentication, passphrase: bytes) -> bool:
    """Whether the code of *about* was made for *document* with this *passphrase*."""
    return hmac.compare_digest(about.code, _code(document, about, passphrase))


def _code(document: dict[str, object], about: BackupAuthentication, passphrase: bytes) -> str:
    plain = {name: value for name, value in document.items() if name != "authentication"}
    plain["authentication"] = {name: value for name, value in about.to_json().items() if name != "code"}
    return hmac.digest(_derived(about.salt, passphrase), PREFIX + canonical_json(plain), hashlib.sha256).hex()


@functools.lru_cache(maxsize=4)
def _derived(salt: str, passphrase: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(
        salt=bytes.fromhex(salt), length=KEY_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    )
    return kdf.derive(passphrase)
