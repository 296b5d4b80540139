"""Pytest's settings file and root folder, beside what pytest itself finds in the same folder."""

import os
from pathlib import Path

import pytest
from _pytest.config.findpaths import determine_setup

from orchestrator.adapters.testinfra.sealed_settings import suite_root

PYTEST = "[pytest]\naddopts = -q\n"
TREES = {
    "nothing": {},
    "pytest.ini at the root": {"pytest.ini": PYTEST},
    "pytest.ini beside the suite": {"pytest.ini": PYTEST, "tests/pytest.ini": PYTEST},
    "an empty pytest.ini": {"tests/smoke/pytest.ini": "", "pytest.ini": PYTEST},
    ".pytest.ini": {".pytest.ini": "", "tox.ini": PYTEST},
    "pytest.toml": {"pytest.toml": "[pytest]\naddopts = ['-q']\n", "pytest.ini": PYTEST},
    "pyproject.toml": {"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-q'\n", "tox.ini": PYTEST},
    "pyproject.toml in its own words": {"pyproject.toml": "[tool.pytest]\naddopts = ['-q']\n"},
    "pyproject.toml of another tool": {"tests/pyproject.toml": "[tool.ruff]\n", "tox.ini": PYTEST},
    "only pyproject.toml of another tool": {"pyproject.toml": "[tool.ruff]\n", "setup.py": ""},
    "tox.ini": {"tox.ini": PYTEST, "setup.cfg": "[tool:pytest]\n"},
    "tox.ini of another tool": {"tox.ini": "[tox]\nenvlist = a\n", "setup.cfg": "[tool:pytest]\naddopts = -q\n"},
    "setup.py": {"tests/setup.py": ""},
    "a file that is no suite": {"tests/smoke/test_it.py": "", "tests/smoke/tox.ini": PYTEST},
}


@pytest.mark.parametrize("tests", ["tests/smoke", "tests/smoke/test_it.py", "tests/smoke/test_it.py::test_it"])
@pytest.mark.parametrize("name", TREES)
def test_a_suite_has_the_settings_that_pytest_finds(
    name: str, tests: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root folder and settings file are those of `pytest tests/…` by hand in the same tree."""
    (tmp_path / "tests" / "smoke").mkdir(parents=True)
    for file, text in {"tests/smoke/test_it.py": "", **TREES[name]}.items():
        (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    path = tests.partition("::")[0]
    root, settings, *_ = determine_setup(inifile=None, override_ini=None, args=[path], rootdir_cmd_arg=None,
                                         invocation_dir=Path(os.getcwd()))  # fmt: skip # noqa: PTH109
    found = suite_root(tmp_path, tests)
    assert (found.folder, found.settings) == (root, settings)


def test_settings_above_the_package_are_not_searched(tmp_path: Path) -> None:
    """A settings file in a folder above the content of the package is not the suite's."""
    (tmp_path / "pytest.ini").write_text(PYTEST)
    (tmp_path / "setup.py").write_text("")
    content = tmp_path / "content"
    (content / "tests").mkdir(parents=True)
    found = suite_root(content, "tests")
    assert (found.folder, found.settings) == (content, None)
    words = found.words(content, tmp_path / "job" / "pytest.ini", tmp_path / "cache")
    assert words == ("-c", f"{tmp_path}/job/pytest.ini", f"--rootdir={content}", f"--confcutdir={content}")
