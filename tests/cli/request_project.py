"""A project whose promotions need approvals, acted in by several users, each with a token of their own.

Plans and runs are of the memory world; requests, votes and the audit stream are in a real SQLite register.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.adapters.memory.verifier import MemoryVerifier
from orchestrator.adapters.memory.world import World
from orchestrator.app import access, people, tokens
from orchestrator.app.execute import run_workflow
from orchestrator.app.run_requests import record_builder
from orchestrator.cli.planned import plan_text
from orchestrator.domain.access.principals import Binding, User
from orchestrator.domain.journal import Run
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.halt import SoleOwner
from orchestrator.flow.run_context import RunContext
from orchestrator.wiring import App
from tests.cli.memory_project import MemoryProject

PLACE = "production"
FILE = "apiVersion: orchestrator/v1\nkind: Environment\nname: {name}\n"
RULE = "approvals: {count: 1}\n"
ROLES = {
    "root": "administrator",
    "ann": "release-manager",
    "bob": "approver",
    "cid": "approver",
    "olga": "operator",
    "vic": "viewer",
}


@dataclass
class MemoryEngines:
    """The adapters of the memory world."""

    world: World

    def provisioner(self) -> MemoryProvisioner:
        """Stacks of the world."""
        return MemoryProvisioner(self.world)

    def deployer(self, own: str) -> MemoryDeployer:
        """Hosts of the world."""
        del own
        return MemoryDeployer(self.world)

    def verifier(self) -> MemoryVerifier:
        """Tests of the world."""
        return MemoryVerifier(self.world)


@dataclass
class RequestProject(MemoryProject):
    """A project with users, and what a worker does."""

    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)
    tokens: dict[str, str] = field(default_factory=dict)

    def rule(self, text: str = RULE, environment: str = PLACE, project: str = "") -> None:
        """Write the rules of *environment*, and of the project."""
        (self.folder / "environments" / environment / "environment.yaml").write_text(
            FILE.format(name=environment) + text
        )
        head = "apiVersion: orchestrator/v1\nkind: Project\nname: demo\n"
        (self.folder / "orchestrator.yaml").write_text(head + project)

    def people(self, **more: str) -> None:
        """Record users with their roles, and a token for each."""
        roles = ROLES | more
        app = self.app()
        for name in roles:
            people.add_user(app.acting, User(name=name))
            self.tokens[name] = tokens.create_token(app.acting, name, lifetime=timedelta(days=1)).text
        with self.acting("root"):
            for name, role in roles.items():
                local = app.acting if name == "root" else self.app().acting
                access.grant(local, Binding(role=role, to=f"user:{name}"))
        app.register.close()

    @contextlib.contextmanager
    def acting(self, name: str) -> Iterator[None]:
        """Act as the user *name*."""
        with self.patch.context() as patch:
            patch.setenv("ORCHESTRATOR_TOKEN", self.tokens[name])
            yield

    def by(self, name: str, *words: str, code: int | None = 0) -> Any:
        """What a command of *name* prints with `--json`."""
        with self.acting(name):
            return self.json(*words, code=code)

    def tells(self, name: str, *words: str, code: int | None = 0) -> str:
        """What a command of *name* prints."""
        with self.acting(name):
            return self.say(*words, code=code)

    def refused(self, name: str, *words: str) -> tuple[str, str]:
        """The code and the message with which a command of *name* is refused."""
        error = self.by(name, *words, code=3)["errors"][0]
        return error["code"], error["message"]

    def ask(self, version: str, *more: str, by: str = "ann", code: int = 0) -> Any:
        """The request that `promote` records."""
        self.packages.put(self.release(version))
        return self.by(by, "promote", version, "--to", PLACE, *more, code=code)

    def built(self, digest: str, by: str) -> None:
        """Record that *by* has built the package with this digest."""
        with self.acting(by):
            app = self.app()
            record_builder(app.acting, digest)
            app.register.close()

    def duties(self) -> list[str]:
        """What the scheduler of a worker does now."""
        app = self.app()
        scheduler = app.scheduler(plan_text)
        try:
            return [f"{report.text}{' FAILED' if report.failed else ''}" for report in scheduler.run()]
        finally:
            scheduler.release_lease()
            app.register.close()

    def execute(self, name: str) -> Run:
        """What the process of a run does, to its end."""
        app = self.app()
        run, work = self.store.run(name), self.store.work(self.store.run(name).root)
        plan, again = work.request["plan"], str(work.request["parameters"].get("override_reason") or "")
        ctx = RunContext(
            app.services, MemoryDurable({}, lambda *_: None), run, approved=plan, wait=1.0, override_reason=again
        )
        done = WORKFLOWS[run.kind](ctx)
        self.store.release_claim(run.root, "", done=True)
        return done

    def execute_rollout(self, root: str) -> Run:
        """What the process of a promotion in waves does, to its end."""
        app, asked = self.app(), self.store.work(root).request

        def part(durable: MemoryDurable, data: Any) -> Any:
            return run_workflow(app, durable, SoleOwner(), {**asked, "part": data})

        run_workflow(app, MemoryDurable({}, part=part), SoleOwner(), {**asked, "wait": 1.0})
        self.store.release_claim(root, "", done=True)
        return self.store.run(root)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RequestProject:
    """A project with users, in which production needs one approval."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_RECOVERY", "manual")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("ORCHESTRATOR_STORE", "ORCHESTRATOR_STATE", "ORCHESTRATOR_ARTIFACTS", "ORCHESTRATOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made = RequestProject(tmp_path, capsys=capsys, patch=monkeypatch)
    made.lay()
    made.rule()
    made.rule("", "staging")
    made.rule()
    monkeypatch.setattr(App, "store", made.store)
    monkeypatch.setattr(App, "packages", made.packages)
    monkeypatch.setattr(App, "engines", MemoryEngines(made.world))
    made.people()
    return made
