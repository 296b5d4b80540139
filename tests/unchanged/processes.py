"""A comparison in a process of its own: the state folder of its hosts is set in the environment."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.unchanged.compare import Comparison, Difference
from tests.unchanged.project import Project

BIN = Path(sys.executable).parent
PACKAGES = Path(sysconfig.get_paths()["purelib"])


def in_a_process(project: Project, python: Path | None = None) -> Comparison:
    """Compare *project*; the product runs with the interpreter *python*, by default with ours."""
    words = [sys.executable, "-m", "tests.unchanged", "--one", project.name]
    words += ["--product", str(python)] if python is not None else []
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout.strip():
        return Comparison.from_json(done.stdout.strip().splitlines()[-1])
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return Comparison(project.name, differences=[Difference("the comparison", "", last)], printed=done.stderr)
