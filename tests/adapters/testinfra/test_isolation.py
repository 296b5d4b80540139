"""A suite sees its package, and nothing beside it that anything else can write."""

import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.domain.errors import OrchestratorError
from tests.adapters.testinfra.conftest import Room, code, told

SMOKE = """
    def test_it(host):
        assert host.run("true").rc == 0

    def test_not_good():
        assert False, "sealed to fail"
"""
DROPPING = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "not_good" not in item.name]
"""


def test_what_lies_around_a_suite_does_not_count(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, conftest files and variables outside of the package neither drop a failing test nor break a good one."""
    (room.folder / "pytest.ini").write_text("[pytest]\naddopts = --ff --deselect tests/test_it.py::test_not_good\n")
    (room.folder / "conftest.py").write_text(DROPPING)
    (room.folder / "plugins").mkdir()
    (room.folder / "plugins" / "dropping.py").write_text(DROPPING)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p dropping")
    monkeypatch.setenv("PYTEST_PLUGINS", "dropping")
    monkeypatch.setenv("PYTHONPATH", str(room.folder / "plugins"))
    result = room.verify({"test_it.py": SMOKE}, "web1")
    assert told(result) == {("test_it", "web1"): "succeeded", ("test_not_good", ""): "failed"}
    assert result.message == "test_not_good on no host: sealed to fail"
    assert room.verify({"test_it.py": SMOKE.partition("    def test_not_good")[0]}, "web1").good


