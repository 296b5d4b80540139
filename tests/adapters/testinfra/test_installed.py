"""The versions that a plan records of what runs suites."""

import platform
import subprocess
import sys

from orchestrator.adapters.testinfra.installed import python_versions


def test_every_plugin_that_pytest_loads_is_recorded() -> None:
    """Python, pytest, testinfra and each plugin that pytest names itself are recorded with their versions."""
    found = python_versions()
    assert found["python"] == platform.python_version()
    words = [sys.executable, "-m", "pytest", "--version", "--version"]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = (said.stdout + said.stderr).partition("registered third-party plugins:")[2].splitlines()
    loaded = {tuple(line.split(" at ")[0].strip().rsplit("-", 1)) for line in lines if " at " in line}
    assert loaded
    assert loaded <= set(found.items())
    assert f"pytest {found['pytest']}" in said.stdout + said.stderr or found["pytest"] in said.stdout + said.stderr
