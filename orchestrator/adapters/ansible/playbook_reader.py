"""Reads a playbook with its roles and imports into the model, without Ansible and without running anything."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.playbook_model import BUILTIN, Definition, Play, Playbook, Task, templated
from orchestrator.adapters.ansible.playbook_yaml import Mapped, Text, load_playbook, source
from orchestrator.domain.errors import Where

IMPORTS = {"import_tasks", "import_role"}
INCLUDES = {"include_tasks", "include_role", "include"}
SECTIONS = ("pre_tasks", "roles", "tasks", "post_tasks", "handlers")
BLOCKS = ("block", "rescue", "always")
INHERITED = frozenset({"run_once", "delegate_to", "delegate_facts", "when", "connection", "become", "become_user"})
KEYWORDS = INHERITED | {
    "any_errors_fatal", "args", "async", "become_exe", "become_flags", "become_method", "changed_when",
    "check_mode", "collections", "debugger", "delay", "diff", "environment", "failed_when", "ignore_errors",
    "ignore_unreachable", "listen", "loop", "loop_control", "module_defaults", "name", "no_log", "notify", "poll",
    "port", "register", "remote_user", "retries", "tags", "throttle", "timeout", "until", "vars",
}  # fmt: skip
ROLES_PATH, COLLECTIONS_PATH = "ANSIBLE_ROLES_PATH", "ANSIBLE_COLLECTIONS_PATH"
MOST = 20_000  # tasks of one playbook, with what it imports
DEEPEST = 40  # imports in imports
_COLLECTION = re.compile(r"^([a-z_]\w*)\.([a-z_]\w*)$")
_COLLECTED = re.compile(r"^([a-z_]\w*)\.([a-z_]\w*)\.([\w.]+)$")


@dataclass(frozen=True)
class _Scope:
    """What holds for the tasks that are read: the file, the role, keywords and tags around them."""

    file: Path
    role: Path | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    handler: bool = False
    around: tuple[Path, ...] = ()
    collections: tuple[str, ...] = ()

    def inside(self, given: Mapping[str, Any], *, passes: bool = True) -> "_Scope":
        """The scope within a block or import with the keywords *given*; a dynamic include *passes* on only tags."""
        own: dict[str, Any] = dict(given) if passes else {}
        apply = given.get("apply")
        own |= apply if isinstance(apply, Mapping) else {}
        more = {name: value for name, value in own.items() if name in INHERITED}
        return replace(self, given={**self.given, **more}, tags=self.tags | _words(given.get("tags")))


class PlaybookReader:
    """Reads playbooks of one folder.

    Args:
        root: the folder; places are shown relative to it.
        roles: the folders that hold roles, after `roles/` beside the playbook.
        collections: the folders that hold `ansible_collections`.
    """

    def __init__(self, root: Path, roles: Sequence[Path] = (), collections: Sequence[Path] = ()) -> None:
        self._root, self._roles, self._collections = root, tuple(roles), tuple(collections)

    def read(self, playbook: Path) -> Playbook:
        """The playbook. Raises `ValueError` when its own file cannot be read; an import that cannot is *unseen*."""
        return _Reading(self._root, playbook, self._roles, self._collections).result()


def reader(root: Path, env: Mapping[str, str]) -> PlaybookReader:
    """A reader for playbooks below *root*, which finds roles and collections where Ansible does with *env*."""
    paths = [[Path(path) for path in env[name].split(os.pathsep) if path] for name in (ROLES_PATH, COLLECTIONS_PATH)]
    return PlaybookReader(root, *paths)


class _Reading:
    """One playbook while it is read."""

    def __init__(self, root: Path, playbook: Path, roles: tuple[Path, ...], collections: tuple[Path, ...]) -> None:
        self._root, self._playbook, self._collections = root, playbook, collections
        self._roles = roles
        self._files: dict[str, Any] = {}
        self._definitions: dict[Definition, None] = {}
        self._templates: dict[str, Text] = {}
        self._imports: list[tuple[str, Where]] = []
        self._unseen: list[tuple[str, Where]] = []
        self._beside = playbook.parent
        self._count = 0

    def result(self) -> Playbook:
        plays = tuple(self._plays(self._playbook, frozenset(), 0))
        return Playbook(plays, tuple(self._definitions), self._files, self._templates, tuple(self._imports))

    # -- plays

    def _plays(self, file: Path, tags: frozenset[str], depth: int) -> Iterator[Play]:
        content = self._load(file)
        for item in content if isinstance(content, list) else []:
            if not isinstance(item, Mapped):
                continue
            imported = next((item[key] for key in item if BUILTIN.sub("", key) == "import_playbook"), None)
            if imported is None:
                yield self._play(file, item, tags)
            else:
                yield from self._import(file, item, str(imported), tags | _words(item.get("tags")), depth)

    def _import(self, file: Path, item: Mapped, name: str, tags: frozenset[str], depth: int) -> Iterator[Play]:
        target = self._playbook_named(file, name)
        self._defined(item.get("vars"), file, item, "vars of an imported playbook")
        if templated(name) or target is None or depth > DEEPEST:
            self._imports.append((name, self._where(file, item.line)))
            return
        before, self._beside = self._beside, target.parent
        try:
            yield from self._plays(target, tags, depth + 1)
        except ValueError as error:
            self._imports.append((f"{name}: {error}", self._where(file, item.line)))
        finally:
            self._beside = before

    def _playbook_named(self, file: Path, name: str) -> Path | None:
        found = _COLLECTED.match(name)
        if found and not name.endswith((".yml", ".yaml")):
            for folder in self._collected(found[1], found[2]):
                paths = [folder / "playbooks" / f"{found[3].replace('.', '/')}{end}" for end in (".yml", ".yaml")]
                return next((path for path in paths if path.is_file()), None)
            return None
        path = file.parent / name
        return path if path.is_file() else None

    def _play(self, file: Path, item: Mapped, tags: frozenset[str]) -> Play:
        self._unseen, tags = [], tags | _words(item.get("tags"))
        named = tuple(str(name) for name in _flat(item.get("collections")))
        given = {name: value for name, value in item.items() if name == "connection"}
        scope = _Scope(file, given=given, tags=tags, collections=named)
        self._defined(item.get("vars"), file, item, "vars of a play")
        for prompt in item.get("vars_prompt") or []:
            if isinstance(prompt, Mapped) and isinstance(prompt.get("name"), str):
                self._define(str(prompt["name"]), self._where(file, prompt.line), "vars_prompt")
        for name in _flat(item.get("vars_files")):
            self._variables(file, str(name), item.line)
        tasks: list[Task] = []
        for section in SECTIONS:
            inner = replace(scope, handler=section == "handlers")
            for entry in _flat(item.get(section)):
                tasks += self._role_entry(entry, inner, item.line) if section == "roles" else self._entry(entry, inner)
        return Play(item, self._where(file, item.line), tuple(tasks), tuple(dict.fromkeys(self._unseen)), tags)

    # -- tasks

    def _tasks(self, content: Any, scope: _Scope) -> Iterator[Task]:
        for entry in _flat(content):
            yield from self._entry(entry, scope)

    def _entry(self, entry: Any, scope: _Scope) -> Iterator[Task]:
        if not isinstance(entry, Mapped):
            return
        self._count += 1
        if self._count > MOST:
            self._see(f"more than {MOST} tasks", scope.file, entry.line)
            return
        self._defined(entry.get("vars"), scope.file, entry, "vars of a task")
        if any(part in entry for part in BLOCKS):
            inner = scope.inside(entry)
            for part in BLOCKS:
                yield from self._tasks(entry.get(part), inner)
            return
        yield from self._task(entry, scope)

    def _task(self, entry: Mapped, scope: _Scope) -> Iterator[Task]:
        action, args, local = _action(entry)
        given = {**scope.given, **entry, **({"delegate_to": "localhost"} if local else {})}
        where, tags = self._where(scope.file, entry.line), scope.tags | _words(entry.get("tags"))
        task = Task(action, args, given, where, scope.handler, tags)
        self._variables_of(task, scope, entry)
        if task.module not in IMPORTS | INCLUDES:
            yield replace(task, template=self._template(task, scope)) if task.module == "template" else task
            return
        inner = scope.inside({**entry, **task.options}, passes=task.module in IMPORTS)
        if task.module.endswith("role"):
            yield from self._role_task(task, inner)
        else:
            yield from self._file_task(task, inner)

    def _template(self, task: Task, scope: _Scope) -> str:
        """The shown name of the template that the task renders; empty when only the run will show it."""
        name = str(task.options.get("src") or "")
        if not name or templated(name):
            return ""
        bases = [*([scope.role] if scope.role else []), scope.file.parent, self._beside]
        paths = [path for base in bases for path in (base / "templates" / name, base / name)]
        path = next((path for path in paths if path.is_file()), None)
        text = source(path) if path is not None else None
        if path is None or text is None:
            return ""
        self._templates[self._shown(path)] = text
        return self._shown(path)

    def _file_task(self, task: Task, scope: _Scope) -> Iterator[Task]:
        """The tasks of an imported or included file."""
        free = [task.word] if templated(task.word) else task.word.split()
        name = str(task.options.get("file") or next(iter(free), ""))
        if templated(name) or not name:
            self._see(f"{task.module} {name}", scope.file, task.where.line)
            return
        folders = [
            scope.file.parent,
            *([scope.role / "tasks"] if scope.role else []),
            self._beside,
            self._beside / "tasks",
        ]
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is None or path in scope.around or len(scope.around) > DEEPEST:
            self._see(f"{task.module} {name}", scope.file, task.where.line)
            return
        yield from self._file(path, replace(scope, file=path, around=(*scope.around, path)), task)

    def _file(self, path: Path, scope: _Scope, task: Task) -> Iterator[Task]:
        try:
            content = self._load(path)
        except ValueError as error:
            self._see(f"{self._shown(path)}: {error}", Path(task.where.file), task.where.line)
            return
        yield from self._tasks(content, scope)

    # -- roles

    def _role_entry(self, entry: Any, scope: _Scope, line: int) -> Iterator[Task]:
        """A role of a play's `roles:`, or of another role's dependencies."""
        if isinstance(entry, Mapped):
            name = str(entry.get("role") or entry.get("name") or "")
            self._defined(entry.get("vars"), scope.file, entry, "vars of a role")
            scope, line = scope.inside(entry), entry.line
        else:
            name = str(entry)
        yield from self._role(name, {}, scope, line)

    def _role_task(self, task: Task, scope: _Scope) -> Iterator[Task]:
        yield from self._role(str(task.options.get("name") or ""), task.options, scope, task.where.line or 1)

    def _role(self, name: str, options: Mapping[str, Any], scope: _Scope, line: int) -> Iterator[Task]:
        folder = None if templated(name) or not name else self._role_folder(name, scope)
        if folder is None or folder in scope.around or len(scope.around) > DEEPEST:
            if folder is None:
                self._see(f"role {name}", scope.file, line)
            return
        inner = replace(scope, role=folder, around=(*scope.around, folder))
        self._role_files(folder)
        meta = self._optional(folder / "meta" / "main")
        for entry in _flat(meta[1].get("dependencies")) if meta and isinstance(meta[1], Mapped) else []:
            yield from self._role_entry(entry, replace(inner, file=meta[0]), line)  # type: ignore[index]
        for part in ("tasks", "handlers"):
            main = str(options.get(f"{part}_from") or "main")
            if templated(main):
                self._see(f"role {name} {part}_from {main}", scope.file, line)
                continue
            found = self._optional(folder / part / re.sub(r"\.ya?ml$", "", main))
            if found:
                handler = scope.handler or part == "handlers"
                yield from self._tasks(found[1], replace(inner, file=found[0], handler=handler))

    def _role_folder(self, name: str, scope: _Scope) -> Path | None:
        found = _COLLECTED.match(name)
        if found:
            inside = [folder / "roles" / found[3].replace(".", "/") for folder in self._collected(found[1], found[2])]
            return next((path for path in inside if path.is_dir()), None)
        beside = [scope.role.parent] if scope.role else []
        named = [found for item in scope.collections if (found := _COLLECTION.match(item))]
        inside = [path / "roles" for match in named for path in self._collected(match[1], match[2])]
        folders = [*inside, self._beside / "roles", *self._roles, *beside, self._beside]
        return next((folder / name for folder in folders if (folder / name).is_dir()), None)

    def _collected(self, namespace: str, name: str) -> list[Path]:
        """Where a collection is."""
        places = [self._beside / "collections", *self._collections]
        paths = [place / "ansible_collections" / namespace / name for place in places]
        return [path for path in paths if path.is_dir()]

    def _role_files(self, folder: Path) -> None:
        """The variables that a role defines."""
        for part in ("defaults", "vars"):
            for path in sorted((folder / part).rglob("*")) if (folder / part).is_dir() else []:
                if path.suffix in {".yml", ".yaml"} and path.is_file():
                    self._variables(path, path.name, 1, f"{part} of the role {folder.name}")

    # -- variables

    def _variables_of(self, task: Task, scope: _Scope, entry: Mapped) -> None:
        file = scope.file
        if isinstance(entry.get("register"), str):
            self._define(str(entry["register"]), self._where(file, entry.lines["register"]), "register")
        if task.module in {"set_fact", "add_host"}:
            lines = task.args.lines if isinstance(task.args, Mapped) else {}
            for name in task.options:
                self._define(name, self._where(file, lines.get(name, entry.line)), task.module)
        control = entry.get("loop_control")
        if isinstance(control, Mapped) and isinstance(control.get("loop_var"), str):
            self._define(str(control["loop_var"]), self._where(file, control.lines["loop_var"]), "loop_var")
        if task.module == "include_vars":
            words = task.word.split()
            name = task.options.get("file") or (words[0] if words and "=" not in words[0] else "")
            if name and not templated(name):
                base = (
                    scope.role / "vars" if scope.role and (scope.role / "vars" / str(name)).is_file() else file.parent
                )
                self._variables(base / "x", str(name), entry.line)

    def _variables(self, file: Path, name: str, line: int, how: str = "") -> None:
        """The variables of the file *name*, which *file* names."""
        path = file.parent / name
        if templated(name) or not path.is_file():
            return
        try:
            content = self._load(path)
        except ValueError as error:
            self._see(f"{name}: {error}", file, line)
            return
        if isinstance(content, Mapped):
            for key in content:
                self._define(key, self._where(path, content.lines[key]), how or "a file of variables")

    def _defined(self, given: Any, file: Path, at: Mapped, how: str) -> None:
        for name in given if isinstance(given, Mapped) else {}:
            self._define(name, self._where(file, given.lines.get(name, at.line)), how)

    def _define(self, name: str, where: Where, how: str) -> None:
        self._definitions[Definition(name, where, how)] = None

    # -- files

    def _optional(self, stem: Path) -> tuple[Path, Any] | None:
        """The file `<stem>.yml`, `.yaml` or without an ending; None where there is none that can be read."""
        for path in (stem.with_name(f"{stem.name}{end}") for end in (".yml", ".yaml", "")):
            if path.is_file():
                try:
                    return path, self._load(path)
                except ValueError as error:
                    self._see(f"{self._shown(path)}: {error}", path, 1)
                    return None
        return None

    def _load(self, path: Path) -> Any:
        shown = self._shown(path)
        if shown not in self._files:
            self._files[shown] = load_playbook(path)
        return self._files[shown]

    def _see(self, what: str, file: Path, line: int | None) -> None:
        self._unseen.append((what, self._where(file, line)))

    def _where(self, file: Path, line: int | None) -> Where:
        return Where(self._shown(file), line)

    def _shown(self, file: Path) -> str:
        return file.relative_to(self._root).as_posix() if file.is_relative_to(self._root) else str(file)


def _action(entry: Mapped) -> tuple[str, Any, bool]:
    """The module of a task, what it is given, and whether `local_action` sends it to the controller."""
    for key in ("action", "local_action"):
        if key in entry:
            given = entry[key]
            if isinstance(given, Mapped):
                return (
                    str(given.get("module") or ""),
                    {k: v for k, v in given.items() if k != "module"},
                    key != "action",
                )
            name, _, rest = str(given or "").partition(" ")
            return name, rest, key != "action"
    for key, value in entry.items():
        if key not in KEYWORDS and not key.startswith("with_"):
            return key, value, False
    return "", None, False


def _words(value: Any) -> frozenset[str]:
    """Tags: a text with commas, or a list."""
    found = value if isinstance(value, list) else str(value).split(",") if isinstance(value, str) else []
    return frozenset(str(word).strip() for word in found if str(word).strip())


def _flat(value: Any) -> list[Any]:
    """The entries of *value*: of a list, and of lists in it; a single one counts as a list."""
    if not isinstance(value, list):
        return [] if value is None else [value]
    return [inner for item in value for inner in (item if isinstance(item, list) else [item])]
