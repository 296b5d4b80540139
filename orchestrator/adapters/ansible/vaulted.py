"""The values that Ansible Vault encrypts, decrypted in memory so that they can be masked.

Written from the documented format of vault files ("Format of files encrypted with Ansible Vault", version 1.1 and 1.2);
nothing of Ansible is used. A value that cannot be decrypted here is left out: no play could use it either.
"""

import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from orchestrator.domain.secret import Secret, secrets_of
from orchestrator.processes import run_query
from orchestrator.trees import LONGEST, entries

MARK = b"$ANSIBLE_VAULT;"
LARGEST = 4 << 20  # bytes of a file that is searched for encrypted values
ROUNDS, KEYS, BLOCK = 10_000, 80, 16
PROMPTS = frozenset({"prompt", "prompt_ask_vault_pass"})
_ENVELOPE = re.compile(
    rb"(?:([A-Za-z_][\w.-]*)[\"']?[ \t]*:[ \t]*!vault[^\n]*\n[ \t]*)?"
    rb"\$ANSIBLE_VAULT;1\.[12];AES256(?:;([^\s;]+))?[ \t]*\r?\n((?:[ \t]*[0-9a-f]+[ \t]*\r?(?:\n|\Z))+)"
)


@dataclass(frozen=True)
class VaultPassword:
    """Where a vault password is: a *label*, and a file with it or a program that prints it."""

    label: str
    path: Path

    def read(self, env: dict[str, str]) -> bytes | None:
        """The password; None if it would need a prompt."""
        if not self.path.is_file():
            return None
        if not os.access(self.path, os.X_OK):
            return self.path.read_bytes().strip()
        words = ["--vault-id", self.label] if self.label and self.path.stem.endswith("-client") else []
        try:
            done = run_query([str(self.path), *words], env=env, timeout=30)
        except OSError:
            return None
        return done.stdout.strip().encode() if done.returncode == 0 else None


def named_passwords(password_file: str | None, identities: str | None) -> list[VaultPassword]:
    """The passwords that the settings `vault_password_file` and `vault_identity_list` name."""
    found = []
    for part in [*(identities or "").split(","), password_file or ""]:
        label, _, path = part.strip().rpartition("@")
        if path and path not in PROMPTS:
            found.append(VaultPassword(label, Path(path).expanduser()))
    return found


@dataclass
class VaultedValues:
    """Decrypts what files have, each file once in this process."""

    _passwords: dict[VaultPassword, bytes | None] = field(default_factory=dict)
    _files: dict[tuple[str, int, int], tuple[Secret, ...]] = field(default_factory=dict)

    def secrets(self, files: Iterable[Path], passwords: list[VaultPassword], env: dict[str, str]) -> list[Secret]:
        """The encrypted values in *files*, and the passwords themselves."""
        known = [(one, self._password(one, env)) for one in passwords]
        found = [Secret("vault_password", password) for _, password in known if password]
        if known:
            for file in files:
                found += self._of_file(file, [(one.label, password) for one, password in known if password])
        return found

    def _password(self, one: VaultPassword, env: dict[str, str]) -> bytes | None:
        if one not in self._passwords:
            self._passwords[one] = one.read(env)
        return self._passwords[one]

    def _of_file(self, file: Path, passwords: list[tuple[str, bytes]]) -> tuple[Secret, ...]:
        try:
            about = file.stat()
            key = (str(file), about.st_mtime_ns, about.st_size)
            if key not in self._files:
                data = file.read_bytes() if about.st_size <= LARGEST else b""
                self._files[key] = tuple(vaulted_secrets(data, passwords)) if MARK in data else ()
        except OSError:
            return ()
        return self._files[key]


def files_below(places: Iterable[Path]) -> Iterator[Path]:
    """The files among *places*, and those in folders; a file of an inventory with the variables beside it."""
    for place in places:
        if place.is_file():
            yield place
            yield from files_below(place.parent / name for name in ("group_vars", "host_vars"))
        elif place.is_dir():
            found = (place / found.name for found in entries(place.resolve()) if found.length <= LONGEST)
            yield from (path for path in found if path.is_file())


def vaulted_secrets(data: bytes, passwords: list[tuple[str, bytes]]) -> Iterator[Secret]:
    """The encrypted values in *data*: of a whole file, or each behind `!vault`."""
    for found in _ENVELOPE.finditer(data):
        name, label = (found[1] or b"").decode(), (found[2] or b"").decode()
        plain = _opened(found[3], label, passwords)
        if plain is None:
            continue
        if name:
            yield Secret(name, plain)
        else:
            yield from _leaves(plain)


def _leaves(plain: bytes) -> Iterator[Secret]:
    """The secrets in the text of an encrypted file: each value of a YAML document, or the whole."""
    try:
        document = yaml.load(plain, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts, lists and mappings only
    except yaml.YAMLError:
        document = None
    if isinstance(document, (dict, list)):
        yield from secrets_of("vault", document)
    else:
        yield Secret("vault", plain)


def _opened(envelope: bytes, label: str, passwords: list[tuple[str, bytes]]) -> bytes | None:
    """The content of an *envelope*: with the password of its label, otherwise with any other. None if none fits."""
    try:
        salt, code, text = map(binascii.unhexlify, binascii.unhexlify(b"".join(envelope.split())).split(b"\n", 2))
    except (binascii.Error, ValueError):
        return None
    for _, password in sorted(passwords, key=lambda one: one[0] != label):
        keys = hashlib.pbkdf2_hmac("sha256", password, salt, ROUNDS, KEYS)
        if hmac.compare_digest(hmac.digest(keys[32:64], text, "sha256"), code):
            opener = Cipher(AES(keys[:32]), CTR(keys[64:])).decryptor()
            padded = opener.update(text) + opener.finalize()
            return padded[: -padded[-1]] if padded and padded[-1] <= BLOCK else padded
    return None
