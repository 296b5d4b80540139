"""Pages of users, roles and tokens: each change without JavaScript, by right, and secrets that are shown once."""

import re

import pytest

from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.web.route_table import PEOPLE_PAGES
from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import EVIL, ISSUER, PEOPLE_FORMS, lay_people
from tests.server.site import PASSWORD, Browser, Site
from tests.server.test_changes import RIGHTS

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users, a group, a service account and an absence."""
    lay_people(office)
    return Site(office, office.app())


def bearer(site: Site, text: str) -> int:
    """The status of a request with the token *text*."""
    return site.browser().get("/api/v1/me", authorization=f"Bearer {text}").status_code


def value_of(page: str) -> str:
    """What a page shows once."""
    found = re.search(r'id="value">([^<]*)<', page)
    assert found, page
    return found[1]


def test_an_administrator_adds_edits_disables_and_enables_a_user(office: RequestProject, site: Site) -> None:
    """A user is added, gets a one-time link that is shown once, and is edited, disabled and enabled by forms."""
    root = site.signed_in("root")
    assert root.form("/users", name="dora", team="red", zone="Europe/Berlin").headers["location"] == "/users/dora"
    assert "A105" in root.form("/users", name="dora").text
    link = value_of(root.form("/users/dora/link").text)
    assert "/link/" in link
    assert "/link/" not in root.get("/users/dora").text
    dora = site.browser()
    assert dora.send(link[link.index("/link/") :], password=PASSWORD).status_code == 303
    edited = root.form("/users/dora/edit", display_name="Dora", email="d@shop.example", team="", local="", zone="UTC")
    assert edited.status_code == 303, edited.text
    shown = office.by("root", "people", "show", "dora")
    assert (shown["display_name"], shown["team"], shown["zone"]) == ("Dora", None, "UTC")
    assert root.form("/users/dora/disable", reason="left").status_code == 303
    assert dora.get("/me", accept="text/html").status_code == 303
    assert ("/users/dora" in root.get("/users").text, "/users/dora" in root.get("/users?disabled=true").text) == (
        False,
        True,
    )
    assert root.form("/users/dora/enable", reason="back").status_code == 303
    assert office.by("root", "people", "show", "dora")["disabled_at"] is None
    audit = root.get("/audit?actor=root").text
    assert ("left" in audit, "back" in audit) == (True, True)


def test_an_account_at_a_provider_is_unlinked_by_a_form(office: RequestProject, site: Site) -> None:
    """An administrator removes the account of a user at a provider with a reason; others see the account, and no form."""
    root, vic = site.signed_in("root"), site.signed_in("vic")
    path = "/users/bob/unlink"
    shown = vic.get("/users/bob").text
    assert (ISSUER in shown, path in shown) == (True, False)
    assert "A101" in vic.form(path, issuer=ISSUER).text
    assert path in root.get("/users/bob").text
    assert "A110" in root.form(path, issuer="https://other.example.com").text
    assert "issuer" in root.form(path).text
    assert root.form(path, issuer=ISSUER, reason="lost phone").headers.get("location") == "/users/bob"
    assert office.by("root", "people", "accounts", "bob")["accounts"] == []
    assert ISSUER not in root.get("/users/bob").text
    assert "lost phone" in root.get("/audit").text


def test_groups_service_accounts_and_absences_are_changed_by_forms(office: RequestProject, site: Site) -> None:
    """Members change by the difference from what the page has shown; an account is disabled; users record their own absences."""
    root, vic = site.signed_in("root"), site.signed_in("vic")
    assert root.form("/groups", name="night", members="vic\r\nbob").status_code == 303
    office.by("root", "group", "members", "night", "--add", "olga")
    assert root.form("/groups/night/members", shown="bob, vic", members="bob, ann").status_code == 303
    groups = {each["name"]: each["members"] for each in office.by("root", "group", "list")["groups"]}
    assert groups == {"night": ["ann", "bob", "olga"], "ops": ["bob"]}
    assert root.form("/groups/ops/remove").status_code == 303
    assert root.form("/service-accounts", name="robot", may_approve="yes").status_code == 303
    assert root.form("/service-accounts/robot/disable", reason="unused").status_code == 303
    accounts = office.by("root", "service-account", "list")["service_accounts"]
    robot = next(each for each in accounts if each["name"] == "robot")
    assert (robot["may_approve"], robot["disabled_at"] is None) == (True, False)
    assert vic.form("/absences", deputy="bob", end="2031-01-01T08:00", back="/me").headers["location"] == "/me"
    assert "2031" in vic.get("/me").text
    assert "A101" in vic.form("/absences", user="ann", deputy="bob", end="2031-01-01T08:00").text
    assert "A101" in vic.form("/absences/end", user="cid").text
    assert vic.form("/absences/end", back="https://evil.example").headers["location"] == "/users#absences"
    assert "A110" in vic.form("/absences/end").text


def test_a_role_is_granted_checked_and_revoked(office: RequestProject, site: Site) -> None:
    """A role that is granted for a pattern with an end and a reason is in the answer of the check, and is revoked."""
    root, vic = site.signed_in("root"), site.signed_in("vic")
    question = "/can-i?user=vic&action=promote&environment="
    page = root.get(question + "staging").text
    assert ("not allowed" in page, "vic has no role with promote" in page, "ann" in page) == (True, True, True)
    fields = {"role": "release-manager", "to": "user:vic", "environment": "stag*"}
    granted = root.form("/bindings", **fields, until="2031-01-01T08:00", reason="holiday of ann")
    assert granted.status_code == 303, granted.text
    bindings = sorted(office.by("root", "access", "show")["bindings"], key=lambda each: each["environment"])
    found = [each for each in bindings if each["to"] == "user:vic"]
    assert [(each["environment"], each["until"], each["reason"]) for each in found] == [
        ("*", None, ""), ("stag*", "2031-01-01T08:00:00.000Z", "holiday of ann"),
    ]  # fmt: skip
    assert "user:vic has release-manager in */stag*" in vic.get(question + "staging").text
    assert "it is for stag*, not for production" in vic.get(question + "production").text
    assert "holiday of ann" in root.get("/roles").text
    assert root.form("/bindings/revoke", **fields, back="/users/vic").headers["location"] == "/users/vic"
    assert "not allowed" in root.get(question + "staging").text
    assert "A103" in root.form("/bindings/revoke", role="administrator", to="user:root").text
    for path, word in (
        ("/can-i?action=fly", "N110"), ("/can-i?action=view&environment=moon", "R103"), ("/can-i?user=moon&action=view", "A110"),
    ):  # fmt: skip
        assert word in root.get(path).text, path


def test_a_token_is_created_rotated_and_revoked_and_its_secret_is_shown_once(
    office: RequestProject, site: Site
) -> None:
    """A user has tokens of their own without any right to those of others; no page shows a secret again."""
    root, vic = site.signed_in("root"), site.signed_in("vic")
    made = vic.form("/tokens", days="7", name="reports", actions="view", environment="staging", back="/me").text
    text = value_of(made)
    prefix = text.split("_")[1]
    assert 'href="/me"' in made
    page = vic.get("/me").text
    assert (text in page, prefix in page, "reports" in page, "view in staging" in page) == (False, True, True, True)
    assert bearer(site, text) == 200
    newer = value_of(vic.form(f"/tokens/{prefix}/rotate").text)
    assert newer != text
    assert "rotated, still valid" in vic.get("/tokens").text
    other = office.tokens["ann"].split("_")[1]
    assert other not in vic.get("/tokens").text
    assert other not in vic.get("/users/ann").text
    assert "A101" in vic.form(f"/tokens/{other}/revoke").text
    assert "A101" in vic.form("/tokens", owner="ann", days="1").text
    assert f"/tokens/{other}/revoke" in root.get("/tokens").text
    assert root.form(f"/tokens/{prefix}/revoke", back="/users/vic").headers["location"] == "/users/vic"
    assert bearer(site, text) != 200
    assert f"/tokens/{prefix}/rotate" not in vic.get("/me").text
    for fields, word in (
        ({"days": "0"}, "days:"), ({"days": "x"}, "days:"), ({"days": "1e300"}, "days:"), ({"days": "1", "actions": "fly"}, "actions"),
        ({"days": "1", "environment": "staging"}, "environment:"), ({"days": "1", "actions": "promote"}, "A109"),
    ):  # fmt: skip
        assert word in vic.form("/tokens", **fields).text, fields


def address(route: str, prefix: str = "aaaaaaaa") -> str:
    """The address of *route* with the objects of the scene."""
    names = {"user": "bob", "group": "ops", "account": "ci", "prefix": prefix}
    return route.split()[1].format(**names)


def forms_of(browser: Browser) -> set[str]:
    """The addresses to which the forms of all pages of users post, without those of what is the reader's own."""
    found: set[str] = set()
    for route in PEOPLE_PAGES:
        if route.startswith("GET "):
            page = browser.get(address(route)).text.split("<main")[1].split("</main>")[0]
            found |= set(re.findall(r'<form method="post" action="([^"]*)"', page))
    return found


