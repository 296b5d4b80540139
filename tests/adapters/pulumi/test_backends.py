"""Where stacks are kept, and which of them is meant: as it is by hand, and one not taken for another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi import engine
from orchestrator.adapters.pulumi.provisioner import PulumiProvisioner
from orchestrator.domain.environment import Environment
from orchestrator.domain.plan import StackSpec
from orchestrator.domain.step import Outcome
from orchestrator.engine.jobs import LocalJobs

pytestmark = pytest.mark.engines

PROGRAM = """
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
        self.engine = engine.find(dict(os.environ))
        state = self.root / ".orchestrator"
        self.provisioner = PulumiProvisioner(
            LocalJobs(state / "jobs"), state / "pulumi", self.root, lambda: self.engine, self.environ
        )
        (state / "pulumi").mkdir(parents=True)

    def environment(self, name: str, backend: str = "") -> StackSpec:
        """Write the program of the environment *name*, whose one host is called as itself."""
        folder = self.root / "environments" / name
        folder.mkdir(parents=True)
        url = f"backend:\n  url: {backend}\n" if backend else ""
        (folder / "Pulumi.yaml").write_text(f"name: infrastructure-{name}\nruntime: python\n{url}")
        (folder / "__main__.py").write_text(PROGRAM.replace("HOST", repr(f"{name}1")))
        described = Environment(apiVersion="orchestrator/v1", kind="Environment", name=name, stack="main")
        return self.provisioner.definition(described, folder)

    def by_hand(self, name: str, *words: str) -> str:
        """Run the plain engine in the environment's folder."""
        env = {**self.environ, "PULUMI_SKIP_UPDATE_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), str(self.engine.path.parent), env["PATH"]])
        argv = [str(self.engine.path), *words, "--non-interactive", "--stack", "main"]
        folder = self.root / "environments" / name
        return subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


def test_stacks_of_one_name(tmp_path: Path) -> None:
    """Two environments whose stacks have the same name each have their own outputs, also in one process."""
    made = Infrastructure(tmp_path)
    specs = [made.environment("staging"), made.environment("production")]
    for spec in specs:
        assert made.provisioner.up(spec, f"up-{spec.environment}", lambda _: None).result.outcome is Outcome.SUCCEEDED
    found = [made.provisioner.outputs(spec).plain["ansible_inventory"]["web"]["hosts"] for spec in specs]
    assert found == [["staging1"], ["production1"]]


@pytest.mark.parametrize("where", ["project", "variable"])
def test_relative_backend(tmp_path: Path, where: str) -> None:
    """A relative file backend is the one beside the user's program: what was made by hand is there, and is destroyed."""
    url = "file://." if where == "project" else "file://./state?no_tmp_dir=true"
    made = Infrastructure(tmp_path, **({"PULUMI_BACKEND_URL": url} if where == "variable" else {}))
    spec = made.environment("staging", url if where == "project" else "")
    (made.root / "environments/staging/state").mkdir()
    made.by_hand("staging", "stack", "init")
    made.by_hand("staging", "up", "--yes", "--skip-preview")
    preview = made.provisioner.preview(spec, "preview", lambda _: None)
    assert not preview.changes_something
    assert list(preview.inventory.hosts) == ["staging1"]
    assert made.provisioner.resources(spec) == 1
    assert made.provisioner.destroy(spec, "destroy", lambda _: None).outcome is Outcome.SUCCEEDED
    assert '"resources"' not in made.by_hand("staging", "stack", "export")
