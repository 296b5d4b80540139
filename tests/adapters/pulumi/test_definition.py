"""A definition covers what its program reads of the project, and is compared file by file before each use."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.artifacts.places import artifacts
from orchestrator.adapters.pulumi import definition, definition_archive, surroundings
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json, digest_of

ROOT = Path(__file__).resolve().parents[3]
HEAD = {"apiVersion": "orchestrator/v1", "kind": "Environment"}
FILES = {
    "orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n",
    "environments/staging/environment.yaml": "after: test\n",
    "environments/staging/Pulumi.yaml": "name: shop\nruntime: python\n",
    "environments/staging/Pulumi.staging.yaml": "config: {shop:size: small}\n",
    "environments/staging/__main__.py": "import sys\nsys.path.append('../../lib')\nimport naming\nopen('../settings.yaml')\n",
    "environments/staging/hook.sh": "#!/bin/sh\n",
    "environments/test/environment.yaml": "name: test\n",
    "environments/test/__main__.py": "1\n",
    "environments/settings.yaml": "size: 1\n",
    "lib/naming.py": "from tables import rows\n",
    "lib/data/rows.json": "[]\n",
    "tables/rows.py": "rows = []\n",
    "playbooks/site.yml": "[]\n",
    "README.md": "All of it.\n",
}
PROGRAM = "environments/staging"


class Project:
    """A project with a program that reads files beside it."""

    def __init__(self, top: Path) -> None:
        self.root, self.store = top / "project", top / "project" / ".orchestrator" / "pulumi" / "definitions"
        for name, text in FILES.items():
            self.write(name, text)
        (self.root / PROGRAM / "hook.sh").chmod(0o755)

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def environment(self, **pulumi: Any) -> Environment:
        return Environment.from_json({**HEAD, "name": "staging", "pulumi": pulumi})

    def keep(self, **pulumi: Any) -> str:
        environment = self.environment(**pulumi)
        program = definition.find_program(environment, self.root / PROGRAM, self.root)
        return definition.keep_definition(program, environment, self.store)[0]

    def names(self, **pulumi: Any) -> list[str]:
        return [file.path for file in definition.verify_definition(self.store, self.keep(**pulumi)).files]

    def folder(self, digest: str) -> Path:
        return self.store / digest.removeprefix("sha256:")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def code(work: Callable[[], object]) -> str | None:
    try:
        work()
    except OrchestratorError as error:
        return error.code
    return None


def refusal(project: Project, digest: str) -> str | None:
    return code(lambda: definition.verify_definition(project.store, digest))


def test_a_definition_has_what_its_program_names(project: Project) -> None:
    """It has the program's folder, what that names beside it, and what these name in turn; and nothing else."""
    own = [name for name in FILES if name.startswith(PROGRAM)]
    found = ["environments/settings.yaml", "lib/data/rows.json", "lib/naming.py", "tables/rows.py"]
    assert project.names() == sorted([*own, *found])


def test_comments_variables_and_our_own_file_name_nothing(project: Project) -> None:
    """Of a Python program only strings and imports name files: no comment, docstring or variable does, and no module stands for `orchestrator.yaml`."""
    before = project.names()
    for name in ("web/index.html", "hosts", "count.yaml"):
        project.write(name, "x\n")
    project.write("orchestrator.yaml", "description: the playbooks and the README\n")
    program = FILES[f"{PROGRAM}/__main__.py"]
    more = '"""Hosts for the web, see README."""\nfrom orchestrator.hosts import LoopbackHost\ncount = 2  # of hosts\nweb = count\n'
    project.write(f"{PROGRAM}/__main__.py", more + program)
    assert project.names() == before
    project.write(
        f"{PROGRAM}/__main__.py", f"{more}{program}open(f'../../web/{{count}}'); open('../../orchestrator.yaml')\n"
    )
    assert project.names() == sorted([*before, "web/index.html", "orchestrator.yaml"])
    project.write(f"{PROGRAM}/__main__.py", "hosts = (\n")
    assert "hosts" in project.names()


@pytest.mark.parametrize(
    "example", sorted(path.parent for path in ROOT.glob("examples/*/environments")), ids=lambda path: path.name
)
def test_an_example_is_defined_by_its_environments_alone(example: Path, tmp_path: Path) -> None:
    """A change of the application, a playbook or a release of an example is no change of what provisions its hosts."""
    for folder in sorted(path.parent for path in example.glob("environments/*/Pulumi.yaml")):
        program = definition.find_program(Environment.from_json({**HEAD, "name": folder.name}), folder, example)
        found = program.everything(None, tmp_path)
        assert [name for name in found if not name.startswith("environments/")] == []


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith((PROGRAM, "README", "orch"))])
def test_a_file_that_the_program_reads_is_covered(project: Project, name: str) -> None:
    """A change of such a file is another definition; a change of a playbook or of another environment is not."""
    before = project.keep()
    project.write(name, FILES[name] + "# changed\n")
    assert (project.keep() != before) == (not name.startswith(("playbooks", "environments/test")))


