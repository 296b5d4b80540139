"""The workflow of a request, on the adapters in memory."""

from types import SimpleNamespace
from typing import Any

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.app.execute import run_workflow
from orchestrator.app.requests import Promote
from orchestrator.domain.promotion import State
from orchestrator.flow.halt import SoleOwner
from tests.cli.memory_project import MemoryProject, project  # noqa: F401 - a fixture


def test_a_promotion_along_the_path(project: MemoryProject) -> None:  # noqa: F811 - the fixture
    """A recorded promotion goes to one environment after the other, and its replay does nothing a second time."""
    package = project.packages.put(project.release("1.0.0"))
    request = Promote(root="abc123", package=package.ref, targets=("staging", "production"), by="ann")
    services = project.services()
    engines = SimpleNamespace(deployer=lambda _own: services.deployer, provisioner=lambda: services.provisioner)
    parts: Any = SimpleNamespace(
        services=services,
        store=services.store,
        environments={},
        engines=engines,
        secrets=services.secrets,
        use_definition_of=lambda _request: None,
    )
    answers: dict[str, Any] = {}
    durable: Any = MemoryDurable(answers)
    done = run_workflow(parts, durable, SoleOwner(), request.to_json())
    runs = ["abc123-staging", "abc123-production"]
    assert done == {"runs": runs}
    assert [project.store.run(run).state for run in runs] == [State.SUCCEEDED] * 2
    entries = {run: len(project.store.records(run)) for run in runs}
    assert run_workflow(parts, durable, SoleOwner(), request.to_json()) == done
    assert {run: len(project.store.records(run)) for run in runs} == entries
