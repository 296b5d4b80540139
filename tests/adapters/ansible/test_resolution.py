"""Ansible's own commands that only read are killed while they are asked."""

import os
from pathlib import Path

import pytest

from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.resolution import InventoryResolver
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.processes import STARTS
from tests.adapters.ansible.conftest import COLLECTIONS
from tests.killing import killing


@pytest.fixture
def resolver(tmp_path: Path) -> InventoryResolver:
    return InventoryResolver(Configurations(os.environ, tmp_path, COLLECTIONS, tmp_path / "state"))


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    """One host, in a file of the user's."""
    file = tmp_path / "hosts.yml"
    file.write_text("web: {hosts: {web1: {ansible_host: 127.0.0.1}}}\n")
    return Inventory(files=(str(file),))


def test_an_inventory_whose_reader_was_killed_is_read_again(resolver: InventoryResolver, inventory: Inventory) -> None:
    """`kill -9` of ansible-inventory is no answer: it is started again, and the hosts are those of the file."""
    with killing("/ansible-inventory --list", 1) as killed:
        found = resolver.hosts(inventory, AnsibleSettings())
    assert len(killed) == 1
    assert list(found.hosts) == ["web1"]


def test_a_reader_that_is_always_killed_is_named(resolver: InventoryResolver, inventory: Inventory) -> None:
    """When ansible-inventory is killed each time, the error says so and which signal it was."""
    with killing("/ansible-inventory --list", STARTS) as killed, pytest.raises(OrchestratorError) as caught:
        resolver.hosts(inventory, AnsibleSettings())
    assert len(killed) == STARTS
    assert "ended by signal 9" in caught.value.message
