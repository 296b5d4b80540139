"""The secret values of a stack's configuration, decrypted as Pulumi does it, and held in memory only.

With a passphrase they are decrypted here: the engine cannot do that for a stack that does not exist yet. For other
providers of secrets the engine decrypts them.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from orchestrator.domain.secret import Secret, secrets_of

SALT, SECURE = "encryptionsalt", "secure"
ROUNDS, KEY = 1_000_000, 32
VERSION = "v1"


def configured_secrets(text: str, env: Mapping[str, str], ask: Callable[[], str]) -> list[Secret]:
    """The secrets in the stack's configuration *text*; what cannot be decrypted is left out.

    *env* is the engine's environment. *ask* returns what `pulumi config --show-secrets --json` prints, or nothing.
    """
    content = _content(text)
    found = dict(_encrypted(content.get("config") or {}, ""))
    if not found:
        return []
    salt, passphrase = str(content.get(SALT) or ""), passphrase_of(env)
    if not salt or passphrase is None:
        return list(_shown(ask()))
    key = _key(passphrase, salt)
    if key is None:
        return []
    plain = ((name, _decrypted(value, key)) for name, value in found.items())
    return [secret for name, value in plain if value is not None for secret in _leaves(name, value)]


def passphrase_of(env: Mapping[str, str]) -> str | None:
    """The passphrase that the engine's environment gives."""
    if "PULUMI_CONFIG_PASSPHRASE" in env:
        return env["PULUMI_CONFIG_PASSPHRASE"]
    try:
        return Path(env["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text(encoding="utf-8").strip()
    except (KeyError, OSError, UnicodeDecodeError):
        return None


def _content(text: str) -> dict[str, object]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:  # the engine reports it
        return {}
    return content if isinstance(content, dict) else {}


def _encrypted(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Each encrypted value, with the nearest name above it."""
    if isinstance(value, dict) and set(value) == {SECURE} and isinstance(value[SECURE], str):
        yield name, value[SECURE]
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _encrypted(item, str(key).rpartition(":")[2])
    elif isinstance(value, list):
        for item in value:
            yield from _encrypted(item, name)


def _leaves(name: str, value: str) -> Iterator[Secret]:
    """The secrets of a decrypted value, which may be a JSON document; the whole text is one too."""
    yield Secret(name, value.encode())
    try:
        inner = json.loads(value)
    except ValueError:
        return
    if isinstance(inner, (dict, list)):
        yield from secrets_of(name, inner)


@lru_cache(maxsize=16)
def _key(passphrase: str, salt: str) -> bytes | None:
    """The key of the stack. None if its salt shows that the passphrase is wrong, or has another format."""
    version, _, about = salt.partition(":")
    plain, _, check = about.partition(":")
    if version != VERSION:
        return None
    try:
        key = PBKDF2HMAC(SHA256(), KEY, base64.b64decode(plain), ROUNDS).derive(passphrase.encode())
    except binascii.Error:
        return None
    return key if _decrypted(check, key) is not None else None


def _decrypted(value: str, key: bytes) -> str | None:
    """The plain text of a value `v1:NONCE:CIPHERTEXT`; None if it has another form, or another key."""
    version, _, about = value.partition(":")
    nonce, _, text = about.partition(":")
    if version != VERSION:
        return None
    try:
        return AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(text), None).decode()
    except (InvalidTag, binascii.Error, ValueError):
        return None


def _shown(text: str) -> Iterator[Secret]:
    """The secrets in what the engine prints of the configuration."""
    try:
        items = dict(json.loads(text)) if text else {}
    except ValueError:
        return
    for name, item in items.items():
        if isinstance(item, dict) and item.get("secret") and isinstance(item.get("value"), str):
            yield from _leaves(str(name).rpartition(":")[2], item["value"])
