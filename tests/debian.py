"""Programs of Debian that tests use: installed ones, or those that `tools/debian_programs.py` has unpacked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.debian_programs import PROGRAMS, found


def command(name: str) -> tuple[str, dict[str, str]]:
    """The path of the program *name*, and its environment. A Linux without it fails here, with what obtains it."""
    if not sys.platform.startswith("linux"):
        pytest.skip(f"{name} is a program of Linux")
    program = found(name)
    if program is None:
        pytest.fail(
            f"{name} is missing: sudo apt-get install {PROGRAMS[name].package}, or tools/debian_programs.py {name}"
        )
    path, variables = program
    return str(path), {**os.environ, **variables}


def run(name: str, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    """What the program *name* does with *words*."""
    path, environ = command(name)
    return subprocess.run(
        [path, *map(str, words)], env=environ, capture_output=True, text=True, check=False, timeout=120
    )
