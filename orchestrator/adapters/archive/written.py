"""What the tasks of a playbook write on the controller, so that a later task of the same playbook can read it.

Every playbook runs in a copy of its own, which does not contain files that other playbooks wrote.
"""

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from orchestrator.adapters.ansible.playbook_model import LOCAL, Play, Playbook, Task
from orchestrator.adapters.ansible.playbook_reader import PlaybookReader
from orchestrator.domain.errors import Where

TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
BESIDE = re.compile(r"^\{\{\s*playbook_dir\s*\}\}/*")
READING = {"stat", "find", "slurp", "include_vars", "assert", "debug"}
COMMANDS = {"command", "shell", "raw", "script"}
TARGETS = ("dest", "path", "name", "creates")


class Written:
    """The files that *playbooks* of *project* write on the controller.

    Args:
        project: the folder of the project.
        playbooks: the paths of the playbooks, relative to *project*.
        reader: reads a playbook with its roles and imports.
    """

    def __init__(self, project: Path, playbooks: list[str], reader: PlaybookReader) -> None:
        self._project, self._playbooks, self._reader = project, playbooks, reader

    def before(self, where: Where, places: list[Path]) -> bool:
        """Whether an earlier task of the same playbook writes one of *places*, which a task at *where* reads."""
        return any(
            _fits(target, place, playbook.parent, self._project)
            for playbook, book in self._books
            for target in _targets(book, _position(book, where))
            for place in places
        )

    @cached_property
    def _books(self) -> list[tuple[Path, Playbook]]:
        found = []
        for name in dict.fromkeys(self._playbooks):
            try:
                found.append((self._project / name, self._reader.read(self._project / name)))
            except ValueError:
                continue  # Ansible itself reports what is wrong with it
        return found


def _position(book: Playbook, where: Where) -> int:
    """How many tasks of *book* come before the one at *where*; 0 if *where* is in no file of the playbook."""
    found, number = (0, 0), 0
    for play in book.plays:
        for at in (play.where, *(task.where for task in play.tasks)):
            if at.file == where.file and found[0] <= (at.line or 0) <= (where.line or 0):
                found = (at.line or 0, number)
            number += at is not play.where
    return found[1]


def _targets(book: Playbook, count: int) -> Iterator[str]:
    """The paths that the first *count* tasks of *book* write on the controller, as the tasks give them."""
    tasks = [(play, task) for play in book.plays for task in play.tasks]
    for play, task in tasks[:count]:
        if task.module == "fetch" or (_on_controller(play, task) and task.module not in READING):
            options = task.options
            yield from (str(options[name]) for name in TARGETS if options.get(name))
            if task.module in COMMANDS:
                yield from re.findall(r"[^\s'\"<>=;|&]+", str(options.get("cmd") or task.word))


def _on_controller(play: Play, task: Task) -> bool:
    where = task.delegate_to or ("localhost" if play.local else "")
    return where in LOCAL or str(task.given.get("connection")) == "local"


def _fits(target: str, place: Path, beside: Path, project: Path) -> bool:
    """Whether the path *target* of a task means *place*, or a folder around it. A template in it can be any text.

    A relative path counts from the folder *beside* the playbook, or from one around that folder.
    """
    text = BESIDE.sub("", target)
    pattern = ".*".join(re.escape(part) for part in TEMPLATE.split(posixpath.normpath(text)))
    if not re.search(r"\w", TEMPLATE.sub("", text)):
        return False
    if text.startswith(("/", "{")):
        return re.fullmatch(f"{pattern}(/.*)?", place.as_posix()) is not None
    bases = [folder for folder in (beside, *beside.parents) if folder.is_relative_to(project)]
    names = [place.relative_to(base).as_posix() for base in bases if place.is_relative_to(base)]
    return any(re.fullmatch(f"{pattern}(/.*)?", name) for name in names)
