"""The `Keys` port on files that only their owner can read.

    project.key              32 random bytes: the current key
    project.key.retired      JSON: the keys before it, each with the time of its rotation

A retired key verifies documents for `RETIRED_DAYS` after its rotation: later, plans made with it have expired. It
decrypts what machines share until the keys are revoked. A revoked key only verifies the audit entries that were made
before its revocation.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.adapters import encryption, withheld
from orchestrator.domain import authentication
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, AuditRecord, Finding, appended, verify_chain
from orchestrator.domain.authentication import KEY_BYTES, KeyRecord, key_id
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import add_seconds
from orchestrator.file_system import write_whole
from orchestrator.ports import Clock

RETIRED_DAYS = 30
AUDIT_ONLY = "audit"
"""Marks a revoked key in the list of retired keys."""


@dataclass(frozen=True)
class _FormerKey:
    """A key before the current one; a *revoked* one only verifies older audit entries."""

    key: bytes
    revoked: bool = False

    def to_json(self) -> Any:
        return {AUDIT_ONLY: self.key.hex()} if self.revoked else self.key.hex()

    @classmethod
    def from_json(cls, data: Any) -> "_FormerKey":
        revoked = isinstance(data, dict)
        return cls(bytes.fromhex(data[AUDIT_ONLY] if revoked else data), revoked)


class FileKeys:
    """The keys in *file* and beside it.

    Args:
        file: the current key; made at first need unless it is *shared*.
        clock: the time at which keys are retired.
        shared: the operator named the file, so that several machines have the same key. It is not made silently.
    """

    def __init__(self, file: Path, clock: Clock, *, shared: bool = False) -> None:
        self.file, self._clock, self._shared = file, clock, shared
        self._old = file.with_name(f"{file.name}.retired")

    def authenticate(self, document: Mapping[str, object]) -> dict[str, object]:
        """*document* with an authentication code made with the current key. Raises S150 and S151."""
        return authentication.authenticated(document, self._current())

    def verify(self, document: Mapping[str, object]) -> None:
        """Return if this project made *document*. Raises R240 to R242, S150 and S151."""
        named = authentication.named_key(document)
        if named is None:
            raise OrchestratorError("R240", "the document has no authentication code of this project")
        authentication.verify(document, self._named(named))

    def keyed(self, digest: str, key: str | None = None) -> str:
        """*digest* keyed with the key of that identifier (None: the current one). Raises R241, S150 and S151."""
        return authentication.keyed_digest(digest, self._current() if key is None else self._named(key))

    def current(self) -> str:
        """The identifier of the current key. Raises S150 and S151."""
        return key_id(self._current())

    def encrypt(self, data: bytes, about: str) -> bytes:
        """*data* encrypted with a key derived from the current one. Raises S150 and S151."""
        return encryption.encrypt(data, about, self._current())

    def decrypt(self, blob: bytes, about: str) -> bytes:
        """Decrypt data of the current key or of a retired one, of whatever age. Raises D170 and D171."""
        named = encryption.encryption_key(blob)
        former = [each.key for each in self._former().values() if not each.revoked]
        key = {key_id(key): key for key in (self._current(), *former)}.get(named)
        if key is None:
            text = f"the controller files {about} are encrypted with the key {named}, which this machine does not have"
            raise OrchestratorError("D170", text)
        return encryption.decrypt(blob, about, key)

    def chained(self, head: AuditHead, record: AuditRecord) -> AuditEntry:
        """The audit entry that *record* becomes after *head*, with the current key. Raises S150 and S151."""
        return appended(head, record, self._current())

    def broken(
        self, entries: Sequence[AuditEntry], *, head: AuditHead | None = None, start: AuditHead | None = None
    ) -> Finding | None:
        """The first fault of *entries* by the current key and all former ones, of whatever age."""
        former = tuple(self._former().values())
        keys = (self._current(), *(each.key for each in former))
        revoked = [each.key for each in former if each.revoked]
        return verify_chain(entries, keys, head=head, start=start, revoked=revoked)

    def known(self) -> list[KeyRecord]:
        """The current key and the retired ones that still count, newest first. Raises S150 and S151."""
        retired = [KeyRecord(key_id(key), at, _expiry(at)) for at, key in self._retired().items()]
        return [
            KeyRecord(key_id(self._current())),
            *sorted(retired, key=lambda item: item.retired_at or "", reverse=True),
        ]

    def rotate(self, *, revoke: bool = False) -> KeyRecord:
        """Make a new current key; the former one is retired, or with *revoke* it and all retired ones are revoked.

        The retired keys are written first: a process that dies in between leaves both files usable. With *revoke* a
        former key that cannot be read is dropped.
        """
        old: dict[str, _FormerKey] = {}
        if revoke:
            old = self._revoked()
        elif self.file.exists():
            old = {self._clock.now(): _FormerKey(self._current()), **self._former()}
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {at: each.to_json() for at, each in old.items()}
        _replace(self._old, json.dumps(content, indent=1).encode())
        key = secrets.token_bytes(KEY_BYTES)
        _replace(self.file, key)
        withheld.forget(self.file.parent, withheld.PROJECT_KEY)
        return KeyRecord(key_id(key))

    def _revoked(self) -> dict[str, _FormerKey]:
        """The current key and all former ones, as they are kept after a revocation, by the time of their rotation.

        They are read also if other users can: that is a reason to revoke them.
        """
        found: dict[str, _FormerKey] = {}
        with contextlib.suppress(OSError):
            key = self.file.read_bytes()
            found |= {self._clock.now(): _FormerKey(key, revoked=True)} if len(key) == KEY_BYTES else {}
        with contextlib.suppress(OSError, OrchestratorError):
            former = self._listed(self._old.read_bytes())
            found |= {at: _FormerKey(each.key, revoked=True) for at, each in former.items()}
        return found

    def _refuse_another(self) -> None:
        """Raise S193 if a restore waits for the key that was here: a new one would take its place silently."""
        missing = [item.id for item in withheld.awaited(self.file.parent) if item.name == withheld.PROJECT_KEY]
        if missing:
            raise OrchestratorError("S193", f"the restored state lacks {self.file} ({missing[0]})")

    def _named(self, name: str) -> bytes:
        """The key with this identifier: the current one, or a retired one that has not expired. Raises R241."""
        key = {key_id(key): key for key in (self._current(), *self._retired().values())}.get(name)
        if key is None:
            raise OrchestratorError(
                "R241", f"the document was made with the key {name}, which this project does not have"
            )
        return key

    def _current(self) -> bytes:
        if not self.file.exists() and self._shared:
            raise OrchestratorError("S150", f"the project key {self.file} does not exist")
        if not self.file.exists():
            self._refuse_another()
            _make(self.file)
        key = _private(self.file)
        if len(key) != KEY_BYTES:
            raise OrchestratorError("S150", f"{self.file} has {len(key)} bytes, and a project key has {KEY_BYTES}")
        return key

    def _retired(self) -> dict[str, bytes]:
        """The retired keys that have not expired, by the times at which they were retired."""
        now, former = self._clock.now(), self._former()
        return {at: each.key for at, each in former.items() if not each.revoked and now < _expiry(at)}

    def _former(self) -> dict[str, _FormerKey]:
        """All retired and revoked keys, by the times of their rotation."""
        return self._listed(_private(self._old)) if self._old.exists() else {}

    def _listed(self, data: bytes) -> dict[str, _FormerKey]:
        try:
            found = {str(at): _FormerKey.from_json(each) for at, each in json.loads(data).items()}
            return {at: each for at, each in found.items() if _expiry(at)}
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise OrchestratorError("S150", f"{self._old} cannot be read as a list of retired keys") from error


def _expiry(retired_at: str) -> str:
    return add_seconds(retired_at, timedelta(days=RETIRED_DAYS).total_seconds())


def _private(file: Path) -> bytes:
    """The content of *file*, which only its owner can read or write. Raises S150 and S151."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OrchestratorError("S150", f"{file} cannot be read: {error.strerror}") from error
    with os.fdopen(handle, "rb") as source:
        mode = os.fstat(handle).st_mode & 0o777
        if mode & 0o077:
            raise OrchestratorError("S151", f"{file} has the mode {mode:04o}: other users can read or write it")
        return source.read(1 << 20)


def _make(file: Path) -> None:
    """Write a new key to *file*, whole or not at all, unless another process is faster."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = _written(file, secrets.token_bytes(KEY_BYTES))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()


def _replace(file: Path, data: bytes) -> None:
    write_whole(file, data, flush=True)


def _written(file: Path, data: bytes) -> Path:
    """A temporary file beside *file* with *data*, flushed, that only its owner can read."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as target:
        target.write(data)
        target.flush()
        os.fsync(handle)
    return temporary
