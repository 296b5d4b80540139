"""A server of a project in this process, that accepts connections on loopback, and commands that act at it."""

import contextlib
import difflib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import uvicorn
from argon2 import PasswordHasher

from orchestrator.adapters.passwords import Argon2Passwords
from orchestrator.cli import main
from orchestrator.cli.planned import plan_text
from orchestrator.web.server import server_of
from orchestrator.wiring import App
from tests.cli.request_project import RequestProject
from tests.server.test_process import free_port

HASHES = Argon2Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
VARYING = (
    (re.compile(r"orch_[a-z0-9]{8}_[\w-]{43}"), "TOKEN"),
    (re.compile(r"/link/[\w-]+"), "/link/LINK"),
    (re.compile(r"(http://127\.0\.0\.1:\d+|the address of the server, with the path )(?=/(api|calendars|link)/)"), ""),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d( UTC)?"), "TIME"),
    (re.compile(r"\d+ (s|min) ago"), "a while ago"),
    (re.compile(r"\(in \d+ (s|min)\)"), "(a while ago)"),  # the clock of the story can be before that of the machine
    (re.compile(r"(?<=\S) {2,}(?=\S)"), "  "),  # "9 s ago" and "10 s ago" make columns of different width
)
"""What two runs of one story do not have in common."""


@dataclass(frozen=True)
class Said:
    """What a command has printed, and its exit status."""

    code: int
    out: str
    err: str

    def plain(self, *names: tuple[str, str]) -> "Said":
        """Without times and secrets, and with other texts in place of *names*."""
        out, err = self.out, self.err
        for form, text in VARYING:
            out, err = form.sub(text, out), form.sub(text, err)
        for name, text in names:
            out, err = out.replace(name, text), err.replace(name, text)
        return Said(self.code, out, err)


def difference(here: Said, there: Said) -> str:
    """What differs, for a failed test."""
    lines = difflib.unified_diff(
        [*here.out.splitlines(), *here.err.splitlines()], [*there.out.splitlines(), *there.err.splitlines()], n=1
    )
    return "\n".join([f"{int(here.code)} {int(there.code)}", *list(lines)[:20]])


@contextlib.contextmanager
def serving(office: RequestProject) -> Iterator[str]:
    """A server of *office*; its address."""
    with serving_application(office.app()) as url:
        yield url


@contextlib.contextmanager
def serving_application(app: App) -> Iterator[str]:
    """A server of *app*; its address."""
    app.__dict__["authentication"] = replace(app.authentication, hashes=HASHES)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            server_of(app, plan_text), host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        app.close()


def said(office: RequestProject, user: str | None, *words: str) -> Said:
    """What a command of *user* prints."""
    assert office.capsys is not None
    office.capsys.readouterr()
    with office.acting(user) if user is not None else contextlib.nullcontext():
        code = main(words)
    printed = office.capsys.readouterr()
    return Said(code, printed.out, printed.err)
