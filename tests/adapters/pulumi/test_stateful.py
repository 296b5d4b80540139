"""Resources that are kept, on the real engine: told by the preview, and never lost to a rollback."""

import pytest

from orchestrator.domain.environment import StatefulRule
from orchestrator.domain.plan import StackPreview, losses
from orchestrator.domain.step import Outcome

from .conftest import Stage

pytestmark = pytest.mark.engines

PROGRAM = """
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider


class Databases(ResourceProvider):
    def create(self, props):
        return CreateResult(f"db-{props['size']}", props)

    def diff(self, _id, old, new):
        other = old["size"] != new["size"]
        return DiffResult(changes=other, replaces=["size"] if other else [])


class Database(Resource):
    def __init__(self, name, size, opts):
        super().__init__(Databases(), name, {"size": size}, opts)


config = pulumi.Config()
data = pulumi.ComponentResource("shop:index:Data", "data")
if config.get("size") != "none":
    keep = config.get("keep")
    opts = pulumi.ResourceOptions(parent=data, protect=keep == "protect", retain_on_delete=keep == "retain")
    Database("orders-db", config.get("size") or "1", opts)
pulumi.export("ansible_inventory", {"web": {"hosts": ["web1"]}})
"""


@pytest.fixture(params=["", "protect", "retain"])
def kept(request: pytest.FixtureRequest, stage: Stage) -> Stage:
    """A stack with a database in a component, kept by Pulumi's own options or only by a rule."""
    (stage.folder / "__main__.py").write_text(PROGRAM)
    stage.settings = {"keep": request.param}
    assert stage.up().result.outcome is Outcome.SUCCEEDED
    return stage


def why(preview: StackPreview, *rules: StatefulRule) -> list[str]:
    return [f"{loss.op} {loss.name}: {loss.why}" for loss in losses(preview.changes, rules)]


@pytest.mark.long
def test_a_preview_tells_what_would_be_lost(kept: Stage) -> None:
    """A database that would be replaced or deleted is told once, with what keeps it; what Pulumi protects is told as refused."""
    keep = kept.settings["keep"]
    said = {"protect": "its declaration has protect", "retain": "its declaration has retainOnDelete"}
    rule = StatefulRule(type="shop:index:*")
    for size, op in (("2", "replace"), ("none", "delete")):
        kept.settings = {"keep": keep, "size": size}
        preview = kept.preview()
        assert why(preview) == ([f"{op} orders-db: {said[keep]}"] if keep else [])
        assert why(preview, rule) == [f"{op} orders-db: {said.get(keep, 'in data, stateful by its type shop:index:*')}"]
        assert bool(preview.refused) == (keep == "protect")
        assert ("orders-db" in preview.refused) == (keep == "protect")
    kept.settings = {"keep": keep}
    assert why(kept.preview(), rule) == []
    if keep == "protect":
        result = kept.provisioner.destroy(kept.spec(), "destroy", kept.entries.append)
        assert (result.outcome, result.data["code"]) == (Outcome.FAILED, "E140")
