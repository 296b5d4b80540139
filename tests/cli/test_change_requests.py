"""`orchestrator request` on a real register: from a draft to a decision, and the import from Git and from a file."""

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.documents.management import MODELS
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
FIELDS = ("--why", "asked for", "--package", "shop", "--environment", "production")


def git(folder: Path, *words: str) -> str:
    names = {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "Ann"}
    env = {**os.environ, **names, "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_backlog_is_ranked_and_decided(project: MemoryProject) -> None:
    """Requests are added, ranked with their arithmetic, assessed, accepted, deferred and rejected by commands alone."""
    assert "there are no such change requests" in project.say("request", "list")
    assert "there are no open change requests" in project.say("request", "rank")
    project.packages.put(project.release("1.0.0"))
    project.say("request", "add", "Sell gift cards", *FIELDS, "--value", "4", "--link", "https://tickets.example/1")
    project.say("request", "add", "Round up", *FIELDS, "--urgency", "5", "--submit")
    shown = project.say("request", "edit", "R-1", "--value", "5", "--due", "2090-01-01")
    assert "5 × (1 + 3/5) / (1 + 3/5) = 5.00" in shown
    assert project.say("request", "accept", "R-1", code=3) == ""
    assert "✔ packages: shop" in project.say("request", "submit", "R-1")
    assert project.json("request", "accept", "R-1", "-m", "worth it")["request"]["state"] == "accepted"
    assert "set to 9.00" in project.say("request", "rank", "R-2", "--set", "9", "-m", "a promise")
    listed = project.json("request", "list", "--limit", "1")
    assert [item["id"] for item in listed["requests"]] == ["R-2"]
    assert "R-1" in project.say("request", "list", "--cursor", listed["cursor"])
    assert "R-2 3.75 → " not in project.say("request", "rank", "R-2", "--clear")
    assert "moved since" in project.say("request", "rank", "--refresh")
    project.say("request", "defer", "R-2", "-m", "budget", "--until", "2090-01-01T00:00:00Z")
    project.say("request", "reopen", "R-2")
    project.say("request", "reject", "R-2", "-m", "no")
    assert project.json("request", "reject", "R-2", "-m", "no", code=3)["errors"][0]["code"] == "G101"
    assert project.json("request", "edit", "R-1", "--value", "1", code=3)["errors"][0]["code"] == "G102"
    assert "there is no change request R-9" in project.json("request", "show", "R-9", code=6)["errors"][0]["message"]
    assert "R-2" in project.say("request", "list", "--all")
    said = {
        "change-request": ("request", "show", "R-1"),
        "change-requests": ("request", "list", "--state", "rejected"),
        "change-ranking": ("request", "rank"),
    }
    for kind, words in said.items():
        MODELS[kind].from_json(project.json(*words))


def test_commits_since_a_commit_become_drafts_once(project: MemoryProject) -> None:
    """Commits after the chosen one are imported by their types, a dry run changes nothing, and the same again neither."""
    git(project.folder, "init", "-q")
    for message in ("feat: first", "docs: a word", "feat: sell gift cards\n\nRefs: T-1", "fix!: round up", "no type"):
        (project.folder / "notes.txt").write_text(message)
        git(project.folder, "add", "notes.txt")
        git(project.folder, "commit", "-q", "-m", message)
    git(project.folder, "commit", "-q", "--allow-empty", "-m", "feat: not in this folder")
    base = git(project.folder, "rev-list", "--max-parents=0", "HEAD")
    error = project.json("request", "import", "--git", code=2)["errors"][0]
    assert error["code"] == "G104"
    words = ("request", "import", "--git", "--from", base, "--package", "shop", "--to", "production")
    found = project.json(*words, "--dry-run")
    assert [each["draft"]["title"] for each in found["added"]] == ["sell gift cards", "round up"]
    assert [each["why"] for each in found["skipped"]] == [
        "it has no type, as in `feat: …`", "docs changes nothing for users",
    ]  # fmt: skip
    assert project.json("request", "list")["requests"] == []
    MODELS["change-import"].from_json(project.json(*words))
    again = project.json(*words)
    assert (again["added"], len(again["skipped"])) == ([], 4)
    assert project.json("request", "show", "R-1")["request"]["links"] == ["T-1"]


def test_a_file_is_imported_and_its_errors_have_a_place(project: MemoryProject, tmp_path: Path) -> None:
    """A file adds drafts, and changes them when it is imported again; a wrong field is an error with its line."""
    file = tmp_path / "requests.yaml"
    text = "apiVersion: orchestrator/v1\nkind: ChangeRequests\nrequests:\n- {reference: T-1, title: Sell, value: 4}\n"
    file.write_text(text)
    assert "add 'Sell' (value 4, urgency 3) from T-1" in project.say("request", "import", "--file", str(file))
    file.write_text(text.replace("value: 4", "value: 5"))
    assert project.json("request", "import", "--file", str(file))["changed"] == ["R-1"]
    file.write_text(text.replace("value: 4", "value: 7"))
    error = project.json("request", "import", "--file", str(file), code=2)["errors"][0]
    assert (error["line"], "value" in error["message"]) == (4, True)


def test_rights_decide_who_decides(project: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a binding exists, an operator adds requests and does not accept them."""
    for name in ("ann", "olga"):
        project.say("people", "add", name)
    project.say("request", "add", "Sell gift cards", *FIELDS, "--submit")
    project.say("access", "grant", "administrator", "user:ann")
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    project.say("access", "grant", "operator", "user:olga")
    monkeypatch.setattr("getpass.getuser", lambda: "olga")
    project.say("request", "add", "Round up", *FIELDS)
    assert project.json("request", "accept", "R-1", code=3)["errors"][0]["code"] == "A101"


def test_a_package_is_known_by_the_name_in_its_file(project: MemoryProject) -> None:
    """A release in a folder of another name is known by its own name, also before its first package is built."""
    folder = project.folder / "releases" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "release.yaml").write_text("apiVersion: orchestrator/v1\nkind: Release\nname: pay\nversion: '1.0.0'\n")
    app = project.app()
    assert app.change_sources.known_packages() == {"pay"}
    app.register.close()
