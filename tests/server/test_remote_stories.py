"""Stories that start runs, each told in the folder of a project and at a server: the commands print the same."""

import contextlib
import getpass
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.__main__ import open_real_machine, open_real_project
from orchestrator.app import access, people, tokens
from orchestrator.app.opening import compose
from orchestrator.cli import main
from orchestrator.cli.places import PLACES, Place
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Binding, User
from orchestrator.domain.moments import parse_moment
from orchestrator.management.worker_calls import answer_call
from orchestrator.ports.lists import each_request
from orchestrator.wiring import App
from tests.app.memory_application import MemoryApplication, MemoryComposition
from tests.cli.memory_project import MemoryProject
from tests.server.remote_site import Said, difference, serving_application

ROOT = re.compile(r"\b[0-9a-f]{6}\b")
DIGEST = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")

TIMES = (
    (re.compile(r"\d+(\.\d+)? ?s\b|\"seconds\": [\d.]+"), "SECONDS"),
    (re.compile(r"\b\d\d:\d\d\b"), "TIME"),
    (re.compile(r" {2,}(?=\S)"), "  "),
)
"""Times of day, durations, and the width of columns that have them."""


def do_work(app: MemoryApplication, stop: threading.Event) -> None:
    """What a worker does: calls of use cases, and what is queued."""
    while not stop.wait(0.02):
        now = parse_moment(app.services.clock.now())
        app.register.take_scheduler("worker", now + timedelta(seconds=30))
        call = app.worker_calls.take("worker", now)
        if call is not None:
            answer_call(app, call)
        for work in each_request(app.store):
            if work.queue == "default":
                app.engine.begin(work.root, work.request)()


@dataclass
class Telling:
    """Commands of one user in the *project*; with a *server* at that. *said* is what they have printed."""

    project: MemoryProject
    server: str = ""
    said: list[tuple[str, Said]] = field(default_factory=list)

    def __call__(self, line: str) -> int:
        """Give the command *line*."""
        words = line.split()
        name = " ".join(words[:2]) if " ".join(words[:2]) in PLACES else words[0]
        at_server = self.server and PLACES[name] is Place.REMOTE
        assert self.project.capsys is not None
        self.project.capsys.readouterr()
        code = main(["--server", self.server, *words] if at_server else words)
        printed = self.project.capsys.readouterr()
        self.said.append((line, Said(int(code), printed.out, printed.err)))
        return int(code)

    @property
    def plain(self) -> list[tuple[str, Said]]:
        """What was printed, without times, and with ids by their first occurrence."""
        found: list[tuple[str, Said]] = []
        ids: dict[str, str] = {}

        def short(match: re.Match[str]) -> str:
            return ids.setdefault(match.group(), f"<{len(ids)}>")

        for line, said in self.said:
            out = DIGEST.sub(short, ROOT.sub(short, said.plain().out))
            for form, text in TIMES:
                out = form.sub(text, out)
            found.append((line, Said(said.code, out, "")))
        return found


Story = Callable[[Telling], None]


def put(tell: Telling, version: str) -> None:
    tell.project.packages.put(tell.project.release(version))


def promoting(tell: Telling) -> None:
    """Releases along the path, an unchanged one, a rollback, and what is shown after it."""
    for version in ("1.0.0", "1.1.0"):
        put(tell, version)
        tell(f"promote {version}")
        tell(f"promote {version} --json")
    tell("plan 1.0.0 --to staging")
    tell("rollback production --yes")
    tell("rollback production --yes --json")
    for words in ("status", "matrix", "history", "promote 9.9.9 --to staging", "promote"):
        tell(words)
        tell(f"{words} --json")


def planning(tell: Telling) -> None:
    """Plans in files and by digest, which are executed as they were made, or refused."""
    put(tell, "1.0.0")
    tell("promote 1.0.0")
    put(tell, "1.1.0")
    for name in ("first.json", "second.json"):
        tell(f"plan 1.1.0 --to staging --out {name}")
    tell("plan 1.1.0 --to production --json")
    tell("plan --rollback staging")
    tell("promote --plan first.json")
    put(tell, "1.2.0")
    tell("promote 1.2.0 --to staging --redeploy")
    tell("promote --plan second.json")
    tell("promote --plan nothing")
    Path("second.json").write_text(Path("second.json").read_text().replace("staging", "production"))
    tell("promote --plan second.json")


def failing(tell: Telling) -> None:
    """A failure that is rolled back, and what is said about it."""
    put(tell, "1.0.0")
    tell("promote 1.0.0")
    tell.project.world.faults.add(("verify", "p1", "1.1.0"))
    put(tell, "1.1.0")
    assert tell("promote 1.1.0") == 4
    tell("promote 1.1.0 --to production")
    tell("why 1.1.0 --to production")
    tell("matrix --json")


