"""Two real projects in one server process: a worker for each, and commands, uploads and events of each."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.app import access, people, tokens
from orchestrator.cli import main
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.domain.errors import Exit
from orchestrator.wiring import open_app
from tests.server.several import project_at
from tests.server.test_process import answer, free_port
from tests.server.test_uploads import sealed

__all__ = ["sealed"]  # the fixture


@contextmanager
def served(*folders: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """`orchestrator serve` with *folders*."""
    words = [sys.executable, "-m", "orchestrator", "serve", "--port", str(port), *map(str, folders)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        words, cwd=folders[0].parent, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def ready(port: int, name: str) -> bool:
    """Whether a worker of the project *name* is running."""
    return bool(json.loads(answer(port, "GET", f"/p/{name}/readyz")[2])["worker"])


def check_printed_addresses(hub: list[str], shop: list[str], port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that commands at a project of several print whole addresses, with its prefix."""
    url = f"http://127.0.0.1:{port}"
    assert main([*shop, "calendar", "subscribe"]) == 0
    address = capsys.readouterr().out.strip()
    assert address.startswith(f"{url}/p/shop/calendars/")
    assert answer(port, "GET", address.removeprefix(url))[0] == 200
    assert main([*shop, "people", "reset-password", "root"]) == Exit.USAGE
    assert "error[N129]: the users of this server sign in at the project hub" in capsys.readouterr().err
    assert main([*hub, "people", "reset-password", "root"]) == 0
    assert f"root sets a password at {url}/link/" in capsys.readouterr().out
    hook = ["hook", "add", "main", "--form", "github", "--for", "ci", "--release", "shop", "--then", "build"]
    assert main([*shop, "service-account", "add", "ci"]) == 0
    assert main([*shop, *hook]) == 0
    assert f"the address at the server is {url}/p/shop/api/v1/hooks/main;" in capsys.readouterr().err


def test_two_projects_in_one_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sealed: tuple[Path, str, Path]
) -> None:
    """One server has a worker for each project; a command, a package and an event at the address of one project are in that one alone, and printed addresses lead there."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folders = [tmp_path / name for name in ("hub", "shop")]
    token = ""
    for folder in folders:
        app = project_at(folder, folder.name)
        acting = app.acting_as(Actor(name="root"))
        people.add_user(acting, User(name="root"))
        token = token or tokens.create_token(acting, "root", lifetime=timedelta(hours=1)).text
        for role in sorted(BUILT_IN, key=lambda role: role != "administrator"):
            access.grant(acting, Binding(role=role, to="user:root"))
        app.close()
    port = free_port()
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", token)
    with served(*folders, port=port) as process:
        deadline = time.monotonic() + 120
        while not (ready(port, "hub") and ready(port, "shop")):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        url = f"http://127.0.0.1:{port}"
        assert main(["login", f"{url}/p/shop"]) == 0
        assert f"--profile 127.0.0.1-{port}-shop status" in capsys.readouterr().out
        for words in (["login", url], ["--server", url, "status"]):
            assert main(words) == 6
            assert "error[N171]" in capsys.readouterr().err, words
        headers = {"authorization": f"Bearer {token}", "last-event-id": "0.0"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/p/shop/api/v1/events", headers=headers)
        events = connection.getresponse()
        assert (events.status, events.readline()) == (200, b"retry: 1000\n")
        assert main(["login", f"{url}/p/hub"]) == 0
        hub, shop = (["--profile", f"127.0.0.1-{port}-{name}"] for name in ("hub", "shop"))
        assert main([*shop, "package", "verify", str(sealed[2]), "--keep"]) == 0
        main([*shop, "observe", "staging"])
        data = next(line for line in events if line.startswith(b"data:"))
        assert b'"environment":"staging"' in data
        connection.close()
        capsys.readouterr()
        assert main([*shop, "projects", "--json"]) == 0
        assert [each["path"] for each in json.loads(capsys.readouterr().out)["projects"]] == ["/p/hub", "/p/shop"]
        check_printed_addresses(hub, shop, port, capsys)
        runs = {
            name: json.loads(answer(port, "GET", f"/p/{name}/api/v1/runs", **headers)[2])["runs"]
            for name in ("hub", "shop")
        }
        assert (len(runs["hub"]), len(runs["shop"])) == (0, 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    kept = [len(open_app(folder).packages.refs()) for folder in folders]
    assert kept == [0, 1]


def test_a_server_of_several_prints_one_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start prints the link of the project where users sign in, and says that the other one gives no rights yet; a wrong folder ends it."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    folders = [tmp_path / name for name in ("hub", "shop")]
    for folder in folders:
        project_at(folder, folder.name).close()
    port = free_port()
    with served(*folders, port=port) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(4)]
        link = re.search(r"http://127\.0\.0\.1:\d+(/link/\S+)", said[0])
        assert link is not None, said
        assert said[1].startswith("shop has no roles")
        assert [line.split()[-1] for line in said[2:]] == [
            f"http://127.0.0.1:{port}/p/{name}" for name in ("hub", "shop")
        ]
        form = urllib.parse.urlencode({"name": "root", "password": "correct horse battery"})
        kind = {"content_type": "application/x-www-form-urlencoded", "origin": f"http://127.0.0.1:{port}"}
        status, headers, _ = answer(port, "POST", link[1], form, **kind)
        assert (status, headers["location"]) == (303, "/")
        page = answer(port, "GET", "/projects", cookie=headers["set-cookie"].split(";")[0], accept="text/html")[2]
        assert ("/p/hub/" in page, "/p/shop/" in page) == (True, False)
    wrong = subprocess.run(
        [sys.executable, "-m", "orchestrator", "serve", str(tmp_path / "hub"), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (wrong.returncode, "F130" in wrong.stderr) == (6, True), wrong.stderr
