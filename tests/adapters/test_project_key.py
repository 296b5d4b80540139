"""The project key: made once, private, rotated without invalidating plans that have not expired."""

import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.store import ManualClock
from orchestrator.adapters.project_key import FileKeys
from orchestrator.domain.audit.chain import AuditEntry, AuditRecord, empty_head, head_of
from orchestrator.domain.authentication import FIELD, key_id
from orchestrator.domain.errors import OrchestratorError

DOCUMENT: dict[str, Any] = {"kind": "Plan", "steps": [{"name": "deploy", "hosts": ["web1"], "limit": 1}], "note": None}
DAY = 86400.0


def refused(keys: FileKeys, document: dict[str, Any]) -> str | None:
    try:
        keys.verify(document)
    except OrchestratorError as error:
        return error.code
    return None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(tmp_path: Path, clock: ManualClock) -> FileKeys:
    return FileKeys(tmp_path / "state" / "project.key", clock)


def test_the_key_is_made_once_and_private(keys: FileKeys, clock: ManualClock) -> None:
    """Whoever needs the key first makes it: 32 bytes for its owner only, and the same for all at once."""
    many = [FileKeys(keys.file, clock) for _ in range(8)]
    found: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda each=each: found.append(each.authenticate(DOCUMENT))) for each in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(document == found[0] for document in found)
    assert keys.file.stat().st_mode & 0o777 == 0o600
    assert len(keys.file.read_bytes()) == 32
    assert [path.name for path in keys.file.parent.iterdir()] == ["project.key"]


def code_of(document: dict[str, object]) -> dict[str, object]:
    """The authentication code of *document*, with the name of its key."""
    code = document[FIELD]
    assert isinstance(code, dict)
    return code


def test_a_document_of_this_project_is_recognized(keys: FileKeys) -> None:
    """A document counts with its code, whatever the order of its fields; its key is named and not contained."""
    document = keys.authenticate(DOCUMENT)
    assert refused(keys, document) is None
    assert refused(keys, dict(reversed(document.items()))) is None
    assert code_of(document)["key"] == key_id(keys.file.read_bytes()) == keys.known()[0].id
    assert keys.file.read_bytes().hex() not in str(document)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "WavePlan"}, "R242"),
        ({"steps": []}, "R242"),
        ({"extra": 1}, "R242"),
        ({"note": float("nan")}, "R242"),
        ({FIELD: None}, "R240"),
        ({FIELD: {}}, "R240"),
        ({FIELD: {"key": "0" * 16, "code": "0" * 64}}, "R241"),
        ({FIELD: {"key": 1, "code": "0"}}, "R240"),
        ({FIELD: {"key": "0" * 16, "code": "0", "more": "1"}}, "R240"),
    ],
)
def test_a_changed_document_is_refused(keys: FileKeys, change: dict[str, Any], code: str) -> None:
    """Another field, another value or another code is refused, each with its own reason."""
    assert refused(keys, {**keys.authenticate(DOCUMENT), **change}) == code


def test_another_project_is_not_this_one(keys: FileKeys, tmp_path: Path, clock: ManualClock) -> None:
    """A document of another project is refused, also when it is given the identifier of this project's key."""
    other = FileKeys(tmp_path / "other.key", clock).authenticate(DOCUMENT)
    assert refused(keys, other) == "R241"
    assert refused(keys, {**other, FIELD: {**code_of(other), "key": keys.known()[0].id}}) == "R242"


def test_a_rotated_key_counts_until_its_plans_expire(keys: FileKeys, clock: ManualClock) -> None:
    """After a rotation documents of the old key count for 30 days, and not longer."""
    before = keys.authenticate(DOCUMENT)
    keys.rotate()
    between = keys.authenticate(DOCUMENT)
    assert code_of(before)["key"] != code_of(between)["key"]
    clock.sleep(20 * DAY)
    keys.rotate()
    assert [refused(keys, document) for document in (before, between)] == [None, None]
    assert len(keys.known()) == 3
    clock.sleep(11 * DAY)
    assert [refused(keys, document) for document in (before, between)] == ["R241", None]
    assert len(keys.known()) == 2
    assert {path.stat().st_mode & 0o777 for path in keys.file.parent.iterdir()} == {0o600}


def test_a_revoked_key_counts_no_more(keys: FileKeys) -> None:
    """With a revocation the documents of all earlier keys are refused at once, and their digests are not made any more."""
    before, old = keys.authenticate(DOCUMENT), keys.current()
    keys.rotate()
    between = keys.authenticate(DOCUMENT)
    keys.rotate(revoke=True)
    assert [refused(keys, document) for document in (before, between)] == ["R241", "R241"]
    assert len(keys.known()) == 1
    with pytest.raises(OrchestratorError):
        keys.keyed(f"sha256:{'1' * 64}", old)


def appended(keys: FileKeys, entries: list[AuditEntry], count: int) -> None:
    """Append *count* entries to the stream *entries* with the current key."""
    for _ in range(count):
        head = head_of(entries[-1]) if entries else empty_head("shop")
        record = AuditRecord.from_json({
            "project": "shop", "at": "2026-11-29T12:00:00Z", "actor": "ann", "actor_kind": "user", "method": "token",
            "action": "promote", "object": "run:R-1",
        })  # fmt: skip
        entries.append(keys.chained(head, record))


