"""What `init` writes: a whole project into an empty folder, or what is missing beside existing files."""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config import PROJECT, load_project
from orchestrator.config.schema import MODELS, schema
from orchestrator.domain.environment import Project
from orchestrator.domain.errors import OrchestratorError

STACK = re.compile(r"^Pulumi\.([A-Za-z0-9_.-]+)\.ya?ml$")
SCHEMAS = ".orchestrator/schemas"
ORDER = ("dev", "development", "sandbox", "test", "testing", "qa", "integration", "staging", "stage", "preprod", "uat")
LAST = ("production", "prod", "live")
PLAYBOOKS = ("site", "deploy", "main", "playbook")
TESTS = ("tests/smoke", "tests/testinfra", "testinfra", "tests", "ansible/tests", "molecule/default/tests", "test")
PLAYBOOK_FOLDERS = ("playbooks", ".", "ansible", "ansible/playbooks", "deploy", "provisioning")


@dataclass
class FolderContents:
    """What a folder holds already. Paths are relative to it."""

    program: str | None = None
    stacks: list[str] = field(default_factory=list)
    playbook: str | None = None
    tests: str | None = None
    environments: list[str] = field(default_factory=list)
    releases: bool = False
    project: Project | None = None

    @property
    def anything(self) -> bool:
        """Whether any of it is a project of the user's own."""
        return bool(self.program or self.playbook or self.tests or self.environments or self.releases)


def survey(root: Path) -> FolderContents:
    """Read the existing files. Only an `orchestrator.yaml` is read as a whole: raises F-codes."""
    project = load_project(root) if (root / PROJECT).is_file() else None
    places = project or Project(apiVersion="orchestrator/v1", kind="Project", name="project")
    programs = [path.parent for pattern in ("Pulumi.y*ml", "*/Pulumi.y*ml") for path in sorted(root.glob(pattern))]
    program = programs[0] if programs else None
    stacks = sorted({m[1] for path in program.iterdir() if (m := STACK.match(path.name))}) if program else []
    return FolderContents(
        program=program.relative_to(root).as_posix() if program else None,
        stacks=sorted(stacks, key=_rank),
        playbook=_playbook(root),
        tests=next((name for name in TESTS if any((root / name).glob("**/test_*.py"))), None),
        environments=sorted(path.parent.name for path in (root / places.environments).glob("*/environment.yaml")),
        releases=any(path.is_file() for path in (root / places.releases).glob("*/release.yaml")),
        project=project,
    )


def _rank(stack: str) -> tuple[int, str]:
    """The place of a stack on the path, judged by its name."""
    name = stack.lower()
    if name in LAST:
        return len(ORDER) + 1, name
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def _playbook(root: Path) -> str | None:
    found = [path for folder in PLAYBOOK_FOLDERS for path in sorted((root / folder).glob("*.y*ml"))]
    plays = [path for path in found if re.search(r"^\s*(?:-\s+)?(?:hosts|import_playbook):", _text(path), re.MULTILINE)]
    plays.sort(key=lambda path: PLAYBOOKS.index(path.stem) if path.stem in PLAYBOOKS else len(PLAYBOOKS))
    return plays[0].relative_to(root).as_posix() if plays else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def slug(text: str, otherwise: str) -> str:
    """A name made of *text*: lower-case letters, digits and dashes; *otherwise* when nothing of it can stay."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-") or otherwise


def project_name(folder: Path) -> str:
    """The name of the project that *folder* is already, or one made of the folder's."""
    project = survey(folder).project if folder.is_dir() else None
    return project.name if project else slug(folder.resolve().name, "project")


def missing(root: Path, name: str, reference: Path, templates: Path) -> list[tuple[str, bytes]]:
    """Each file that is not there yet, relative to *root*, with its content. Raises F139 when one cannot be written.

    Args:
        root: the folder of the project, which may be empty or not there at all.
        name: the project's name.
        reference: the folder that holds the reference `environments/` and `playbooks/`.
        templates: the folder of the templates.
    """
    found = survey(root) if root.is_dir() else FolderContents()
    wanted = [(path, content) for path, content in _wanted(found, name, Templates(templates, reference))]
    for path, _ in wanted:
        _check_way(root, path)
    return [(path, content) for path, content in wanted if not (root / path).exists()]


def _check_way(root: Path, path: str) -> None:
    """Whether *path* can be written below *root* without touching anything else."""
    at = root
    parts = path.split("/")
    for number, part in enumerate(parts):
        at /= part
        reason = None
        if at.is_symlink() and not at.exists():
            reason = "is a broken link"
        elif at.exists() and not at.resolve().is_relative_to(root.resolve()):
            reason = "leads out of the project"
        elif number < len(parts) - 1 and at.exists() and not at.is_dir():
            reason = "is not a folder"
        elif number == len(parts) - 1 and at.exists() and not at.is_file():
            reason = "is not a file"
        if reason:
            hint = "move it away, or set environments: and releases: in orchestrator.yaml to other folders"
            raise OrchestratorError("F139", f"{at} {reason}, and {path} could not be written", hint=hint)