def inspecting(tell: Telling) -> None:
    """A rehearsal, what is seen of hosts, drift and parity, and a queue that is busy."""
    put(tell, "1.0.0")
    tell("promote 1.0.0")
    put(tell, "1.1.0")
    tell("rehearse 1.1.0 --in production")
    tell("rehearse 1.1.0 --in staging --json")
    for words in ("observe staging", "drift staging", "parity staging production"):
        tell(words)
        tell(f"{words} --json")
    tell("lock staging -m repair")
    tell("promote 1.1.0 --to staging --redeploy")
    tell("rollback staging --yes")
    tell("unlock staging")
    tell("promote 1.1.0 --to staging --redeploy --queue night")
    tell("queue staging")


def environments(tell: Telling) -> None:
    """The stack of an environment: what it has, an update, its loss that is refused, and its end."""
    put(tell, "1.0.0")
    tell("promote 1.0.0")
    tell.project.world.secrets["password"] = "correct horse"
    for words in (
        "environment list", "environment show staging", "environment show nowhere", "environment preview staging",
        "environment outputs staging", "environment outputs staging --show-secrets", "environment outputs nowhere",
        "environment inventory staging", "environment inventory production --show-variables",
    ):  # fmt: skip
        tell(words)
        tell(f"{words} --json")
    tell.project.world.stacks["staging"] = ["s1", "s2"]
    tell("environment preview staging")
    tell("environment up staging")
    assert tell("environment up staging --yes") == 0
    tell.project.world.wanted["s1"] = "protect"
    tell.project.world.stacks["staging"] = ["s2"]
    assert tell("environment up staging") == 3
    tell("environment destroy staging --yes --json")
    assert tell("environment destroy production --yes") == 0
    for words in ("environment outputs production", "environment inventory production", "environment list"):
        tell(words)
        tell(f"{words} --json")
    tell("environment override staging s2 --release 1.0.0 -m seen")
    tell("environment override staging s2 --release 9.9.9 -m seen")
    tell("environment override staging --live blue -m seen --json")
    tell("environment resolve staging --all-absent -m looked")
    tell("environment resolve staging")
    tell("status --json")


def reaping(tell: Telling) -> None:
    """An ephemeral environment that was kept after a failure is destroyed."""
    project = tell.project
    put(tell, "1.0.0")
    project.world.faults.add(("verify", "s1", "1.0.0"))
    tell("promote 1.0.0 --to staging")
    tell("environment reap --json")
    tell("environment reap nowhere")
    assert tell("environment reap staging") == 0
    tell("environment reap staging --json")
    tell("status staging")


STORIES: tuple[Story, ...] = (promoting, planning, failing, inspecting, environments, reaping)


def laid(
    folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **staging: object
) -> MemoryApplication:
    """A project in *folder*, whose only user has every role, and its application. *staging* is in that environment's file."""
    folder.mkdir()
    patch.chdir(folder)
    rules: dict[str, dict[str, object]] = {"production": {"after": None}, "staging": dict(staging)}
    project = MemoryProject(folder, rules=rules, capsys=capsys).lay()
    patch.setattr(App, "store", project.store)
    patch.setattr(App, "packages", project.packages)
    composition = MemoryComposition(project)
    compose(composition, open_real_machine)
    app = composition(folder, {}, restoring=False)
    app.__dict__["environments"] = app.services.environments
    people.add_user(app.acting, User(name=getpass.getuser()))
    for role in sorted(BUILT_IN, key=lambda name: name != "administrator"):
        access.grant(app.acting, Binding(role=role, to=f"user:{getpass.getuser()}"))
    return app


@contextlib.contextmanager
def working(app: MemoryApplication) -> Iterator[None]:
    """A worker of *app*, in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=do_work, args=(app, stop))
    thread.start()
    while not app.scheduler_runs():
        time.sleep(0.01)
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Commands in this process, without variables of the machine."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    monkeypatch.setenv("ORCHESTRATOR_RECOVERY", "manual")
    monkeypatch.setenv("NO_COLOR", "1")
    yield monkeypatch
    compose(open_real_project, open_real_machine)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_story_is_the_same_at_a_server(
    story: Story, ways: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of a story print the same on standard output, and end with the same code, with a server as without."""
    about: dict[str, object] = {"ephemeral": {"ttl": "1h", "keep_on_failure": True}} if story is reaping else {}
    app = laid(tmp_path / "here", ways, capsys, **about)
    here = Telling(app._memory)
    story(here)
    app = laid(tmp_path / "there", ways, capsys, **about)
    token = tokens.create_token(app.acting, getpass.getuser(), lifetime=timedelta(days=1)).text
    with working(app), serving_application(app) as url:
        compose(open_real_project, open_real_machine)
        (tmp_path / "elsewhere").mkdir()
        os.chdir(tmp_path / "elsewhere")
        ways.setenv("ORCHESTRATOR_TOKEN", token)
        there = Telling(app._memory, url)
        story(there)
    assert "correct horse" not in str(vars(app.worker_calls)), "a secret is kept as text"
    wrong = [f"{line}: {difference(a, b)}" for (line, a), (_, b) in zip(here.plain, there.plain, strict=True) if a != b]
    assert not wrong, "\n\n".join([*wrong, *(f"{line}: {said.err[-600:]}" for line, said in there.said if said.err)])
