"""A Pulumi program behaves as it does by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.pulumi import runtimes, verdict
from orchestrator.adapters.pulumi.engine import Engine
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import StackSpec

from .conftest import PROGRAM, Infrastructure

FILES = PROGRAM.replace('os.environ["SHOP_TOKEN"]', '"token"')
INTERPRETER = """
import pulumi
import only_there
pulumi.export("ansible_inventory", {"web": {"hosts": [only_there.NAME]}})
"""


def infrastructure(top: Path, program: str, **project: Any) -> tuple[Infrastructure, StackSpec]:
    """A project whose program makes files in the folder `things`, with a backend in a folder."""
    made = Infrastructure(top)
    for folder in (made.root / "shared", top / "things", top / "backend"):
        folder.mkdir(parents=True)
    (made.root / "shared" / "naming.py").write_text("def title(name):\n    return name\n")
    made.environment("staging", backend=f"file://{top}/backend", program=program)
    folder, name = made.root / "environments" / "staging", "infrastructure-staging"
    config = {f"{name}:names": "web1,web2", f"{name}:folder": str(top / "things"), f"{name}:text": "hello"}
    (folder / "Pulumi.main.yaml").write_text(json.dumps({"config": config}))
    if project:
        url = {"url": f"file://{top}/backend"}
        (folder / "Pulumi.yaml").write_text(json.dumps({"name": name, "backend": url, **project}))
    environment = Environment(apiVersion="orchestrator/v1", kind="Environment", name="staging", stack="main")
    return made, made.provisioner.definition(environment, folder)


@pytest.mark.engines
def test_a_stack_made_by_hand_is_unchanged(tmp_path: Path) -> None:
    """A dynamic provider whose class stands in the program itself is the same code for plain Pulumi and for us, both ways."""
    made, spec = infrastructure(tmp_path, FILES)
    made.by_hand("staging", "stack", "init")
    made.by_hand("staging", "up", "--yes", "--skip-preview")
    ours = made.provisioner.preview(spec, "one", lambda _entry: None)
    assert ours.counts == {"same": 4}
    assert made.provisioner.up(spec, "two", lambda _entry: None).result.good
    assert json.loads(made.by_hand("staging", "preview", "--json"))["changeSummary"] == {"same": 4}


@pytest.mark.engines
def test_the_virtual_environment_of_a_program_runs_it(tmp_path: Path) -> None:
    """The interpreter that `runtime.options.virtualenv` names runs the program, also with the engine that we build."""
    runtime = {"name": "python", "options": {"virtualenv": "../../envs/infra"}}
    home = tmp_path / "project" / "envs" / "infra"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    site = next(home.glob("lib/python*/site-packages"))
    (site / "ours.pth").write_text(os.pathsep.join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    (site / "only_there.py").write_text("NAME = 'web7'\n")
    made, spec = infrastructure(tmp_path, INTERPRETER, runtime=runtime)
    preview = made.provisioner.preview(spec, "one", lambda _entry: None)
    assert preview.inventory is not None
    assert list(preview.inventory.hosts) == ["web7"]


def test_a_missing_virtual_environment_is_named(tmp_path: Path) -> None:
    """A program whose virtual environment does not exist is refused, with the command that makes it."""
    project = {"name": "shop", "runtime": {"name": "python", "options": {"toolchain": "uv"}}}
    with pytest.raises(OrchestratorError) as refused:
        runtimes.virtual_environment(project, tmp_path)
    assert refused.value.code == "E169"
    assert f"python3 -m venv {tmp_path}/.venv" in str(refused.value.hint)
    assert runtimes.virtual_environment({"runtime": "python"}, tmp_path) is None
    assert (
        runtimes.virtual_environment({"runtime": {"name": "nodejs", "options": {"virtualenv": "x"}}}, tmp_path) is None
    )


@pytest.mark.parametrize("runtime", ["python", "yaml", "nodejs", "go", "dotnet", "java", "rust"])
def test_a_missing_language_host_is_named(tmp_path: Path, runtime: str) -> None:
    """A program whose runtime has no language host is refused with its remedy; with one beside the engine it runs."""
    engine, environ = Engine(tmp_path / "pulumi", "v3.259.0", "cache"), {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    missing = runtimes.missing_host({"runtime": {"name": runtime}}, engine, environ)
    assert missing is not None
    assert missing.code == "E168"
    assert ("engine install" in str(missing.hint)) == (runtime in {"python", "yaml"})
    (tmp_path / f"pulumi-language-{runtime}").write_text("#!/bin/sh\n")
    (tmp_path / f"pulumi-language-{runtime}").chmod(0o755)
    assert runtimes.missing_host({"runtime": runtime}, engine, environ) is None


TRACES = {
    'Program failed with an unhandled exception:\nTraceback (most recent call last):\n  File "/p/environments/staging/__main__.py", '
    'line 12, in <module>\n    names()\n  File "/p/lib/names.py", line 3, in names\n    raise ValueError("no such region")\n'
    '  File "/p/.venv/lib/python3/site-packages/x.py", line 9, in y\nValueError: no such region\n': "lib/names.py:3: ValueError: no such region",
    "Error: no such region\n    at Object.<anonymous> (/s/work/index.ts:12:5)\n    at /s/work/node_modules/x.js:1:2": "index.ts:12: Error: no such region",
    "/p/environments/staging/main.go:7:2: undefined: x": "/p/environments/staging/main.go:7:2: undefined: x",
    "resource is broken": "resource is broken",
}  # fmt: skip


@pytest.mark.parametrize("text", TRACES)
def test_an_error_of_a_program_names_its_line(text: str) -> None:
    """What went wrong is said in one line, with the file and line of the user's program where the engine names them."""
    found = verdict.error("up", "staging", text, "output.log", "it ended with 1", ("/p", "/s/work"))
    assert found.message == f"pulumi up staging: {TRACES[text]}"