@pytest.mark.parametrize("role", BUILT_IN)
def test_the_forms_of_the_pages_are_those_of_the_rights(office: RequestProject, site: Site, role: str) -> None:
    """An administrator finds a form for every change; other roles find those of their own tokens and absences, and others refuse them."""
    browser, prefix = site.user(f"r-{role}", role), office.tokens["bob"].split("_")[1]
    offered = forms_of(browser)
    for route, cases in PEOPLE_PAGES.items():
        path = address(route, prefix)
        if not route.startswith("POST ") or all(role in RIGHTS[case] for case in cases):
            continue
        assert path in {"/absences", "/tokens"} or path not in offered, path
        answer = browser.form(path, **PEOPLE_FORMS.get(path, {"reason": "x"}))
        assert (path, answer.status_code, "A101" in answer.text) == (path, 403, True)
    if role == "administrator":
        disabled = {"/users/bob/enable"}
        expected = {address(route, prefix) for route in PEOPLE_PAGES if route.startswith("POST ")}
        assert expected - disabled <= offered


def test_text_with_markup_is_text_on_the_pages_of_users(office: RequestProject, site: Site) -> None:
    """Names, descriptions and reasons with markup are escaped, also in the answer about a wrong one."""
    root = site.signed_in("root")
    root.form("/users/bob/edit", display_name=EVIL, email=EVIL, zone="UTC")
    root.form("/service-accounts", name="robot", description=EVIL)
    root.form("/bindings", role="viewer", to="user:bob", environment="x*", reason=EVIL)
    root.form("/tokens", owner="bob", days="1", name=EVIL)
    for path in ("/users", "/users/bob", "/roles", "/tokens", "/me"):
        page = root.get(path).text
        assert (path, "<img" in page, "<script>alert" in page) == (path, False, False)
    assert "&lt;img" in root.get("/users/bob").text
    wrong = root.form("/users", name=EVIL)
    assert (wrong.status_code, "<img" in wrong.text) == (422, False)
