"""A real Pulumi project with dynamic resources, in folders of its own."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.pulumi import engine, update_plan
from orchestrator.adapters.pulumi.provisioner import PulumiProvisioner
from orchestrator.adapters.views import Views
from orchestrator.domain.environment import Environment, PulumiSettings
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import StackPreview, StackSpec
from orchestrator.engine.jobs import LocalJobs
from orchestrator.ports import Provisioned

SECRET = "correct-horse-battery"  # the canary: nothing that we write may hold it

PROGRAM = '''
"""Resources that are files, as their author would write them."""
import os
import sys

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider, UpdateResult

sys.path.append("../..")
from shared.naming import title  # a folder beside the program


class Files(ResourceProvider):
    def create(self, props):
        if props["text"] == "fail":
            raise RuntimeError(f"told to fail: {props['path']}")
        with open(props["path"], "w") as file:
            file.write(props["text"])
        return CreateResult(props["path"], props)

    def update(self, _id, _old, new):
        return UpdateResult(self.create(new).outs)

    def delete(self, id, _props):
        if os.path.exists(id):
            os.remove(id)


class File(Resource):
    text: pulumi.Output[str]

    def __init__(self, name, text, opts=None):
        super().__init__(Files(), name, {"path": f"{config.require('folder')}/{name}", "text": text}, opts)


config = pulumi.Config()
names = config.require("names").split(",")
token = pulumi.Output.secret(os.environ["SHOP_TOKEN"])
pulumi.log.info("a bell rings\\x07", None)
files = [File(name, title(config.get("text"))) for name in names]
File("key", token, pulumi.ResourceOptions(depends_on=files))
pulumi.export("ansible_inventory", {"web": {"hosts": {name: {"ansible_host": "127.0.0.1"} for name in names}}})
pulumi.export("texts", [file.text for file in files])
pulumi.export("token", token)
'''


class Stage:
    """One environment of a project in *top*, and everything that was emitted."""

    def __init__(self, top: Path, environ: dict[str, str] | None = None) -> None:
        self.top, self.project = top, top / "project"
        self.state = self.project / ".orchestrator"
        self.folder = self.project / "environments" / "staging"
        self.things = top / "things"
        self.entries: list[Entry] = []
        self.settings: dict[str, str] = {"names": "web1,web2", "folder": str(self.things)}
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(top / "home"), "SHOP_TOKEN": SECRET, **(environ or {})}
        self._write()
        self.jobs = LocalJobs(self.state / "jobs")
        self.provisioner = PulumiProvisioner(
            self.jobs,
            self.state / "pulumi",
            self.project,
            functools.partial(engine.find_engine, dict(os.environ)),
            self.environ,
        )
        self._number = 0

    def _write(self) -> None:
        for folder in (self.things, self.top / "home", self.state / "pulumi", self.folder, self.project / "shared"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
        (self.folder / "__main__.py").write_text(PROGRAM)
        (self.folder / "Pulumi.staging.yaml").write_text("config:\n  shop:text: hello\n")
        (self.folder / "Pulumi.other.yaml").write_text("config:\n  shop:text: other\n")
        (self.project / "shared" / "naming.py").write_text("def title(name):\n    return name\n")

    def environment(self, **fields: Any) -> Environment:
        """The environment's file, with the settings of now."""
        return Environment(
            apiVersion="orchestrator/v1",
            kind="Environment",
            name="staging",
            pulumi=PulumiSettings(config=dict(self.settings), environment=("SHOP_TOKEN",)),
            **fields,
        )

    def spec(self, **fields: Any) -> StackSpec:
        """The stack as it is defined now."""
        return self.provisioner.definition(self.environment(**fields), self.folder)

    def job(self) -> str:
        """A new job's key."""
        self._number += 1
        return f"job-{self._number}"

    def preview(self, save_plan: Path | None = None) -> StackPreview:
        """What an update would do."""
        self.entries.clear()
        return self.provisioner.preview(self.spec(), self.job(), self.entries.append, save_plan=save_plan)

    def up(self, plan: Path | None = None) -> Provisioned:
        """Update."""
        self.entries.clear()
        saved = update_plan.saved(plan) if plan is not None else None
        return self.provisioner.up(self.spec(), self.job(), self.entries.append, plan=saved)

    def written(self) -> str:
        """Everything that was emitted, and every file in the state folder, as one text."""
        parts = [json.dumps(entry.to_json()) for entry in self.entries]
        parts += [path.read_text(errors="replace") for path in self.state.rglob("*") if path.is_file()]
        return "\n".join(parts)

    def users_files(self) -> dict[str, bytes]:
        """The user's own files, by name."""
        mine = [path for path in self.project.rglob("*") if path.is_file() and self.state not in path.parents]
        return {str(path.relative_to(self.project)): path.read_bytes() for path in mine}


