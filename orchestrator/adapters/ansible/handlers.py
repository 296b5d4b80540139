"""Handlers that were notified and did not run: which they are, and a playbook that notifies them again.

A handler runs at the end of its play. When a later task fails, the handler does not run, and the task that notified it
changes nothing the next time. So the next attempt gets tasks that notify these handlers, in the copy that it runs in.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import PendingHandler, PlaySpec
from orchestrator.file_system import read_bounded

NOTIFY = "Orchestrator: notify handlers that did not run"
LARGEST = 1 << 20  # bytes of a file with tasks
IMPORTS = ("import_playbook", "ansible.builtin.import_playbook", "ansible.legacy.import_playbook")
TASKS = "tasks"
LISTS = ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always")


class PendingHandlers:
    """The handlers that were notified on each host and did not run, as the events of a play show it.

    Ansible reports a notification only when handlers start to run. Until then, the `notify` of each task that changed a
    host is read from its file.

    Args:
        carried: the handlers of an earlier attempt.
    """

    def __init__(self, carried: tuple[PendingHandler, ...] = ()) -> None:
        self._carried = dict.fromkeys(carried)
        self._changed: dict[tuple[str, int], list[str]] = {}
        self._notified: dict[PendingHandler, None] = {}

    def changed(self, host: str, play: int, task: str, at: str) -> None:
        """A task in a file and line (*at*) of the play *play* changed *host*."""
        if task == NOTIFY:
            self._carried = {item: None for item in self._carried if (item.host, item.play) != (host, play)}
        self._changed.setdefault((host, play), []).append(at)

    def flushed(self, host: str, play: int, handler: str) -> None:
        """The handlers of *host* start to run, *handler* among them."""
        self._changed.pop((host, play), None)
        self._notified[PendingHandler(host=host, play=play, handler=handler)] = None

    def ran(self, host: str, task: str) -> None:
        """A handler ran on *host*: its task has no role before its name."""
        for item in list(self._notified):
            if item.host == host and (item.handler == task or item.handler.endswith(f" : {task}")):
                del self._notified[item]

    def read(self) -> None:
        """Read what the tasks notify that changed a host since its handlers ran last."""
        for (host, play), places in self._changed.items():
            for handler in (handler for at in places for handler in _notify(at)):
                self._notified[PendingHandler(host=host, play=play, handler=handler)] = None
        self._changed.clear()

    def pending(self) -> tuple[PendingHandler, ...]:
        """The handlers that have to run in a further attempt."""
        return tuple({**self._carried, **self._notified})


def _notify(at: str) -> list[str]:
    """What the task in a file and line notifies, and the blocks around it."""
    file, _, line = at.rpartition(":")
    try:
        root = yaml.compose(read_bounded(Path(file), LARGEST).decode(), Loader=yaml.SafeLoader)
        return list(_notify_in(root, int(line) - 1)) if line.isdecimal() else []
    except (OSError, ValueError, yaml.YAMLError, RecursionError):  # the play names the file, and can change it
        return []


def _notify_in(node: yaml.Node | None, line: int) -> Iterator[str]:
    if node is None or not node.start_mark.line <= line <= node.end_mark.line:
        return
    if isinstance(node, yaml.SequenceNode):
        within = [item for item in node.value if item.start_mark.line <= line]
        yield from _notify_in(within[-1] if within else None, line)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "notify":
                yield from (str(item.value) for item in (value.value if isinstance(value.value, list) else [value]))
            elif key.value in LISTS:
                yield from _notify_in(value, line)


def names(pending: tuple[PendingHandler, ...]) -> str:
    """The handlers in a message: each once, with its hosts."""
    found: dict[str, list[str]] = {}
    for item in pending:
        found.setdefault(item.handler, []).append(item.host)
    return ", ".join(f"{handler!r} on {', '.join(hosts)}" for handler, hosts in found.items())


def notify_again(play: PlaySpec, content: Path, tags: list[str]) -> None:
    """Add tasks to the plays of *play* below *content* that notify its pending handlers. Raises D163."""
    try:
        plays = list(_plays(content / play.playbook))
    except (OSError, UnicodeError, yaml.YAMLError, ValueError) as error:
        raise OrchestratorError("D163", f"{names(play.pending)}: {play.playbook} cannot be read: {error}") from error
    changed: dict[Path, yaml.Node] = {}
    for item in play.pending:
        if not 0 <= item.play < len(plays) or not item.handler:
            raise OrchestratorError("D163", f"{names(play.pending)}: {play.playbook} no longer has such a play")
        file, root, node = plays[item.play]
        _add(node, _task(item, tags))
        changed[file] = root
    for file, root in changed.items():
        file.chmod(0o600)
        file.write_text(yaml.serialize(root, Dumper=yaml.SafeDumper, allow_unicode=True, width=2**20), encoding="utf-8")


def _plays(file: Path) -> Iterator[tuple[Path, yaml.Node, yaml.MappingNode]]:
    """Each play of the playbook *file* and of those that it imports, in order, with its file and that file's root."""
    root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.SequenceNode):
        raise yaml.YAMLError(f"{file.name} is not a list of plays")
    for node in root.value:
        keys = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        imported = next((keys[name].value for name in IMPORTS if name in keys), None)
        if imported is None:
            yield file, root, node
        elif "{{" in str(imported):
            raise ValueError(f"it imports {imported}")
        else:
            yield from _plays(file.parent / str(imported))


def _task(item: PendingHandler, tags: list[str]) -> dict[str, object]:
    return {
        "name": NOTIFY,
        "ansible.builtin.debug": {"msg": item.handler},
        "changed_when": True,
        "when": f"inventory_hostname == {item.host!r}",
        "notify": item.handler,
        "tags": tags,
    }


def _add(play: yaml.MappingNode, task: dict[str, object]) -> None:
    """Add *task* at the end of the tasks of *play*: its handlers run after them."""
    node = yaml.compose(yaml.safe_dump(task), Loader=yaml.SafeLoader)
    for key, value in play.value:
        if key.value == TASKS and isinstance(value, yaml.SequenceNode):
            value.value.append(node)
            return
    tasks = yaml.SequenceNode("tag:yaml.org,2002:seq", [node])
    play.value = [pair for pair in play.value if pair[0].value != TASKS]
    play.value.append((yaml.ScalarNode("tag:yaml.org,2002:str", TASKS), tasks))
