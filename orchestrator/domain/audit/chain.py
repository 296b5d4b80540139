"""The chain: each entry has the code of the entry before, and a code of its own made with the project key.

    leaf = SHA-256 of the entry's content          code = HMAC-SHA256(key, code before + leaf)

The leaf does not depend on the key or on other entries. A Merkle log with signed checkpoints can be built over the
leaves later. Who has the key and can replace both the database and the head can rewrite the stream; the head beside
the database and the one in each export show everything else.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from orchestrator.domain.access.principals import Actor, ActorKind, Method
from orchestrator.domain.authentication import key_id
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Digest, Model, canonical_json, digest_of
from orchestrator.domain.moments import Moment

FIRST = "0" * 64
"""The code before the first entry of a stream."""
_CHAIN = b"orchestrator/v1 audit\0"
_SEALS = frozenset({"previous", "leaf", "code"})

Code = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Outcome = Literal["done", "denied", "failed"]


class AuditRecord(Model):
    """What happened, before it has a place in the stream.

    *object* is what was acted on (`run:R-214`), *environment* where. *before* and *after* are the digests of the
    object. *detail* holds no secret values.
    """

    project: str
    at: Moment
    actor: str
    actor_kind: ActorKind
    method: Method
    credential: str | None = None
    action: str
    object: str
    environment: str | None = None
    outcome: Outcome = "done"
    before: Digest | None = None
    after: Digest | None = None
    reason: str = ""
    detail: dict[str, Any] = Field(default_factory=dict)


def record_by(actor: Actor, **fields: Any) -> AuditRecord:
    """A record of what *actor* did, with how they were authenticated; *fields* are the other fields of the record."""
    return AuditRecord(
        actor=actor.name, actor_kind=actor.kind, method=actor.method, credential=actor.credential, **fields
    )


class AuditEntry(AuditRecord):
    """A record at its place. *index* counts from 1 without gaps, and *key* identifies the key that made *code*."""

    index: int = Field(ge=1)
    key: str
    previous: Code
    leaf: Digest
    code: Code

    @property
    def content(self) -> dict[str, Any]:
        """What the leaf is the digest of: every field that has a value, except the leaf and the codes."""
        return _content({name: value for name, value in self.to_json().items() if name not in _SEALS})


def _content(fields: Mapping[str, Any]) -> dict[str, Any]:
    """*fields* without those that are None: a field that a later version adds does not change older leaves."""
    return {name: value for name, value in fields.items() if value is not None}


class AuditHead(Model):
    """The newest place of a stream, as written beside the database and into every export.

    *restore* identifies the newest restore before it, where that is known: see `restores`.
    """

    project: str
    index: int = Field(ge=0)
    code: Code
    restore: str | None = Field(default=None, exclude_if=lambda restore: restore is None)

    def is_at(self, other: "AuditHead") -> bool:
        """Whether both are the same place."""
        return (self.project, self.index, self.code) == (other.project, other.index, other.code)


def empty_head(project: str) -> AuditHead:
    """The head of a stream without entries."""
    return AuditHead(project=project, index=0, code=FIRST)


def head_of(entry: AuditEntry) -> AuditHead:
    """The head of a stream that ends with *entry*."""
    return AuditHead(project=entry.project, index=entry.index, code=entry.code)


def appended(head: AuditHead, record: AuditRecord, key: bytes) -> AuditEntry:
    """The entry that *record* becomes after *head*."""
    if record.project != head.project:
        raise ValueError("a record belongs to the stream of its project")
    content = _content({**record.to_json(), "index": head.index + 1, "key": key_id(key)})
    leaf = digest_of(content)
    seals = {"previous": head.code, "leaf": leaf, "code": _code(key, head.code, leaf)}
    return AuditEntry.from_json({**content, **seals})


def _code(key: bytes, previous: str, leaf: str) -> str:
    return hmac.digest(key, _CHAIN + canonical_json([previous, leaf]), hashlib.sha256).hex()


class Fault(StrEnum):
    """What is wrong at a place of a stream."""

    EDITED = "edited"
    REMOVED = "removed"
    REORDERED = "reordered"
    REPEATED = "repeated"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten without the key"
    REPLACED = "not the entry that was recorded"
    UNKNOWN_KEY = "made with an unknown key"
    REVOKED_KEY = "made with a key after its revocation"
    OTHER_PROJECT = "of another project"
    RESTORED = "lost by a restore"


@dataclass(frozen=True)
class Finding:
    """The first wrong or missing *index* of a stream, and the *fault*."""

    index: int
    fault: Fault

    def __str__(self) -> str:
        return f"entry {self.index}: {self.fault}"


def verify_chain(
    entries: Sequence[AuditEntry],
    keys: Iterable[bytes],
    *,
    head: AuditHead | None = None,
    start: AuditHead | None = None,
    revoked: Iterable[bytes] = (),
) -> Finding | None:
    """The first fault of *entries* in their order; None if there is not any.

    *keys* are the current key and the former ones. *head* is an older or equal place of the same stream that was kept
    elsewhere: without it, missing entries at the end cannot be found. *start* is the place before the first of
    *entries*; by default the start of the stream. The keys that were *revoked* made no entry after one with another
    key, and not the last one: the revocation itself is recorded with the new key.
    """
    former = {key_id(key) for key in revoked}
    newer = next((entry.index for entry in entries if entry.key not in former), None)
    rules = _Rules({key_id(key): key for key in keys}, former, newer, {entry.index for entry in entries}, head)
    before = start or empty_head(entries[0].project if entries else "")
    for entry in entries:
        fault = rules.fault(entry, before)
        if fault is not None:
            return fault
        before = head_of(entry)
    return _cut(before.index, head, is_before_revocation=bool(entries) and newer is None)


@dataclass(frozen=True)
class _Rules:
    """What each entry is checked by.

    *ring* has the keys by their names, *former* the names of revoked ones, and *newer* is the first entry with another
    key. *indexes* are those of all entries, and *head* was kept elsewhere.
    """

    ring: Mapping[str, bytes]
    former: set[str]
    newer: int | None
    indexes: set[int]
    head: AuditHead | None

    def fault(self, entry: AuditEntry, before: AuditHead) -> Finding | None:
        """What is wrong with *entry* after the place *before*."""
        found = _misplaced(entry, before, self.indexes) or _wrong(entry, before, self.ring)
        if found is not None:
            return found
        if self.newer is not None and entry.index > self.newer and entry.key in self.former:
            return Finding(entry.index, Fault.REVOKED_KEY)
        replaced = self.head is not None and self.head.index == entry.index and self.head.code != entry.code
        return Finding(entry.index, Fault.REPLACED) if replaced else None


def _cut(last: int, head: AuditHead | None, *, is_before_revocation: bool) -> Finding | None:
    """The finding about entries that are missing after the *last* one."""
    is_cut = is_before_revocation or (head is not None and head.index > last)
    return Finding(last + 1, Fault.TRUNCATED) if is_cut else None


def check_chain(
    entries: Sequence[AuditEntry],
    keys: Iterable[bytes],
    *,
    head: AuditHead | None = None,
    start: AuditHead | None = None,
) -> None:
    """Return if `verify_chain` finds no fault. Raises A401 with the first one."""
    found = verify_chain(entries, keys, head=head, start=start)
    if found is not None:
        raise OrchestratorError("A401", f"the audit stream was changed: {found}")


def _misplaced(entry: AuditEntry, before: AuditHead, indexes: set[int]) -> Finding | None:
    expected = before.index + 1
    if entry.index == expected:
        return None
    if entry.index < expected:
        return Finding(entry.index, Fault.REPEATED)
    return Finding(expected, Fault.REORDERED if expected in indexes else Fault.REMOVED)


def _wrong(entry: AuditEntry, before: AuditHead, ring: Mapping[str, bytes]) -> Finding | None:
    """The fault of an *entry* that has the index after *before*."""
    if entry.leaf != digest_of(entry.content):
        return Finding(entry.index, Fault.EDITED)
    if entry.project != before.project:
        return Finding(entry.index, Fault.OTHER_PROJECT)
    key = ring.get(entry.key)
    if key is None:
        return Finding(entry.index, Fault.UNKNOWN_KEY)
    if not hmac.compare_digest(entry.code, _code(key, entry.previous, entry.leaf)):
        return Finding(entry.index, Fault.REWRITTEN)
    return None if entry.previous == before.code else Finding(entry.index, Fault.REPLACED)
