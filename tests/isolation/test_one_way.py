"""Code of a package or a project is started in one way, which cannot be gone around."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "orchestrator"
STARTS = {
    "subprocess": {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"},
    "os": {
        "system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "execl", "execle", "execlp", "execlpe", "execv",
        "execve", "execvp", "execvpe", "spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe",
        "startfile",
    },
    "pty": {"spawn", "fork"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}  # fmt: skip
"""What starts a process, by its module."""

MODULES = {"multiprocessing", "concurrent.futures.process", "pexpect"}
"""Modules that start processes by themselves."""

ALLOWED = {
    "isolation/start.py": "the one way",
    "isolation/namespaces.py": "it is what isolates",
    "engine/jobs.py": "the supervisor, which is ours and starts the job in its view",
    "engine/worker.py": "a fork of ourselves",
    "engine/serving.py": "the broker of loopback hosts, which is ours",
    "processes.py": "ps, and commands that read: their callers are below",
    "engine_wiring.py": "ourselves, in the background",
    "web/own_worker.py": "ourselves, as the worker of a server",
    "app/machine_diagnosis.py": "versions of programs: no code of the project",
    "app/folder_diagnosis.py": "git check-ignore: no code of the project",
    "hosts/loopback.py": "sshd and bubblewrap of a loopback host, which has a box of its own",
    "hosts/sshd.py": "apt-get and dpkg-deb, when an operator installs",
    "adapters/ansible/control.py": "ssh -O exit: no code of the project",
    "adapters/ansible/pipe.py": "ansible-playbook, in the process of a job that is isolated already",
    "adapters/ansible/child.py": "ansible-runner, in the process of a job that is isolated already",
    "adapters/archive/tree.py": "git, which is given no hook and no monitor",
    "adapters/backup/databases.py": "pg_dump and pg_restore: no code of the project",
    "adapters/testinfra/agent.py": "on a host",
    "adapters/testinfra/connections.py": "ssh, in the process of a suite that is isolated already",
    "adapters/testinfra/reachability.py": "ssh of the user to a name of its configuration: no code of a package",
    "adapters/pulumi/engine.py": "the engine's own version, and its build when an operator installs",
    "adapters/pulumi/child.py": "the engine, in the process of a job",
    "adapters/pulumi/stack.py": "the engine, without the program",
    "adapters/pulumi/trace.py": "sysctl and ps",
}
"""The modules that start processes, and why that is not code of a package outside of its view."""

ASKING = {
    "adapters/ansible/resolution.py": "an inventory that starts us for another environment, which needs the project",
    "adapters/ansible/vaulted.py": "a program that prints a vault password, which the operator's settings name",
    "adapters/pulumi/operations.py": "pulumi stack export, which does not run the program",
}
"""The modules that call `processes.run_query`, which does not isolate."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(("ansible/", "templates/")):  # these run on hosts, or in Ansible
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def starts(tree: ast.Module) -> bool:
    """Whether a module names anything that starts a process, under whatever name it was imported."""
    names = {module: module for module in STARTS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name in STARTS}
            if any(alias.name in MODULES for alias in node.names):
                return True
        if isinstance(node, ast.ImportFrom) and _brings(node):
            return True
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = names.get(node.value.id)
            if module is not None and node.attr in STARTS[module] and not _is_type(node, tree):
                return True
    return False


def _brings(node: ast.ImportFrom) -> bool:
    return node.module in MODULES or bool({alias.name for alias in node.names} & STARTS.get(str(node.module), set()))


def _is_type(node: ast.Attribute, tree: ast.Module) -> bool:
    """Whether a name only stands where a type is written."""
    annotations = [
        part
        for item in ast.walk(tree)
        for part in (getattr(item, "annotation", None), getattr(item, "returns", None))
        if part is not None
    ]
    return any(node is inner for part in annotations for inner in ast.walk(part))


def test_only_named_modules_start_processes() -> None:
    """Every module that can start a process is on the list, with the reason; the list has no others."""
    found = {name for name, tree in modules() if starts(tree)}
    assert found == set(ALLOWED)


def test_only_named_modules_start_processes_without_a_view() -> None:
    """Only named modules use the function that starts a command without a view."""
    found = {name for name, tree in modules() if name != "processes.py" and "run_query" in _imported(tree)}
    assert found == set(ASKING)


def _imported(tree: ast.Module) -> set[str]:
    from_processes = (
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "orchestrator.processes"
    )
    return {alias.name for node in from_processes for alias in node.names}


def test_every_job_says_what_it_finds() -> None:
    """Each job states its view; only jobs of our own code have none."""
    without = {}
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Job":
                view = next((word.value for word in node.keywords if word.arg == "view"), None)
                if isinstance(view, ast.Constant) and view.value is None:
                    without[name] = ast.unparse(node)
    assert set(without) == {"adapters/gates/prober.py"}


def test_a_process_that_is_started_in_another_way_is_found() -> None:
    """The search finds each way to start a process: by a module, by a name, and by another name of a module."""
    ways = [
        "import subprocess\nsubprocess.run(['x'])", "from subprocess import Popen", "import subprocess as s\ns.Popen(['x'])",
        "import os\nos.system('x')", "from os import execv", "import multiprocessing", "import pty\npty.spawn('x')",
        "import asyncio\nasyncio.create_subprocess_exec('x')", "import pexpect",
    ]  # fmt: skip
    assert all(starts(ast.parse(way)) for way in ways)
    fine = ["import subprocess\ndef f() -> subprocess.Popen[bytes]: ...", "import os\nos.getpid()", "import asyncio"]
    assert not any(starts(ast.parse(text)) for text in fine)
