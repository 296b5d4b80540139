"""What every `Provisioner` tells of resources that are kept, whether it keeps a world in memory or runs Pulumi."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.adapters.memory.world import World
from orchestrator.domain.environment import Environment
from orchestrator.domain.plan import StackSpec
from orchestrator.ports import Provisioner
from tests.adapters.pulumi.conftest import Stage
from tests.adapters.pulumi.test_stateful import PROGRAM

PROGRAM = PROGRAM.replace(
    'Database("orders-db"', 'Database("web", "1", pulumi.ResourceOptions())\n    Database("orders-db"'
)
pytestmark = pytest.mark.engines


@dataclass
class Place:
    """A provisioner, and the stack's definitions with the database and without it."""

    provisioner: Provisioner
    full: StackSpec
    bare: StackSpec


def _memory(_folder: Path, keep: str) -> Place:
    world = World(wanted={"orders-db": keep})
    provisioner = MemoryProvisioner(world)
    environment = Environment(apiVersion="orchestrator/v1", kind="Environment", name="staging")

    def spec(*hosts: str) -> StackSpec:
        world.stacks["staging"] = list(hosts)
        return provisioner.definition(environment, Path())

    return Place(provisioner, spec("web", "orders-db"), spec("web"))


def _pulumi(folder: Path, keep: str) -> Place:
    stage = Stage(folder)
    (stage.folder / "__main__.py").write_text(PROGRAM)
    stage.settings = {"keep": "retain" if keep == "retainOnDelete" else keep}
    full = stage.spec()
    text = PROGRAM.partition('    Database("orders-db"')
    (stage.folder / "__main__.py").write_text(text[0] + "\n" + text[2].partition("\n")[2])
    return Place(stage.provisioner, full, stage.spec())


@pytest.mark.parametrize("keep", ["", "protect", "retainOnDelete"])
@pytest.mark.parametrize(
    "make", [pytest.param(_memory, id="memory"), pytest.param(_pulumi, id="pulumi", marks=pytest.mark.long)]
)
def test_what_is_kept_is_told(make: Callable[[Path, str], Place], keep: str, tmp_path: Path) -> None:
    """A preview and a look at what is there tell of each resource what its program wants kept; a preview of what is protected says that it would be refused."""
    place = make(tmp_path, keep)
    assert place.provisioner.existing_resources(place.full) == ()
    assert place.provisioner.up(place.full, "up", lambda _entry: None).result.good
    kept = {resource.name: resource.kept for resource in place.provisioner.existing_resources(place.full)}
    assert {name: word for name, word in kept.items() if name != "data"} == {"web": "", "orders-db": keep}
    assert {resource.op for resource in place.provisioner.existing_resources(place.full)} == {"delete"}
    preview = place.provisioner.preview(place.bare, "look", lambda _entry: None)
    lost = [(change.name, change.kept) for change in preview.changes if change.op == "delete"]
    assert lost == [("orders-db", keep)]
    assert bool(preview.refused) == (keep == "protect")
    assert preview.changes_something
    if keep != "protect":
        number = place.provisioner.resources(place.full)
        done = place.provisioner.destroy(place.full, "end", lambda _entry: None, remove=True)
        assert done.good
        assert sum(done.data["counts"].values()) == number
        assert place.provisioner.existing_resources(place.full) == ()
