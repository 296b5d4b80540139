"""What the journeys share: a project in a folder of its own, told by real commands, and gone again afterwards.

With `STORE=postgres` in the environment every project keeps its journal in a Postgres database of its own.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.commands.show import run_document
from orchestrator.cli.commands.status import environment_status
from orchestrator.domain.journal import DEFAULT_QUEUE
from orchestrator.hosts import loopback
from orchestrator.ports.lists import each_request, each_takeable
from orchestrator.processes import kill_tree
from orchestrator.wiring import App, open_app
from tests.inside import Said, reads, say
from tests.journeys.at_server import IN_THE_FOLDER, BuildRefused, JourneyServer, is_chosen, is_remote
from tests.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
PROGRAM = (sys.executable, "-m", "orchestrator")
PATIENCE_S = 240.0
AGAIN = ("--allow-rolled-back", "-m", "another test has gone back from it")


@dataclass
class Project:
    """A project's folder and the command line in it."""

    root: Path
    program: tuple[str, ...] = PROGRAM
    env: dict[str, str] = field(default_factory=dict)
    inside: bool | None = None
    """Whether commands that only read run in this process; None: those of the product as it is do."""
    is_served: bool = field(default_factory=is_chosen)
    """Whether commands that can act at a server act at one of this folder."""
    server: JourneyServer | None = None

    @property
    def state(self) -> Path:
        return self.root / ".orchestrator"

    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ORCHESTRATOR_", "PULUMI_", "PYTEST_", "ANSIBLE_", "COV_"))
            or name in {"ORCHESTRATOR_PULUMI", "ORCHESTRATOR_SSHD"}
        }
        return {**kept, "NO_COLOR": "1", "ORCHESTRATOR_RECOVERY": "manual", "PYTHONPATH": str(ROOT), **self.env}

    def run(self, *words: str, code: int | None = 0) -> Said:
        """Run a command; it must end with *code* (None: with any). Our own that only read run in this process."""
        if self.server is not None and words[0] == "restore":
            self.server.stop()  # it has the database open that is replaced; the next command starts one
        if self.acts_at_server(*words):
            said = self._run_at_server(*words)
        elif reads(*words) and (self.program == PROGRAM if self.inside is None else self.inside):
            said = say(self.root, self.environ(), *words)
        else:
            said = self._start_and_end(*words)
        assert code is None or said.code == code, f"{' '.join(words)} ended with {said.code}\n{said.out}\n{said.err}"
        return said

    def acts_at_server(self, *words: str) -> bool:
        """Whether the command of *words* acts at a server of this folder."""
        return self.is_served and self.program == PROGRAM and is_remote(words)

    def _run_at_server(self, *words: str) -> Said:
        try:
            named, environ = self._at_server(*words)
        except BuildRefused as refused:
            return refused.said
        return self._start_and_end(*named, environ=environ)

    def _at_server(self, *words: str) -> tuple[tuple[str, ...], dict[str, str]]:
        """The words and the variables for a command at the server. Raises `BuildRefused`."""
        self.server = self.server or JourneyServer(self.root)
        named = self.server.named(words, self.environ())
        return named, self.environ_of(*words)

    def environ_of(self, *words: str) -> dict[str, str]:
        """The variables for the command of *words*, also those of the server, if it acts there."""
        if not self.acts_at_server(*words):
            return self.environ()
        self.server = self.server or JourneyServer(self.root)
        return self.server.environ(self.environ())

    def _start_and_end(self, *words: str, environ: dict[str, str] | None = None) -> Said:
        done = subprocess.run(
            [*self.program, *words],
            cwd=self.root,
            env=environ or self.environ(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, environ: dict[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start a command of the folder in a process group of its own. *environ* replaces the usual variables."""
        return subprocess.Popen(
            [*self.program, *words],
            cwd=self.root,
            env=environ or self.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def launch(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command where `run` runs it: at the server, if there is one. What kills its process takes `start`."""
        if not self.acts_at_server(*words):
            return self.start(*words)
        named, environ = self._at_server(*words)
        return self.start(*named, environ=environ)

    def rest(self) -> None:
        """Wait until the worker of the server has done what is due, and has nothing to do. Without a server it returns."""
        if self.server is None:
            return
        deadline = time.monotonic() + PATIENCE_S
        idle: set[object] = set()
        with self.opened() as app:
            while len(idle) < 3:  # it did what is due once from beginning to end, and nothing came of it
                assert time.monotonic() < deadline, [work.root for work in each_request(app.store)]
                is_busy = any(work.is_claimed(app.clock.now()) for work in each_request(app.store))
                if is_busy or [*each_takeable(app.store, DEFAULT_QUEUE, _unread)]:
                    idle.clear()
                elif (lease := app.register.scheduler()) is not None:
                    idle.add(lease.until)
                time.sleep(0.2)

    @contextlib.contextmanager
    def opened(self) -> Iterator[App]:
        """The project in this process: what only reads need not start one, and import everything once more."""
        app = open_app(self.root, self.environ())
        try:
            yield app
        finally:
            app.close()

    def status(self, environment: str) -> dict[str, Any]:
        """What `status --json` says of one environment."""
        with self.opened() as app:
            document: dict[str, Any] = json.loads(json.dumps(environment_status(app, environment)))
            return document

    def reaches(self, process: "subprocess.Popen[str]", environment: str, step: str) -> str:
        """Wait until the run in the environment that *process* does has begun *step*; the run's id."""
        store = open_app(self.root, self.environ()).store
        deadline = time.monotonic() + 400
        try:
            while time.monotonic() < deadline:
                assert process.poll() is None, process.communicate()
                for run in store.runs(environment, limit=1):
                    if not run.ended and store.has_entry(run.id, f"{step}:started"):
                        return run.id
                time.sleep(0.05)
        finally:
            store.close()
        raise AssertionError(f"{step} never began")

    def releases(self, environment: str) -> dict[str, str | None]:
        """The version that runs on each host, as `status` has it; no release was ever put on those that are left out."""
        hosts = [host for host in self.status(environment)["hosts"] if host["truth"] != "empty"]
        return {host["host"]: (host["release"] or {}).get("version") for host in hosts}

    def story(self, environment: str) -> dict[str, Any]:
        """The last run there, as `show --json` tells it."""
        with self.opened() as app:
            last = app.store.runs(environment, limit=1)[0]
            document: dict[str, Any] = json.loads(json.dumps(run_document(app, last.id)))
            return document

    def put(self, version: str) -> None:
        """See that the shop's *version* was verified in staging, and runs in production, whatever did before."""
        if set(self.releases("staging").values()) != {version}:
            self.run("promote", self._release(version), "--to", "staging", *AGAIN)
        self.put_in_production(version)

    def put_in_production(self, version: str) -> None:
        """See that the shop's *version*, which was verified in staging once, runs in production."""
        if set(self.releases("production").values()) != {version}:
            self.run("promote", self._release(version), "--to", "production", *AGAIN)

    def _release(self, version: str) -> str:
        """The kept package of *version*, where there is one: tests leave files in the project, which packages have."""
        with self.opened() as app:
            kept = any(ref.version == version for ref in app.packages.refs())
        return f"shop-{version}" if kept else f"releases/{version}"

    def variables(self, environment: str) -> dict[str, dict[str, Any]]:
        """The hosts' variables."""
        said = self.run("environment", "inventory", environment, "--show-variables", "--json")
        hosts: dict[str, dict[str, Any]] = said.json["hosts"]
        return hosts

    def write(self, path: str, text: str) -> Path:
        """Write one of the user's files."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def replace(self, path: str, old: str, new: str) -> None:
        """Change one of the user's files."""
        file = self.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def clean(self) -> None:
        """End every process that this project has started, by its mark."""
        if self.server is not None:
            self.server.stop()
        os.environ["ORCHESTRATOR_STATE"] = str(self.state)
        try:
            for host in loopback.recorded(self.state):
                loopback.remove_host(host)
        finally:
            del os.environ["ORCHESTRATOR_STATE"]
        for job in (self.state / "jobs").glob("*"):
            kill_tree(f"ORCHESTRATOR_JOB={job}")
        shutil.rmtree(self.root, ignore_errors=True)


def _unread(root: str, why: str) -> None:
    raise AssertionError(f"{root}: {why}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Call the journeys long, but for those that are marked as `core`."""
    here = Path(__file__).parent
    for item in (item for item in items if here in item.path.parents):
        if item.get_closest_marker("core") is None:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Callable[[], dict[str, str]]:
    """Gives the variables that name a new project's store: none, unless `STORE` asks for Postgres."""
    chosen = os.environ.get("STORE", "sqlite")
    if chosen == "sqlite":
        return dict
    assert chosen == "postgres", f"STORE={chosen} is neither sqlite nor postgres"
    server: Server = request.getfixturevalue("postgres")
    path = f"{server.programs}{os.pathsep}{os.environ['PATH']}"  # a backup wants a pg_dump that is as new as the server
    return lambda: {"ORCHESTRATOR_STORE": server.fresh(), "PATH": path}


@pytest.fixture(autouse=True)
def _place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell a journey of `IN_THE_FOLDER` there."""
    if is_chosen() and request.node.originalname in IN_THE_FOLDER:
        monkeypatch.setenv("SERVER", "0")
        for name in {*request.fixturenames} - {request.fixturename}:  # a file's own project was made before
            if isinstance(shared := request.getfixturevalue(name), Project):
                monkeypatch.setattr(shared, "is_served", False)


@pytest.fixture
def project(tmp_path: Path, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """An empty project folder."""
    made = Project(tmp_path / "my project", env=store())
    made.root.mkdir()
    yield made
    made.clean()


@pytest.fixture
def shop(project: Project) -> Project:
    """The example shop, with its artifacts built."""
    return lay_shop(project)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """The shop in staging (one host) and production (two), shared by the tests of a file.

    It begins with 1.0.0. A test that another release would disturb says with `put` what it wants to find: tests run
    in any order, and alone.
    """
    made = Project(tmp_path_factory.mktemp("running") / "project", env=store())
    made.root.mkdir()
    try:
        lay_small_shop(made)
        made.run("promote", "releases/1.0.0")
        yield made
    finally:
        made.clean()


def lay_small_shop(project: Project) -> None:
    """The example shop with one host in staging and two in production, and no host on which a release breaks."""
    lay_shop(project)
    project.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
    project.replace("environments/production/Pulumi.yaml", "default: 4", "default: 2")
    project.replace("environments/production/__main__.py", '"7,5"', '"7.5"')


def lay_shop(project: Project) -> Project:
    """Put the example shop into the folder of *project*, and build its artifacts."""
    left = shutil.ignore_patterns(".orchestrator", "dist", "__pycache__")
    shutil.copytree(SHOP, project.root, dirs_exist_ok=True, ignore=left)
    words = [sys.executable, "app/build.py", "1.0.0", "1.1.0", "1.2.0"]
    subprocess.run(words, cwd=project.root, check=True, capture_output=True)
    return project
