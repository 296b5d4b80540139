"""A server on a project in memory, and a browser without JavaScript that uses it in this process."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
from argon2 import PasswordHasher

from orchestrator.adapters.passwords import Argon2Passwords
from orchestrator.app.access import grant
from orchestrator.app.people import add_user
from orchestrator.app.sign_in_links import create_first_link, create_link
from orchestrator.cli.planned import plan_text
from orchestrator.domain.access.principals import Actor, Binding, Method, User
from orchestrator.web.server import server_of
from tests.app.memory_application import MemoryApplication
from tests.cli.memory_project import MemoryProject

HASHES = Argon2Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
PASSWORD = "correct horse battery"
ORIGIN = "http://127.0.0.1:8750"
HTML = {"accept": "text/html"}


class Site:
    """The server of *project*, with the administrator `root`."""

    def __init__(self, project: MemoryProject, application: Any = None) -> None:
        self.app = application or MemoryApplication(project, {})
        made = self.app.authentication
        self.app.__dict__["authentication"] = replace(made, hashes=HASHES)
        self.server = server_of(self.app, plan_text)
        link = create_first_link(self.app.acting).text
        done = self.browser().send(f"/link/{link}", name="root", password=PASSWORD)
        assert done.status_code == 303, done.text
        self.root = self.app.acting_as(Actor(name="root", method=Method.SESSION))

    def browser(self) -> "Browser":
        """A new browser."""
        return Browser(self.server)

    def user(self, name: str, role: str | None = None) -> "Browser":
        """The browser of a new user who is signed in; with *role* it is bound in the whole project."""
        add_user(self.root, User(name=name))
        if role is not None:
            grant(self.root, Binding(role=role, to=f"user:{name}"))
        browser = self.browser()
        browser.send(f"/link/{create_link(self.root, name).text}", password=PASSWORD)
        return browser


class Browser:
    """Keeps cookies, and sends forms as pages of the server do."""

    def __init__(self, server: Any) -> None:
        self.cookies = httpx2.Cookies()
        self._server = server

    def request(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request."""

        async def work() -> httpx2.Response:
            transport = httpx2.ASGITransport(self._server, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN, cookies=self.cookies) as client:
                response = await client.request(method, path, **more)
                self.cookies = client.cookies
                return response

        return asyncio.run(work())

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """A page or a document."""
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def send(self, path: str, **fields: str) -> httpx2.Response:
        """A form."""
        return self.request("POST", path, data=fields, headers={"origin": ORIGIN, **HTML})
