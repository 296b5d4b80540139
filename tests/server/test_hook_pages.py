"""Hooks by pages and the API: they are added, changed and removed, and what they have received is listed."""

from typing import Any

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import HOOK, lay_people
from tests.server.site import Site

__all__ = ["office"]  # the fixture

API = "/api/v1/hooks"


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with the hook *main* of the service account *ci*."""
    office.go("staging", "1.0.0")
    lay_people(office)
    return Site(office, office.app())


def test_a_hook_is_added_changed_and_removed_by_forms(site: Site) -> None:
    """Its secret is shown once with its address; its page has the checks; a viewer reads and has no form."""
    root, vic = site.signed_in("root"), site.signed_in("vic")
    made = root.form("/hooks", name="night", **HOOK)
    assert (made.status_code, "whsec_" in made.text) == (200, True), made.text
    assert "http://127.0.0.1:8750/api/v1/hooks/night" in made.text
    page = root.get("/hooks/night").text
    assert ("whsec_" in page, 'aria-label="fails"' in page) == (False, True)
    done = root.form("/hooks/night/edit", **{**HOOK, "ref": "v*", "on_tag": "yes", "on_push": ""}, reason="tags only")
    assert done.headers["location"] == "/hooks/night"
    assert "tag of v*" in vic.get("/hooks/night").text
    assert '<form method="post"' not in vic.get("/hooks/night").text.split("<main")[1]
    refused = root.form("/hooks/night/edit", **{**HOOK, "release": "bank"})
    assert "A110" in refused.text
    assert root.form("/hooks/night/remove", reason="x").headers["location"] == "/hooks"
    assert "night" not in root.get("/hooks").text


def test_the_api_manages_hooks(site: Site) -> None:
    """A hook is added once for each key, changed in the version that was read, checked, and its deliveries are listed."""
    root = site.signed_in("root")
    order: dict[str, Any] = {
        "name": "night",
        "form": "generic",
        "account": "ci",
        "release": "shop",
        "events": ["release"],
    }
    order |= {"then": "promote", "environment": "staging"}
    first = root.post(API, order, **{"idempotency-key": "k"})
    assert (first.status_code, first.content == root.post(API, order, **{"idempotency-key": "k"}).content) == (
        201,
        True,
    )
    assert first.json()["secret"].startswith("whsec_")
    tag = root.get(f"{API}/night").headers["etag"]
    changed = root.post(f"{API}/night/edit", {"ref": "v*"}, **{"if-match": tag})
    assert (changed.status_code, changed.json()["hook"]["ref"], changed.json()["hook"]["then"]) == (
        200,
        "v*",
        "promote",
    )
    stale = root.post(f"{API}/night/edit", {"ref": "*"}, **{"if-match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "N145")
    assert [each["hook"]["name"] for each in root.get(f"{API}?sort=-name").json()["hooks"]] == ["night", "main"]
    assert [each["hook"]["name"] for each in root.get(f"{API}?limit=1&cursor=main").json()["hooks"]] == ["night"]
    assert root.get(f"{API}/night/check").json()["kind"] == "HookTest"
    body = {"content-type": "application/json"}
    assert site.browser().request("POST", f"{API}/night", content=b"{}", headers=body).json()["code"] == "N160"
    listed = root.get("/api/v1/hook-deliveries?hook=night&state=refused").json()["deliveries"]
    assert [(each["hook"], each["state"]) for each in listed] == [("night", "refused")]
    assert "refused" in root.get("/hooks?hook=night").text
    assert root.get("/api/v1/hook-deliveries?state=completed").json()["deliveries"] == []
    assert root.post(f"{API}/night/remove", {}).json()["hook"]["name"] == "night"
    assert root.get(f"{API}/night").status_code == 404
    described = root.get("/api/openapi.json").json()["paths"]["/api/v1/hooks/{hook}"]
    assert (described["post"]["security"], "security" in described["get"]) == ([], False)
