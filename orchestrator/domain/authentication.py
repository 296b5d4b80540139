"""Authentication codes: how a document shows that this project made it.

The code is an HMAC-SHA256 with a key of the project, over a prefix that no other use of the key has, and the canonical
text of the whole document. It covers the digest, the identifier of the key, and what the digest leaves out.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json

FIELD = "authentication"
"""The field of a document that holds the key's identifier (`key`) and the code (`code`)."""

KEY_FILE = "ORCHESTRATOR_PROJECT_KEY_FILE"
"""The environment variable that names the file of the project key. No job receives it."""

KEY_BYTES = 32


@dataclass(frozen=True)
class KeyRecord:
    """One key of the project, by its identifier. *retired_at* and *expires_at* are None for the current one."""

    id: str
    retired_at: str | None = None
    expires_at: str | None = None


_DOCUMENT = b"orchestrator/v1 document\0"
_IDENTIFIER = b"orchestrator/v1 key identifier\0"
_VALUE = b"orchestrator/v1 value\0"


def key_id(key: bytes) -> str:
    """The identifier of *key*, from which the key cannot be derived."""
    return hmac.digest(key, _IDENTIFIER, hashlib.sha256).hex()[:16]


def authenticated(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """*document* with an authentication code made with *key*, in place of any earlier one."""
    plain = {name: value for name, value in document.items() if name != FIELD}
    about = {"key": key_id(key)}
    return {**plain, FIELD: {**about, "code": _code({**plain, FIELD: about}, key)}}


def keyed_digest(digest: str, key: bytes) -> str:
    """*digest* as a keyed digest: without *key* the value behind it cannot be guessed, however short it is."""
    return f"hmac-sha256:{hmac.digest(key, _VALUE + digest.encode(), hashlib.sha256).hex()}"


def named_key(document: Mapping[str, Any]) -> str | None:
    """The identifier of the key with which the code of *document* was made; None if the document has no code."""
    found = document.get(FIELD)
    whole = (
        isinstance(found, dict) and set(found) == {"key", "code"} and all(isinstance(v, str) for v in found.values())
    )
    return str(found["key"]) if whole and isinstance(found, dict) else None


def verify(document: Mapping[str, Any], key: bytes) -> None:
    """Return if the code of *document* was made with *key*. Raises R242."""
    about = dict(document[FIELD])
    code = str(about.pop("code"))
    plain = {**document, FIELD: about}
    try:
        expected = _code(plain, key)
    except (TypeError, ValueError):  # a value that no document of ours has
        expected = ""
    if not expected or not hmac.compare_digest(code.encode(), expected.encode()):
        raise OrchestratorError("R242", "the authentication code does not fit the document: it was changed")


def _code(document: Mapping[str, Any], key: bytes) -> str:
    return hmac.digest(key, _DOCUMENT + canonical_json(dict(document)), hashlib.sha256).hex()
