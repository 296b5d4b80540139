"""Secrets that a restored backup did not contain: until they are given again, nothing is planned.

    withheld.json            in the state folder: the name and the identifier of each such secret

Each has a place in the state folder. It counts as given if its identifier is the one that the backup recorded. Without
this rule a plan would make a new passphrase or key in its place, with which nothing of the restored state can be read.

A controller file may be a short password. Its identifier is therefore made by Argon2id with a salt of the backup. A
search for the content costs as much as one for the passphrase of the backup.
"""

import contextlib
import functools
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from orchestrator.adapters.archive.names import check_name
from orchestrator.adapters.secret_files import FOLDER
from orchestrator.domain.authentication import KEY_FILE, key_id
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, canonical_json
from orchestrator.file_system import write_whole

MARKER = "withheld.json"
PROJECT_KEY, PASSPHRASE = "project.key", "pulumi/passphrase"
SECRETS = {
    PROJECT_KEY: "the project key, which authenticates plans and decrypts controller files",
    PASSPHRASE: "the passphrase of the stacks, which decrypts their secrets",
}
"""What a backup contains only with `--with-secrets`, by its place in the state folder."""

LARGEST = 64 * 1024  # bytes of a key or a passphrase
VERSION = "[0-9]{6}-[0-9a-f]{12}"
SHOWN = 5  # missing secrets that a message names


class Withheld(Model):
    """A secret that is not in a backup: its *name*, and its *id*, from which it cannot be derived.

    *salt* is that of the identifier of a controller file.
    """

    name: Annotated[str, StringConstraints(pattern=rf"^(project\.key|pulumi/passphrase|{FOLDER}/[^/]+/{VERSION}/.+)$")]
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    salt: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")] = Field(
        default="", exclude_if=lambda salt: not salt
    )

    @property
    def what(self) -> str:
        """The kind of the secret, in words."""
        return SECRETS.get(self.name, "a secret controller file")

    @model_validator(mode="after")
    def _is_below_the_state_folder(self) -> Self:
        try:
            check_name(self.name)
        except OrchestratorError as error:
            raise ValueError(error.message) from error
        if (self.name in SECRETS) is not (not self.salt):
            raise ValueError("has a salt if it is a controller file, and none otherwise")
        return self

    def fits(self, data: bytes) -> bool:
        """Whether *data* is this secret."""
        found = _slow_id(self.salt, hashlib.sha256(data).digest()) if self.salt else key_id(data)
        return hmac.compare_digest(found, self.id)


class SecretPlace(Protocol):
    """A secret that has a place in the state folder."""

    @property
    def name(self) -> str:
        """Its path below the state folder."""


@dataclass(frozen=True)
class WithheldSecrets:
    """The secrets that a state folder waits for.

    Args:
        state: the state folder.
        environ: the environment variables, which may name other places of the same secrets.
    """

    state: Path
    environ: Mapping[str, str]

    def missing(self) -> list[Withheld]:
        """Those that were not given yet. Raises S193 if the list cannot be read."""
        return [item for item in awaited(self.state) if not self._given(item)]

    def place(self, item: "SecretPlace") -> Path:
        """The path of *item* in the state folder."""
        return self.state / item.name

    def give_up(self, name: str) -> bool:
        """Do not wait for the controller file *name*, which is lost; whether it was missing."""
        is_missing = any(item.salt and item.name == name for item in self.missing())
        if is_missing:
            forget(self.state, name)
        return is_missing

    def require(self) -> None:
        """Raise S193 while a secret is missing. The list is removed when all were given."""
        if not (self.state / MARKER).exists():
            return
        missing = self.missing()
        if missing:
            text = "; ".join(f"{self.state / item.name} ({item.what}, {item.id})" for item in missing[:SHOWN])
            more = f", and {len(missing) - SHOWN} more: orchestrator doctor lists all" if len(missing) > SHOWN else ""
            raise OrchestratorError("S193", f"the restored state lacks {text}{more}")
        (self.state / MARKER).unlink(missing_ok=True)

    def _given(self, item: Withheld) -> bool:
        if item.salt:
            file = self.state / item.name
            return file.is_file() and not file.is_symlink() and item.fits(file.read_bytes())
        return any(item.fits(data) for data in self._candidates(item.name))

    def _candidates(self, name: str) -> list[bytes]:
        files, values = [self.state / name], []
        if name == PROJECT_KEY and self.environ.get(KEY_FILE):
            files.append(Path(self.environ[KEY_FILE]))
        if name == PASSPHRASE:
            values += [os.fsencode(self.environ.get("PULUMI_CONFIG_PASSPHRASE", ""))]
            named = self.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
            files += [Path(named)] if named else []
        for file in files:
            with contextlib.suppress(OSError):
                values.append(file.read_bytes()[:LARGEST])
        return [plain for value in values for plain in {value, value.strip()} if plain]


def found(state: Path, files: Iterable[tuple[str, Path]] = ()) -> list[Withheld]:
    """The secrets that lie in the *state* folder, and those that it still waits for.

    *files* are its secret controller files, by their names. Raises P203 for a name that no backup can have.
    """
    own = [
        Withheld(name=name, id=key_id((state / name).read_bytes()[:LARGEST]))
        for name in sorted(SECRETS)
        if (state / name).is_file() and not (state / name).is_symlink()
    ]
    salt = secrets.token_hex(16)
    for name, path in files:
        with contextlib.suppress(FileNotFoundError):  # its version was removed meanwhile
            digest = hashlib.sha256(path.read_bytes()).digest()
            own.append(Withheld(name=check_name(name), id=_slow_id(salt, digest), salt=salt))
    names = {item.name for item in own}
    return own + [item for item in awaited(state) if item.name not in names]


def awaited(state: Path) -> list[Withheld]:
    """The secrets that a restore has recorded as withheld. Raises S193."""
    try:
        data = json.loads((state / MARKER).read_text("utf-8"))
        return [Withheld.from_json(item) for item in data["withheld"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise OrchestratorError("S193", f"{state / MARKER} cannot be read") from error


def write_awaited(folder: Path, items: tuple[Withheld, ...]) -> None:
    """Write the list into *folder*; no file if there is nothing to wait for."""
    if items:
        write_whole(folder / MARKER, canonical_json({"withheld": [item.to_json() for item in items]}))


def forget(state: Path, name: str) -> None:
    """Do not wait for the secret *name* any more: a new one takes its place, or it is lost."""
    left = tuple(item for item in awaited(state) if item.name != name)
    (state / MARKER).unlink(missing_ok=True)
    write_awaited(state, left)


@functools.lru_cache(maxsize=1024)
def _slow_id(salt: str, digest: bytes) -> str:
    """The identifier of a controller file with this *digest*; the parameters are those of a backup's passphrase."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(salt=bytes.fromhex(salt), length=8, iterations=3, lanes=4, memory_cost=64 * 1024)
    return kdf.derive(digest).hex()
