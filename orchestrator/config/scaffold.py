"""What `init` writes: a whole project into an empty folder, or what is missing beside what is there already."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config.schema import MODELS, schema
from orchestrator.domain.model import NAME

STACK = re.compile(r"^Pulumi\.([A-Za-z0-9_.-]+)\.ya?ml$")
ORDER = ("dev", "development", "sandbox", "test", "testing", "qa", "integration", "staging", "stage", "preprod", "uat")
LAST = ("production", "prod", "live")
PLAYBOOKS = ("site", "deploy", "main", "playbook")
TESTS = ("tests/smoke", "tests/testinfra", "testinfra", "tests", "molecule/default/tests", "test")


@dataclass
class Found:
    """What a folder holds already. Paths are relative to it."""

    program: str | None = None
    stacks: list[str] = field(default_factory=list)
    playbook: str | None = None
    tests: str | None = None
    environments: list[str] = field(default_factory=list)
    releases: bool = False

    @property
    def anything(self) -> bool:
        """Whether any of it is a project of the user's own."""
        return bool(self.program or self.playbook or self.tests or self.environments or self.releases)


def survey(root: Path) -> Found:
    """Look what is there, without reading any of it."""
    programs = [path.parent for pattern in ("Pulumi.yaml", "*/Pulumi.yaml") for path in sorted(root.glob(pattern))]
    program = programs[0] if programs else None
    stacks = sorted({m[1] for path in program.iterdir() if (m := STACK.match(path.name))}) if program else []
    return Found(
        program=program.relative_to(root).as_posix() if program else None,
        stacks=sorted(stacks, key=_rank),
        playbook=_playbook(root),
        tests=next((name for name in TESTS if any((root / name).glob("**/test_*.py"))), None),
        environments=sorted(path.parent.name for path in root.glob("environments/*/environment.yaml")),
        releases=any(root.glob("releases/*/release.yaml")),
    )


def _rank(stack: str) -> tuple[int, str]:
    """Where a stack stands on the path, judged by its name."""
    name = stack.lower()
    if name in LAST:
        return len(ORDER) + 1, name
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def _playbook(root: Path) -> str | None:
    found = [path for folder in ("playbooks", ".") for path in sorted((root / folder).glob("*.y*ml"))]
    plays = [path for path in found if re.search(r"^\s*(?:-\s+)?(?:hosts|import_playbook):", _text(path), re.MULTILINE)]
    plays.sort(key=lambda path: PLAYBOOKS.index(path.stem) if path.stem in PLAYBOOKS else len(PLAYBOOKS))
    return plays[0].relative_to(root).as_posix() if plays else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def project_name(folder: Path) -> str:
    """A name made of the folder's: lower-case letters, digits and dashes."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:63].strip("-")
    return name if NAME.fullmatch(name) else "project"


def missing(root: Path, name: str, reference: Path, templates: Path) -> Iterator[tuple[str, bytes]]:
    """Each file that is not there yet, relative to *root*, with its content.

    Args:
        root: the folder of the project, which may be empty or not there at all.
        name: the project's name.
        reference: the folder that holds the reference `environments/` and `playbooks/`.
        templates: the folder of the templates.
    """
    found = survey(root) if root.is_dir() else Found()
    for path, content in _wanted(found, name, Templates(templates, reference)):
        if not (root / path).exists():
            yield path, content


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


def _wanted(found: Found, name: str, files: Templates) -> Iterator[tuple[str, bytes]]:
    yield "orchestrator.yaml", files.filled("orchestrator.yaml", name=name)
    yield ".gitignore", files.plain("gitignore")
    for kind in MODELS:
        yield f".orchestrator/schemas/{kind}.json", json.dumps(schema(kind), indent=1).encode()
    stacks = found.stacks or ["staging", "production"]
    if not found.environments:
        yield from _environments(found, stacks, files)
    if not found.playbook:
        for file in ("playbooks/deploy.yml", "playbooks/rollback.yml"):
            yield file, files.copied(file)
        yield "site/index.html", files.plain("site/index.html")
    if not found.tests:
        yield "tests/smoke/test_smoke.py", files.plain("tests/smoke/test_smoke.py")
    if not found.releases:
        yield (
            f"releases/{name}/release.yaml",
            files.filled(
                "release.yaml",
                name=name,
                artifact=None if found.playbook else "site/index.html",
                environments=found.environments or [_environment_name(stack) for stack in stacks],
                playbook=found.playbook or "playbooks/deploy.yml",
                tests=found.tests or "tests/smoke",
            ),
        )


def _environments(found: Found, stacks: list[str], files: Templates) -> Iterator[tuple[str, bytes]]:
    """One environment for each stack, in the order of the path; with a program of its own where there is none."""
    after = None
    for stack in stacks:
        name = _environment_name(stack)
        text = files.filled("environment.yaml", name=name, stack=stack, after=after, program=found.program)
        yield f"environments/{name}/environment.yaml", text
        if found.program is None:
            for file in ("Pulumi.yaml", "__main__.py"):
                yield f"environments/{name}/{file}", files.copied(f"environments/{stack}/{file}")
        after = name


def _environment_name(stack: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", stack.lower()).strip("-")
    return name or "environment"
