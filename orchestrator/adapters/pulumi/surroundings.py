"""What a program reads of the project outside its own folder: found by its name in the program's text, or declared.

Programs have many ways to read a file (`sys.path`, `require`, `main: ../src`, a path), and all of them name it. So
an entry beside one of the folders from the project's root down to the program belongs to the definition if its name
is a word in the program's files, or in files that belong to the definition already. Of Python files only strings
and imports count: a program reads nothing by the name of a variable or by a comment. Other files are not in
the copy in which the program runs: a file that is read and was not found is missing in it. `pulumi.reads` can name it.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from orchestrator.adapters.pulumi.workspace import IGNORED, is_installed
from orchestrator.domain.errors import OrchestratorError
from orchestrator.trees import walk

MAX_FILES = 5_000
MAX_BYTES = 100 * 1024 * 1024
MAX_TEXT = 1024 * 1024  # of a longer file nothing is taken for a name
LOCKS = {"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "Pipfile.lock", "go.sum"}
ENVIRONMENT = "environment.yaml"
PROJECT = "orchestrator.yaml"  # its first part is in each program that imports `orchestrator.hosts`
_WORD = re.compile(rb"[A-Za-z0-9_-]+")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

Files = dict[str, Path]  # by their names below the project's root


def surroundings(
    project: Path, place: str, program: Iterable[Path], reads: tuple[str, ...] | None, state: Path
) -> Files:
    """The files outside the program's folder that belong to the definition, by their names below *project*.

    Args:
        project: the project's root.
        place: the program's folder, below it.
        program: the program's own files.
        reads: what is declared, below *project*; None: it is found by name.
        state: the state folder, which is never part of it.

    Raises E167 when something declared does not exist, and E165 when it is too much.
    """
    if reads is not None:
        return _limited({name: path for item in reads for name, path in _declared(project, item, state)})
    waiting, named = list(_entries(project, place)), _NamedFile()
    sources, found = list(program), Files()
    while sources:
        for path in sources:
            named.add(path)
        sources = []
        for name in [name for name in waiting if named.has(PurePath(name).name)]:
            waiting.remove(name)
            files = dict(_files(project, name, state))
            found.update(files)
            sources += files.values()
        _limited(found)
    return found


@dataclass
class _NamedFile:
    """What the files that were read so far name: *words* of their *texts*, and the *modules* that they import."""

    texts: bytes = b""
    words: set[bytes] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)

    def add(self, path: Path) -> None:
        """Read one file. Our own files name nothing that a program reads."""
        if path.name in LOCKS | {ENVIRONMENT, PROJECT} or path.stat().st_size > MAX_TEXT:
            return
        text = path.read_bytes()
        if path.suffix == ".py":
            strings, imports = _python(text)
            text = strings
            self.modules |= imports
        self.texts += b"\n" + text
        self.words.update(_WORD.findall(text))

    def has(self, name: str) -> bool:
        """Whether the entry *name* is named: without its suffixes as a word or a module, otherwise unchanged."""
        if "." in name and name.encode() in self.texts:
            return True
        if name.startswith(".") or name == PROJECT:
            return False
        return name.partition(".")[0].encode() in self.words or name.removesuffix(".py") in self.modules


def _python(text: bytes) -> tuple[bytes, set[str]]:
    """The strings of a Python file that are not docstrings, and the modules that it imports.

    A file that is not Python by this interpreter's rules counts as a whole.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of the user's own file, and not ours to print
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return text, set()
    strings, modules, documented = list[bytes](), set[str](), set[int]()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                modules.update(alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom():
                found = [node.module] if node.module else [alias.name for alias in node.names]
                modules.update(name.partition(".")[0] for name in found)
            case ast.Constant(value=str() | bytes() as value) if id(node) not in documented:
                strings.append(value if isinstance(value, bytes) else value.encode(errors="replace"))
        if isinstance(node, _DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr):
            documented.add(id(node.body[0].value))  # a parent is visited before its children
    return b"\n".join(strings), modules


def others(project: Path, place: str, files: Iterable[str]) -> list[str]:
    """The entries beside the program that do not belong to the definition with these *files*."""
    tops = {parent.as_posix() for name in files for parent in (PurePath(name), *PurePath(name).parents)}
    return [name for name in _entries(project, place, every=True) if name not in tops]


def line_to_add(project: Path, place: str, files: Iterable[str], message: str) -> str | None:
    """The setting that makes a file part of the definition that is missing by *message*; None if no such file exists.

    *files* are those of the definition, by their names below *project*.
    """
    files = tuple(files)
    missing = [
        name for name in others(project, place, files) if re.search(rf"\b{re.escape(PurePath(name).name)}\b", message)
    ]
    if not missing:
        return None
    tops = [
        name
        for name in _entries(project, place, every=True)
        if any(PurePath(file).is_relative_to(name) for file in files)
    ]
    reads = ", ".join(sorted([*tops, *missing]))
    return f"{missing[0]} is not part of the definition; add to environment.yaml: pulumi: {{reads: [{reads}]}}"


def _entries(project: Path, place: str, *, every: bool = False) -> Iterator[str]:
    """What lies beside the folders on the way from the root to the program; other environments only with *every*."""
    at = PurePath()
    for part in PurePath(place).parts:
        folder = project / at
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            own = path.name == part or path.name in IGNORED or is_installed(path)
            if not own and (every or not (path / ENVIRONMENT).is_file()):
                yield (at / path.name).as_posix()
        at /= part


def _declared(project: Path, name: str, state: Path) -> Iterator[tuple[str, Path]]:
    if not (project / name).exists():
        raise OrchestratorError("E167", f"`pulumi.reads` names {name}, which the project does not have")
    yield from _files(project, name, state)


def _files(project: Path, name: str, state: Path) -> Iterator[tuple[str, Path]]:
    """The files of one entry, links followed; caches, installed packages and the state folder left out."""
    top = project / name
    if top == state:
        return
    if top.is_file():
        yield PurePath(name).as_posix(), top
        return
    for at, folders, names in walk(top):
        own = [folder for folder in folders if folder not in IGNORED and Path(at, folder) != state]
        folders[:] = [folder for folder in own if not is_installed(Path(at, folder))]
        for file in names:
            path = Path(at, file)
            if not file.endswith((".pyc", ".pyo")) and path.is_file():
                yield path.relative_to(project).as_posix(), path


def _limited(found: Files) -> Files:
    """*found*, if a definition can hold so much. Raises E165."""
    size = sum(path.stat().st_size for path in found.values())
    if len(found) <= MAX_FILES and size <= MAX_BYTES:
        return found
    weights: dict[str, float] = {}
    for name, path in found.items():
        top = "/".join(PurePath(name).parent.parts[:2])
        weights[top] = weights.get(top, 0) + path.stat().st_size / MAX_BYTES + 1 / MAX_FILES
    largest = ", ".join(sorted(weights, key=lambda top: weights[top], reverse=True)[:3])
    message = f"the program names {len(found)} files with {size // 1024**2} MiB outside its folder (largest: {largest})"
    raise OrchestratorError("E165", message)
