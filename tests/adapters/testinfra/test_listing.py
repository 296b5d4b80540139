"""The inventory that a suite finds, beside the one that Ansible makes of the same stack output."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testinfra.utils.ansible_runner import is_empty_inventory, itergroup

from orchestrator.adapters.pulumi.inventory import from_output
from orchestrator.adapters.testinfra.suite_job import inventory_listing
from orchestrator.domain.variables import inventory_document

LOCAL = {"ansible_connection": "local"}
OUTPUTS: dict[str, dict[str, Any]] = {
    "hosts of all": {"all": {"hosts": {"box": LOCAL}}},
    "hosts of all and of a group": {"all": {"hosts": {"box": LOCAL}, "children": {"web": {"hosts": {"web1": LOCAL}}}}},
    "a host of all that a group has": {"all": {"hosts": {"web1": LOCAL}}, "web": {"hosts": ["web1"]}},
    "ungrouped": {"ungrouped": {"hosts": {"box": LOCAL}}, "web": {"hosts": {"web1": LOCAL}}},
    "ungrouped and a group": {"ungrouped": {"hosts": ["web1"]}, "web": {"hosts": {"web1": LOCAL}}},
    "groups of groups": {
        "web": {"hosts": ["web1"]}, "site": {"children": ["web"]}, "_meta": {"hostvars": {"web1": {"port": 80}}},
    },
    "variables of all": {
        "all": {"hosts": {"web1": {"own": 1}}, "vars": {"own": 0, "every": 2}}, "web": {"hosts": ["web1"]},
    },
}  # fmt: skip


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_a_suite_finds_the_groups_and_hosts_of_ansible(output: dict[str, Any], tmp_path: Path) -> None:
    """A suite gets the hosts of each group, and the variables of each host, that `ansible-inventory` lists."""
    inventory = from_output(output, "ansible_inventory")
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps(inventory_document(inventory, {"common": 4})))
    command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(file), "--list"]
    environ = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "none.cfg")}
    done = subprocess.run(command, capture_output=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    expected, found = json.loads(done.stdout), json.loads(json.dumps(inventory_listing(inventory, {"common": 4})))
    assert not is_empty_inventory(found)
    for group in {*expected, *found} - {"_meta"}:
        known = {
            name: {"hosts": [], "children": [], **parts.get(group, {})}
            for name, parts in (("a", expected), ("f", found))
        }
        assert set(itergroup({**expected, group: known["a"]}, group)) == set(
            itergroup({**found, group: known["f"]}, group)
        ), group
    assert found["_meta"]["hostvars"] == expected["_meta"]["hostvars"]
