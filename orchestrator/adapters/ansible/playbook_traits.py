"""Traits of a playbook that the plan shows and `build` checks: effects of batches, decisions made in the run."""

import re
from collections.abc import Iterator

from orchestrator.adapters.ansible.playbook_model import LOCAL, Play, Playbook, Task, templated
from orchestrator.adapters.ansible.playbook_yaml import Mapped, texts, truth
from orchestrator.domain.errors import Where
from orchestrator.domain.plays import Kind, PlaySource, Trait

FREE = {"command", "shell", "raw", "script", "win_command", "win_shell", "expect"}
SETTLED = ("creates", "removes")
META: dict[str, Kind] = {
    "end_play": "end_play", "end_batch": "end_batch", "end_host": "end_host", "clear_host_errors": "clear_host_errors",
}  # fmt: skip
FACTS = {"setup", "gather_facts"}
CONNECTION = re.compile(
    r"^ansible_(host|port|user|password|connection|python_interpreter|shell_|ssh_|become|private_key|network_os|winrm)"
)
HOSTVARS = re.compile(
    r"hostvars\s*\[\s*(?P<key>(?:[^\[\]]|\[[^\[\]]*\])+?)\s*\]\s*(?:\.\s*(?P<attribute>\w+)|\[\s*['\"](?P<item>\w+)['\"]\s*\])"
)
EXTRACT = re.compile(r"['\"]extract['\"]\s*,\s*hostvars\s*,\s*\[?\s*['\"](?P<item>\w+)['\"]")
GROUPS = re.compile(r"groups\s*(?:\.\s*(\w+)|\[\s*['\"]([^'\"]+)['\"]\s*\])")
PLAY_HOSTS = re.compile(r"\b(ansible_play_hosts(?:_all)?|ansible_play_batch|play_hosts)\b")


def sources(book: Playbook) -> tuple[PlaySource, ...]:
    """Every play of *book*, as the plan needs it."""
    waits = any(task.module == "async_status" for task in book.tasks)
    facts = other_facts(book)
    missing = tuple(f"import_playbook {name} ({where})" for name, where in book.imports_unseen)
    found = []
    for number, play in enumerate(book.plays):
        traits = [*_of_play(play), *(trait for task in play.tasks for trait in _of_task(task, book, waits=waits))]
        traits += [trait for trait in facts if any(trait.where.startswith(f"{name}:") for name in _names(play))]
        unseen = [f"{what} ({where})" for what, where in play.unseen]
        found.append(
            PlaySource(
                name=play.name,
                where=str(play.where),
                hosts=play.hosts,
                local=play.local,
                tags=tuple(sorted(play.tags)),
                traits=tuple(dict.fromkeys(traits)),
                unseen=(*unseen, *(missing if number == len(book.plays) - 1 else ())),
            )
        )
    return tuple(found)


def _of_play(play: Play) -> Iterator[Trait]:
    at = str(play.where)
    if play.keyword("serial") not in (None, 0):
        yield Trait(kind="serial", what=f"serial: {_short(play.keyword('serial'))}", where=at)
    for name in ("any_errors_fatal", "max_fail_percentage"):
        value = play.keyword(name)
        if value is not None and (name != "any_errors_fatal" or truth(value) is not False):
            yield Trait(kind="fatal", what=f"{name}: {_short(value)}", where=at)
    prompts = play.keyword("vars_prompt")
    for prompt in prompts if isinstance(prompts, list) else []:
        if isinstance(prompt, Mapped) and prompt.get("default") is not None:
            where = str(Where(play.where.file, prompt.line))
            yield Trait(kind="prompt", what=str(prompt.get("name")), where=where)
    for name, value in play.given.items():
        if name not in {"tasks", "pre_tasks", "post_tasks", "handlers", "roles", "name"}:
            yield from _play_hosts(value, play.where)


