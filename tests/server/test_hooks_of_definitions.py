"""Hooks of a project whose definition is pushed: they build commits in a folder that is a clone, and are refused in another one."""

import getpass
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator.management.hooks.decisions import build_delivery
from orchestrator.management.hooks.queries import show_hook
from orchestrator.management.hooks.signatures import Received
from orchestrator.wiring import App, open_app
from tests.adapters.archive.test_tree import committed, git
from tests.flow.test_promotion import release
from tests.server.test_definitions import home, say, sources
from tests.server.test_uploads import write

__all__ = ["home", "say"]  # fixtures
Say = Callable[..., tuple[int, str, str]]
ADD = ("hook", "add", "main", "--form", "gitlab", "--for", "ci", "--release", "shop", "--ref", "main")


@pytest.fixture
def commit(home: Path, say: Say, tmp_path: Path) -> str:
    """The commit of a repository whose definition is pushed to *home*; the service account *ci* may build."""
    source = sources(tmp_path / "source")
    described = yaml.safe_dump({**release("1.4.0").to_json(), "environments": ["staging"]})
    files = {
        "releases/shop/release.yaml": described,
        "deploy.yml": "- hosts: all\n",
        "tests/test_it.py": "def test_it(host): pass\n",
        ".gitignore": "secrets/\ndist/\n",
    }
    write(source, files)
    committed(source)
    git(source, "branch", "-M", "main")
    assert say("project", "push", str(source))[0] == 0
    for words in (
        ("people", "add", getpass.getuser()),
        ("access", "grant", "administrator", f"user:{getpass.getuser()}"),
        ("service-account", "add", "ci"),
        ("access", "grant", "release-manager", "service-account:ci"),
    ):
        code, _, err = say(*words)
        assert code == 0, err
    return git(source, "rev-parse", "HEAD")


def delivered(app: App, secret: str, commit: str, number: int) -> tuple[str, str, str]:
    """What becomes of a push of *commit*: the state, the package and the note of its delivery."""
    body = json.dumps({"ref": "refs/heads/main", "after": commit, "checkout_sha": commit, "number": number}).encode()
    received = Received({"x-gitlab-token": secret, "x-gitlab-event": "Push Hook"}, body)
    delivery, _ = app.hook_receiver.receive("main", received)
    account = show_hook(app.acting, "main").actor
    done = build_delivery(app.acting_as(account), delivery.id, app.hook_sources)
    return done.state.value, str(done.package or ""), done.note


def test_a_hook_for_commits_needs_a_clone(home: Path, say: Say, commit: str) -> None:
    """Without a clone `hook add` and `hook edit` refuse pushes (G703) and accept releases; in a clone the commit is built, and without it later the delivery has the reason."""
    code, _, err = say(*ADD)
    assert (code, "G703" in err, "is not a Git checkout" in err, "--on release" in err) == (2, True, True, True), err
    generic = ("hook", "add", "named", "--form", "generic", "--for", "ci", "--release", "shop", "--on", "release")
    assert say(*generic)[0] == 0
    assert "G703" in say("hook", "edit", "named", "--on", "push")[2]
    git(home, "init", "-q")
    git(home, "remote", "add", "origin", str(home.parent / "source"))
    code, out, err = say(*ADD, "--json")
    assert code == 0, err
    secret = str(json.loads(out)["secret"])
    app = open_app(home)
    assert delivered(app, secret, commit, 1) == ("completed", "shop 1.4.0", "")
    assert [str(ref) for ref in app.packages.refs()] == ["shop 1.4.0"]
    assert sorted(path.name for path in home.iterdir() if path.name not in {".git", ".orchestrator"}) == [
        "orchestrator.yaml"
    ]
    shutil.rmtree(home / ".git")
    state, package, note = delivered(app, secret, commit, 2)
    assert (state, package) == ("failed", "")
    assert "is not a Git checkout (P125)" in note
    app.close()