def test_declared_files_are_exactly_those(project: Project) -> None:
    """Where `pulumi.reads` declares what is read, that counts and nothing is found by name; what is missing is refused."""
    own = [name for name in FILES if name.startswith(PROGRAM)]
    assert project.names(reads=["lib/naming.py", "playbooks"]) == sorted([*own, "lib/naming.py", "playbooks/site.yml"])
    assert project.names(reads=[]) == sorted(own)
    assert code(lambda: project.keep(reads=["lib/other.py"])) == "E167"


def test_state_caches_and_installed_packages_are_left_out(project: Project) -> None:
    """The state folder, caches and virtual environments are no part of a definition, whatever the program says."""
    before = project.keep()
    words = "import state, env, lib\n" + FILES[f"{PROGRAM}/__main__.py"]
    project.write(f"{PROGRAM}/__main__.py", words)
    for name in ("env/pyvenv.cfg", "env/lib/x.py", "lib/.venv/y.py", "lib/__pycache__/z.pyc", "lib/naming.pyc"):
        project.write(name, "x")
    state = project.root / "state"
    (state / "pulumi").mkdir(parents=True)
    project.store.rename(state / "pulumi" / "definitions")
    project.store = state / "pulumi" / "definitions"
    assert before != project.keep()
    assert not [name for name in project.names() if name.startswith(("state", "env/", "lib/.venv")) or "pyc" in name]


def test_too_much_is_refused_with_the_largest_folders(project: Project) -> None:
    """A program that names more than a definition can hold is refused, until it is declared what it reads."""
    (project.root / "lib" / "many").mkdir()
    for number in range(surroundings.MAX_FILES):
        (project.root / "lib" / "many" / str(number)).touch()
    with pytest.raises(OrchestratorError) as refused:
        project.keep()
    assert refused.value.code == "E165"
    assert "lib/many" in refused.value.message
    assert project.keep(reads=["lib/naming.py"])


def test_the_line_to_add_is_named(project: Project) -> None:
    """An error about a file that is not part of the definition has the whole setting that makes it one."""
    project.write("extra.yaml", "size: 2\n")
    files = project.names()
    message = "FileNotFoundError: [Errno 2] No such file or directory: '../../extra.yaml'"
    hint = surroundings.line_to_add(project.root, PROGRAM, files, message)
    assert hint is not None
    assert "pulumi: {reads: [environments/settings.yaml, extra.yaml, lib, tables]}" in hint
    assert surroundings.line_to_add(project.root, PROGRAM, files, "no such region") is None


def test_a_copy_is_taken_back_at_its_place(project: Project) -> None:
    """A kept definition has each file at its place below the project's root, with what may be executed."""
    tree = project.folder(project.keep()) / "tree"
    assert (tree / "lib" / "naming.py").read_text() == FILES["lib/naming.py"]
    assert os.access(tree / PROGRAM / "hook.sh", os.X_OK)
    assert not os.access(tree / PROGRAM / "__main__.py", os.X_OK)


# -- the first format ------------------------------------------------------------------------------------------------


def first_format(project: Project) -> str:
    """The definition as an earlier version kept it: its digest covers the program's own files."""
    about = json.loads(canonical_json(project.environment().to_json()))
    names = sorted(name.removeprefix(f"{PROGRAM}/") for name in FILES if name.startswith(PROGRAM))
    texts = {name: FILES[f"{PROGRAM}/{name}"].encode() for name in names}
    files = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    digest = digest_of({"place": PROGRAM, "files": files, "runnable": ["hook.sh"], "about": about})
    folder = project.folder(digest)
    (folder / "tree" / PROGRAM).mkdir(parents=True)
    for name, text in texts.items():
        (folder / "tree" / PROGRAM / name).write_bytes(text)
    (folder / "tree" / PROGRAM / "hook.sh").chmod(0o755)
    (folder / "environment.json").write_bytes(canonical_json(about))
    (folder / "place").write_text(PROGRAM)
    return digest


KEPT: dict[str, Callable[[Project], str]] = {"now": lambda project: project.keep(), "first format": first_format}


@pytest.mark.parametrize("how", KEPT)
def test_a_kept_definition_is_used_while_it_is_what_it_was(project: Project, how: str) -> None:
    """A kept definition of this and of the first format is found with its program and its environment."""
    digest = KEPT[how](project)
    place = definition.verify_definition(project.store, digest).place
    assert (project.folder(digest) / definition.TREE / place / "__main__.py").is_file()
    assert definition.kept_environment(project.store, digest).name == "staging"
    assert code(lambda: definition.verify_definition(project.store, "sha256:" + "0" * 64)) == "E105"


def _linked(path: Path, moved: Path) -> None:
    path.rename(moved)
    path.symlink_to(moved)