def test_a_revoked_key_verifies_older_audit_entries_only(keys: FileKeys, tmp_path: Path, clock: ManualClock) -> None:
    """After revocations the whole stream verifies; an entry that a revoked key makes afterwards, or in place of the newest ones, is found."""
    entries: list[AuditEntry] = []
    appended(keys, entries, 2)
    stolen = tmp_path / "stolen"
    stolen.mkdir()
    for _ in range(2):
        (stolen / "project.key").write_bytes(keys.file.read_bytes())
        (stolen / "project.key").chmod(0o600)
        clock.sleep(1)
        keys.rotate(revoke=True)
        appended(keys, entries, 2)
    assert keys.broken(entries, head=head_of(entries[-1])) is None
    thief = FileKeys(stolen / "project.key", clock)
    longer = list(entries)
    appended(thief, longer, 1)
    assert str(keys.broken(longer)) == "entry 7: made with a key after its revocation"
    forged = entries[:3]
    appended(thief, forged, 2)
    assert str(keys.broken(forged)) == "entry 6: truncated"


def test_an_earlier_key_that_is_lost_is_named(keys: FileKeys) -> None:
    """Without the list of earlier keys, verification names the first entry that it cannot verify, and why."""
    entries: list[AuditEntry] = []
    appended(keys, entries, 2)
    keys.rotate(revoke=True)
    appended(keys, entries, 1)
    (keys.file.parent / "project.key.retired").unlink()
    assert str(keys.broken(entries)) == "entry 1: made with an unknown key"


def test_a_key_that_others_can_read_is_revoked(keys: FileKeys) -> None:
    """A key file that another user can read is no reason to lose the verification of older entries; one that is not a key is dropped."""
    entries: list[AuditEntry] = []
    appended(keys, entries, 1)
    keys.file.chmod(0o644)
    keys.rotate(revoke=True)
    appended(keys, entries, 1)
    assert keys.broken(entries) is None
    keys.file.write_bytes(b"short")
    (keys.file.parent / "project.key.retired").write_text("nonsense")
    keys.rotate(revoke=True)
    appended(keys, [], 1)


def test_a_named_key_is_not_made_silently(tmp_path: Path, clock: ManualClock) -> None:
    """Where the operator names the file, a missing one is an error: a new key would split the machines of a project."""
    shared = FileKeys(tmp_path / "shared.key", clock, shared=True)
    assert refused(shared, {FIELD: {"key": "0" * 16, "code": "0"}}) == "S150"
    assert not shared.file.exists()
    shared.rotate()
    document = shared.authenticate(DOCUMENT)
    assert refused(FileKeys(tmp_path / "shared.key", clock, shared=True), document) is None


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_size_is_refused(keys: FileKeys, size: int) -> None:
    """A file that is not 32 bytes long is not a key."""
    keys.authenticate(DOCUMENT)
    keys.file.write_bytes(b"x" * size)
    assert refused(keys, {FIELD: {"key": "0" * 16, "code": "0"}}) == "S150"


@pytest.mark.parametrize("name", ["project.key", "project.key.retired"])
def test_a_key_that_others_can_read_is_refused(keys: FileKeys, name: str) -> None:
    """A key that another user of the machine can read or write authenticates nothing."""
    document = keys.authenticate(DOCUMENT)
    keys.rotate()
    (keys.file.parent / name).chmod(0o640)
    assert refused(keys, document) == "S151"


def test_a_retired_key_decrypts_as_long_as_it_is_not_revoked(keys: FileKeys, clock: ManualClock) -> None:
    """What was encrypted before a rotation is decrypted long after it, by the same key file, and never for another place."""
    blob = keys.encrypt(b"the password", "shop/staging/1")
    assert b"the password" not in blob
    for _ in range(2):
        keys.rotate()
        clock.sleep(100 * DAY)
    assert keys.decrypt(blob, "shop/staging/1") == b"the password"
    assert len(keys.known()) == 1  # for plans, they have expired
    for wrong, about in ((blob, "shop/production/1"), (blob[:-1], "shop/staging/1"), (b"plain", "shop/staging/1")):
        with pytest.raises(OrchestratorError) as refusal:
            keys.decrypt(wrong, about)
        assert refusal.value.code == "D171"
    keys.rotate(revoke=True)
    with pytest.raises(OrchestratorError, match="does not have") as refusal:
        keys.decrypt(blob, "shop/staging/1")
    assert refusal.value.code == "D170"


def test_a_keyed_digest_needs_its_key(keys: FileKeys, clock: ManualClock) -> None:
    """The same value has one keyed digest for each key; after a rotation the old one can be made until its plans expire."""
    digest = f"sha256:{'1' * 64}"
    old, made = keys.current(), keys.keyed(digest)
    assert made.startswith("hmac-sha256:")
    assert made != keys.keyed(f"sha256:{'2' * 64}")
    keys.rotate()
    assert keys.keyed(digest) != made
    assert keys.keyed(digest, old) == made
    clock.sleep(30 * DAY)
    with pytest.raises(OrchestratorError) as caught:
        keys.keyed(digest, old)
    assert caught.value.code == "R241"
