"""S5: compiled files, settings and plugins that others put beside or below a sealed suite."""

import os
import py_compile
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

from orchestrator.adapters.archive import working_copy
from orchestrator.adapters.archive.working_copy import copy_content
from orchestrator.domain.release import Package, Release
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, refused, replaced
from tests.campaigns.hostile.s14_temporary_names import OFF, RELEASE, verified_suite
from tests.sealed import sealed

LINE, ABOUT = "S5", "compiled tests and plugins that were not sealed"

TAG = sys.implementation.cache_tag
FILES = {
    "site.yml": "[]\n",
    "tests/test_it.py": "import words\n\ndef test_it():\n    assert words.WORD == 'evil'\n",
    "tests/words.py": "WORD = 'good'\n",
    "tests/conftest.py": "",
}
"""A suite that fails, unless something else than the sealed files counts."""

ADDED = (
    f"tests/__pycache__/test_it.{TAG}.pyc", f"tests/__pycache__/test_it.{TAG}.opt-1.pyc", f"tests/__pycache__/test_it.{TAG}.opt-2.pyc",
    f"tests/__pycache__/test_it.{TAG}-pytest-8.4.1.pyc", f"tests/__pycache__/words.{TAG}.pyc", f"tests/__pycache__/conftest.{TAG}.pyc",
    "tests/test_it.pyc", "tests/words.pyc", "tests/conftest.pyc", f"tests/words.{TAG}-x86_64-linux-gnu.so", "tests/words.abi3.so",
    "tests/words/__init__.py", "tests/words/__init__.pyc", "tests/__init__.py", "tests/sitecustomize.py", "tests/usercustomize.py",
    "tests/pytest.ini", "tests/.pytest.ini", "tests/tox.ini", "tests/setup.cfg", "tests/test_more.py", "tests/more.pth",
    "conftest.py", "conftest.pyc", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", "sitecustomize.py",
    "words.py", "pytest.py", "_pytest/__init__.py", "testinfra.py", ".pytest_cache/v/cache/lastfailed", "library/ping.py",
    "roles/web/tasks/main.yml", "plays/__pycache__/x.pyc",
)  # fmt: skip
"""Files that decide which tests run, or what they import."""

REFUSED = ("P303", "P112")
Edit = Callable[[Path], object]


def _linked(path: Path) -> None:
    path.rename(path.parents[2] / "moved")
    path.symlink_to(path.parents[2] / "moved")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


EDITS: dict[str, Edit] = {
    "changed": lambda path: path.write_text("WORD = 'evil'\n"),
    "emptied": lambda path: path.write_text(" "),
    "removed": lambda path: path.unlink(),
    "executable": lambda path: path.chmod(0o755),
    "a link": _linked,
    "a folder": _folder,
    "a named pipe": _pipe,
    "a compiled file": lambda path: path.rename(path.with_suffix(".pyc")),
}


def _sealed(folder: Path) -> Package:
    content = folder / "content"
    for name, text in FILES.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(text)
    return sealed(content, Release.from_json(RELEASE))


def _compiled(target: Path) -> None:
    """A module that says *evil* at *target*: as text, or compiled without a look at its source."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = target.with_name("source.tmp")
    source.write_text("WORD = 'evil'\n")
    if target.suffix == ".pyc":
        py_compile.compile(
            str(source), str(target), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    else:
        shutil.copy(source, target)
    source.unlink()


def _added(name: str, yard: Yard) -> Outcome:
    package = _sealed(yard.inside)
    _compiled(yard.inside / "content" / name)
    return refused(REFUSED, lambda: copy_content(package, yard.inside / "copy"))


def _edited(name: str, edit: Edit, yard: Yard) -> Outcome:
    package = _sealed(yard.inside)
    edit(yard.inside / "content" / name)
    return refused(REFUSED, lambda: copy_content(package, yard.inside / "copy"))


# -- what lies outside of the package ----------------------------------------------------------------------------------


def _prefix(folder: Path, project: Path) -> dict[str, str]:
    """Python's folder of compiled files, with a module of the suite in it, wherever that runs."""
    for job in ("content", "jobs"):
        _compiled(folder / f"{job}{project}" / f"words.{TAG}.pyc")
    return {"PYTHONPYCACHEPREFIX": str(folder)}


def _module(folder: Path, _project: Path) -> dict[str, str]:
    _compiled(folder / "words.py")
    return {"PYTHONPATH": str(folder)}


def _plugin(folder: Path, _project: Path) -> dict[str, str]:
    (folder / "evil.py").write_text("def pytest_collection_modifyitems(items):\n    items.clear()\n")
    return {"PYTHONPATH": str(folder), "PYTEST_PLUGINS": "evil"}


def _start(folder: Path, _project: Path) -> dict[str, str]:
    (folder / "start.py").write_text("import sys\nsys.modules['words'] = sys\nsys.WORD = 'evil'\n")
    return {"PYTHONSTARTUP": str(folder / "start.py"), "PYTHONINSPECT": "1"}


def _home(folder: Path, _project: Path) -> dict[str, str]:
    site = folder / f".local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    (site / "usercustomize.py").write_text("import sys\nsys.modules['words'] = sys\nsys.WORD = 'evil'\n")
    return {"HOME": str(folder)}


def _beside(name: str, text: str) -> Callable[[Path, Path], dict[str, str]]:
    def lay(_folder: Path, project: Path) -> dict[str, str]:
        (project / name).write_text(text)
        return {}

    return lay


OUTSIDE: dict[str, Callable[[Path, Path], dict[str, str]]] = {
    "compiled modules in the folder of the user": _prefix,
    "a module before the others": _module,
    "a plugin of the user": _plugin,
    "a program at the start": _start,
    "a module in the home folder": _home,
    "options in a variable": lambda _folder, _project: {"PYTEST_ADDOPTS": "--collect-only"},
    "a conftest beside the project": _beside(
        "../conftest.py", "def pytest_collection_modifyitems(items): items.clear()\n"
    ),
    "a conftest in the project": _beside("conftest.py", "import sys\nsys.modules['words'] = sys\nsys.WORD = 'evil'\n"),
    "settings beside the project": _beside("../pytest.ini", "[pytest]\naddopts = --collect-only\n"),
    "settings in the project": _beside("pytest.ini", "[pytest]\naddopts = --deselect tests/test_it.py::test_it\n"),
}


def _outside(lay: Callable[[Path, Path], dict[str, str]], yard: Yard) -> Outcome:
    project, more = yard.inside / "below/project", yard.inside / "more"
    for name, text in FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    package = _sealed(yard.inside)
    more.mkdir()
    with mock.patch.dict(os.environ, {**OFF, **lay(more, project)}):
        result = verified_suite(yard.inside, package, project)
    ran = [test.outcome.value for test in result.tests]
    return HELD if ran == ["failed"] else Outcome(accepted=f"{ran}: {result.message}")


def cases(seed: int) -> Iterator[Case]:
    """Files added to a kept package, its own files in other forms, and what lies around the suite."""
    found = [Case(f"{name} was added", partial(_added, name)) for name in ADDED]
    for name in FILES:
        for what, edit in EDITS.items():
            if "/" in name or what != "a link":
                found.append(Case(f"{name}: {what}", partial(_edited, name, edit)))
    found += [Case(what, partial(_outside, lay)) for what, lay in OUTSIDE.items()]
    random.Random(seed).shuffle(found)
    yield from found


def _copied(root: Path, target: Path, _manifest: object) -> None:
    shutil.copytree(root, target, symlinks=True)


DEFENCES: dict[str, Defence] = {"the copy": lambda: replaced(working_copy, "copy_verified", _copied)}
