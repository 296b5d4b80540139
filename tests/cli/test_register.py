"""The commands of users, rights, tokens, the calendar and the audit stream, on a real SQLite register."""

import getpass
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orchestrator.documents.project import MODELS as DOCUMENTS
from orchestrator.documents.register import MODELS
from tests.cli.memory_project import MemoryProject, project
from tests.issuer import SUBJECT, issuing

__all__ = ["project"]  # the fixture
PLACE = "production"
YEAR = ("--from", "2020-01-01T00:00:00Z", "--to", "2090-01-01T00:00:00Z")
PAST = ("--start", "2020-01-01T01:00", "--end", "2020-01-01T03:00", "--zone", "Europe/Berlin")


def test_every_document_has_its_schema(project: MemoryProject) -> None:
    """What the commands print with --json is valid by the published models, with records of each kind."""
    project.say("people", "add", "ann", "--team", "red")
    project.say("group", "add", "ops", "ann")
    project.say("service-account", "add", "ci")
    project.say("people", "add", "bob")
    project.say(
        "away", "--user", "ann", "--deputy", "bob", "--from", "2026-01-01T00:00:00Z", "--until", "2090-01-01T00:00:00Z"
    )
    project.say("token", "create", "--for", "ann")
    project.say("calendar", "add", "window", "night", *PAST, "--rule", "FREQ=DAILY")
    project.say("line", "stop", "--all", "-m", "leak")
    said: dict[str, tuple[str, ...]] = {
        "user": ("people", "show", "ann"),
        "users": ("people", "list"),
        "groups": ("group", "list"),
        "service-accounts": ("service-account", "list"),
        "absences": ("away",),
        "access": ("access", "show"),
        "verdict": ("can-i", "promote", PLACE),
        "actor": ("whoami",),
        "tokens": ("token", "list"),
        "calendar": ("calendar", "list"),
        "line-stops": ("line", "status"),
        "audit-entries": ("audit", "list"),
        "audit-verification": ("audit", "verify"),
    }
    for kind, words in said.items():
        document: Any = project.json(*words)
        MODELS[kind].from_json(document)
        assert project.say(*words), kind


def test_rights_hold_from_the_first_binding_on(project: MemoryProject) -> None:
    """Before a binding the local user can do everything; afterwards each command needs a right, and a refusal names who could."""
    project.say("lock", PLACE, "-m", "before")
    project.say("unlock", PLACE)
    for name in ("ann", "olga"):
        project.say("people", "add", name)
    assert project.json("access", "grant", "viewer", "user:olga", code=3)["errors"][0]["code"] == "A103"
    project.say("access", "grant", "administrator", "user:ann")
    refused = project.json("lock", PLACE, "-m", "after", code=3)["errors"][0]
    assert refused["code"] == "A101"
    assert project.json("people", "add", "eve", code=3)["errors"][0]["message"].endswith("these users may: ann")


