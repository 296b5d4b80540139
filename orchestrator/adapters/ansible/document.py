"""YAML that only Ansible reads: texts that are marked unsafe get the tag `!unsafe`, and are never evaluated."""

from typing import Any

import yaml

from orchestrator.domain.variables import Unsafe


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent(dumper: yaml.SafeDumper, text: Unsafe) -> yaml.Node:
    return dumper.represent_scalar("!unsafe", str(text), style='"')


_Dumper.add_representer(Unsafe, _represent)


def dump(data: Any) -> bytes:
    """*data* as YAML that only Ansible reads."""
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=2**20).encode()