def write_files(root: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write *files*, which are not there, below *root*: all or none of them. Raises F139."""
    written: list[Path] = []
    try:
        for path, content in files:
            at = root / path
            for folder in [*reversed(at.parents), at.parent]:
                if not folder.exists():
                    folder.mkdir(mode=0o700 if folder.name == ".orchestrator" else 0o777)
                    written.append(folder)
            with at.open("xb") as file:
                written.append(at)
                file.write(content)
    except OSError as error:
        for at in reversed(written):
            with contextlib.suppress(OSError):
                at.rmdir() if at.is_dir() else at.unlink()
        hint = "no file was left behind; check the owner of the folder, and the free space"
        raise OrchestratorError("F139", f"cannot write {error.filename}: {error.strerror}", hint=hint) from error


class Templates:
    """The files that are written, with their blanks filled in.

    Args:
        templates: the folder of the templates.
        reference: the folder of what is copied as it is.
    """

    def __init__(self, templates: Path, reference: Path) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        loader = FileSystemLoader(templates)
        self._jinja = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - YAML
        self._templates, self._reference = templates, reference

    def filled(self, template: str, /, **values: object) -> bytes:
        """The file that *template* gives with *values*."""
        return self._jinja.get_template(f"{template}.j2").render(**values).encode()

    def plain(self, name: str) -> bytes:
        """The template *name*, which has no blanks."""
        return (self._templates / name).read_bytes()

    def copied(self, name: str) -> bytes:
        """A file of the reference environments and playbooks."""
        return (self._reference / name).read_bytes()


def _wanted(found: FolderContents, name: str, files: Templates) -> Iterator[tuple[str, bytes]]:
    places = found.project or Project(apiVersion="orchestrator/v1", kind="Project", name=name)
    yield PROJECT, files.filled("orchestrator.yaml", name=name, schema=_schema("project", PROJECT))
    yield ".gitignore", files.plain("gitignore")
    yield ".orchestrator/.gitignore", files.plain("gitignore-state")
    for kind in MODELS:
        yield f"{SCHEMAS}/{kind}.json", json.dumps(schema(kind), indent=1).encode()
    stacks = _named(found.stacks or ["staging", "production"])
    if not found.environments:
        yield from _environments(found, places.environments, stacks, files)
    if not found.playbook:
        for file in ("playbooks/deploy.yml", "playbooks/rollback.yml"):
            yield file, files.copied(file)
        yield "site/index.html", files.plain("site/index.html")
    if not found.tests:
        yield "tests/smoke/test_smoke.py", files.plain("tests/smoke/test_smoke.py")
    if not found.releases:
        path = f"{places.releases}/{name}/release.yaml"
        yield (
            path,
            files.filled(
                "release.yaml",
                name=name,
                schema=_schema("release", path),
                artifact=None if found.playbook else "site/index.html",
                environments=found.environments or list(stacks),
                playbook=found.playbook or "playbooks/deploy.yml",
                tests=found.tests or "tests/smoke",
            ),
        )


def _schema(kind: str, path: str) -> str:
    """The schema's file as seen from the folder of *path*."""
    return os.path.relpath(f"{SCHEMAS}/{kind}.json", Path(path).parent)


def _named(stacks: list[str]) -> dict[str, str]:
    """Each stack by the name of its environment; `Prod_EU` and `prod.eu` become two."""
    named: dict[str, str] = {}
    for stack in stacks:
        base, number = slug(stack, "environment"), 2
        name = base
        while name in named:
            name, number = f"{base[:59]}-{number}", number + 1
        named[name] = stack
    return named


def _environments(
    found: FolderContents, folder: str, stacks: dict[str, str], files: Templates
) -> Iterator[tuple[str, bytes]]:
    """One environment for each stack, in the order of the path; with a program of its own where there is none."""
    after = None
    for name, stack in stacks.items():
        path = f"{folder}/{name}/environment.yaml"
        page = not found.playbook and not found.program  # then the release serves our page, and this can be queried
        values = {"name": name, "stack": stack, "after": after, "program": found.program, "page": page}
        yield path, files.filled("environment.yaml", schema=_schema("environment", path), **values)
        if found.program is None:
            for file in ("Pulumi.yaml", "__main__.py"):
                yield f"{folder}/{name}/{file}", files.copied(f"environments/{stack}/{file}")
        after = name