PLAIN = """
import pulumi
pulumi.ComponentResource("shop:index:Thing", "thing")
pulumi.export("ansible_inventory", {"web": {"hosts": [HOST]}})
"""


class Infrastructure:
    """A project with one Pulumi program an environment, each with a stack called `main`."""

    def __init__(self, top: Path, **environ: str) -> None:
        self.root = top / "project"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(top),
            "PULUMI_CONFIG_PASSPHRASE": "a phrase",
            **environ,
        }
        self.engine = engine.find_engine(dict(os.environ))
        state = self.root / ".orchestrator"
        self.rebuild(None)
        (state / "pulumi").mkdir(parents=True)

    def rebuild(self, views: Views | None) -> None:
        """Begin anew with the variables of now, isolated as *views* say."""
        state = self.root / ".orchestrator"
        jobs = LocalJobs(state / "jobs", isolator=(views or Views(self.root, state, {})).isolator)
        places = (state / "pulumi", self.root)
        self.provisioner = PulumiProvisioner(jobs, *places, lambda: self.engine, self.environ, views=views)

    def environment(self, name: str, backend: str = "", program: str = PLAIN, **fields: Any) -> StackSpec:
        """Write the program of the environment *name*, in which HOST stands for the name of its first host."""
        folder = self.root / "environments" / name
        folder.mkdir(parents=True, exist_ok=True)
        url = f"backend:\n  url: {backend}\n" if backend else ""
        (folder / "Pulumi.yaml").write_text(f"name: infrastructure-{name}\nruntime: python\n{url}")
        (folder / "__main__.py").write_text(program.replace("HOST", repr(f"{name}1")))
        described = Environment(apiVersion="orchestrator/v1", kind="Environment", name=name, stack="main", **fields)
        return self.provisioner.definition(described, folder)

    def by_hand(self, name: str, *words: str) -> str:
        """Run the plain engine in the environment's folder."""
        env = {**self.environ, "PULUMI_SKIP_UPDATE_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), str(self.engine.path.parent), env["PATH"]])
        argv = [str(self.engine.path), *words, "--non-interactive", "--stack", "main"]
        folder = self.root / "environments" / name
        return subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A project of its own, nothing provisioned."""
    return Stage(tmp_path)


@dataclass(frozen=True)
class Updated:
    """A stack that was previewed and updated by that plan: the user's files *before* it, and what was *emitted*."""

    stage: Stage
    before: dict[str, bytes]
    preview: StackPreview
    up: Provisioned
    plan: Path
    emitted: list[Entry]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updated]:
    """A project whose stack was previewed, and updated by that plan; shared by a module's tests."""
    stage = Stage(tmp_path_factory.mktemp("pulumi"))
    before = stage.users_files()
    emitted: list[Entry] = []
    plan = stage.top / "plan.json"
    preview = stage.preview(plan)
    emitted += stage.entries
    up = stage.up(plan)
    emitted += stage.entries
    yield Updated(stage=stage, before=before, preview=preview, up=up, plan=plan, emitted=emitted)
    stage.provisioner.destroy(stage.spec(), "end", stage.entries.append)
