"""S22: templates in what comes from a cloud or a release: text for Ansible, in every place of an inventory."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.document import dump
from orchestrator.adapters.pulumi import inventory as inventories
from orchestrator.domain import variables
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.variables import inventory_document, json_document, unsafe
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S22", "templates in outputs and in variables of a release"

LIMIT = 25  # seconds for Ansible
TEMPLATES = {
    "an expression": "{{ WORK }}",
    "an expression in a text": "web-{{ WORK }}-1",
    "an expression without blanks": "{{WORK}}",
    "an expression that strips blanks": "{{- WORK -}}",
    "an expression with a plus": "{{+ WORK }}",
    "an expression over lines": "{{\n WORK\n}}",
    "two expressions": "{{ 1 }}{{ WORK }}",
    "an expression with a filter": "{{ WORK | default('x') }}",
    "an expression with a test": "{{ 'a' if WORK is defined else 'b' }}",
    "a condition": "{% if WORK %}a{% endif %}",
    "a condition that strips blanks": "{%- if WORK -%}a{%- endif -%}",
    "an assignment": "{% set x = WORK %}{{ x }}",
    "a loop": "{% for x in [WORK] %}{{ x }}{% endfor %}",
    "a macro": "{% macro m() %}{{ WORK }}{% endmacro %}{{ m() }}",
    "a comment and an expression": "{# x #}{{ WORK }}",
    "an expression behind a raw block": "{% raw %}x{% endraw %}{{ WORK }}",
    "a template in a template": "{{ '{{ WORK }}' }}{{ WORK }}",
    "another delimiter by a header": "#jinja2: variable_start_string: '[%'\n{{ WORK }}",
    "a tag of YAML before it": "!unsafe {{ WORK }}",
    "a quoted expression": '"{{ WORK }}"',
    "an expression behind a zero-width mark": "\u200b{{ WORK }}",
    "an expression behind many letters": "x" * 5000 + "{{ WORK }}",
}  # fmt: skip
Shape = Callable[[str], Any]
SHAPES: dict[str, Shape] = {
    "as a text": lambda text: text,
    "in a list": lambda text: [text],
    "in a mapping": lambda text: {"a": text},
    "deep inside": lambda text: [{"a": [{"b": (text,)}]}],
    "as a marked object": lambda text: {"__ansible_unsafe": text, "x": 1},
}
PLAYED = ("as a text", "deep inside", "as a marked object")
PLACES = ("a host", "a group", "all groups", "a release")


def _work(marker: Path) -> str:
    return f"lookup('pipe', 'touch {marker}')"


# -- through Ansible ---------------------------------------------------------------------------------------------------

Combination = tuple[str, str, str]


def _combinations() -> list[Combination]:
    return [(template, shape, place) for template in TEMPLATES for shape in PLAYED for place in PLACES]


def _make(folder: Path, _end: ExitStack) -> set[Combination]:
    """The combinations that one play of Ansible over all of them has evaluated."""
    marks, hosts, groups = folder / "marks", dict[str, dict[str, Any]](), dict[str, Group]()
    everywhere, released = dict[str, Any](), dict[str, Any]()
    marks.mkdir()
    chosen = _combinations()
    for number, (template, shape, place) in enumerate(chosen):
        text = TEMPLATES[template].replace("WORK", _work(marks / str(number)))
        value, host, name = SHAPES[shape](text), f"h{number}", f"v{number}"
        hosts[host] = {"number": number}
        if place == "a host":
            hosts[host][name] = value
        elif place == "a group":
            groups[f"g{number}"] = Group(hosts=(host,), vars={name: value})
        elif place == "all groups":
            everywhere[name] = value
        else:
            released[name] = unsafe(value)
    inventory = Inventory(hosts=hosts, groups={**groups, "all": Group(vars=everywhere)})
    (folder / "overlay.yml").write_bytes(dump(inventory_document(inventory, released)))
    task = {"ansible.builtin.debug": {"msg": "{{ lookup('vars', 'v' ~ number) | string | length }}"}}
    play = {"hosts": "all", "gather_facts": False, "connection": "local", "tasks": [task]}
    (folder / "play.yml").write_text(json.dumps([play]))
    (folder / "ansible.cfg").write_text("[defaults]\nforks = 4\n")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "ANSIBLE_HOME": str(folder), "LANG": "C.UTF-8"}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "overlay.yml", "play.yml"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert f"h{len(chosen) - 1}" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    assert "failed=0" in done.stdout, done.stdout[-2000:]
    return {chosen[int(mark.name)] for mark in marks.iterdir()}


def _evaluated(combination: Combination, yard: Yard) -> Outcome:
    found = yard.shared.part("templates", _make)
    return Outcome(accepted="Ansible has evaluated it") if combination in found else HELD


# -- as documents ------------------------------------------------------------------------------------------------------


def _unmarked(value: Any) -> list[str]:
    """The texts in *value* that Ansible would take for templates."""
    if isinstance(value, dict):
        return [found for pair in value.items() for item in pair for found in _unmarked(item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in _unmarked(item)]
    marked = not isinstance(value, str) or isinstance(value, variables.Unsafe)
    return [] if marked or not any(mark in value for mark in ("{{", "{%", "{#")) else [value]


def _document(text: str, shape: Shape, yard: Yard) -> Outcome:
    """By the reader of outputs, as the file for Ansible and as JSON for suites."""
    value = shape(text.replace("WORK", _work(yard.inside / "mark")))
    output = json.dumps({"_meta": {"hostvars": {"a": {"v": value}}}, "web": {"hosts": ["a"], "vars": {"w": value}}})
    document = inventory_document(inventories.from_output(output, "inventory"), {})
    if found := _unmarked(document):
        return Outcome(accepted=found[0])
    plain = json.loads(json.dumps(json_document(document)), object_hook=_without_marked)
    return Outcome(accepted=_unmarked(plain)[0]) if _unmarked(plain) else HELD


def _without_marked(value: dict[str, Any]) -> Any:
    return None if set(value) == {"__ansible_unsafe"} else value


def _key(text: str, deep: bool, yard: Yard) -> Outcome:
    """A key cannot be marked: it is refused by its name."""
    key = text.replace("WORK", _work(yard.inside / "mark"))
    value: Any = {"a": [{key: "x"}]} if deep else {key: "x"}
    try:
        found = inventories.from_output({"_meta": {"hostvars": {"a": {"v": value}}}}, "inventory")
        document = inventory_document(found, {})
    except OrchestratorError as error:
        return HELD if error.code in {"D110", "E122", "E123"} else Outcome(accepted=error.code)
    return Outcome(accepted=repr(document)[:100])


def cases(seed: int) -> Iterator[Case]:
    """Every template in every shape and place, through one play of Ansible, and as documents and keys."""
    found = [Case(f"{t} {s} of {p}", partial(_evaluated, (t, s, p))) for t, s, p in _combinations()]
    for what, text in TEMPLATES.items():
        found += [Case(f"{what} {how} of an output", partial(_document, text, shape)) for how, shape in SHAPES.items()]
        found += [
            Case(f"{what} as a key", partial(_key, text, False)),
            Case(f"{what} as a deep key", partial(_key, text, True)),
        ]
    random.Random(seed).shuffle(found)
    yield from found


DEFENCES: dict[str, Defence] = {
    "text": lambda: replaced(variables, "text_only", lambda value: value),
    "JSON": lambda: replaced(sys.modules[__name__], "json_document", lambda value: value),
    "marks": lambda: replaced(sys.modules[__name__], "unsafe", lambda value: value),
}
