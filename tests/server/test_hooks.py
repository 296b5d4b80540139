"""A Git server reports a push, and the release is built by a worker and promoted, with the rights of an account."""

import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.domain.moments import parse_moment
from orchestrator.management.worker_calls import answer_call
from orchestrator.wiring import App
from tests.adapters.archive.test_tree import committed, git
from tests.cli.request_project import RequestProject, office
from tests.flow.test_promotion import release
from tests.server.site import ORIGIN, Site

__all__ = ["office"]  # the fixture
PATH = "/api/v1/hooks/main"


@pytest.fixture
def pushed(office: RequestProject, tmp_path: Path) -> str:
    """A commit with a release that was pushed to the repository of the project's folder, which does not have it yet."""
    source = tmp_path / "source"
    folder = source / "releases" / "shop"
    folder.mkdir(parents=True)
    (source / "README").write_text("shop\n")
    committed(source)
    git(source, "branch", "-M", "main")
    git(office.folder, "init", "-q")
    git(office.folder, "remote", "add", "origin", str(source))
    (source / "tests").mkdir()
    (source / "tests" / "test_it.py").write_text("def test_it(host): pass\n")
    (source / "deploy.yml").write_text("- hosts: all\n")
    (folder / "release.yaml").write_text(yaml.safe_dump(release("1.4.0").to_json()))
    git(source, "add", "-A")
    git(source, "commit", "-qm", "release 1.4.0")
    (office.folder / "releases" / "shop").mkdir(parents=True)
    (office.folder / "releases" / "shop" / "release.yaml").write_text("{}")
    return git(source, "rev-parse", "HEAD")


def github(site: Site, secret: str, data: Any, delivery: str = "1") -> Any:
    """The response to a request of GitHub."""
    body = json.dumps(data).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-github-event": "push", "x-github-delivery": delivery, "x-hub-signature-256": f"sha256={digest}"}
    more = {"content-type": "application/json", "origin": ORIGIN}
    return site.browser().request("POST", PATH, content=body, headers={**headers, **more})


def work(office: RequestProject) -> None:
    """What a worker does until nothing is left: duties, and calls."""
    for _ in range(3):
        done = office.duties()
        assert not any("FAILED" in text for text in done), done
        app = office.app()
        now = parse_moment(app.services.clock.now()) + timedelta(seconds=1)
        while (call := app.worker_calls.take("worker", now)) is not None:
            answer_call(app, call)


def test_a_push_is_built_and_promoted_once(
    office: RequestProject, pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed push is answered at once, built from its commit by a worker, and promoted as the account; redeliveries do nothing."""
    monkeypatch.setattr(App, "packages", SealedPackages(tmp_path / "kept"))
    office.by("root", "service-account", "add", "ci")
    words = (
        "--form",
        "github",
        "--for",
        "ci",
        "--release",
        "shop",
        "--ref",
        "main",
        "--then",
        "promote",
        "--to",
        "staging",
    )
    made = office.by("root", "hook", "add", "main", *words)
    assert office.refused("ann", "hook", "add", "other", *words)[0] == "A101"
    assert office.by("root", "hook", "test", "main", code=1)["findings"][-1]["holds"] is False
    office.by("root", "access", "grant", "release-manager", "service-account:ci")
    assert all(each["holds"] for each in office.by("root", "hook", "test", "main")["findings"])
    site = Site(office, office.app())
    push = {"ref": "refs/heads/main", "after": pushed, "deleted": False}
    wrong = github(site, "x", push)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "N160")
    first = github(site, made["secret"], push)
    assert (first.status_code, first.json()["state"]) == (202, "waiting"), first.text
    work(office)
    again = github(site, made["secret"], push, "2")
    assert (again.status_code, again.json()["delivery"], again.json()["state"]) == (
        200,
        first.json()["delivery"],
        "completed",
    )
    work(office)
    done, refused = office.by("vic", "hook", "deliveries")["deliveries"]
    assert (refused["state"], refused["note"]) == ("refused", "the signature of the body is missing or wrong")
    assert (done["state"], done["package"]["version"], done["run_request"]) == (
        "completed",
        "1.4.0",
        f"{done['root']}-staging",
    )
    requests = office.by("vic", "approvals", "--all")["requests"]
    assert [each["request"]["id"] for each in requests] == [done["run_request"]]
    assert requests[0]["request"]["requested_by"]["name"] == "ci"
    assert office.app().packages.refs()[0].version == "1.4.0"
    assert not (office.folder / "dist").exists()
    assert made["secret"] not in office.tells("root", "hook", "show", "main")
    assert "1.4.0" in office.tells("root", "hook", "show", "main")
    assert office.by("root", "hook", "remove", "main", "-m", "moved")["hook"]["name"] == "main"
    assert github(site, made["secret"], {**push, "after": "b" * 40}).json()["code"] == "N160"


def test_a_body_that_is_too_large_or_not_json_is_refused(office: RequestProject) -> None:
    """A hook reads at most 1 MiB, and JSON objects only."""
    browser = Site(office, office.app()).browser()
    for content, status in ((b"{" + b" " * 1024 * 1024, 413), (b"a=1", 422), (b"[]", 422), (b"{}", 403)):
        headers = {"content-type": "application/json", "origin": ORIGIN}
        assert browser.request("POST", PATH, content=content, headers=headers).status_code == status