def test_compiled_files_beside_a_suite_are_never_read(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Python's compiled modules nor pytest's own of a suite are read from anywhere, or written."""
    good, prefix = room.folder / "good", room.folder / "prefix"
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(prefix))
    files = {"test_it.py": "from words import WORD\n\ndef test_it():\n    assert WORD == 'good'\n"}
    for word in ("good", "evil"):
        (good / "tests").mkdir(parents=True, exist_ok=True)
        (good / "tests" / "words.py").write_text(f"WORD = '{word}'\n")
        (good / "tests" / "test_it.py").write_text(files["test_it.py"])
        compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        subprocess.run(words, cwd=good, env=compiled, capture_output=True, check=False)
    assert list(prefix.rglob("words*.pyc"))
    result = room.verify({**files, "words.py": "WORD = 'evil'\n"}, "web1")
    assert (result.outcome, code(result)) == ("failed", "V101")
    assert not list(room.folder.rglob("content*/**/*.pyc"))


def test_a_compiled_file_that_was_added_to_a_kept_package_is_found(room: Room) -> None:
    """A suite does not run when the copy that it would run in is not what was sealed."""

    def added(content: Path) -> None:
        source = content / "tests" / "words.py"
        py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)

    with pytest.raises(OrchestratorError) as caught:
        room.verify({"test_it.py": "import words\n", "words.py": "WORD = 'good'\n"}, "web1", after_sealing=added)
    assert caught.value.code == "P303"


def test_a_suite_cannot_change_the_kept_package(room: Room) -> None:
    """A suite runs in a copy, which is gone afterwards: what it writes is not in the package."""
    text = """
        import os
        import pathlib
        import sys

        def test_it():
            assert sys.dont_write_bytecode and sys.pycache_prefix is None and "PYTEST_ADDOPTS" not in os.environ
            assert pathlib.Path.cwd() == pathlib.Path(os.environ["ORCHESTRATOR_CONTENT"])
            pathlib.Path(__file__).write_text("def test_it(): pass")
            pathlib.Path("tests/more.py").touch()
    """
    assert room.verify({"test_it.py": text}, "web1").good
    kept = room.folder / f"content{room.count}"
    assert sorted(path.name for path in kept.rglob("*") if path.is_file()) == ["test_it.py"]
    assert "write_text" in (kept / "tests" / "test_it.py").read_text()
    assert not (room.jobs.folder(room.job) / "content").exists()


def test_helpers_settings_and_data_files_work_as_by_hand(room: Room) -> None:
    """Packages of tests, `pythonpath`, a parent `conftest.py`, data files and the root folder are those of pytest by hand."""
    files = {
        "tests/__init__.py": "",
        "tests/common/__init__.py": "",
        "tests/common/util.py": "WORD = 'common'\n",
        "tests/conftest.py": (
            "import pathlib, pytest\n\n@pytest.fixture\ndef words(request):\n"
            "    here = pathlib.Path(__file__).parent / 'words.txt'\n"
            "    return here.read_text(), (request.config.rootpath / 'tests' / 'words.txt').read_text()\n"
        ),
        "tests/words.txt": "data",
        "lib/helpers.py": "WORD = 'lib'\n",
        "conftest.py": "import pytest\n\n@pytest.fixture\ndef top():\n    return 'top'\n",
        "pytest.ini": f"[pytest]\npythonpath = lib\naddopts = --ff --lf --sw\ncache_dir = {room.folder}/cache\n",
        "tests/smoke/__init__.py": "",
        "tests/smoke/test_it.py": (
            "from helpers import WORD as LIB\nfrom tests.common.util import WORD\n\n"
            "def test_it(host, words, top):\n    assert (LIB, WORD, top, words) == ('lib', 'common', 'top', ('data', 'data'))\n"
        ),
    }
    result = room.verify(files, "web1", below="", tests="tests/smoke")
    assert (result.outcome, result.message) == ("succeeded", "1 test passed")
    assert [test.name for test in result.tests] == ["tests/smoke/test_it.py::test_it"]
    content = room.folder / f"content{room.count}"
    words = [sys.executable, "-m", "pytest", "tests/smoke", "-q", "--hosts=local://", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    (content / "pytest.ini").write_text("[pytest]\npythonpath = lib\n")
    assert subprocess.run(words, cwd=content, env=env, capture_output=True, check=False).returncode == 0
    assert not (room.folder / "cache").exists()


@pytest.mark.parametrize(
    ("settings", "args", "words"),
    [
        ("", ("--co",), "--collect-only"),
        ("", ("--setup-plan",), "--setup-plan"),
        ("addopts = --co", (), "--collect-only"),
        ("pythonpath = /opt/lib", (), "pythonpath /opt/lib"),
        ("", ("--confcutdir=/",), "--confcutdir"),
        ("", ("-o", "cache_dir=/tmp/cache"), "cache_dir"),
        ("", ("{outside}",), "outside the package"),
    ],
)
def test_options_that_run_no_test_or_lead_outside_are_refused(
    room: Room, settings: str, args: tuple[str, ...], words: str
) -> None:
    """They never count as passed, and the sentence names them; a file outside the package is not collected."""
    outside = room.folder / "test_outside.py"
    outside.write_text("def test_outside():\n    pass\n")
    files = {"test_it.py": "def test_it():\n    pass\n", "pytest.ini": f"[pytest]\n{settings}\n"}
    result = room.verify(files, "web1", args=tuple(word.format(outside=outside) for word in args))
    assert (result.outcome, code(result)) == ("errored", "V110")
    assert words in result.message
    assert told(result) == {}


@pytest.mark.parametrize("option", ["--version", "--no-such-option"])
def test_options_with_which_pytest_does_not_begin_are_no_pass(room: Room, option: str) -> None:
    """Pytest that only prints something, or refuses its options, is errored."""
    result = room.verify({"test_it.py": "def test_it():\n    pass\n"}, "web1", args=(option,))
    assert (result.outcome, code(result) in {"V105", "V110"}) == ("errored", True)


def test_a_dead_service_is_reported_by_the_last_line_of_its_cause(room: Room) -> None:
    """Whatever assertion finds it, the sentence ends with the reason, without a traceback or objects of ours."""
    text = """
        import shlex, sys

        FETCH = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
        COMMAND = f"{sys.executable} -c {shlex.quote(FETCH)}"

        def test_message(host):
            done = host.run(COMMAND)
            assert done.rc == 0, done.stderr

        def test_code(host):
            assert host.run(COMMAND).rc == 0

        def test_output(host):
            host.check_output(COMMAND)
    """
    result = room.verify({"test_it.py": text}, "web1")
    first = [test.message.splitlines()[0] for test in result.tests]
    assert len(first) == 3
    assert all(line.endswith("urllib.error.URLError: <urlopen error [Errno 111] Connection refused>") for line in first)
    assert not [line for line in first if "Traceback" in line or "object at" in line or "PersistentSsh" in line]
    assert result.message.startswith(f"test_message on web1: {first[0]}")


def test_modules_of_the_package_do_not_replace_those_of_python(room: Room) -> None:
    """A module of the content is imported where it is wanted, and never in place of one of Python's own."""
    shadow = "raise RuntimeError('not the module of Python')\n"
    files = {
        **{f"{name}.py": shadow for name in ("json", "queue", "threading", "textwrap", "tempfile")},
        "shared.py": "NUMBER = 7\n",
        "tests/__init__.py": "",
        "tests/checks/test_it.py": """
            import json, queue
            from shared import NUMBER

            def test_it():
                assert NUMBER == 7
        """,
    }
    result = room.verify(files, "web1", below=".", tests="tests/checks")
    assert result.good, result
