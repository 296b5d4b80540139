"""After a death: what is pending is found, no lock of the living is broken, nothing is lost and nothing made twice."""

import functools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.adapters.memory.verifier import MemoryVerifier
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.null_notifier import NullNotifier
from orchestrator.adapters.pulumi import engine
from orchestrator.adapters.pulumi.provisioner import PulumiProvisioner
from orchestrator.adapters.views import Views
from orchestrator.domain.environment import Environment, IsolationRule, Project, PulumiSettings
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import Loss
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.rollback import constrained
from orchestrator.flow.run_context import RunContext
from orchestrator.hosts import loopback
from orchestrator.isolation.find import available
from orchestrator.processes import command_line, kill_tree, tagged
from orchestrator.services import Services

from .conftest import Stage

pytestmark = [pytest.mark.engines, pytest.mark.long]

PROGRAM = '''
"""Things that are made slowly: `hold` names the moment at which they stand still until it is taken away."""
import os
import time
import uuid

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider


class Slow(ResourceProvider):
    def moment(self, props, what):
        with open(f"{props['folder']}/ledger", "a") as ledger:
            ledger.write(what + "\\n")
        hold = f"{props['folder']}/hold"
        while os.path.exists(hold) and open(hold).read() == what:
            time.sleep(0.02)

    def create(self, props):
        self.moment(props, f"before create {props['name']}")
        if props["hosts"]:
            from orchestrator.hosts import loopback
            id = loopback.start("shop-staging", props["name"]).name
        else:
            id = f"{props['name']}-{uuid.uuid4().hex[:6]}"
            open(f"{props['folder']}/thing-{id}", "w").close()
        self.moment(props, f"after create {props['name']}")
        return CreateResult(id, props)

    def read(self, id, props):
        if props["hosts"]:
            from orchestrator.hosts import loopback
            host = loopback.find_host("shop-staging", id)
            there = host is not None and loopback.alive(host)
        else:
            there = os.path.exists(f"{props['folder']}/thing-{id}")
        return ReadResult(id, props) if there else ReadResult(None, {})

    def delete(self, id, props):
        self.moment(props, f"before delete {props['name']}")
        if props["hosts"]:
            from orchestrator.hosts import loopback
            host = loopback.find_host("shop-staging", id)
            if host is not None:
                loopback.remove_host(host)
        elif os.path.exists(f"{props['folder']}/thing-{id}"):
            os.remove(f"{props['folder']}/thing-{id}")
        self.moment(props, f"after delete {props['name']}")


class Thing(Resource):
    def __init__(self, name, after):
        props = {"name": name, "folder": config.require("folder"), "hosts": config.get_bool("hosts") or False}
        super().__init__(Slow(), name, props, pulumi.ResourceOptions(depends_on=after))


config = pulumi.Config()
Slow().moment({"folder": config.require("folder")}, "program")
things = []
for name in config.require("names").split(","):
    things.append(Thing(name, things[-1:]))
'''


