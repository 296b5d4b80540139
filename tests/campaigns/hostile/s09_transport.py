"""A package that wants to decide how hosts are reached: transport settings in its sealed `ansible.cfg`, in each form."""

import configparser
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random

from orchestrator.adapters.ansible import settings
from orchestrator.adapters.ansible.settings import CURRENT, SEALED, EffectiveSettings, Source
from orchestrator.domain.configuration import TRANSPORT, TRANSPORT_SECTIONS
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE = "S9"
ABOUT = "a transport setting in the sealed ansible.cfg of a package counts above what the operator says"
OPERATOR = {
    "nothing": "",
    "another setting": "[defaults]\nforks = 2\n",
    "the same setting": "[{section}]\n{key} = of the operator\n",
}
"""What the project's current file has."""

FORMS = {
    "as usual": "[{section}]\n{key} = {value}\n",
    "with a colon": "[{section}]\n{key}: {value}\n",
    "in capital letters": "[{section}]\n{KEY} = {value}\n",
    "over lines": "[{section}]\n{key} =\n  {value}\n",
    "in the section of all sections": "[DEFAULT]\n{key} = {value}\n[{section}]\n",
    "after a mark of byte order": "\ufeff[{section}]\n{key} = {value}\n",
    "with a comment": "[{section}] ; {key}\n# {key} = x\n{key} = {value} ; y\n",
    "with ends of lines of Windows": "[{section}]\r\n{key} = {value}\r\n",
}  # fmt: skip


def cases(seed: int) -> Iterator[Case]:
    """Each setting as usual, each section with a setting of its own, and each form beside each file of the operator."""
    random = Random(seed)
    value = f"hostile{random.randrange(10**9)}"
    for name, (section, key) in TRANSPORT.items():
        yield Case(f"the setting {name}", partial(_attempt, section, key, value, "as usual", "another setting"))
    for section in TRANSPORT_SECTIONS:
        yield Case(f"a setting of [{section}]", partial(_attempt, section, "anything", value, "as usual", "nothing"))
    for form in FORMS:
        for operator in OPERATOR:
            section, key = random.choice(list(TRANSPORT.values()))
            yield Case(f"{form}, beside {operator}", partial(_attempt, section, key, value, form, operator))


def _attempt(section: str, key: str, value: str, form: str, operator: str, yard: Yard) -> Outcome:
    words = {"section": section, "key": key, "KEY": key.upper(), "value": value}
    sealed, current = yard.inside / "sealed", yard.inside / "current"
    for folder, text in ((sealed, FORMS[form]), (current, OPERATOR[operator])):
        folder.mkdir()
        (folder / "ansible.cfg").write_text(text.format(**words), encoding="utf-8", newline="")
    made = EffectiveSettings({})
    try:
        made.take(Source(sealed, SEALED), transport=False)
    except OrchestratorError as error:
        if error.code == "D150":  # it cannot be read: nothing is started
            return HELD
        raise
    made.take(Source(current, CURRENT), transport=True)
    made.own(AnsibleSettings(), current)
    made.leave_out(Source(sealed, SEALED))
    found = configparser.ConfigParser(interpolation=None)
    found.read_string(made.text)
    asked = found.get(section, key, fallback="")
    hostile = [f"{name}.{option}" for name in found.sections() for option, text in found.items(name) if value in text]
    if operator == "the same setting" and "operator" not in asked:
        return Outcome(accepted=f"{section}.{key} is {asked!r}")
    return Outcome(accepted=", ".join(hostile)) if hostile else HELD


DEFENCES: Mapping[str, Defence] = {
    "transport settings belong to the operator": lambda: replaced(
        settings, "is_transport", lambda _section, _key: False
    ),
}
