"""What an isolated Pulumi program finds of the controller, and what of it is left afterwards."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.pulumi import update_plan
from orchestrator.adapters.views import Views
from orchestrator.domain.environment import IsolationRule, PulumiSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import StackSpec
from orchestrator.domain.step import Outcome
from orchestrator.hosts import loopback
from orchestrator.isolation.find import available

from .conftest import Infrastructure

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("isolated-programs")]
ROOT = Path(__file__).resolve().parents[3]
SECRET = "the key of production"

PROGRAM = """
import json, os
import pulumi
from orchestrator.hosts import LoopbackHost, inventory

found = {}
def attempt(name, action):
    try:
        found[name] = str(action())
    except Exception as error:
        found[name] = type(error).__name__

for path in json.loads(pulumi.Config().require("paths")):
    attempt(path, lambda: open(path).read())
    attempt("write " + path, lambda: open(path + ".new", "w"))
    attempt("list " + path, lambda: os.listdir(os.path.dirname(path)))
attempt("agent", lambda: os.environ["SSH_AUTH_SOCK"])
attempt("declared", lambda: os.environ["CLOUD_TOKEN"])
attempt("processes", lambda: len([name for name in os.listdir("/proc") if name.isdigit()]) < 30)
attempt("stacks", lambda: sorted(os.listdir(pulumi.Config().require("backend") + "/stacks")))
if os.fork() == 0:
    os.setsid()
    os.closerange(0, 256)
    os.execve("/bin/sleep", ["sleep", "86397.25"], {})
pulumi.export("found", found)
host = LoopbackHost("web1")
pulumi.export("ansible_inventory", inventory(web=[host]))
"""


class Isolated(Infrastructure):
    """Two environments in one project: production has been made, and staging is isolated."""

    def __init__(self, top: Path) -> None:
        super().__init__(top, PYTHONPATH=str(ROOT), SSH_AUTH_SOCK="/nowhere/agent", CLOUD_TOKEN="t", PULUMI_HOME="")
        self.environ = {name: value for name, value in self.environ.items() if value}
        for name in ("PULUMI_CONFIG_PASSPHRASE",):
            self.environ.pop(name)
        self.state = self.root / ".orchestrator"
        self.secrets = [
            self.root / "keys/production.pem",
            top / ".ssh/id_rsa",
            self.state / "state.db",
            top / "else/file",
        ]
        for path in self.secrets:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SECRET)
        (top / ".aws").mkdir()
        (top / ".aws/credentials").write_text("declared")
        views = Views(self.root, self.state, self.environ, lambda: available(os.environ["PATH"]))
        self.rebuild(views)

    def spec(self, **more: Any) -> StackSpec:
        """The stack of staging."""
        secrets = [str(path) for path in (*self.secrets, self.root.parent / ".aws/credentials")]
        config = {"paths": json.dumps(secrets), "backend": str(self.state / "pulumi/backend/.pulumi")}
        chosen = PulumiSettings(environment=("PYTHONPATH",), config=config)
        rule = IsolationRule(read=("~/.aws",), environment=("CLOUD_TOKEN",))
        return self.environment("staging", program=PROGRAM, pulumi=chosen, isolation=rule, **more)


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isolated]:
    """The environments, without hosts afterwards."""
    if not available(os.environ["PATH"]).isolates:
        pytest.skip("processes are not isolated here")
    made = Isolated(tmp_path_factory.mktemp("isolated"))
    yield made
    for host in loopback.recorded(made.state):
        loopback.remove_host(host)


def sleeping() -> list[str]:
    """The daemons of the program that run."""
    lines = {path.parent.name: path for path in Path("/proc").glob("[0-9]*/cmdline")}
    found = []
    for name, path in lines.items():
        with contextlib.suppress(OSError):
            found += [name] if b"86397.25" in path.read_bytes() else []
    return found


def test_an_isolated_program_does_what_it_does_by_hand(isolated: Isolated) -> None:
    """Planned, updated by the plan and destroyed, a program finds its backend and makes its hosts, and leaves nothing."""
    other = isolated.provisioner.up(isolated.environment("production"), "other", lambda _: None)
    assert other.result.outcome is Outcome.SUCCEEDED, other.result.message
    spec, file = isolated.spec(), isolated.root.parent / "plan.json"
    preview = isolated.provisioner.preview(spec, "plan", lambda _: None, save_plan=file)
    assert preview.counts["create"] >= 1
    assert loopback.recorded(isolated.state) == []
    done = isolated.provisioner.up(spec, "up", lambda _: None, plan=update_plan.saved(file))
    assert done.result.outcome is Outcome.SUCCEEDED, done.result.message
    [host] = loopback.recorded(isolated.state)
    assert loopback.alive(host)
    found = isolated.provisioner.outputs(spec).plain["found"]
    for path in isolated.secrets:
        assert found[str(path)] == "FileNotFoundError", path
        assert SECRET not in str(found)
    assert found[str(isolated.root.parent / ".aws/credentials")] == "declared"
    assert (found["agent"], found["declared"]) == ("KeyError", "t")
    assert found["processes"] == "True"
    assert found["stacks"] == "['infrastructure-staging']"
    assert not list(isolated.root.parent.rglob("*.new"))
    assert sleeping() == []
    again = isolated.provisioner.preview(isolated.spec(), "again", lambda _: None)
    assert {change.op for change in again.changes} <= {"same"}, again.changes
    assert isolated.provisioner.destroy(spec, "down", lambda _: None, remove=True).outcome is Outcome.SUCCEEDED
    assert loopback.recorded(isolated.state) == []
    assert sleeping() == []


def test_a_refused_access_of_a_program_names_the_line_to_add(isolated: Isolated) -> None:
    """A program that needs a file of the controller fails with the line that makes it visible."""
    file = isolated.root.parent / "else/file"
    program = f"open({str(file)!r}).read()\n"
    with pytest.raises(OrchestratorError) as failed:
        isolated.provisioner.preview(isolated.environment("failing", program=program), "failing", lambda _: None)
    assert "~/else/file" in str(failed.value.hint)
    assert "isolation: {read: [" in str(failed.value.hint)
