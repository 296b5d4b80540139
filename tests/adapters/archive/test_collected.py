"""Suites are collected when a package is built: what pytest cannot import, or cannot find, is found there."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.archive.collected import SuiteCollection
from orchestrator.adapters.archive.placeholder import placeholder
from tests.adapters.archive.conftest import release

TEST = "def test_it(host):\n    assert host.file('/x').exists\n"


def problems(folder: Path, files: dict[str, str], declared: tuple[str, ...] = (), **changes: Any) -> list[str]:
    content = folder / "content"
    for name, text in {"playbooks/deploy.yml": "- hosts: web\n", **files}.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(text)
    made = release(**{"verify": [{"name": "smoke", "tests": "tests"}], **changes})
    environ: Mapping[str, str] = {**os.environ, "SECRET": "hush", "SSH_AUTH_SOCK": "/x"}
    found = SuiteCollection(content, made, placeholder(content, made), folder / "scratch", environ, declared).problems()
    return [f"{error.code} {error.where}: {error.message}" for error in found]


def test_a_suite_with_helpers_data_and_groups_is_collected(tmp_path: Path) -> None:
    """Modules of the project, `pythonpath`, data beside a conftest, hosts of a group: as by hand, without credentials."""
    files = {
        "pytest.ini": "[pytest]\npythonpath = lib\n",
        "lib/helper.py": "NAME = 'x'\n",
        "tests/conftest.py": "import json, pathlib\nDATA = json.loads((pathlib.Path(__file__).parent / 'd.json').read_text())\n",
        "tests/d.json": "{}",
        "tests/test_one.py": (
            "import os, testinfra.utils.ansible_runner as r\nfrom helper import NAME\n"
            "HOST = r.AnsibleRunner(os.environ['MOLECULE_INVENTORY_FILE']).get_hosts('cache')[0]\n"
            f"testinfra_hosts = ['ansible://web']\nassert not {{'SECRET', 'SSH_AUTH_SOCK'}} & set(os.environ)\n{TEST}"
        ),
    }
    assert problems(tmp_path, files) == []
    assert not list((tmp_path / "content").rglob("__pycache__"))


def test_a_suite_that_cannot_be_collected_is_named(tmp_path: Path) -> None:
    """File, line and reason are those of pytest; a suite without a test is one of them."""
    files = {"a/test_one.py": "import nowhere\n" + TEST, "b/test_one.py": "\ndef test_it(:\n", "c/test_one.py": "x = 1\n",
             "d/test_one.py": "x = {}['key']\n" + TEST, "e/test_one.py": TEST}  # fmt: skip
    verify = [{"name": name, "tests": name} for name in "abcde"]
    assert problems(tmp_path, files, verify=verify) == [
        "P132 a/test_one.py:1: the suite a: ModuleNotFoundError: No module named 'nowhere'",
        "P132 b/test_one.py:2: the suite b: SyntaxError: invalid syntax",
        "P132 None: the suite c: it has no test",
        "P132 d/test_one.py:1: the suite d: KeyError: 'key'",
    ]


def test_a_conftest_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    """It ends pytest before anything is collected, and is named all the same."""
    conftest = "import nowhere\n\n\ndef url(host):\n    return host.ansible.get_variables()['url']\n"
    (found,) = problems(tmp_path, {"tests/conftest.py": conftest, "tests/test_one.py": TEST})
    assert found.startswith("P132 tests/conftest.py:1: the suite tests: ModuleNotFoundError: No module named 'nowhere'")


def test_sealed_settings_that_run_no_test_are_refused(tmp_path: Path) -> None:
    """`--setup-plan` in the project's settings counts for no release; an argument that pytest does not know is named."""
    files = {"pytest.ini": "[pytest]\naddopts = --setup-plan\n", "tests/test_one.py": TEST}
    (found,) = problems(tmp_path, files)
    assert found.startswith("P133 None: the suite tests: pytest runs no test with --setup-plan")
    verify = [{"name": "smoke", "tests": "tests", "args": ["--nowhere"]}]
    (found,) = problems(tmp_path / "other", {"tests/test_one.py": TEST}, verify=verify)
    assert "unrecognized arguments: --nowhere" in found


def test_the_order_and_the_cache_of_tests_do_not_matter(tmp_path: Path) -> None:
    """Settings about tests that failed before have an empty cache in each run: they are no reason to refuse a suite."""
    files = {
        "pytest.ini": "[pytest]\naddopts = --lf --ff --nf --sw\ncache_dir = /nowhere/cache\n",
        "other/pytest.ini": "[pytest]\naddopts = -p no:cacheprovider\n",
        "tests/test_one.py": TEST,
        "other/test_one.py": TEST,
    }
    verify = [{"name": name, "tests": name} for name in ("tests", "other")]
    assert problems(tmp_path, files, verify=verify) == []


def test_what_only_a_run_has_is_a_warning(tmp_path: Path) -> None:
    """Outputs, and variables that an environment declares, are absent at build: the suite may be right."""
    outputs = "import json, os\nURL = json.load(open(os.environ['ORCHESTRATOR_OUTPUTS_FILE']))['url']\n"
    (found,) = problems(tmp_path, {"tests/test_one.py": outputs + TEST})
    assert found.startswith("P134 tests/test_one.py:2: the suite tests: KeyError: 'url'")
    declared = "import os\nTOKEN = os.environ['TOKEN']\n"
    (found,) = problems(tmp_path / "other", {"tests/test_one.py": declared + TEST}, ("TOKEN",))
    assert found.startswith("P134 tests/test_one.py:2")
    assert problems(tmp_path / "third", {"tests/test_one.py": declared + TEST})[0].startswith("P132")


@pytest.mark.usefixtures("isolation")
def test_a_suite_reads_no_secret_while_it_is_collected(tmp_path: Path) -> None:
    """The code of a suite that is collected finds the package alone: no key, no home folder, and nothing to write to."""
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.write_text("x")
    home = Path.home() / ".ssh"
    conftest = (
        f"import os\nassert not os.path.exists({str(secret)!r})\nassert not os.path.exists({str(home)!r})\n"
        f"open({str(tmp_path.parent / 'written')!r}, 'w')\n"
    )
    assert problems(tmp_path, {"tests/conftest.py": conftest, "tests/test_one.py": TEST}) == []
    assert not (tmp_path.parent / "written").exists()