class Slow(Stage):
    """An environment whose resources, made one after the other, stand still at the moment that a test names."""

    def __init__(self, top: Path) -> None:
        super().__init__(top, {"ORCHESTRATOR_ISOLATION": "none"})
        (self.folder / "__main__.py").write_text(PROGRAM)
        self.settings["names"] = "one,two,three"
        self.policy: Literal["ask", "clear"] = "ask"
        self.found: StepResult | None = None

    def environment(self, **fields: Any) -> Environment:
        """The environment's file, with the settings of now."""
        pulumi = PulumiSettings(config=dict(self.settings), pending_creates=self.policy)
        rule = IsolationRule(write=(str(self.things),))
        return super().environment(**fields).model_copy(update={"pulumi": pulumi, "isolation": rule})

    def isolate(self) -> None:
        """Have operations isolated from now on. The test is skipped where that is not possible."""
        found = available(os.environ["PATH"])
        if not found.isolates:
            pytest.skip("processes are not isolated here")
        views = Views(self.project, self.state, self.environ, lambda: found)
        find = functools.partial(engine.find_engine, dict(os.environ))
        self.provisioner = PulumiProvisioner(
            self.jobs, self.state / "pulumi", self.project, find, self.environ, views=views
        )

    def ledger(self) -> list[str]:
        """Every moment that a resource has passed."""
        file = self.things / "ledger"
        return file.read_text().splitlines() if file.exists() else []

    def made(self) -> list[str]:
        """The names of what is really there, one for each time that it was made."""
        if self.settings.get("hosts"):
            return sorted(host.name for host in loopback.recorded(self.state) if loopback.alive(host))
        return sorted(path.name.split("-")[1] for path in self.things.glob("thing-*"))

    def known(self) -> list[str]:
        """The names of the resources that the stack's state has."""
        latest = json.loads(self.checkpoint().read_text())["checkpoint"]["latest"]
        return sorted(
            item["urn"].rsplit("::")[-1] for item in latest.get("resources") or [] if "dynamic" in item["type"]
        )

    def checkpoint(self) -> Path:
        """The stack's state as the backend keeps it."""
        return self.state / "pulumi" / "backend" / ".pulumi" / "stacks" / "shop" / "staging.json"

    def locks(self) -> list[Path]:
        """The locks on the stack."""
        return list((self.state / "pulumi" / "backend" / ".pulumi" / "locks").rglob("*.json"))

    def notices(self) -> str:
        """What was told besides resources."""
        return "\n".join(entry.data["text"] for entry in self.entries if entry.kind == "notice")

    def urn(self, name: str) -> str:
        """The URN of a resource."""
        return f"urn:pulumi:staging::shop::pulumi-python:dynamic:Resource::{name}"

    def destroy(self) -> StepResult:
        """Destroy."""
        self.entries.clear()
        return self.provisioner.destroy(self.spec(), self.job(), self.entries.append)

    def resolve(self, created: dict[str, str], *absent: str) -> StepResult:
        """Decide."""
        self.entries.clear()
        return self.provisioner.resolve(self.spec(), created, absent, self.job(), self.entries.append)

    def interrupt(self, moment: str, part: str, verb: str = "up") -> StepResult:
        """Begin *verb*, kill *part* of it with signal 9 at *moment*, and return what came of it."""
        (self.things / "hold").write_text(moment)
        passed = self.ledger().count(moment)

        def work() -> None:
            self.found = self.up().result if verb == "up" else self.destroy()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            until(lambda: self.ledger().count(moment) > passed or not thread.is_alive())
            assert thread.is_alive(), self.found
            os.kill(self.process(part), signal.SIGKILL)
            if part not in {"child", "supervisor"}:  # whatever still stands at the moment must go without passing it
                thread.join(60)
        finally:
            (self.things / "hold").unlink()
            thread.join(60)
        assert not thread.is_alive()
        assert self.found is not None
        return self.found

    def process(self, part: str) -> int:
        """The number of one of the processes of the operation that goes on."""
        job = f"ORCHESTRATOR_JOB={self.jobs.folder(f'job-{self._number}')}"
        lines = {number: command_line(number) for number in tagged(job)}
        sign = {
            "engine": f"{self.provisioner._operations.engine.path} ",
            "language host": "pulumi-language-python ",
            "provider": "pulumi-resource-pulumi-python",
            "child": "adapters.pulumi.child",
            "supervisor": "engine.supervisor",
        }[part]
        found = [number for number, line in lines.items() if sign in f"{line} " and not line.startswith("/bin/sh")]
        if part == "provider":  # the one that answers, not the shell that started it
            found = [number for number, line in lines.items() if "pulumi.dynamic" in line or "dynamic/" in line]
        assert found, lines
        return found[0]


