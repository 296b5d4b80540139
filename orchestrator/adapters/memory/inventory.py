"""The hosts of a `World` as an inventory."""

from orchestrator.domain.inventory import Group, Inventory


def web_inventory(hosts: list[str]) -> Inventory:
    """The inventory of *hosts*, in a group `web`."""
    return Inventory(hosts={host: {} for host in hosts}, groups={"web": Group(hosts=tuple(hosts))})
