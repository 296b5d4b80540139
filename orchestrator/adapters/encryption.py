"""Encryption of what machines share: AES-256-GCM with a key that is derived from the project key.

    prefix (33 bytes)   identifier of the project key (16)   nonce (12)   ciphertext and tag

The key is derived by HKDF-SHA256, so that no two uses of the project key have the same one. What the data belongs to is
authenticated with it: data of one place cannot be put in another.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from orchestrator.domain.authentication import key_id
from orchestrator.domain.errors import OrchestratorError

PREFIX = b"orchestrator/v1 controller files\0"
ID, NONCE, KEY = 16, 12, 32  # bytes
_HEAD = len(PREFIX) + ID + NONCE


def encrypt(data: bytes, about: str, key: bytes) -> bytes:
    """*data* encrypted with the project key *key*; *about* is what it belongs to."""
    head = PREFIX + key_id(key).encode("ascii") + secrets.token_bytes(NONCE)
    return head + _cipher(key).encrypt(head[-NONCE:], data, head + about.encode())


def encryption_key(blob: bytes) -> str:
    """The identifier of the project key with which *blob* was encrypted. Raises D171."""
    if len(blob) < _HEAD or not blob.startswith(PREFIX):
        raise OrchestratorError("D171", "the shared controller files are not encrypted data of this project")
    return blob[len(PREFIX) : len(PREFIX) + ID].decode("ascii", "replace")


def decrypt(blob: bytes, about: str, key: bytes) -> bytes:
    """The data of *blob*, which belongs to *about*. Raises D171."""
    head = blob[:_HEAD]
    try:
        return _cipher(key).decrypt(head[-NONCE:], blob[_HEAD:], head + about.encode())
    except InvalidTag:
        raise OrchestratorError("D171", f"the shared controller files {about} were changed") from None


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY, salt=None, info=PREFIX).derive(key))
