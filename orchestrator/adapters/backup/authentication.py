"""The authentication code of a backup: an HMAC-SHA256 over its manifest, with a key derived from a passphrase.

The manifest has the digest of every file, so that the code covers the whole backup. The key is derived by Argon2id with
the second recommended parameters of RFC 9106, section 4: 3 iterations, 4 lanes, 64 MiB, a salt of 128 bits, a key of
256 bits. Other parameters are refused: a file from elsewhere must not decide how much memory a restore needs.
"""

import functools
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, canonical_json

ITERATIONS, LANES, MEMORY_KIB = 3, 4, 64 * 1024
SALT_BYTES, KEY_BYTES = 16, 32
SHORTEST, LONGEST = 12, 4096  # bytes of a passphrase
PREFIX = b"orchestrator/v1 backup\0"


class BackupAuthentication(Model):
    """How the key was derived, and the *code*."""

    kdf: Literal["argon2id"] = "argon2id"
    iterations: Literal[3] = 3
    lanes: Literal[4] = 4
    memory_kib: Literal[65536] = 65536
    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    code: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""


def authenticate(document: dict[str, Any], passphrase: bytes) -> BackupAuthentication:
    """The authentication of the manifest *document*, with a new salt."""
    about = BackupAuthentication(salt=secrets.token_bytes(SALT_BYTES).hex())
    return about.model_copy(update={"code": _code(document, about, passphrase)})


def fits(document: dict[str, Any], about: BackupAuthentication, passphrase: bytes) -> bool:
    """Whether the code of *about* was made for *document* with this *passphrase*."""
    return hmac.compare_digest(about.code, _code(document, about, passphrase))


def _code(document: dict[str, Any], about: BackupAuthentication, passphrase: bytes) -> str:
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


def read_passphrase(file: Path) -> bytes:
    """The passphrase in *file*, without the end of its line. Raises S190.

    It is a file that only its owner can read, or a pipe from a password manager.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OrchestratorError("S190", f"cannot read the passphrase file {file}: {error.strerror}") from error
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            text = f"the passphrase file {file} has the mode {mode & 0o777:04o}: other users can read or write it"
            raise OrchestratorError("S190", text, hint=f"chmod 600 {file}")
        data = b""
        while len(data) <= LONGEST + 1 and (piece := os.read(handle, LONGEST)):
            data += piece
    except OSError as error:
        raise OrchestratorError("S190", f"cannot read the passphrase file {file}: {error.strerror}") from error
    finally:
        os.close(handle)
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not SHORTEST <= len(data) <= LONGEST or b"\n" in data:
        raise OrchestratorError("S190", f"the passphrase in {file} is not one line of {SHORTEST} to {LONGEST} bytes")
    return data
