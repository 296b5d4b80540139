"""A real browser, the pages of a project in memory that a server in this process serves, and pictures of them."""

import re
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

from orchestrator.app import access
from orchestrator.app.sign_in_links import create_link
from orchestrator.domain.access.principals import Binding
from tests.cli.request_project import RequestProject, office
from tests.server.listening import listening
from tests.server.site import PASSWORD, Site

__all__ = ["office"]  # the fixture

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "browser" / "pictures"
TOOL = runpy.run_path(str(ROOT / "tools" / "browser.py"))
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
"""Without these a browser looks for servers of its vendor."""
WAIT_MS = 20_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make browser` runs what is here, and nothing else does."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """The browser. A machine without one fails here, with the command that installs it."""
    path = TOOL["found_browser"]()
    assert path, "no Chromium was found: make browser-setup"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield opened
        opened.close()


class Served:
    """The pages of the project *office* at *address*, with what a user needs to sign in."""

    def __init__(self, office: RequestProject, site: Site, address: str, chrome: Browser) -> None:
        self.office, self.site, self.address, self._chrome = office, site, address, chrome
        self.problems: list[str] = []
        """What browsers reported: messages of the console that are errors, and dialogs that a page opened."""
        self._contexts: list[BrowserContext] = []

    def page(self, name: str | None = None, **options: Any) -> Page:
        """A page of a new browser window; the user *name* has signed in by a one-time link."""
        context = self._chrome.new_context(**options)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", self._dismiss)
        if name is not None:
            page.goto(f"{self.address}/link/{create_link(self.site.root, name).text}")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Save and sign in").click()
            page.wait_for_url(re.compile("/(projects)?$"))
        return page

    def _dismiss(self, dialog: Dialog) -> None:
        self.problems.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def close(self) -> None:
        """Close every window."""
        for context in self._contexts:
            context.close()


@contextmanager
def serving(server: Any) -> Iterator[str]:
    """The address of *server*, which a thread of this process serves."""
    with listening(server) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def served(office: RequestProject, chrome: Browser) -> Iterator[Served]:
    """A project with two releases in staging, one of them in production, of which every page has something to show."""
    for version in ("1.0.0", "1.1.0"):
        office.go("staging", version)
    with office.acting("root"):
        access.grant(office.app().acting, Binding(role="release-manager", to="user:root"))
    site = Site(office, office.app())
    with serving(site.server) as address:
        made = Served(office, site, address, chrome)
        yield made
        made.close()


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in build/browser/pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
