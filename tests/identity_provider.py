"""A real OpenID Connect provider on this machine (npm's oidc-provider), and a browser without JavaScript that uses it."""

import contextlib
import json
import re
import runpy
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from playwright._impl._driver import compute_driver_executable

from tests.web import certified

ROOT = Path(__file__).parents[1]
SECRET = "shared with the provider"
CLIENT = "orchestrator"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "7001": {"preferred_username": "ann", "name": "Ann Lee", "email": "ann@example.com", "groups": ["ops", "staff"]},
    "7002": {"preferred_username": "bob", "name": "Bob", "groups": ["staff"]},
}


def key(name: str) -> dict[str, Any]:
    """A private key as the provider reads it."""
    made = rsa.generate_private_key(65537, 2048)
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(made)), "kid": name, "use": "sig", "alg": "RS256"}


@dataclass
class IdentityProvider:
    """The provider in *folder*: its process, its keys and its accounts."""

    folder: Path
    port: int
    origin: str
    name: str = "company"
    accounts: dict[str, dict[str, Any]] = field(default_factory=lambda: json.loads(json.dumps(ACCOUNTS)))
    keys: list[dict[str, Any]] = field(default_factory=lambda: [key("first")])
    process: "subprocess.Popen[str] | None" = None

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def settings(self, **more: Any) -> dict[str, Any]:
        """This provider in `orchestrator.yaml`."""
        place = {"variable": "ORCHESTRATOR_SIGN_IN_SECRET"}
        usual = {"name": self.name, "title": "Company", "issuer": self.issuer, "client_id": CLIENT}
        return {**usual, "client_secret": place, **more}

    def start(self) -> None:
        """Start the process, with the keys and accounts as they are now."""
        base = f"{self.origin}/sign-in/{self.name}"
        client = {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "redirect_uris": [f"{base}/callback"],
            "post_logout_redirect_uris": [f"{self.origin}/sign-in"],
            "backchannel_logout_uri": f"{base}/back-channel",
            "backchannel_logout_session_required": True,
        }
        self.change_accounts()
        (self.folder / "keys.json").write_text(json.dumps({"keys": self.keys}))
        settings = {"issuer": self.issuer, "port": self.port, "clients": [client]}
        (self.folder / "settings.json").write_text(json.dumps(settings))
        packages = runpy.run_path(str(ROOT / "tools" / "sign_in_provider.py"))["installed_packages"]()
        node = compute_driver_executable()[0]
        self.process = subprocess.Popen(
            [node, str(ROOT / "tests" / "provider" / "provider.mjs"), str(self.folder)],
            env={"NODE_PATH": str(packages), "NODE_NO_WARNINGS": "1"},
            stdout=(self.folder / "log").open("a"),
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        self.stop()
        pytest.fail(f"the provider did not start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def change_accounts(self, **accounts: dict[str, Any]) -> None:
        """Change accounts by their subjects."""
        for subject, claims in accounts.items():
            self.accounts[subject.lstrip("_")].update(claims)
        (self.folder / "accounts.json").write_text(json.dumps(self.accounts))

    def browser(self) -> "ProviderBrowser":
        """A browser without a session at the provider."""
        return ProviderBrowser(self)


class ProviderBrowser:
    """The part of a browser that visits the provider: it follows redirects there, and sends the forms of its pages."""

    def __init__(self, provider: IdentityProvider) -> None:
        self._provider = provider
        trust = ssl.create_default_context(cafile=str(provider.folder / "ca.pem"))
        self._client = httpx2.Client(verify=trust, timeout=30)

    def signs_in(self, url: str, subject: str = "7001") -> str:
        """Where the provider leads back from *url* after the user *subject* has entered a password and consented."""
        return self._walk(url, subject)

    def cancels(self, url: str) -> str:
        """Where the provider leads back from *url* after the user has cancelled."""
        return self._walk(url, None)

    def signs_out(self, url: str) -> str:
        """Where the provider leads back from *url* after the user has confirmed the sign-out there."""
        page = self._client.get(url)
        action, fields = _form(page.text)
        return self._followed(self._client.post(action, data={**fields, "logout": "yes"}))

    def _walk(self, url: str, subject: str | None) -> str:
        response = self._client.get(url)
        for _ in range(12):
            if response.is_redirect:
                place = urljoin(str(response.url), response.headers["location"])
                if place.startswith(self._provider.origin):
                    return place
                response = self._client.get(place)
            elif subject is None:
                cancel = re.search(r'href="([^"]+/abort)"', response.text)
                assert cancel, response.text
                response = self._client.get(urljoin(str(response.url), unescape(cancel[1])))
            else:
                action, fields = _form(response.text)
                more = {"login": subject, "password": "any"} if fields.get("prompt") == "login" else {}
                response = self._client.post(urljoin(str(response.url), action), data={**fields, **more})
        raise AssertionError(response.text)

    def _followed(self, response: httpx2.Response) -> str:
        while response.is_redirect:
            place = urljoin(str(response.url), response.headers["location"])
            if place.startswith(self._provider.origin):
                return place
            response = self._client.get(place)
        raise AssertionError(response.text)


def _form(text: str) -> tuple[str, dict[str, str]]:
    """Where the form of a page is sent, and its hidden fields."""
    action = re.search(r'<form[^>]* action="([^"]+)"', text)
    assert action, text
    found = re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', text)
    return unescape(action[1]), {name: unescape(value) for name, value in found}


def prepared(folder: Path, origin: str = "", name: str = "company") -> IdentityProvider:
    """A provider that has not started, whose only client is a server at *origin*. Its certificate is `ca.pem`."""
    folder.mkdir(parents=True, exist_ok=True)
    certified(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    return IdentityProvider(folder, port, origin, name)


@contextlib.contextmanager
def providing(folder: Path, origin: str, name: str = "company") -> Iterator[IdentityProvider]:
    """A provider whose only client is a server at *origin*, for as long as the block lasts."""
    made = prepared(folder, origin, name)
    try:
        made.start()
        yield made
    finally:
        made.stop()
