"""How the parts are joined: what a project is given is used everywhere."""

import ast
import subprocess
import sys
from pathlib import Path

import orchestrator

PACKAGE = Path(orchestrator.__file__).parent
ADAPTERS = {"PulumiProvisioner", "AnsibleDeployer", "TestinfraVerifier"}


def test_engines_are_made_in_one_place() -> None:
    """The adapters of the engines are made in one module, which a project asks through one port: none can bypass another one."""
    made = [
        (call.func.id, file.relative_to(PACKAGE).as_posix())
        for file in PACKAGE.rglob("*.py")
        if "ansible_collections" not in file.parts
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ADAPTERS
    ]
    assert sorted(made) == sorted((name, "adapters/live.py") for name in ADAPTERS)


def test_the_bench_starts() -> None:
    """The measurements still find what they measure."""
    words = [sys.executable, "-m", "bench", "--help"]
    done = subprocess.run(words, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
