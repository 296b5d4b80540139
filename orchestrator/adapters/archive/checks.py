"""What `build` reads in the playbooks of a package, before Ansible does: what cannot work as it does by hand.

Each check names the file and line, and what to write. A check reports nothing about what only the run will show.
"""

import configparser
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.adapters.ansible.playbook_model import Playbook, Task, templated
from orchestrator.adapters.ansible.playbook_reader import reader
from orchestrator.adapters.ansible.playbook_traits import other_facts
from orchestrator.adapters.ansible.playbook_yaml import Mapped, load_playbook, texts, truth
from orchestrator.adapters.testinfra.sealed_settings import options, suite_root
from orchestrator.domain.configuration import CONFIG_FILE, working_folder
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError, Where
from orchestrator.domain.release import Release
from orchestrator.domain.release_steps import Step

PREFIX = "orchestrator_"
OF_PROJECT = frozenset({"orchestrator_root"})  # a variable of hosts that the project sets
"""The prefix of the names of all variables that playbooks are given."""

PASSWORD = re.compile(
    r"\b(?:lookup|query|q)\(\s*(['\"])(?:ansible\.(?:builtin|legacy)\.)?password\1\s*,\s*(['\"])(?P<path>[^'\"]*)\2"
)
ASKS = {"ask_pass", "ask_vault_pass", "become_ask_pass"}
RUNS_NOTHING = {
    "--co", "--collect-only", "--collectonly", "--setup-plan", "--setupplan", "--setup-only", "--setuponly",
    "--fixtures", "--funcargs", "--fixtures-per-test", "--markers", "--cache-show", "--help", "-h", "--version", "-V",
}  # fmt: skip
NOT_OURS = "ansible_collections"


