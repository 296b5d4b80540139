"""A playbook as far as it can be read before it runs: its plays, their tasks, and the variables that it defines.

Names that hold a template are known only at run time. They are recorded as *unseen*, and never guessed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.adapters.ansible.playbook_yaml import Mapped, Text, texts, truth
from orchestrator.domain.errors import Where

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
BUILTIN = re.compile(r"^ansible\.(builtin|legacy)\.")
_FREE = re.compile(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S+)")


def templated(text: object) -> bool:
    """Whether *text* is known only at run time."""
    return isinstance(text, str) and ("{{" in text or "{%" in text)


@dataclass(frozen=True)
class Task:
    """One task or handler. *given* are its own keywords, with those that it has from blocks and imports around it.

    *template* is the shown name of the file that it renders, where that is written out.
    """

    action: str
    args: Any
    given: Mapping[str, Any]
    where: Where
    handler: bool = False
    tags: frozenset[str] = frozenset()
    template: str = ""

    @property
    def module(self) -> str:
        """The module's name, without `ansible.builtin.`."""
        return BUILTIN.sub("", self.action)

    @property
    def name(self) -> str:
        """The task's name, or its module where it has none."""
        return str(self.given.get("name") or self.module)

    @property
    def options(self) -> dict[str, Any]:
        """Its module's options, also when they are written as `key=value`."""
        found: dict[str, Any] = {}
        for given in (self.args, self.given.get("args")):
            if isinstance(given, Mapping):
                found |= given
            elif isinstance(given, str):
                found |= {name: value.strip("\"'") for name, value in _FREE.findall(given)}
        return found

    @property
    def word(self) -> str:
        """The free text after the module's name: `end_play` of `meta: end_play`."""
        return self.args.strip() if isinstance(self.args, str) else ""

    @property
    def run_once(self) -> bool:
        """Whether it runs on one host for all, as far as that is written out."""
        return truth(self.given.get("run_once")) is True

    @property
    def delegate_to(self) -> str:
        """The host on which it works; empty: the host itself."""
        return str(self.given.get("delegate_to") or "")

    @property
    def conditional(self) -> bool:
        """Whether it depends on a condition."""
        return bool(self.given.get("when"))


@dataclass(frozen=True)
class Definition:
    """A variable that is given a value: its *name*, where, and how (`set_fact`, `vars of the play`, …)."""

    name: str
    where: Where
    how: str


@dataclass(frozen=True)
class Play:
    """One play, with the tasks of its roles and imports in order. *unseen* names what only the run will show."""

    given: Mapped
    where: Where
    tasks: tuple[Task, ...] = ()
    unseen: tuple[tuple[str, Where], ...] = ()
    tags: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The play's name, or its hosts where it has none."""
        return str(self.given.get("name") or self.hosts)

    @property
    def hosts(self) -> str:
        """Its host pattern as one text."""
        hosts = self.given.get("hosts")
        return ",".join(map(str, hosts)) if isinstance(hosts, list) else str(hosts or "")

    @property
    def local(self) -> bool:
        """Whether it runs on the controller only."""
        names = {part for part in re.split(r"[,\s]+", self.hosts) if part}
        return bool(names) and names <= LOCAL

    def keyword(self, name: str) -> Any:
        """The play's keyword *name*; None where it is absent."""
        return self.given.get(name)


@dataclass(frozen=True)
class Playbook:
    """All plays of a playbook and of what it imports; every YAML file and template that was read, by its shown name."""

    plays: tuple[Play, ...]
    definitions: tuple[Definition, ...] = ()
    files: Mapping[str, Any] = field(default_factory=dict)
    templates: Mapping[str, Text] = field(default_factory=dict)
    imports_unseen: tuple[tuple[str, Where], ...] = ()

    @property
    def tasks(self) -> Iterator[Task]:
        """The tasks of all plays, in order."""
        return (task for play in self.plays for task in play.tasks)

    def texts(self) -> Iterator[tuple[str, Text]]:
        """Every text of the files that were read, with the file's shown name."""
        for name, content in self.files.items():
            yield from ((name, text) for text in texts(content))
        yield from self.templates.items()
