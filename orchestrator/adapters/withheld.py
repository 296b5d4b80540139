"""Secrets that a restored backup did not contain: until they are given again, nothing is planned.

    withheld.json            in the state folder: the name and the identifier of each such secret

Each has a place in the state folder. It counts as given if its identifier is the one that the backup recorded. Without
this rule a plan would make a new passphrase or key in its place, with which nothing of the restored state can be read.
"""

import contextlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, ValidationError

from orchestrator.domain.authentication import KEY_FILE, key_id
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, canonical_json

MARKER = "withheld.json"
PROJECT_KEY, PASSPHRASE = "project.key", "pulumi/passphrase"
SECRETS = {
    PROJECT_KEY: "the project key, which authenticates plans and decrypts controller files",
    PASSPHRASE: "the passphrase of the stacks, which decrypts their secrets",
}
"""What a backup contains only with `--with-secrets`, by its place in the state folder."""

LARGEST = 64 * 1024  # bytes of a secret


class Withheld(Model):
    """A secret that is not in a backup: its *name*, and its *id*, from which it cannot be derived."""

    name: Annotated[str, StringConstraints(pattern=r"^(project\.key|pulumi/passphrase)$")]
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


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

    def require(self) -> None:
        """Raise S193 while a secret is missing. The list is removed when all were given."""
        if not (self.state / MARKER).exists():
            return
        missing = self.missing()
        if missing:
            text = "; ".join(f"{self.state / item.name} ({SECRETS[item.name]}, {item.id})" for item in missing)
            raise OrchestratorError("S193", f"the restored state lacks {text}")
        (self.state / MARKER).unlink(missing_ok=True)

    def _given(self, item: Withheld) -> bool:
        return any(hmac.compare_digest(key_id(data), item.id) for data in self._candidates(item.name))

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


def found(state: Path) -> list[Withheld]:
    """The secrets that lie in the *state* folder, and those that it still waits for."""
    own = [
        Withheld(name=name, id=key_id((state / name).read_bytes()[:LARGEST]))
        for name in sorted(SECRETS)
        if (state / name).is_file() and not (state / name).is_symlink()
    ]
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
        temporary = folder / f".{MARKER}.{secrets.token_hex(8)}"
        temporary.write_bytes(canonical_json({"withheld": [item.to_json() for item in items]}))
        temporary.chmod(0o600)
        temporary.replace(folder / MARKER)


def forget(state: Path, name: str) -> None:
    """Do not wait for the secret *name* any more: a new one has taken its place."""
    left = tuple(item for item in awaited(state) if item.name != name)
    (state / MARKER).unlink(missing_ok=True)
    write_awaited(state, left)
