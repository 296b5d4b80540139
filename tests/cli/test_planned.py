"""Pulumi's changes as a person reads them."""

from orchestrator.cli.planned import tree
from orchestrator.domain.plan import ResourceChange


def _change(op: str, name: str, parent: str = "", *properties: str) -> ResourceChange:
    return ResourceChange(op=op, type="shop:Host", name=name, urn=f"urn:{name}", parent=parent, properties=properties)


def test_a_replaced_resource_is_one_line() -> None:
    """What Pulumi tells in three steps of a replaced resource is one line, below its parent and with what differs."""
    steps = ("delete-replaced", "create-replacement", "replace")
    changes = [_change("create", "top"), _change("same", "other")]
    changes += [_change(op, "web1", "urn:top", *(["address"] if op != "delete-replaced" else [])) for op in steps]
    assert tree(tuple(changes)) == ["+ shop:Host top", "  +- shop:Host web1  [address]"]
