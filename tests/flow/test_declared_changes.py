"""Every step declares what it may change, before it starts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator.flow
from orchestrator.domain.promotion import State
from tests.flow.declared import undeclared
from tests.flow.test_promotion import Stage, stage

__all__ = ["stage"]  # the fixture
FLOW = Path(orchestrator.flow.__file__).parent


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that start a step of a run."""
    for node in ast.walk(tree):
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func
        if named and named.attr in {"step", "must"} and ast.unparse(named.value) in {"ctx", "self"}:
            assert isinstance(node, ast.Call)
            yield node


@pytest.mark.parametrize("path", sorted(FLOW.glob("*.py")), ids=lambda path: str(path.name))
def test_each_kind_of_step_declares_its_change(path: Path) -> None:
    """No step of any verb of the flow is started without a declaration of what it may change."""
    bare = [
        f"{path.name}:{call.lineno}"
        for call in calls(ast.parse(path.read_text()))
        if "may_change" not in {keyword.arg for keyword in call.keywords}
    ]
    assert bare == []


def test_a_step_without_a_declaration_is_noticed() -> None:
    """The check finds a step that declares nothing, and there are steps for it to find."""
    [call] = calls(ast.parse('ctx.step("deploy", "deploy", work, verb="deploy")'))
    assert "may_change" not in {keyword.arg for keyword in call.keywords}
    assert sum(len(list(calls(ast.parse(path.read_text())))) for path in FLOW.glob("*.py")) > 25


def test_what_steps_declare_is_in_the_journal(stage: Stage) -> None:
    """Each step of promotions, of a failure and of its rollback records what it may change, and a false record is found."""
    stage.walk("1.0.0")
    stage.world.faults.add(("verify", "p1", "1.1.0"))
    run = stage.walk("1.1.0")
    assert run.state is State.ROLLED_BACK
    records = stage.store.records(run.id)
    assert undeclared(records) == []
    kinds = {record.data["may_change"]["kind"] for record in records if record.kind == "step.started"}
    assert kinds == {"nothing", "hosts", "suite"}
    changed = [
        record.model_copy(update={"data": {**record.data, "may_change": {"kind": "nothing"}}})
        if record.kind == "step.started"
        else record
        for record in records
    ]
    assert undeclared(changed) == ["deploy.1 declares {'kind': 'nothing'}"]
