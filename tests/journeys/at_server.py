"""The commands of a journey at a server of the same folder: `make journeys SERVER=1`."""

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from orchestrator.app import access, people, tokens
from orchestrator.cli.places import PLACES, Place
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Binding, User
from orchestrator.wiring import open_app
from tests.inside import Said
from tests.server.test_process import free_port

PATIENCE_S = 120.0
FOLDER = re.compile(r"releases/[^/]+")
TOKEN = "ORCHESTRATOR_TOKEN"
DEFINITIONS = ("orchestrator.yaml", "environments/*/environment.yaml", "environments/*/gates.yaml")
"""What a server reads when it starts."""


IN_THE_FOLDER = {
    "test_the_database_stays": "the process of a command dies in the middle of its promotion",
    "test_what_changes_after_the_approval_is_refused_before_any_effect": "it changes files between an approval and the start, and the worker of a server starts at once",
    "test_kill_9_in_every_state_of_a_request_that_is_held": "it kills each worker of the project, and a server starts another one",
    "test_an_aborted_plan_rolls_back_and_is_undone_by_a_plan": "its commands end because there is no worker, and a server has one",
    "test_each_release_has_its_own_and_a_worker_reaps_it": "it looks at what has expired, and the worker of a server may have destroyed it before",
    "test_the_tutorial_can_be_typed": "the page is typed as it is, which begins with `init` and has no server",
    "test_an_interrupted_run_goes_on_by_itself": "the next command of the folder resumes it, and a command at a server acts in no folder",
}
"""The journeys that are told in the folder also with `SERVER=1`, with the reason."""


def is_remote(words: tuple[str, ...]) -> bool:
    """Whether the command of *words* acts at a server."""
    name = " ".join(words[:2]) if " ".join(words[:2]) in PLACES else words[0]
    return PLACES.get(name) is Place.REMOTE


class BuildRefused(Exception):
    """A folder cannot be built: *said* is what the command said."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.err)
        self.said = said


@dataclass
class JourneyServer:
    """`orchestrator serve` in the folder *root*, with its worker. It starts with the first command that needs it."""

    root: Path
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0
    token: str = ""
    known: str = ""
    names: dict[str, str] = field(default_factory=dict)

    def environ(self, plain: Mapping[str, str]) -> dict[str, str]:
        """The variables for a command at the server, which runs after this. *plain* are those of commands in the folder.

        A command without a token of its own acts as the user of this machine.
        """
        found = self._definitions()
        if self.process is not None and found != self.known:
            self.stop()
        if self.process is None:
            self._start({name: value for name, value in plain.items() if name != TOKEN})
            self.known = found
        address = f"http://127.0.0.1:{self.port}"
        return {TOKEN: self.token, **plain, "ORCHESTRATOR_SERVER": address}

    def named(self, words: tuple[str, ...], plain: Mapping[str, str]) -> tuple[str, ...]:
        """*words* with the names of packages in the place of folders, which are built and uploaded for that.

        Raises `BuildRefused`.
        """
        if words[0] == "build":
            return words
        return tuple(self._built(word, plain) if FOLDER.fullmatch(word) else word for word in words)

    def stop(self) -> None:
        """End the server and its worker."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # with its worker
            self.process.wait(10)
        self.process = None

    def _definitions(self) -> str:
        files = sorted(path for form in DEFINITIONS for path in self.root.glob(form))
        return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    def _built(self, folder: str, plain: Mapping[str, str]) -> str:
        words = [sys.executable, "-m", "orchestrator", "build", folder]
        how: dict[str, Any] = {"cwd": self.root, "env": self.environ(plain), "capture_output": True, "text": True}
        done = subprocess.run([*words, "--json"], check=False, **how)
        if done.returncode != 0:
            done = subprocess.run(words, check=False, **how)  # the error as users read it
            raise BuildRefused(Said(done.returncode, done.stdout, done.stderr))
        ref = json.loads(done.stdout)["release"]
        return f"{ref['name']}-{ref['version']}"

    def _start(self, plain: Mapping[str, str]) -> None:
        if not self.token:
            self._lay_user(plain)
        self.port = free_port()
        words = [sys.executable, "-m", "orchestrator", "serve", "--port", str(self.port)]
        with (self.root.parent / f"{self.root.name}.serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=self.root, env=dict(plain), stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_ready():
            assert self.process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server is not ready"
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as response:
                return bool(json.load(response)["worker"])
        except OSError:
            return False

    def _lay_user(self, plain: Mapping[str, str]) -> None:
        """A user with every role, who is the user of this machine too, and a token."""
        app, name = open_app(self.root, environ=dict(plain)), getpass.getuser()
        people.add_user(app.acting, User(name=name, local=name))
        for role in sorted(BUILT_IN, key=lambda each: each != "administrator"):
            access.grant(app.acting, Binding(role=role, to=f"user:{name}"))
        self.token = tokens.create_token(app.acting, name, lifetime=timedelta(days=1)).text
        app.close()


def is_chosen() -> bool:
    """Whether journeys are told at a server: `SERVER=1`."""
    return os.environ.get("SERVER", "") not in {"", "0"}
