"""A backup of a project whose server is changing it, and what its restore brings back."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.app import access, people, tokens
from orchestrator.domain.access.principals import Actor, Binding, Method, User
from orchestrator.wiring import open_app
from tests.passphrase import passphrase
from tests.postgres import programs
from tests.server.test_process import ENVIRONMENT, PROJECT, answer, free_port, serving_in

ROOT = Path(__file__).parents[2]


class Writer:
    """Adds change requests one after the other through a server, and keeps when each was sent and confirmed."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self.sent, self.confirmed, self.failed = 0, 0, list[str]()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while not self.stopping.wait(0.02):
            self.sent += 1
            body = json.dumps({"title": f"change {self.sent}", "value": 3})
            try:
                headers = {"authorization": f"Bearer {self._token}", "content_type": "application/json"}
                status, _, text = answer(self._port, "POST", "/api/v1/change-requests", body, **headers)
                if status != 201:
                    self.failed.append(f"{status} {text}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            self.confirmed += 1

    def reaches(self, count: int) -> None:
        """Wait until so many are confirmed."""
        deadline = time.monotonic() + 120
        while self.confirmed < count:
            assert time.monotonic() < deadline, self.failed
            time.sleep(0.02)


def titles(port: int, token: str) -> list[str]:
    """The change requests of the server, in order of their numbers."""
    found, more = list[tuple[int, str]](), ""
    while True:
        status, _, text = answer(
            port, "GET", f"/api/v1/change-requests?limit=200&state=draft{more}", authorization=f"Bearer {token}"
        )
        assert status == 200, text
        page = json.loads(text)
        found += [(each["request"]["number"], each["request"]["title"]) for each in page["requests"]]
        if not page["cursor"]:
            return [title for _, title in sorted(found)]
        more = f"&cursor={urllib.parse.quote(page['cursor'])}"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_backup_while_serving_is_the_state_at_one_time(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A backup during changes disturbs none of them; its restore has all that were made before it, in order, and a whole audit stream, and is served."""
    folder = tmp_path / "shop"
    (folder / "environments" / "staging").mkdir(parents=True)
    (folder / "orchestrator.yaml").write_text(PROJECT)
    (folder / "environments" / "staging" / "environment.yaml").write_text(ENVIRONMENT)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    environ |= {"PYTHONPATH": str(ROOT), "ORCHESTRATOR_RECOVERY": "manual"}
    if kind == "postgres":
        environ |= {
            "ORCHESTRATOR_STORE": request.getfixturevalue("postgres").fresh(),
            "PATH": f"{programs()}{os.pathsep}{environ['PATH']}",
        }

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words], cwd=folder, env=environ, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    app = open_app(folder, environ)
    people.add_user(app.acting, User(name="ann"))
    token = tokens.create_token(app.acting, "ann", lifetime=timedelta(days=1)).text
    access.grant(app.acting, Binding(role="administrator", to="user:ann"))
    acting = app.acting_as(Actor(name="ann", method=Method.TOKEN))
    for role in ("release-manager", "platform-engineer"):
        access.grant(acting, Binding(role=role, to="user:ann"))
    app.close()
    environ["ORCHESTRATOR_TOKEN"] = token
    port, words = free_port(), passphrase(tmp_path)
    with serving_in(folder, port, environ, "--no-worker"):
        writer = Writer(port, token)
        try:
            writer.reaches(10)
            before = writer.confirmed
            command("backup", str(tmp_path / "a.backup"), *words)
            after = writer.sent
            writer.reaches(after + 5)
        finally:
            writer.stopping.set()
            writer.thread.join()
        assert writer.failed == []
        assert titles(port, token) == [f"change {number}" for number in range(1, writer.sent + 1)]
    command("restore", str(tmp_path / "a.backup"), "--yes", *words)
    with serving_in(folder, port, environ, "--no-worker"):
        restored = titles(port, token)
    assert restored == [f"change {number}" for number in range(1, len(restored) + 1)]
    assert before <= len(restored) <= after < writer.sent
    command("audit", "verify")
