"""Secret values of a stack's configuration and state are learnt, so that they can be masked."""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from orchestrator.adapters.pulumi import state
from orchestrator.adapters.pulumi.config_secrets import ROUNDS, configured_secrets
from orchestrator.adapters.pulumi.events import SECRET

PHRASE, SALT = "a phrase", b"8 bytes!"


def sealed(text: str, phrase: str = PHRASE) -> str:
    """*text* as Pulumi writes it with a passphrase: `v1:NONCE:CIPHERTEXT`."""
    key = PBKDF2HMAC(SHA256(), 32, SALT, ROUNDS).derive(phrase.encode())
    nonce = b"twelve bytes"
    parts = (nonce, AESGCM(key).encrypt(nonce, text.encode(), None))
    return "v1:" + ":".join(base64.b64encode(part).decode() for part in parts)


def config(**more: str) -> str:
    salt = base64.b64encode(SALT).decode()
    lines = [f"encryptionsalt: v1:{salt}:{sealed('pulumi')}", "config:", "  shop:size: '3'"]
    lines += [f"  shop:{name}:\n    secure: {value}" for name, value in more.items()]
    return "\n".join(lines) + "\n"


def learnt(text: str, env: dict[str, str], shown: str = "") -> dict[str, bytes]:
    return {secret.key: secret.value for secret in configured_secrets(text, env, lambda: shown)}


def test_values_of_a_passphrase() -> None:
    """Encrypted configuration is decrypted with the passphrase; a JSON value gives each of its leaves."""
    text = config(token=sealed("of-the-shop"), db=sealed('{"user": "shop", "password": "of-the-db"}'))
    found = learnt(text, {"PULUMI_CONFIG_PASSPHRASE": PHRASE})
    assert found["token"] == b"of-the-shop"
    assert (found["user"], found["password"]) == (b"shop", b"of-the-db")
    assert "size" not in found


def test_a_passphrase_in_a_file(tmp_path: Path) -> None:
    """The passphrase may be in a file; with another one nothing is learnt, and nothing fails."""
    (tmp_path / "phrase").write_text(f"{PHRASE}\n")
    text = config(token=sealed("of-the-shop"))
    assert learnt(text, {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "phrase")}) == {"token": b"of-the-shop"}
    assert learnt(text, {"PULUMI_CONFIG_PASSPHRASE": "another"}) == {}
    assert learnt(config(token="v1:no:text"), {"PULUMI_CONFIG_PASSPHRASE": PHRASE}) == {}


def test_other_providers_are_asked_through_the_engine() -> None:
    """Without a passphrase the engine shows the configuration; only what it calls secret is learnt."""
    text = "secretsprovider: awskms://key\nconfig:\n  shop:token:\n    secure: abc\n"
    shown = json.dumps({"shop:token": {"value": "of-the-shop", "secret": True}, "shop:size": {"value": "3"}})
    assert learnt(text, {}, shown) == {"token": b"of-the-shop"}
    assert learnt(text, {}, "no JSON") == {}


def test_configuration_without_secrets_asks_nobody() -> None:
    """Nothing is decrypted or asked where nothing is encrypted, or the text is no YAML."""

    def fail() -> str:
        raise AssertionError("asked")

    assert configured_secrets(config(), {"PULUMI_CONFIG_PASSPHRASE": PHRASE}, fail) == []
    assert configured_secrets("a: [", {}, fail) == []


def test_secrets_of_the_state() -> None:
    """Each value that the state marks as secret is learnt, at any depth and of any resource, by its property's name."""
    deep = {"inner": [{SECRET: "1b47", "plaintext": json.dumps({"key": "deep-in-a-resource", "port": 5432})}]}
    resources = [
        {"urn": "a", "outputs": {"password": {SECRET: "1b47", "plaintext": '"of-the-output"'}, "size": 3}},
        {"urn": "b", "inputs": deep, "outputs": {"unknown": {SECRET: "1b47"}}},
    ]
    found = {(secret.key, secret.value) for secret in state.marked_secrets({"resources": resources})}
    assert found == {("password", b"of-the-output"), ("key", b"deep-in-a-resource"), ("port", b"5432")}
