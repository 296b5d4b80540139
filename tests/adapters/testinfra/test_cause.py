"""The line that says why a test failed, for the ways in which authors write assertions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.adapters.testinfra.cause import LIMIT, cause, plain, result_text

DEAD = """Traceback (most recent call last):
  File "/usr/lib/python3.11/urllib/request.py", line 1348, in do_open
    h.request(req.get_method(), req.selector, req.data, headers,
ConnectionRefusedError: [Errno 111] Connection refused

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "<string>", line 1, in <module>
urllib.error.URLError: <urlopen error [Errno 111] Connection refused>
"""
RESULT = result_text("python3 -c 'import urllib.request'", 1, "", DEAD)
LAST = "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>"
RAN = "`python3 -c 'import urllib.request'` ended with 1"

FAILURES = {
    "assert c.rc == 0, c.stderr": (
        f"AssertionError: {DEAD.replace(chr(10), chr(10) + '  ')}\nassert 1 == 0\n +  where 1 = {RESULT}.rc", LAST,
    ),
    "assert c.rc == 0": (f"AssertionError: assert 1 == 0\n +  where 1 = {RESULT}.rc", f"{RAN}: {LAST}"),
    "assert c.succeeded": (
        (f"AssertionError: assert False\n +  where False = {RESULT}.succeeded\n +    where {RESULT} = run('...')\n"
        " +      where run = <testinfra.host.Host web1>.run"), f"{RAN}: {LAST}",
    ),
    "host.check_output(...)": (
        f"AssertionError: Unexpected exit code 1 for {RESULT}\nassert 1 == 0\n +  where 1 = {RESULT}.rc",
        f"{RAN}: {LAST}",
    ),
    "host.check_output(...) that prints nothing": (
        f"AssertionError: Unexpected exit code 3 for {result_text('false', 3, '', '')}", "`false` ended with 3",
    ),
    "assert host.socket(...).is_listening": (
        ("AssertionError: assert False\n +  where False = <socket tcp://127.0.0.1:80>.is_listening\n"
        " +    where <socket tcp://127.0.0.1:80> = <class 'testinfra.modules.base.LinuxSocketSS'>('tcp://127.0.0.1:80')"),
        "<socket tcp://127.0.0.1:80>.is_listening is False",
    ),
    "assert not host.file(...).exists": (
        "AssertionError: assert not True\n +  where True = <file /tmp/old>.exists", "<file /tmp/old>.exists is True",
    ),
    "assert x, 'words'": (
        f"AssertionError: it said three\nassert 0 == 1\n +  where 0 = {result_text('true', 0, '', '')}.rc",
        "it said three",
    ),
    "assert text == other": (
        "AssertionError: assert 'vm\\n' == 'a'\n  \n  + vm\n  - a", "assert 'vm\\n' == 'a'",
    ),
    "assert c.rc == 1 where it is 0": (
        f"assert 0 == 1\n +  where 0 = {result_text('true', 0, 'fine', '')}.rc", "assert 0 == 1",
    ),
    "an exception": (LAST, LAST),
    "an exception of the connection": (
        "RuntimeError: " + result_text("uname -s", 255, "", "ssh: connect to host web1 port 22: refused"),
        "`uname -s` ended with 255: ssh: connect to host web1 port 22: refused",
    ),
    "host.file(...).content of no file": (
        "RuntimeError: Unexpected output " + result_text("cat -- /x", 1, "", "cat: /x: No such file or directory"),
        "`cat -- /x` ended with 1: cat: /x: No such file or directory",
    ),
    "assert x, c": (
        f"AssertionError: {RESULT}\nassert False", f"{RAN}: {LAST}",
    ),
    "a fixture that is missing": (
        ("file /content/tests/test_it.py, line 3\n  def test_it(host, nope):\nE       fixture 'nope' not found\n"
        ">       available fixtures: host, tmp_path"), "fixture 'nope' not found",
    ),
    "pytest.fail with several lines": ("Failed: not ready\n  first reason\n  last reason", "Failed: not ready … last reason"),
    "nothing": ("", "no message"),
}  # fmt: skip


@pytest.mark.parametrize("written", FAILURES)
def test_the_cause_is_one_line_with_the_end_of_the_reason(written: str) -> None:
    """However an assertion is written, its cause is its last reason, and never the head of a traceback or an object of ours."""
    message, expected = FAILURES[written]
    assert cause(message) == expected


def test_objects_are_shown_without_addresses_and_connections() -> None:
    """What only the process of pytest knows of an object does not appear."""
    message = (
        "assert <a.b.Thing object at 0x7f96>  is CommandResult(backend=<x.PersistentSsh object at 0x1>, exit_status=1)"
    )
    assert plain(message) == "assert <Thing>  is CommandResult(exit_status=1)"


@pytest.mark.parametrize("quote", ["'", '"', "\\", "'\""])
def test_a_long_result_keeps_its_end_and_is_not_cut_again(quote: str) -> None:
    """Whatever a command prints, pytest's limit of 240 characters leaves the last line in place."""
    shown = result_text(f"run {quote} " + "x" * 500, 7, "", "noise\n" * 50 + quote + "y" * 500 + f" {quote}refused")
    assert len(shown) <= 240
    assert cause(f"assert 7 == 0\n +  where 7 = {shown}.rc").endswith(f"{quote}refused")
    assert len(cause("z" * 5000)) == LIMIT


def test_the_place_of_a_failure_is_in_the_suite(tmp_path: Path) -> None:
    """A failure inside an installed module is shown at the line of the suite that led there."""
    content = tmp_path / "content"
    (content / "tests").mkdir(parents=True)
    (content / "tests/helpers.py").write_text("import json\n\n\ndef load(text):\n    return json.loads(text)\n")
    (content / "tests/test_it.py").write_text("import helpers\n\n\ndef test_it():\n    helpers.load('{')\n")
    tell = "from orchestrator.adapters.testinfra.plugin import _failure\n"
    tell += "def pytest_runtest_logreport(report):\n    if report.failed:\n        print('at', _failure(report)[1])\n"
    (content / "conftest.py").write_text(tell)
    environ = {**os.environ, "ORCHESTRATOR_CONTENT": str(content), "PYTHONPATH": str(Path.cwd())}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
        "tests",
    ]
    done = subprocess.run(command, cwd=content, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert "at tests/helpers.py:5\n" in done.stdout, done.stdout + done.stderr