def test_a_token_acts_in_place_of_the_local_user(project: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ORCHESTRATOR_TOKEN every command acts as its owner: the lock has that name, and a right is that of the owner."""
    for name in ("ann", "olga"):
        project.say("people", "add", name)
    project.say("access", "grant", "administrator", "user:ann")
    monkeypatch.setenv("USER", "ann")
    new = _as_local(project, monkeypatch, "ann")
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", new)
    project.say("access", "grant", "operator", "user:olga", "--environment", PLACE)
    theirs = project.json("token", "create", "--for", "olga")["token"]
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", theirs)
    assert project.json("lock", PLACE, "-m", "mine")["by"] == "olga"
    assert project.json("can-i", "lock", code=2)["errors"]
    assert project.json("can-i", "environment:lock", PLACE)["allowed"]
    assert project.json("people", "add", "eve", code=3)["errors"][0]["code"] == "A101"
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", "")
    assert project.json("whoami", code=3)["errors"][0]["code"] == "A108"


def _as_local(project: MemoryProject, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """A token of *name*, made by that local user."""
    monkeypatch.setattr("getpass.getuser", lambda: name)
    return str(project.json("token", "create")["token"])


def test_a_closed_environment_refuses_a_promotion_and_no_rollback(project: MemoryProject) -> None:
    """A stopped line and a missing window refuse a promotion before any run exists, and let a rollback pass."""
    project.go(PLACE, "1.0.0")
    project.go(PLACE, "1.1.0")
    before = len(project.store.runs())
    project.packages.put(project.release("1.2.0"))
    project.say("line", "stop", PLACE, "-m", "incident 4711")
    error = project.json("promote", "1.2.0", "--to", PLACE, code=3)["errors"][0]
    assert (error["code"], "incident 4711" in error["message"]) == ("A301", True)
    assert len(project.store.runs()) == before
    assert project.go(PLACE, "1.0.0", "rollback").state == "rolled back"
    project.say("line", "resume", PLACE)
    project.say("calendar", "add", "window", "past", *PAST)
    error = project.json("promote", "1.2.0", "--to", PLACE, code=3)["errors"][0]
    assert (error["code"], "outside of its windows" in error["message"]) == ("A301", True)


def test_windows_of_the_file_count(project: MemoryProject) -> None:
    """`windows:` of `environment.yaml` close the environment as entries of the register do; a wrong zone is an error with its line."""
    file = project.folder / "environments" / PLACE / "environment.yaml"
    text, entry = file.read_text(), "{title: past, start: '2020-01-01T01:00', end: '2020-01-01T03:00', zone: %s}"
    project.packages.put(project.release("1.0.0"))
    file.write_text(f"{text}windows: [{entry % 'Europe/Berlin'}]\n")
    assert project.json("promote", "1.0.0", "--to", PLACE, code=3)["errors"][0]["code"] == "A301"
    assert "past" in project.say("calendar", "list")
    file.write_text(f"{text}windows: [{entry % 'Europe/Berlni'}]\n")
    error = project.json("validate", code=2)["errors"][0]
    assert error["line"] == len(text.splitlines()) + 1


def test_a_calendar_file_is_imported_once_and_written_back(project: MemoryProject, tmp_path: Path) -> None:
    """An export that is imported again changes nothing; a file with an invalid event imports nothing, and the error names its line."""
    project.say("calendar", "add", "hard-freeze", "year end", *PAST, "--rule", "FREQ=YEARLY")
    exported = tmp_path / "calendar.ics"
    project.say("calendar", "export", "-o", str(exported))
    first = project.json("calendar", "import", str(exported))
    assert len(first["added"]) <= 1
    again = project.json("calendar", "import", str(exported))
    assert (again["added"], again["changed"]) == ([], [])
    broken = tmp_path / "broken.ics"
    broken.write_text(exported.read_text().replace("FREQ=YEARLY", "FREQ=SOMETIMES"))
    error = project.json("calendar", "import", str(broken), code=2)["errors"][0]
    assert (error["code"], error["line"] > 1) == ("A303", True)


def test_an_access_file_is_applied(project: MemoryProject, tmp_path: Path) -> None:
    """A dry run changes nothing; applying adds; what the file lacks is named, kept without --prune and disabled with it."""
    project.say("people", "add", "old")
    file = tmp_path / "access.yaml"
    file.write_text(
        "apiVersion: orchestrator/v1\nkind: Access\npeople: [{name: ann}]\n"
        "bindings: [{role: administrator, to: 'user:ann'}]\n"
    )
    before = project.json("people", "list")
    shown = project.json("access", "apply", "-f", str(file), "--dry-run")
    assert (shown["applied"], project.json("people", "list")) == (False, before)
    MODELS["access-difference"].from_json(shown)
    done = project.json("access", "apply", "-f", str(file))
    assert done["removals"] == ["disable people: old"]
    assert project.json("people", "list", code=3)["errors"][0]["code"] == "A101"


def test_an_export_states_its_population_and_its_sample(project: MemoryProject, tmp_path: Path) -> None:
    """An export has the filter, the number and the digest; the head in it verifies the stream later."""
    for number in range(5):
        project.say("people", "add", f"u{number}")
    folder = tmp_path / "export"
    MODELS["audit-export"].from_json(project.json("audit", "export", str(folder), *YEAR, "--format", "json"))
    statement = json.loads((folder / "statement.json").read_text())
    entries = json.loads((folder / "entries.json").read_text())
    assert statement["population"] == len(entries) == 6
    assert entries[-1]["action"] == "audit:export"
    project.say("people", "add", "later")
    assert project.json("audit", "verify", "--against", str(folder / "statement.json"))["finding"] is None
    assert project.json("audit", "export", str(folder), *YEAR, code=2)["errors"]


def test_a_changed_stream_is_named(project: MemoryProject) -> None:
    """`audit verify` ends with 7 and the index of an entry that was edited in the database."""
    for number in range(3):
        project.say("people", "add", f"u{number}")
    with sqlite3.connect(project.folder / ".orchestrator" / "state.db") as db:
        db.execute("""UPDATE audit SET data = replace(data, 'user:u1', 'user:u9') WHERE "index" = 2""")
    assert project.json("audit", "verify", code=7)["finding"] == {"index": 2, "fault": "edited"}
    assert project.say("audit", "verify", code=7) == ""


def test_a_revocation_leaves_the_stream_verifiable(project: MemoryProject) -> None:
    """After `keys rotate --revoke` older entries verify; the revocation is recorded with the old key and with the new one."""
    project.say("people", "add", "u1")
    project.say("keys", "rotate", "--revoke")
    project.say("people", "add", "u2")
    assert project.json("audit", "verify")["finding"] is None
    entries = project.json("audit", "list")["entries"]
    rotated = [entry for entry in entries if entry["action"] == "keys:manage"]
    assert [entry["reason"] for entry in rotated] == ["", "earlier keys are revoked"]
    assert rotated[0]["key"] != rotated[1]["key"]
    (project.folder / ".orchestrator" / "project.key.retired").unlink()
    assert project.json("audit", "verify", code=7)["finding"] == {"index": 1, "fault": "made with an unknown key"}


def test_a_ci_job_acts_without_a_stored_secret(
    project: MemoryProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job exchanges the token of its CI system, acts as its service account, and is refused when the trust is withdrawn."""
    with issuing(tmp_path, monkeypatch) as issuer:
        project.say("people", "add", "ann", "--local", getpass.getuser())
        project.say("service-account", "add", "ci")
        claim = ("--issuer", issuer.url, "--claim", f"sub={SUBJECT}")
        trusted = project.json("service-account", "trust", "ci", *claim)
        assert trusted["trust"] == [{"issuer": issuer.url, "audience": "orchestrator", "claims": {"sub": SUBJECT}}]
        assert SUBJECT in project.say("service-account", "list")
        assert project.json("service-account", "trust", "ci", "--issuer", issuer.url, code=2)["errors"]
        project.say("access", "grant", "administrator", "user:ann")
        project.say("access", "grant", "release-manager", "service-account:ci", "--environment", PLACE)
        monkeypatch.setenv("ORCHESTRATOR_ID_TOKEN", issuer.token())
        new = project.json("token", "exchange")
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", new["token"])
        assert project.json("lock", PLACE, "-m", "deploy", code=3)["errors"][0]["code"] == "A101"
        assert project.json("can-i", "promote", PLACE)["allowed"]
        assert project.json("whoami")["actor"]["method"] == "oidc"
        monkeypatch.delenv("ORCHESTRATOR_TOKEN")
        MODELS["tokens"].from_json(project.json("token", "list"))
        project.say("service-account", "trust", "ci", "--issuer", issuer.url, "--remove", "-m", "moved")
        assert project.json("token", "exchange", code=3)["errors"][0]["code"] == "A111"
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", new["token"])
        assert project.json("whoami", code=3)["errors"][0]["code"] == "A108"


def test_every_document_about_an_environment_says_whether_it_is_open(project: MemoryProject) -> None:
    """`show`, `history`, `lock`, `lock status`, `unlock` and `line status` have why an environment is closed, and when it opens."""
    run = project.go(PLACE, "1.0.0")
    project.say("line", "stop", PLACE, "-m", "leak", "--until", "2090-01-01T00:00:00Z")
    commands = ("show", run.id), ("history",), ("lock", PLACE, "-m", "repair"), ("lock", "status"), ("unlock", PLACE)
    for words in (*commands, ("line", "status")):
        document = project.json(*words)
        state = document["calendar"][PLACE]
        assert (state["open"], state["reasons"][0]["until"]) == (False, "2090-01-01T00:00:00.000Z")
        if kind := {"show": "run", "lock status": "lock", "line status": "line-stops"}.get(
            " ".join(words[:2]).partition(run.id)[0].strip()
        ):
            DOCUMENTS[kind].from_json(document)
    for words in (("show", run.id), ("lock", "status")):
        assert f"{PLACE}: closed: " in project.say(*words)
