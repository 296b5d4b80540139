# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts of an environment for plain Ansible: asked of the command `orchestrator`, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.unsafe_proxy import wrap_var

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 every text is trusted that is not marked

    def trust_as_template(value):
        """The text itself."""
        return value


DOCUMENTATION = r"""
name: pulumi
plugin_type: inventory
short_description: The hosts of an environment, as its Pulumi stack has them
version_added: 0.1.0
description:
  - Gives C(ansible-playbook) and C(ansible-inventory) the hosts, groups and variables of an environment, including
    those for checking host keys.
  - Runs the command C(orchestrator), which reads the stack's outputs. Nothing is changed.
  - The file's name ends in C(.pulumi.yml) or C(.pulumi.yaml).
  - Of hosts in the files under C(inventory.files) of the environment, only the names and groups are given. Pass those
    files to Ansible as well. They must not name this file.
author: The Orchestrator authors
options:
  plugin:
    description: Identifies a file for this plugin.
    required: true
    choices: [orchestrator.release.pulumi]
  environment:
    description: The environment's name.
    required: true
    type: str
  project:
    description: The project's folder, relative to this file. The default is the nearest folder above it with an C(orchestrator.yaml).
    default: .
    type: str
  orchestrator:
    description:
      - The command, by its name on PATH or by its path, which is relative to this file.
      - The default is C(orchestrator) on PATH, otherwise the one beside the Python that runs Ansible.
    type: str
    env:
      - name: ORCHESTRATOR_COMMAND
"""

EXAMPLES = r"""
# production.pulumi.yml
plugin: orchestrator.release.pulumi
environment: production
"""

TEMPLATE = re.compile(r"\{[{%#]")
ASKED = "ANSIBLE_ORCHESTRATOR_INVENTORY"  # with this prefix it reaches an Ansible that the command starts in its turn


class InventoryModule(BaseInventoryPlugin):
    """Reads `*.pulumi.yml`."""

    NAME = "orchestrator.release.pulumi"
    trusted_by_default = False  # outputs carry data of a cloud: a template in them is text, unless the environment says

    def verify_file(self, path):
        """Whether the file is one of ours, by its name."""
        return super().verify_file(path) and path.endswith((".pulumi.yml", ".pulumi.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Add what the environment has to *inventory*."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        found = self._ask(os.path.dirname(os.path.abspath(path)))
        self.trusted_by_default = self._evaluated = bool(found.get("templates"))
        for host, variables in found["hosts"].items():
            inventory.add_host(host)
            self._set(host, variables)
        for name, body in found["groups"].items():
            for group in (name, *body["children"]):
                inventory.add_group(group)
            for child in (*body["hosts"], *body["children"]):
                inventory.add_child(name, child)
            self._set(name, body["vars"])

    def _set(self, name, variables):
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value if self._evaluated else _as_text(value))

    def _ask(self, folder):
        """What the command says of the environment."""
        environment = self.get_option("environment")
        if os.environ.get(ASKED):
            raise AnsibleParserError(f"inventory.files of {os.environ[ASKED]} leads back to this file")
        words = [self._command(folder), "-C", os.path.join(folder, self.get_option("project"))]
        words += ["environment", "inventory", environment, "--show-variables", "--json"]
        env = {**os.environ, ASKED: environment}
        try:
            done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        except OSError as error:
            raise AnsibleParserError(f"{words[0]} cannot be run: {error}") from error
        if done.returncode != 0:
            raise AnsibleParserError(f"orchestrator does not know the hosts of {environment}: {_said(done)}")
        return json.loads(done.stdout)

    def _command(self, folder):
        named = self.get_option("orchestrator")
        if named:
            return os.path.join(folder, os.path.expanduser(named)) if os.sep in named else named
        beside = os.path.join(os.path.dirname(sys.executable), "orchestrator")
        return shutil.which("orchestrator") or beside


def _said(done):
    """Why the command failed: its errors as data, else its last line."""
    try:
        return "; ".join(f"{error['message']} ({error['code']})" for error in json.loads(done.stdout)["errors"])
    except (ValueError, KeyError, TypeError):
        return (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]


def _as_text(value):
    """The value with every text in it marked that could be a template. Other texts stay plain, for those who list them."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, str):
        return wrap_var(value) if TEMPLATE.search(value) else trust_as_template(value)
    return value
