"""What every `Gates` promises, whoever asks: good, failed, or unknown."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.gates.live_gates import LiveGates
from orchestrator.adapters.memory.verifier import MemoryGates
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.views import Views
from orchestrator.domain.context import Context
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.errors import catalogue
from orchestrator.domain.gate import Gate
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlannedGate
from orchestrator.domain.release import Package
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.isolator import NONE
from orchestrator.ports import Emit, Gates
from tests.flow.test_promotion import release
from tests.sealed import sealed
from tests.web import Server

HOSTS = ("a", "b")


def prometheus(value: str) -> tuple[int, str]:
    result = f'[{{"metric":{{}},"value":[1,"{value}"]}}]' if value else "[]"
    return 200, f'{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}'


@dataclass
class Case:
    """A gate of one kind, and how to make it good, shut, and silent."""

    gates: Gates
    gate: Gate
    good: Callable[[], object]
    shut: Callable[[], object]
    silent: Callable[[], object]


def ask(gates: Gates, gate: Gate, job: str = "run.gate", root: Path | None = None, **more: Any) -> StepResult:
    """Ask for a package whose content is *root*, or empty."""
    if root is None:
        with tempfile.TemporaryDirectory() as empty:
            return ask(gates, gate, job, Path(empty), **more)
    package = sealed(root, release("1.0.0"))
    inventory = Inventory(hosts={host: {} for host in HOSTS})
    context = Context(run="run", environment="staging", **more)
    return gates.ask(PlannedGate(gate=gate), HOSTS, package, inventory, context, job, lambda _entry: None)


@pytest.fixture(params=["memory", "http", "prometheus", "command"])
def case(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Case:
    live = LiveGates(LocalJobs(tmp_path / "jobs"), tmp_path, {})
    if request.param == "memory":
        world = World()
        return Case(
            MemoryGates(world),
            Gate(name="gate", command=("true",)),
            lambda: None,
            lambda: world.faults.add(("gate", "gate", "1.0.0")),
            lambda: world.deaf.add("gate"),
        )
    if request.param == "command":
        script, root = tmp_path / "script", tmp_path / ".orchestrator"
        views = Views(tmp_path, root, {}, lambda: NONE)  # the script is not in the package
        live = LiveGates(LocalJobs(tmp_path / "jobs", isolator=lambda: NONE), tmp_path, {}, views=views)

        def write(text: str) -> None:
            script.write_text(text)

        return Case(
            live,
            Gate(name="gate", command=("sh", str(script))),
            lambda: write("exit 0"),
            lambda: write("echo too many; exit 3"),
            lambda: write("exit 75"),
        )
    if request.param == "prometheus":
        gate = Gate.from_json(
            {"name": "gate", "prometheus": {"server": server.url, "query": "up", "below": 1, "timeout": "1s"}}
        )
        path = "/api/v1/query"
        return Case(
            live,
            gate,
            lambda: server.answers.update({path: prometheus("0.5")}),
            lambda: server.answers.update({path: prometheus("1")}),
            lambda: server.answers.update({path: prometheus("")}),
        )
    gate = Gate.from_json({"name": "gate", "http": {"url": f"{server.url}/{{{{ page }}}}", "timeout": "1s"}})
    gates = LiveGates(LocalJobs(tmp_path / "jobs"), tmp_path, {})
    page = {"page": "health"}

    class Known:
        """The gates of an environment with a variable."""

        def ask(
            self,
            gate: PlannedGate,
            hosts: tuple[str, ...],
            package: Package,
            inventory: Inventory,
            context: Context,
            job: str,
            emit: Emit,
        ) -> StepResult:
            known = replace(context, vars=page)
            return gates.ask(gate, hosts, package, inventory, known, job, emit)

        def missing_credential(self, gate: PlannedGate, context: Context) -> MissingCredential | None:
            return gates.missing_credential(gate, context)

        def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
            gates.check(gate, package, context)

    return Case(
        Known(),
        gate,
        lambda: server.answers.update({"/health": (200, "ok")}),
        lambda: server.answers.update({"/health": (500, "")}),
        page.clear,
    )


def test_an_open_gate_is_good(case: Case) -> None:
    """A gate that holds is good, and nothing was touched."""
    case.good()
    result = ask(case.gates, case.gate)
    assert (result.outcome, result.touched()) == (Outcome.SUCCEEDED, ())


def test_a_shut_gate_has_failed(case: Case) -> None:
    """A gate that does not hold has failed, with its code and a sentence."""
    case.good()
    case.shut()
    result = ask(case.gates, case.gate)
    assert (result.outcome, result.data["code"]) == (Outcome.FAILED, "V140")
    assert result.message


def test_a_silent_gate_is_unknown(case: Case) -> None:
    """A gate that cannot be asked is unknown, never failed, with a code of the catalogue and a sentence."""
    case.good()
    case.silent()
    result = ask(case.gates, case.gate)
    assert result.outcome is Outcome.UNKNOWN
    assert result.data["code"] in catalogue()
    assert result.message
