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
    """The server of *project* with the administrator `root`; of an *application* whose users exist, if one is given."""

    def __init__(self, project: MemoryProject, application: Any = None) -> None:
        self.app = application or MemoryApplication(project, {})
        made = self.app.authentication
        self.app.__dict__["authentication"] = replace(made, hashes=HASHES)
        self.server = server_of(self.app, plan_text)
        if application is None:
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
        return self.signed_in(name)

    def signed_in(self, name: str) -> "Browser":
        """A browser in which the user *name* has signed in."""
        browser = self.browser()
        done = browser.send(f"/link/{create_link(self.root, name).text}", password=PASSWORD)
        assert done.status_code == 303, done.text
        return browser


class Browser:
    """Keeps cookies, and sends forms as pages of the server do."""

    def __init__(self, server: Any, cookies: httpx2.Cookies | None = None) -> None:
        self.cookies = cookies or httpx2.Cookies()
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

    @property
    def form_token(self) -> str:
        """The token of the forms of this session."""
        return self.get("/me").text.split('name="form_token" value="')[1].split('"')[0]

    def form(self, path: str, **fields: str) -> httpx2.Response:
        """A form of a page, with the token of the session."""
        return self.send(path, form_token=self.form_token, **fields)

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """A change by the API, with the session."""
        own = {"origin": ORIGIN, "x-form-token": self.form_token}
        return self.request("POST", path, json=body, headers={**own, **headers})