def _added(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


def edits(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """What somebody could do to a kept definition: each file changed, removed, executable or a link; and files added."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        yield f"{name} changed", partial(path.write_bytes, path.read_bytes() + b" ")
        yield f"{name} emptied", partial(path.write_bytes, b"")
        yield f"{name} removed", path.unlink
        yield f"{name} linked", partial(_linked, path, folder.parent / "moved")
        if name.startswith("tree"):
            yield f"{name} executable", partial(path.chmod, path.stat().st_mode ^ 0o111)
            yield f"{name} compiled", partial(path.with_suffix(".pyc").write_bytes, b"x")
    for extra in ("extra", "tree/extra.py", f"tree/{PROGRAM}/__pycache__/__main__.cpython-311.pyc", "tree/.venv/x.py"):
        yield f"{extra} added", partial(_added, folder / extra)
    yield "a link added", lambda: (folder / "tree" / "link").symlink_to("/etc")


@pytest.mark.parametrize("how", KEPT)
def test_any_change_of_a_kept_definition_is_refused(tmp_path: Path, how: str) -> None:
    """A file of a kept definition that was changed, added, removed or replaced by a link is refused, and so is the definition."""
    accepted, count = [], 0
    for number in range(1000):
        project = Project(tmp_path / str(number))
        digest = KEPT[how](project)
        todo = list(edits(project.folder(digest)))
        if number >= len(todo):
            break
        what, edit = todo[number]
        edit()
        count += 1
        if refusal(project, digest) != "E166":
            accepted.append(what)
    assert accepted == []
    assert count > 30


def test_any_change_of_what_a_definition_says_is_refused(project: Project) -> None:
    """Each byte of `definition.json` counts."""
    digest = project.keep()
    file = project.folder(digest) / "definition.json"
    data = file.read_bytes()
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert code(lambda: definition.verify_definition(project.store, digest)) == "E166"
    file.write_bytes(data)
    assert code(project.keep) is None


def test_an_edited_copy_of_the_program_of_now_is_refused(project: Project) -> None:
    """The copy that a new plan would run is refused as well, with the folder to remove."""
    digest = project.keep()
    (project.folder(digest) / "tree" / "lib" / "naming.py").write_text("import os\n")
    with pytest.raises(OrchestratorError) as refused:
        project.keep()
    assert (refused.value.code, refused.value.hint) == ("E166", f"remove {project.folder(digest)}")


# -- shared ----------------------------------------------------------------------------------------------------------


def test_no_changed_archive_is_accepted(project: Project, tmp_path: Path) -> None:
    """A shared archive in which any byte was changed, or to which anything was added, is refused, and nothing is kept."""
    (tmp_path / "share").mkdir()
    place = artifacts(str(tmp_path / "share"), tmp_path)
    digest = project.keep()
    definition_archive.share(digest, project.store, place)
    name = f"definitions/{digest.removeprefix('sha256:')}"
    shared = place.named(name)
    assert shared is not None
    place.get(shared, tmp_path / "archive")
    data = (tmp_path / "archive").read_bytes()
    extra = io.BytesIO()
    with tarfile.open(fileobj=extra, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(f"content/{PROGRAM}/__main__.pyc")
        archive.addfile(member, io.BytesIO(b""))
    bad = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(0, len(data), 31)]
    bad += [data[:-1024] + extra.getvalue(), data + b"x", data[:-512], extra.getvalue() + data, b""]
    store = tmp_path / "other" / "definitions"
    for content in bad:
        (tmp_path / "bad").write_bytes(content)
        assert code(lambda: definition_archive.unpack_definition(tmp_path / "bad", store, digest))
        shutil.rmtree(store, ignore_errors=True)
    definition_archive.fetch_definition(digest, store, place)
    assert definition.verify_definition(store, digest) == definition.verify_definition(project.store, digest)


@pytest.mark.parametrize("extra", ["", f"tree/{PROGRAM}/__pycache__/x.pyc", "tree/lib/naming.py", "sitecustomize.py"])
def test_an_archive_of_the_first_format_holds_nothing_else(project: Project, tmp_path: Path, extra: str) -> None:
    """A definition that an earlier version shared is fetched; one with a file that its digest does not cover is refused."""
    (tmp_path / "share").mkdir()
    place = artifacts(str(tmp_path / "share"), tmp_path)
    digest = first_format(project)
    folder = project.folder(digest)
    if extra:
        (folder / extra).parent.mkdir(parents=True, exist_ok=True)
        (folder / extra).write_text("import os\n")
    with tarfile.open(tmp_path / "old", "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False)
    place.name(f"definitions/{digest.removeprefix('sha256:')}", place.put(tmp_path / "old"))
    store = tmp_path / "other"
    fetched = code(lambda: definition_archive.fetch_definition(digest, store, place))
    assert fetched == ("E105" if extra else None)
    assert bool(list(store.iterdir())) == (not extra)


def test_an_environment_with_an_inventory_alone_is_told_what_to_write(tmp_path: Path) -> None:
    """Where no Pulumi project is found and inventory files are named, the refusal names `program: null`."""
    environment = Environment.from_json({**HEAD, "name": "live", "inventory": {"files": ["hosts.ini"]}})
    with pytest.raises(OrchestratorError) as refusal:
        definition.find_program(environment, tmp_path / "environments/live", tmp_path)
    assert refusal.value.code == "E102"
    assert "`program: null`" in str(refusal.value.hint)
