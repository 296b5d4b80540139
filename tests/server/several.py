"""A server of two projects in this process, and browsers that use it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.app.access import grant
from orchestrator.app.people import add_user
from orchestrator.app.sign_in_links import create_first_link, create_link
from orchestrator.cli.planned import plan_text
from orchestrator.domain.access.principals import Binding, User
from orchestrator.management.projects.served import ServedProject
from orchestrator.web.server import server_of_several
from orchestrator.wiring import App, open_app
from tests.server.site import HASHES, PASSWORD, Browser
from tests.server.test_uploads import ENVIRONMENT, write

PROJECT = "apiVersion: orchestrator/v1\nkind: Project\nname: {name}\n"


def project_at(folder: Path, name: str, store: str = "") -> App:
    """A project called *name* with one environment."""
    rules = PROJECT.format(name=name) + (f"store: {store}\n" if store else "")
    write(folder, {"orchestrator.yaml": rules, "environments/staging/environment.yaml": ENVIRONMENT})
    return open_app(folder, {})


class PrefixBrowser(Browser):
    """A browser that takes the token of forms from the project *hub*."""

    @property
    def form_token(self) -> str:
        """The token of the forms of this session."""
        return self.get("/p/hub/me").text.split('name="form_token" value="')[1].split('"')[0]


class SeveralSite:
    """The server of the projects *hub*, where users sign in, and *shop*. The administrator of both is `root`."""

    def __init__(self, folder: Path, hub_store: str = "", shop_store: str = "") -> None:
        self.hub, self.shop = (
            project_at(folder / "hub", "hub", hub_store),
            project_at(folder / "shop", "shop", shop_store),
        )
        made = self.hub.authentication
        self.hub.__dict__["authentication"] = replace(made, hashes=HASHES)
        self.served = [ServedProject(app, f"/p/{app.project.name}") for app in (self.hub, self.shop)]
        self.server: Any = server_of_several(self.served, plan_text)[0]
        link = create_first_link(self.hub.acting).text
        done = self.browser().send(f"/link/{link}", name="root", password=PASSWORD)
        assert (done.status_code, done.headers["location"]) == (303, "/"), done.text
        add_user(self.shop.acting, User(name="root"))
        grant(self.shop.acting, Binding(role="administrator", to="user:root"))

    def browser(self) -> PrefixBrowser:
        """A new browser."""
        return PrefixBrowser(self.server)

    def user(self, name: str, **roles: str) -> PrefixBrowser:
        """The browser of a new user who is signed in, with a role in each project that is named."""
        root = self.hub.acting.actor.model_copy(update={"name": "root"})
        add_user(self.hub.acting_as(root), User(name=name))
        for project, role in roles.items():
            acting = getattr(self, project).acting_as(root)
            if project != "hub":
                add_user(acting, User(name=name))
            grant(acting, Binding(role=role, to=f"user:{name}"))
        browser = self.browser()
        link = create_link(self.hub.acting_as(root), name).text
        assert browser.send(f"/link/{link}", password=PASSWORD).status_code == 303
        return browser

    def close(self) -> None:
        """Close both projects."""
        self.hub.close()
        self.shop.close()