@dataclass(frozen=True)
class Declared:
    """What the checks need of an environment's file: its name, the file, and what it declares."""

    name: str
    file: str
    extra_vars: frozenset[str] = frozenset()
    environment: tuple[str, ...] = ()
    controller_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class StaticChecks:
    """The checks of one unpacked package.

    Args:
        content: its content.
        release: the release, with paths relative to *content*.
        search_paths: the variables with the search paths of roles and collections, by the playbook.
        declared: what the environments of the release declare.
    """

    content: Path
    release: Release
    search_paths: Callable[[str], Mapping[str, str]]
    declared: tuple[Declared, ...] = ()

    def errors(self) -> list[OrchestratorError]:
        """Everything that is wrong, each thing once."""
        found = [*self._release_names(), *self._beside(), *self._suites()]
        for playbook in dict.fromkeys(self.release.playbooks()):
            try:
                book = reader(self.content, self.search_paths(playbook)).read(self.content / playbook)
            except ValueError:
                continue  # Ansible itself reports what is wrong with it
            found += [*_imports(book), *_clashes(book), *self._passwords(playbook, book), *self._asks(playbook)]
            steps = [step for step in self.release.playbook_steps if step.playbook == playbook]
            for step in steps:
                found += [*self._prompts(book, step), *_facts(book, step), *_once_tags(book, step)]
            if not steps:
                found += self._prompts(book, None)
        return list({(error.code, error.message, str(error.where)): error for error in found}.values())

    # -- prompts

    def _prompts(self, book: Playbook, step: Step | None) -> Iterator[OrchestratorError]:
        """Prompts that would wait for an answer. One with a default takes it; one with a condition may never come."""
        given = set(step.extra_vars) if step is not None else set()
        everywhere = [item.extra_vars for item in self.declared]
        given |= set.intersection(*map(set, everywhere)) if everywhere else set()
        for play in book.plays:
            prompts = play.keyword("vars_prompt")
            for prompt in prompts if isinstance(prompts, list) else []:
                if isinstance(prompt, Mapped) and prompt.get("default") is None and prompt.get("name") not in given:
                    name, where = str(prompt.get("name")), Where(play.where.file, prompt.line)
                    hint = f"give it a default, or set {name} in the step's extra_vars"
                    yield OrchestratorError("P127", f"the prompt {name!r} has no default", where=where, hint=hint)
        for task in book.tasks:
            if _waits(task) and (step is None or _selected(task, step)):
                hint = "give it seconds or minutes, or a condition under which it does not run"
                message = f"the task {task.name!r} waits for an answer"
                yield OrchestratorError("P127", message, where=task.where, hint=hint)

    def _asks(self, playbook: str) -> Iterator[OrchestratorError]:
        """Settings that make Ansible prompt for a password."""
        files = {path.relative_to(self.content).as_posix() for path in self.content.rglob(CONFIG_FILE)}
        name = str(PurePosixPath(working_folder(playbook, files)) / CONFIG_FILE)
        parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
        try:
            text = (self.content / name).read_text("utf-8")
            parser.read_string(text)
        except (OSError, ValueError, configparser.Error):
            return  # there is none, or Ansible itself reports what is wrong with it
        for section in parser.sections():
            for key in sorted(ASKS & set(parser[section])):
                if truth(parser[section][key]) is not False:
                    line = next(
                        (n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith(key)), None
                    )
                    hint = "remove it; name a password file, or put the password into an encrypted variable"
                    message = f"{key} makes Ansible prompt for a password"
                    yield OrchestratorError("P127", message, where=Where(name, line), hint=hint)

    # -- files on the controller

    def _passwords(self, playbook: str, book: Playbook) -> Iterator[OrchestratorError]:
        """Passwords that a lookup writes into the project, where an environment does not keep them."""
        for name, text in book.texts():
            for match in PASSWORD.finditer(text):
                written = (match["path"].split() or [""])[0]
                path = PurePosixPath(playbook).parent / written
                if not written or written.startswith(("/", "~")) or templated(written):
                    continue
                lacking = [item for item in self.declared if not covers(item.controller_files, path)]
                if lacking:
                    keep = f"{path.parent}/" if str(path.parent) != "." else str(path)
                    hint = f"add to {' and '.join(item.file for item in lacking)}: controller_files: [{keep}]"
                    message = f"the password in {path} would differ in each run"
                    where = Where(name, text.line_of(match.start()))
                    yield OrchestratorError("P128", message, where=where, hint=hint)

    # -- names

    def _release_names(self) -> Iterator[OrchestratorError]:
        sets = [("vars", self.release.vars)]
        sets += [(f"{step.name}.vars", step.vars) for step in self.release.playbook_steps]
        sets += [(f"{step.name}.extra_vars", step.extra_vars) for step in self.release.playbook_steps]
        for what, names in sets:
            for name in names:
                if name.startswith(PREFIX):
                    yield _clash(name, f"{what} of the release", None)

    def _beside(self) -> Iterator[OrchestratorError]:
        """Variables of groups and hosts, wherever they lie in the package."""
        for kind in ("group_vars", "host_vars"):
            for folder in sorted(self.content.rglob(kind)):
                if NOT_OURS not in folder.parts:
                    for path in sorted(folder.rglob("*")):
                        yield from self._names_in(path, kind)

    def _names_in(self, path: Path, kind: str) -> Iterator[OrchestratorError]:
        try:
            content = load_playbook(path) if path.is_file() and path.suffix in {".yml", ".yaml", ".json", ""} else None
        except ValueError:
            return
        for name, line in content.lines.items() if isinstance(content, Mapped) else ():
            if _reserved(name):
                yield _clash(name, kind, Where(path.relative_to(self.content).as_posix(), line))

    # -- suites

    def _suites(self) -> Iterator[OrchestratorError]:
        for suite in self.release.verify:
            word = _idle(suite.args)
            if word is not None:
                message = f"pytest runs no test with {word} in the args of the suite {suite.name}"
                yield OrchestratorError("P133", message, hint=f"remove {word} from its args")
        files = dict.fromkeys(suite_root(self.content, tests).settings for tests in self.release.suites())
        for file in filter(None, files):
            word = _idle(options(file))
            if word is not None:
                where = Where(file.relative_to(self.content).as_posix())
                message = f"pytest runs no test with {word} in its settings"
                yield OrchestratorError("P133", message, where=where, hint=f"remove {word} from addopts")


def _idle(words: Iterable[str]) -> str | None:
    """The first of *words* with which pytest runs no test."""
    return next((word for word in words if word.partition("=")[0] in RUNS_NOTHING), None)


def _imports(book: Playbook) -> Iterator[OrchestratorError]:
    for name, where in book.imports_unseen:
        if templated(name):
            hint = "import each playbook by its name, with a condition on its plays or tasks"
            yield OrchestratorError("P126", f"import_playbook {name} is known only at run time", where=where, hint=hint)


