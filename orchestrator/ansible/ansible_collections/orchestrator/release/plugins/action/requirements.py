# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind orchestrator.release.requirements: the module on the host, and expressions over its facts.

It never fails because a host cannot measure something: that is *unknown*, and a line says why.
"""

from __future__ import annotations

import json

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 evaluates every text that is not marked as unsafe

    def trust_as_template(text):
        return text


LONGEST = 2000  # characters of a value
SETUP = "ansible.builtin.setup"
MODULE = "orchestrator.release.requirements"


class ActionModule(ActionBase):
    """Measure what a release requires of a host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars, args = task_vars or {}, dict(self._task.args)
        lines, facts = [], args.pop("facts", None) or []
        if any(args.values()):
            answer = self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars)
            lines += [self._module_error(answer)] if answer.get("failed") else str(answer.get("stdout", "")).splitlines()
        if facts:
            lines += self._facts(facts, task_vars)
        result.update(changed=False, stdout="\n".join(lines))
        return result

    def _facts(self, expressions, task_vars):
        """A line for the value of each expression. Facts are data of the host: nothing in them is evaluated."""
        answer = self._execute_module(module_name=SETUP, module_args={"gather_subset": ["all", "!facter", "!ohai"]}, task_vars=task_vars)
        if answer.get("failed"):
            return [self._module_error(answer)]
        found = wrap_var(answer.get("ansible_facts") or {})
        short = {name[len("ansible_") :] if name.startswith("ansible_") else name: value for name, value in found.items()}
        self._templar.available_variables = {**task_vars, **found, "ansible_facts": {**short, **found}}
        return ["@fact " + json.dumps({**self._value(text), "name": text}) for text in expressions]

    def _value(self, expression):
        try:
            text = str(self._templar.template(trust_as_template("{{ (" + expression + ") | to_json }}"), convert_data=False))
            if len(text) > LONGEST:
                return {"error": "its value is longer than %d characters" % LONGEST}
            return {"value": json.loads(text)}
        except AnsibleConnectionFailure:
            raise
        except (AnsibleError, ValueError, TypeError) as error:
            return {"error": str(error).strip().splitlines()[0][:300]}

    def _module_error(self, answer):
        text = str(answer.get("msg") or answer.get("module_stderr") or "the module failed").strip().splitlines()
        return "@module_error " + (text[0] if text else "the module failed")[:300]
