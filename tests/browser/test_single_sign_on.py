"""Sign-in with a real provider in a real browser: links and redirects alone, under the security policy of all pages."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import WAIT_MS, picture, serving
from tests.browser.test_pages import faults_in_all_looks
from tests.cli.request_project import RequestProject
from tests.identity_provider import SECRET, IdentityProvider, prepared
from tests.server.site import Site


@pytest.fixture
def company(office: RequestProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityProvider]:
    """A provider, and a server with a button for it at the address `origin`."""
    made = prepared(tmp_path / "provider")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.folder / "ca.pem"))
    rules = {"providers": [made.settings(client_secret={"file": "client-secret"}, first_sign_in="create-or-link")]}
    with (office.folder / "orchestrator.yaml").open("a") as file:
        file.write(f"sign_in: {json.dumps(rules)}\n")
    (office.folder / "client-secret").write_text(SECRET)
    with serving(Site(office, office.app()).server) as address:
        made.origin = address
        made.start()
        yield made
        made.stop()


def window(chrome: Browser, company: IdentityProvider, problems: list[str], *, scripts: bool) -> Page:
    """A new window whose messages about pages of the server are added to *problems*."""
    page = chrome.new_context(ignore_https_errors=True, java_script_enabled=scripts).new_page()
    page.set_default_timeout(WAIT_MS)
    page.on(
        "console",
        lambda said: (
            problems.append(said.text)
            if said.type == "error" and said.location["url"].startswith(company.origin)
            else None
        ),
    )
    return page


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_user_signs_in_and_out_by_links(chrome: Browser, company: IdentityProvider, scripts: bool) -> None:
    """A user goes to the provider, comes back to the page of the start, signs out here and at the provider, with and without scripts."""
    problems: list[str] = []
    page = window(chrome, company, problems, scripts=scripts)
    page.goto(f"{company.origin}/me")
    picture(page, f"sign-in-provider{'' if scripts else '-no-scripts'}")
    page.get_by_role("link", name="Sign in with Company").click()
    page.get_by_placeholder("Enter any login").fill("7001")
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{company.origin}/me")
    assert page.get_by_text("Authenticated by sso (company)").is_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="sign out at Company").click()
    page.get_by_role("button", name="Yes").click()
    page.wait_for_url(f"{company.origin}/sign-in")
    page.goto(f"{company.origin}/me")
    assert page.get_by_role("heading", name="Sign in").is_visible()
    assert problems == []
    page.context.close()


def test_a_cancelled_sign_in_leads_to_a_page_with_a_way_on(chrome: Browser, company: IdentityProvider) -> None:
    """A user who cancels at the provider reads why there is no session, and can sign in again from that page."""
    page = window(chrome, company, [], scripts=False)
    page.goto(f"{company.origin}/sign-in/company")
    page.get_by_role("link", name="Cancel").click()
    assert page.get_by_role("heading", name="sign-in denied by provider (N152)").is_visible()
    picture(page, "sign-in-denied")
    page.get_by_role("link", name="Sign in", exact=True).click()
    assert page.get_by_role("link", name="Sign in with Company").is_visible()
    page.context.close()


def test_the_pages_of_a_provider_are_accessible(chrome: Browser, company: IdentityProvider) -> None:
    """Axe-core finds nothing on the sign-in page with a provider, and on the page of a denied sign-in."""
    context = chrome.new_context(ignore_https_errors=True, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{company.origin}/sign-in")
    assert faults_in_all_looks(page, "sign-in-provider") == []
    page.get_by_role("link", name="Sign in with Company").click()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("heading", name="sign-in denied by provider (N152)").wait_for()
    assert faults_in_all_looks(page, "sign-in-denied") == []
    context.close()
