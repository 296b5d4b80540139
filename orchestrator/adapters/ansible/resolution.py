"""The user's inventory files, read by Ansible's own `ansible-inventory`."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.configuration import Effective, program
from orchestrator.adapters.ansible.document import dump
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.model import digest_of
from orchestrator.domain.text import clean_text
from orchestrator.domain.variables import inventory_document


def resolve(inventory: Inventory, effective: Effective, control: Path) -> Inventory:
    """The inventory with the user's *files* read into it by `ansible-inventory`.

    Args:
        inventory: what is known before; with the files' paths.
        effective: the configuration of Ansible's process.
        control: the folder of ssh's control sockets.
    """
    if not inventory.files:
        return inventory
    with tempfile.TemporaryDirectory() as folder:
        own, config = Path(folder) / "overlay.yml", Path(folder) / CONFIG_FILE
        own.write_bytes(dump(inventory_document(inventory, {})))
        config.write_bytes(effective.config)
        argv = [program("ansible-inventory"), "--list", "-i", str(own)]
        argv += [word for file in inventory.files for word in ("-i", file)]
        env = effective.environment(Path(folder), control, len(inventory.hosts))
        env["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "True"  # else it warns, and leaves those hosts out
        done = subprocess.run(
            argv, cwd=effective.folder, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    if done.returncode != 0:
        last = clean_text((done.stderr.strip().splitlines() or ["no message"])[-1], 500)
        raise OrchestratorError("D104", f"ansible-inventory cannot read {', '.join(inventory.files)}: {last}")
    found = _listed(json.loads(done.stdout), inventory)
    if not found.hosts:
        raise OrchestratorError("E120", f"there is no host in {', '.join(inventory.files)}")
    return found


def _listed(document: dict[str, Any], known: Inventory) -> Inventory:
    """Hosts and groups from what `ansible-inventory --list` prints.

    The variables of the user's own files stay there: Ansible reads them from the files again, with their own
    precedence, templates and vaults. Only what was *known* before (the stack's outputs) is kept as a value; of all the
    rest a digest is kept, in which what a vault encrypts is still encrypted.
    """
    groups = {
        name: Group(hosts=tuple(body.get("hosts", ())), children=tuple(body.get("children", ())))
        for name, body in document.items()
        if name not in {"_meta", "all"}
    }
    order: dict[str, None] = {}
    for group in groups.values():
        order.update(dict.fromkeys(group.hosts))
    order.update(dict.fromkeys(document.get("_meta", {}).get("hostvars", {})))
    hosts = {host: known.hosts.get(host, {}) for host in order}
    kept = {name: group.model_copy(update={"vars": known.groups[name].vars}) if name in known.groups else group
            for name, group in groups.items()}  # fmt: skip
    return Inventory(hosts=hosts, groups=kept, files=known.files, said=digest_of(document))