def until(true: Callable[[], object], patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def code(result: StepResult) -> tuple[Outcome, Any, Any]:
    """The parts of a result that decide how the run goes on."""
    return result.outcome, result.data.get("code"), result.data.get("untouched")


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    stage = Slow(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(stage.state))
    yield stage
    (stage.things / "hold").unlink(missing_ok=True)
    for host in loopback.recorded(stage.state):
        loopback.remove_host(host)
    for job in (stage.state / "jobs").glob("*"):
        kill_tree(f"ORCHESTRATOR_JOB={job}")


def test_a_killed_engine_is_not_taken_for_a_clean_slate(slow: Slow) -> None:
    """A resource whose create was interrupted stops the next update before any effect, until a person has said that it is there; then it is adopted, and nothing is made twice."""
    found = slow.interrupt("after create two", "engine")
    assert code(found) == (Outcome.ERRORED, "E111", False)
    assert found.data["unfinished"] == ["two"]
    assert len(slow.locks()) == 1

    slow.preview()
    assert "the last up of this stack died" in slow.notices()
    for refused in (slow.up().result, slow.destroy()):
        assert code(refused) == (Outcome.ERRORED, "E136", True)
        assert refused.data["urns"] == [slow.urn("two")]
        assert slow.locks() == []

    assert code(slow.resolve({}, "urn:pulumi:staging::shop::no::such")) == (Outcome.ERRORED, "E137", True)
    thing = next(slow.things.glob("thing-two-*")).name.removeprefix("thing-")
    assert slow.resolve({slow.urn("two"): thing}).data["counts"] == {"resolved": 1}
    assert slow.known() == ["one", "two"]
    assert slow.up().result.good
    assert slow.made() == slow.known() == ["one", "three", "two"]


def test_a_create_whose_provider_died_is_asked_about(slow: Slow) -> None:
    """What the engine counts as failed because its provider was killed may be there, and is not made again before somebody has looked."""
    slow.settings["names"] = "one"
    found = slow.interrupt("after create one", "provider")
    assert code(found) == (Outcome.ERRORED, "E111", False)
    assert found.data["uncertain"] == [slow.urn("one")]
    assert code(slow.up().result) == (Outcome.ERRORED, "E136", True)
    assert code(slow.resolve({slow.urn("one"): "one"})) == (Outcome.ERRORED, "E137", True)
    next(slow.things.glob("thing-one-*")).unlink()
    assert slow.resolve({}, slow.urn("one")).good
    assert slow.up().result.good
    assert slow.made() == slow.known() == ["one"]


def test_hosts_are_neither_lost_nor_made_twice(slow: Slow) -> None:
    """Where a create finds what is there, updates and destructions that were killed in the middle are finished by the next, also by one that is held to its plan, a destruction is begun again without being asked, and the hosts that run are those of the state."""
    slow.policy = "clear"
    slow.settings["hosts"] = "true"
    for moment, part in (("before create two", "supervisor"), ("after create three", "engine")):
        assert code(slow.interrupt(moment, part)) == (Outcome.ERRORED, "E111", False)
        assert part == "engine" or slow.made() == slow.known()
    slow.preview(slow.top / "plan")
    assert slow.up(slow.top / "plan").result.good
    assert slow.made() == slow.known() == ["one", "three", "two"]
    running = {host.name: loopback._server(host) for host in loopback.recorded(slow.state)}
    assert all(len(servers) == 1 for servers in running.values())
    found = slow.interrupt("before delete two", "engine", "destroy")
    assert (*code(found), found.data["how"]) == (Outcome.ERRORED, "E111", False, "lost")
    assert slow.destroy().good
    assert slow.made() == slow.known() == []
    assert slow.locks() == []


@pytest.mark.parametrize(("part", "isolated"), [("child", False), ("supervisor", False), ("supervisor", True)])
def test_an_engine_without_its_parent_is_let_end(slow: Slow, part: str, isolated: bool) -> None:
    """When only our own process above the engine is killed, the engine ends what is in flight, and the next update goes on from there."""
    if isolated:  # the process right above the engine ends its namespace
        slow.isolate()
    slow.settings["names"] = "one,two"
    assert code(slow.interrupt("after create one", part))[:2] == (Outcome.ERRORED, "E111")
    assert slow.made() == slow.known()
    assert slow.locks() == []
    assert slow.up().result.good
    assert slow.made() == slow.known() == ["one", "two"]


def test_a_plan_that_does_not_fit_any_more(slow: Slow) -> None:
    """A death before the first effect is told as untouched; and a plan that what died has made wrong is refused before any effect."""
    slow.policy = "clear"
    slow.settings["names"] = "one"
    assert slow.up().result.good
    slow.settings["names"] = "one,two"
    assert code(slow.interrupt("program", "engine")) == (Outcome.ERRORED, "E111", True)
    next(slow.things.glob("thing-one-*")).unlink()
    slow.preview(slow.top / "plan")
    assert code(slow.up(slow.top / "plan").result) == (Outcome.FAILED, "E131", True)
    assert slow.made() == []
    slow.preview(slow.top / "plan")
    assert slow.up(slow.top / "plan").result.good
    assert slow.made() == slow.known() == ["one", "two"]


def test_locks_of_others_stay(slow: Slow) -> None:
    """A lock is left alone, and its holder named, when it is of a living process, of another machine, or of somebody who is no operation of ours."""
    slow.policy = "clear"
    slow.settings["names"] = "one"
    slow.interrupt("after create one", "engine")
    lock = slow.locks()[0]
    ours = json.loads(lock.read_text())
    for other in ({"pid": os.getpid()}, {"hostname": "elsewhere"}, {"username": "somebody"}, {"pid": 999_999_999}):
        lock.write_text(json.dumps({**ours, **other}))
        found = slow.up().result
        assert code(found) == (Outcome.ERRORED, "E130", True)
        assert f"{ {**ours, **other}['hostname'] }".strip() in found.message
        assert lock.exists()
    lock.write_text(json.dumps(ours))
    assert slow.up().result.good
    assert slow.locks() == []


@pytest.mark.parametrize("moment", ["after create two", "program"])
def test_going_back_after_a_death(slow: Slow, moment: str) -> None:
    """An update that was killed is taken back by one that is looked at first and held to that, also when the dead one has left the stack other than it was looked at."""
    slow.policy = "clear"
    slow.settings["names"] = "one"
    assert slow.up().result.good
    before = slow.spec()
    slow.settings["names"] = "one,two"
    assert code(slow.interrupt(moment, "engine"))[:2] == (Outcome.ERRORED, "E111")
    next(slow.things.glob("thing-one-*")).unlink()  # so the refresh after the death finds another stack than was seen
    run = Run(id="r1", root="r1", kind="promotion", environment="staging")
    ctx = RunContext(_setting(slow), MemoryDurable({}), run)
    result = constrained(ctx, before, slow.job(), slow.entries.append, _nothing_to_lose)
    assert result.good, result.message
    assert slow.known() == ["one"]
    assert slow.made().count("one") == 1


def _nothing_to_lose(_course: RunContext, losses: tuple[Loss, ...], refused: str) -> StepResult:
    raise AssertionError(f"nothing here is stateful: {losses}, {refused}")


def _setting(slow: Slow) -> Services:
    """The project, with nothing real in it but its infrastructure."""
    store, world = MemoryStore(), World()
    return Services(
        project=Project(apiVersion="orchestrator/v1", kind="Project", name="demo"),
        root=slow.project,
        state=slow.state,
        environments={"staging": (slow.environment(), slow.folder)},
        provisioner=slow.provisioner,
        deployer=MemoryDeployer(world),
        verifier=MemoryVerifier(world),
        packages=MemoryPackages(),
        store=store,
        clock=store.clock,
        notifier=NullNotifier(),
        keys=MemoryKeys(),
    )