def _of_task(task: Task, book: Playbook, *, waits: bool) -> Iterator[Trait]:
    at, tags = str(task.where), tuple(sorted(task.tags))
    if task.run_once:
        yield Trait(kind="run_once", what=task.name, where=at, tags=tags)
    if task.module == "meta" and task.word in META:
        yield Trait(kind=META[task.word], what=f"meta: {task.word}", where=at)
    if task.module == "add_host":
        yield Trait(kind="add_host", what=task.name, where=at)
    if task.module == "group_by":
        yield Trait(kind="group_by", what=task.name, where=at)
    if not waits and task.given.get("async") and str(task.given.get("poll")) == "0":
        yield Trait(kind="background", what=task.name, where=at)
    if repeats(task):
        yield Trait(kind="repeats", what=task.name, where=at)
    yield from _play_hosts([task.args, dict(task.given), book.templates.get(task.template)], task.where)


def repeats(task: Task) -> bool:
    """Whether the task does its work again each time, by its own word: a command that states no condition."""
    if task.handler or task.module.rsplit(".", 1)[-1] not in FREE:
        return False
    options = task.options
    return "changed_when" not in task.given and not any(name in options for name in SETTLED)


def _play_hosts(value: object, where: Where) -> Iterator[Trait]:
    for text in texts(value):
        found = PLAY_HOSTS.search(text)
        if found:
            yield Trait(kind="play_hosts", what=found[1], where=str(where))


def other_facts(book: Playbook) -> tuple[Trait, ...]:
    """Reads of facts or results of other hosts, which some play of *book* has when it runs by hand.

    A playbook that gathers them by `delegate_facts` has them in every batch.
    """
    if any(_delegates_facts(task) for task in book.tasks):
        return ()
    results = {item.name for item in book.definitions if item.how in {"register", "set_fact"}}
    own = {"inventory_hostname", *LOCAL, *_added_hosts(book)}
    patterns = " ".join(play.hosts for play in book.plays if not play.local)
    found: list[Trait] = []
    for name, text in book.texts():
        for match in (*HOSTVARS.finditer(text), *EXTRACT.finditer(text)):
            key, variable = _host_and_variable(match)
            if key not in own and (_is_fact(variable) or variable in results) and _gathered(text, patterns):
                where = f"{name}:{text.line_of(match.start())}"
                found.append(Trait(kind="facts", what=f"{variable} of other hosts", where=where))
    return tuple(dict.fromkeys(found))


def _delegates_facts(task: Task) -> bool:
    """Whether *task* gathers facts of the host that it is delegated to."""
    delegates = "delegate_facts" in task.given and truth(task.given.get("delegate_facts")) is not False
    return task.module in FACTS and delegates and bool(task.delegate_to)


def _added_hosts(book: Playbook) -> set[str]:
    """The names of the hosts that tasks of *book* add."""
    given = [task.options for task in book.tasks if task.module == "add_host"]
    return {str(options.get(key)) for options in given for key in ("name", "hostname", "host") if key in options}


def _host_and_variable(match: "re.Match[str]") -> tuple[str, str]:
    """The host that a *match* of `hostvars` names, and the variable of it that is read."""
    groups = match.groupdict()
    return (groups.get("key") or "").strip("'\" "), groups.get("attribute") or groups.get("item") or ""


def _is_fact(variable: str) -> bool:
    """Whether *variable* is determined on the host, and does not set the connection to it."""
    return variable == "ansible_facts" or (variable.startswith("ansible_") and not CONNECTION.match(variable))


def _gathered(text: str, patterns: str) -> bool:
    """Whether the groups that *text* names, where it names any, are among the hosts of some play."""
    names = [one or other for one, other in GROUPS.findall(text)]
    return not names or "all" in patterns.split() or any(name in patterns for name in names) or templated(patterns)


def _names(play: Play) -> set[str]:
    """The files that hold the play and its tasks."""
    return {play.where.file, *(task.where.file for task in play.tasks), *(task.template for task in play.tasks)} - {""}


def _short(value: object) -> str:
    return str(value)[:40]
