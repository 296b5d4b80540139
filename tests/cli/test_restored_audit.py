"""The audit stream after a restore: what is missing is explained by an entry, and never accepted silently."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from orchestrator.documents.register import MODELS
from tests.passphrase import passphrase


@dataclass
class Restorable:
    """A project in a folder with a backup of the state in which its first user was recorded."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    words: tuple[str, str]

    @property
    def state(self) -> Path:
        return self.folder / ".orchestrator"

    def say(self, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        assert main(words) == code, self.capsys.readouterr().err
        said = self.capsys.readouterr()
        return said.out + said.err

    def json(self, *words: str, code: int = 0) -> Any:
        self.capsys.readouterr()
        assert main([*words, "--json"]) == code, self.capsys.readouterr().err
        return json.loads(self.capsys.readouterr().out)

    def replace(self, database: bytes) -> None:
        """Put *database* in the place of the current one, as a server or a copy command does."""
        for name in ("state.db-wal", "state.db-shm"):
            (self.state / name).unlink(missing_ok=True)
        (self.state / "state.db").write_bytes(database)

    def add(self, *names: str) -> None:
        for name in names:
            self.say("people", "add", name)

    def verified(self, *words: str, code: int = 0) -> Any:
        found = self.json("audit", "verify", *words, code=code)
        MODELS["audit-verification"].from_json(found)
        return found


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Restorable:
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_RECOVERY", "manual")
    monkeypatch.delenv("ORCHESTRATOR_TOKEN", raising=False)
    made = Restorable(tmp_path, capsys, passphrase(tmp_path))
    made.add("u1")
    made.say("backup", "a.backup", *made.words)
    return made


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "the head": lambda data: bytes(range(100)) + data[100:],
    "the page of the schema": lambda data: data[:100] + bytes(range(256)) * 2 + data[612:],
    "the start of each page": lambda data: b"".join(
        data[at : at + 4096] if at == 0 else bytes(range(16)) + data[at + 16 : at + 4096]
        for at in range(0, len(data), 4096)
    ),
    "a cut end": lambda data: data[: len(data) // 2],
    "no content": lambda _data: b"",
}
"""How the file of a store is damaged."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_replaced(shop: Restorable, damage: str) -> None:
    """A backup replaces a store that cannot be read, and the audit stream explains the restore."""
    shop.replace(DAMAGES[damage]((shop.state / "state.db").read_bytes()))
    shop.say("restore", "a.backup", "--yes", *shop.words)
    assert [user["name"] for user in shop.json("people", "list")["users"]] == ["u1"]
    (restore,) = shop.verified()["restores"]
    assert restore["backup"] == "a.backup"


def test_a_restore_explains_what_is_missing(shop: Restorable) -> None:
    """After a restore, `audit verify` names the missing entries, who restored which backup, and both heads; a head kept elsewhere is a finding."""
    first = shop.verified()["entries"]
    shop.add("u2", "u3", "u4")
    shutil.copy(shop.state / "audit-head", shop.folder / "kept")
    before = json.loads((shop.state / "audit-head").read_text())
    shop.say("restore", "a.backup", "--yes", *shop.words)
    found = shop.verified()
    (restore,) = found["restores"]
    assert (found["finding"], found["entries"]) == (None, restore["entry"])
    assert restore["missing"] == {"first": restore["entry"], "last": before["index"] + 1}  # the restore was admitted
    assert (restore["backup"], restore["head_after"]["index"]) == ("a.backup", restore["entry"] - 1)
    assert restore["head_before"]["index"] == before["index"] + 1
    assert restore["entry"] == first + 1
    said = shop.say("audit", "verify")
    assert f"entries {restore['entry']} to {before['index'] + 1} are missing" in said
    shop.add(*(f"v{number}" for number in range(6)))
    assert shop.verified()["restores"] == [restore]
    assert json.loads((shop.state / "audit-head").read_text())["restore"] == restore["id"]
    kept = shop.verified("--against", str(shop.folder / "kept"), code=7)
    assert kept["finding"] == {"index": restore["entry"], "fault": "lost by a restore"}


def test_a_database_that_was_replaced_by_hand_is_not_accepted(shop: Restorable) -> None:
    """Without a recorded restore the newest known head stays beside the database, also when the stream has grown beyond it."""
    copy = (shop.state / "state.db").read_bytes()
    shop.add("u2", "u3")
    newest = shop.verified()["entries"]
    shop.replace(copy)
    assert shop.verified(code=7)["finding"]["fault"] == "truncated"
    shop.add("v1", "v2", "v3", "v4")
    assert shop.verified(code=7)["finding"] == {"index": newest, "fault": "not the entry that was recorded"}


def test_a_break_is_explained_with_a_reason(shop: Restorable) -> None:
    """`audit explain` records the lost place with its reason; verification lists it and passes, and the next break is a finding again."""
    copy = (shop.state / "state.db").read_bytes()
    first = shop.verified()["entries"]
    shop.add("u2")
    shutil.copy(shop.state / "audit-head", shop.folder / "earlier")
    shop.add("u3")
    shutil.copy(shop.state / "audit-head", shop.folder / "kept")
    shop.say("audit", "explain", "-m", "nothing differs", code=3)
    shop.replace(copy)
    shop.say("audit", "explain", code=2)
    said = shop.json("audit", "explain", "-m", "the server failed over")
    MODELS["audit-break"].from_json(said)
    assert (said["first"], said["fault"], said["reason"]) == (first + 1, "truncated", "the server failed over")
    assert [head["index"] for head in said["heads"]] == [first + 2]
    found = shop.verified("--against", str(shop.folder / "kept"))
    assert (found["finding"], [each["entry"] for each in found["breaks"]]) == (None, [said["entry"]])
    assert f"entries {first + 1} to {first + 2} are not the recorded ones" in shop.say("audit", "verify")
    shop.say("audit", "explain", "-m", "again", code=3)
    # another head of the lost entries is explained by its own name only
    earlier = ("--against", str(shop.folder / "earlier"))
    assert shop.verified(*earlier, code=7)["finding"]["index"] == first + 1
    shop.say("audit", "explain", "-m", "the same failover", *earlier)
    assert len(shop.verified(*earlier)["breaks"]) == 2
    # the head beside the database follows the stream again
    shop.add("v1")
    now = shop.verified()
    assert json.loads((shop.state / "audit-head").read_text())["index"] == now["entries"]
    shop.replace(copy)
    assert shop.verified(code=7)["breaks"] == []


def test_an_edited_entry_cannot_be_explained(shop: Restorable) -> None:
    """`audit explain` refuses a stream whose own entries were changed, and records nothing."""
    shop.add("u2")
    with contextlib.closing(sqlite3.connect(shop.state / "state.db")) as db, db:
        db.execute("UPDATE audit SET data = replace(data, 'u2', 'u9')")
    assert "A401" in shop.say("audit", "explain", "-m", "no", code=7)
    assert shop.verified(code=7)["finding"]["fault"] == "edited"


def test_a_restore_without_the_key_is_recorded_later(shop: Restorable) -> None:
    """On a machine without the project key the restore is recorded together with the first entry that can be made."""
    shop.add("u2")
    shop.state.rename(shop.folder / "lost")
    shop.state.mkdir(mode=0o700)
    said = shop.say("restore", "a.backup", "--yes", *shop.words)
    assert "records the restore with its next entry" in said
    shop.say("people", "add", "u5", code=3)
    shutil.copy(shop.folder / "lost" / "project.key", shop.state / "project.key")
    shop.add("u5")
    (restore,) = shop.verified()["restores"]
    assert (restore["missing"], restore["head_before"]) == (None, None)
    assert not (shop.state / "audit-restore.json").exists()


def test_a_restore_is_recorded_once(shop: Restorable) -> None:
    """A process that dies after the entry was committed leaves the note, and the next change does not record it again."""
    shop.add("u2")
    shop.say("restore", "a.backup", "--yes", *shop.words)
    (restore,) = shop.verified()["restores"]
    note = {"id": restore["id"], "project": "shop", "by": {"name": restore["by"], "method": "local"}, "at": restore["at"],
            "backup": "a.backup", "made_at": restore["made_at"], "digest": restore["digest"]}  # fmt: skip
    (shop.state / "audit-restore.json").write_text(json.dumps(note))
    shop.add("u7")
    assert shop.verified()["restores"] == [restore]
    assert not (shop.state / "audit-restore.json").exists()
