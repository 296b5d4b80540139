"""A project in a folder whose runs are done by the memory world, and whose journal is that of the memory adapters.

Commands that only read the journal find there what real engines would have left, within milliseconds.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.store import ManualClock, MemoryStore
from orchestrator.cli import main
from orchestrator.domain.journal import Entry, Kind, QueuedRequest, Run
from orchestrator.domain.release import Release
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.run_context import RunContext
from orchestrator.wiring import App, open_app
from tests.flow.test_promotion import Stage, release

PROJECT = "apiVersion: orchestrator/v1\nkind: Project\nname: demo\n"
ENVIRONMENT = "apiVersion: orchestrator/v1\nkind: Environment\nname: {name}\nprogram: null\n"
ELSEWHERE = "a machine far away"


class Killed(BaseException):
    """The process that does a run dies."""


@dataclass
class MemoryProject(Stage):
    """Runs in the memory world, one after the other, and commands that read what they left."""

    capsys: pytest.CaptureFixture[str] | None = None
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def lay(self) -> "MemoryProject":
        """Write the files of the project, and open its journal."""
        (self.folder / "orchestrator.yaml").write_text(PROJECT)
        for name in ("staging", "production"):
            folder = self.folder / "environments" / name
            folder.mkdir(parents=True)
            (folder / "environment.yaml").write_text(ENVIRONMENT.format(name=name))
        state = self.folder / ".orchestrator"
        state.mkdir(mode=0o700)
        self.store = MemoryStore(ManualClock(datetime.now(UTC)))
        return self

    def request(self, environment: str, version: str | None, kind: Kind = "promotion", **about: Any) -> Run:
        """Write down a run that is asked for, with what the engine would have of it."""
        self.count += 1
        ref = self.packages.put(release(version, **about.pop("changes", {}))).ref if version else None
        root = f"{self.count:06x}"
        run = Run(id=f"{root}-{environment}", root=root, kind=kind, environment=environment, release=ref, by="ann",
                  requested_at=self.store.clock.now())  # fmt: skip
        asked = {"root": root, "kind": run.kind, "release": ref and ref.to_json(), "targets": [environment], "by": "ann",
                 "plan": None, "wait": 0.0, "retry": None, "parameters": {}}  # fmt: skip
        self.store.submit(QueuedRequest(root=root, request=asked, queue=about.pop("queue", "")), run)
        if about:
            self.store.append(run.id, [Entry(kind="requested", data={"parameters": about}, key="requested more")])
        return run

    def do(self, run: Run, crash: Callable[[str, str], None] = lambda _name, _when: None, *, wait: float = 0.0) -> Run:
        """Do the run to its end, or until *crash* raises."""
        durable = MemoryDurable(self.answers.setdefault(run.id, {}), crash)
        try:
            WORKFLOWS[run.kind](RunContext(self.services(), durable, run, wait=wait))
            self.store.release_claim(run.root, "", done=True)
        except Killed:
            pass
        return self.store.run(run.id)

    def go(self, environment: str, version: str | None, kind: Kind = "promotion", **changes: Any) -> Run:
        """A run from its request to its end."""
        return self.do(self.request(environment, version, kind, changes=changes))

    def killed(self, environment: str, version: str, at: str) -> Run:
        """A run whose process is killed while it does the step *at*: the work is done, its outcome is not recorded."""

        def crash(name: str, when: str) -> None:
            if name == at and when == "done":
                raise Killed

        return self.do(self.request(environment, version), crash)

    def works(self, run: Run) -> None:
        """A process of another machine works on the run."""
        self.store.claim(run.root, "worker far away", ELSEWHERE, 3600.0)

    def release(self, version: str) -> Release:
        """The release of *version*."""
        return release(version)

    def app(self) -> App:
        """The project with everything joined."""
        return open_app(self.folder)

    def say(self, *words: str, code: int | None = 0) -> str:
        """What a command prints on standard output."""
        assert self.capsys is not None
        self.capsys.readouterr()
        done = main(words)
        said = self.capsys.readouterr()
        assert code is None or done == code, f"{words} ended with {done}\n{said.out}\n{said.err}"
        return re.sub("\x1b\\[[0-9;]*m", "", said.out)

    def json(self, *words: str, code: int | None = 0) -> Any:
        """What a command prints with `--json`."""
        return json.loads(self.say(*words, "--json", code=code))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> MemoryProject:
    """A project with staging (one host) and production (three)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_RECOVERY", "manual")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("ORCHESTRATOR_STORE", "ORCHESTRATOR_STATE", "ORCHESTRATOR_ARTIFACTS", "ORCHESTRATOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    rules: dict[str, dict[str, object]] = {"production": {"after": None}}
    made = MemoryProject(tmp_path, rules=rules, capsys=capsys).lay()
    monkeypatch.setattr(App, "store", made.store)
    monkeypatch.setattr(App, "packages", made.packages)
    return made