def _clashes(book: Playbook) -> Iterator[OrchestratorError]:
    for item in book.definitions:
        if _reserved(item.name):
            yield _clash(item.name, item.how, item.where)


def _reserved(name: str) -> bool:
    """Whether the orchestrator alone sets the variable *name*."""
    return name.startswith(PREFIX) and name not in OF_PROJECT


def _clash(name: str, how: str, where: Where | None) -> OrchestratorError:
    return OrchestratorError("P129", f"{how}: {name!r} has a reserved name", where=where, hint="choose another name")


def _facts(book: Playbook, step: Step) -> Iterator[OrchestratorError]:
    """Facts of hosts that the playbook inspects by hand, and that are not in the same batch."""
    rollout = step.rollout
    divided = rollout.batches != ("100%",) or rollout.strategy != "rolling"
    others = step.hosts != "all" and any(not play.local and play.hosts != step.hosts for play in book.plays)
    if not divided and not others:
        return
    why = "in other batches" if divided else f"that are not among {step.hosts!r}"
    for trait in other_facts(book):
        file, _, line = trait.where.rpartition(":")
        hint = "gather them in the play: ansible.builtin.setup with delegate_to, delegate_facts: true and a loop"
        message = f"{trait.what} are not known for hosts {why}"
        yield OrchestratorError("P130", message, where=Where(file, int(line)), hint=hint)


def _once_tags(book: Playbook, step: Step) -> Iterator[OrchestratorError]:
    """Tags of `rollout.once` that nothing has, and results of such tasks that later batches would lack."""
    known = {tag for task in book.tasks for tag in task.tags} | {tag for play in book.plays for tag in play.tags}
    unseen = any(play.unseen for play in book.plays) or book.imports_unseen
    for tag in step.rollout.once.tags:
        if tag not in known and not unseen:
            message = f"rollout.once of the step {step.name} names {tag!r}, and no play or task has this tag"
            yield OrchestratorError("P131", message, hint=f"add tags: [{tag}] to the play or task")
    yield from _needed_in_batches(book, set(step.rollout.once.tags))


def _needed_in_batches(book: Playbook, wanted: set[str]) -> Iterator[OrchestratorError]:
    """Tasks with a tag of *wanted* whose results a task without one uses: later batches would lack them."""
    inside = [task for task in book.tasks if task.tags & wanted]
    outside = [task for task in book.tasks if not task.tags & wanted]
    for task in inside:
        for name in _results(task):
            user = next((other for other in outside if _uses(other, name)), None)
            if user is not None:
                message = f"the task {task.name!r} cannot run once: {user.where} uses its {name!r} in every batch"
                hint = "give both tasks the tag, or let the task run in each batch"
                yield OrchestratorError("P131", message, where=task.where, hint=hint)


def _results(task: Task) -> set[str]:
    names = {str(task.given["register"])} if task.given.get("register") else set()
    return names | (set(task.options) - {"cacheable"} if task.module == "set_fact" else set())


def _uses(task: Task, name: str) -> bool:
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(word.search(text) for text in texts([task.args, dict(task.given)]))


def _waits(task: Task) -> bool:
    return task.module == "pause" and not {"seconds", "minutes"} & set(task.options) and not task.conditional


def _selected(task: Task, step: Step) -> bool:
    """Whether the step runs a task with these tags."""
    wanted: Collection[str] = step.tags
    if task.tags & set(step.skip_tags):
        return False
    if wanted and "all" not in wanted:
        return bool(task.tags & {*wanted, "always"})
    return "never" not in task.tags or bool(task.tags & set(wanted))


def covers(declared: tuple[str, ...], path: PurePosixPath) -> bool:
    """Whether *path* is one of the *declared* files, or lies in one of the folders."""
    return any(path == place or place in path.parents for place in map(PurePosixPath, declared))


def kept_by_all(declared: tuple[Declared, ...], path: str) -> bool:
    """Whether all environments keep *path* as a controller file, so that later playbooks find it."""
    return bool(declared) and all(covers(item.controller_files, PurePosixPath(path)) for item in declared)


def declared_by(name: str, file: str, environment: Environment) -> Declared:
    """The declarations of *environment*, whose file is *file*."""
    extra, given = frozenset(environment.ansible.extra_vars), environment.ansible.environment
    return Declared(name, file, extra, given, environment.kept_paths)
