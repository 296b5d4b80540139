"""Sign-in with a provider, as users and operators have it: `orchestrator serve`, a real provider, and its logout tokens."""

import http.client
import json
import re
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

from orchestrator.adapters.client_secrets import ClientSecrets
from orchestrator.domain.access.providers import SecretPlace
from orchestrator.domain.errors import OrchestratorError
from orchestrator.secret_values import SecretValues
from tests.identity_provider import SECRET, providing
from tests.server.test_process import answer, free_port, served

VARIABLE = "ORCHESTRATOR_SIGN_IN_SECRET"


def cookies_of(port: int, path: str, cookies: dict[str, str]) -> http.client.HTTPResponse:
    """The response to a page, whose cookies are added to *cookies*."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection.request("GET", path, headers={"cookie": text, "accept": "text/html"})
    found = connection.getresponse()
    found.read()
    for line in found.headers.get_all("set-cookie") or ():
        name, _, value = line.split(";")[0].partition("=")
        cookies[name] = value
    return found


def test_a_provider_ends_the_sessions_of_its_users(tmp_path: Path) -> None:
    """A user signs in at a server that was started with the secret in a variable, and signs out at the provider only: the session here ends."""
    port = free_port()
    with providing(tmp_path / "provider", f"http://127.0.0.1:{port}") as provider:
        rules = f"sign_in: {json.dumps({'providers': [provider.settings()]})}\n"
        variables = {"SSL_CERT_FILE": str(provider.folder / "ca.pem"), VARIABLE: SECRET}
        with served(tmp_path / "shop", "--no-worker", port=port, rules=rules, variables=variables) as (_, process):
            answer(port, "GET", "/healthz")
            cookies: dict[str, str] = {}
            there = provider.browser()
            away = cookies_of(port, "/sign-in/company?next=/me", cookies)
            back = urllib.parse.urlsplit(there.signs_in(away.getheader("location", "")))
            done = cookies_of(port, f"{back.path}?{back.query}", cookies)
            assert (done.status, done.getheader("location")) == (303, "/me")
            assert cookies_of(port, "/api/v1/me", cookies).status == 200
            out = cookies_of(port, "/sign-in/company/sign-out", cookies)
            there.signs_out(out.getheader("location", ""))
            deadline = time.monotonic() + 30
            while cookies_of(port, "/api/v1/me", cookies).status != 401:
                assert time.monotonic() < deadline, (provider.folder / "log").read_text()
                time.sleep(0.1)
            assert "backchannel.success" in (provider.folder / "log").read_text()
            process.terminate()
            assert process.stdout is not None
            assert SECRET not in process.stdout.read()
        kept = [path for path in (tmp_path / "shop").rglob("*") if path.is_file()]
        assert kept
        assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_a_server_without_its_secret_does_not_start(tmp_path: Path) -> None:
    """`serve` names the variable or file of a secret that it cannot read (N150), and the check of the files does not need it."""
    about = {"name": "company", "title": "Company", "issuer": "https://login.example.com", "client_id": "shop"}
    rules = json.dumps({"providers": [{**about, "client_secret": {"variable": VARIABLE}}]})
    with served(tmp_path, "--no-worker", rules=f"sign_in: {rules}\n") as (_, process):
        assert process.stdout is not None
        text = process.stdout.read()
        assert (process.wait(60), re.findall(r"N150|the variable \w+", text)[:2]) == (
            2,
            ["N150", f"the variable {VARIABLE}"],
        )
    words = [sys.executable, "-m", "orchestrator", "validate"]
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False, timeout=60).returncode == 0


def test_a_secret_is_read_each_time_and_masked(tmp_path: Path) -> None:
    """A changed file counts at once, what was read is masked in output, and a missing or empty one is an error without its value."""
    known = SecretValues()
    read, place = ClientSecrets({"FULL": "from a variable", "EMPTY": " "}, tmp_path, known), SecretPlace(file="secret")
    with pytest.raises(OrchestratorError, match="secret cannot be read: No such file"):
        read(place)
    for text in ("the first one", "the second one"):
        (tmp_path / "secret").write_text(f"{text}\n")
        assert read(place) == text
        assert text not in known.redactor.text(f"it is {text}")
    assert read(SecretPlace(variable="FULL")) == "from a variable"
    for variable in ("EMPTY", "OTHER"):
        with pytest.raises(OrchestratorError, match=f"the variable {variable} has no value"):
            read(SecretPlace(variable=variable))
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    with pytest.raises(OrchestratorError, match="is not UTF-8"):
        read(place)
