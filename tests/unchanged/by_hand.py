"""A project by hand: the commands of its README in a shell, with an environment like a user's."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi import engine
from orchestrator.domain.errors import OrchestratorError
from tests.unchanged import effects
from tests.unchanged.project import Command, Project

PLUGINS = Path(__file__).with_name("plugins")
PROGRAMS = {"ansible-playbook", "pulumi", "pytest"}


@dataclass
class Results:
    """What a way of doing it reported: whether all was good, tasks, tests, outputs of the stack, and what was printed.

    *written* are the files that playbooks wrote on the controller.
    """

    good: bool = True
    tasks: list[tuple[str, str, str]] = field(default_factory=list)
    tests: dict[tuple[str, str], str] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    printed: str = ""


def environ(home: Path) -> dict[str, str]:
    """The environment of a user whose home folder is *home*."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in {"LANG", "TERM", "ORCHESTRATOR_PULUMI"}}
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = os.pathsep.join([str(Path(sys.executable).parent), *_engines(), os.environ.get("PATH", os.defpath)])
    return {
        "LANG": "C.UTF-8",
        **kept,
        "PATH": path,
        "HOME": str(home),
        "XDG_CACHE_HOME": cache,
        "PULUMI_CONFIG_PASSPHRASE": "not-in-any-path",  # secrets are masked in all files that a run keeps
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _engines() -> list[str]:
    """The folder of the Pulumi engine; none where there is no engine."""
    try:
        return [str(engine.find_engine(os.environ).path.parent)]
    except OrchestratorError:
        return []


def with_plain_pulumi(project: Project, root: Path, env: dict[str, str], results: Results) -> None:
    """Run what the README does with the stack after the update: it is the same stack, whoever has updated it."""
    for line in project.commands:
        command = Command.of(line)
        if command.program == "pulumi" and command.arguments[0] not in {"up", "config"}:
            done = _shell(line, root, env)
            results.printed += f"$ {line}\n{done.stdout}{done.stderr}\n"
            results.good = results.good and done.returncode == 0
            _take(results, command, root / "none", done)


def prepare(project: Project, root: Path, env: dict[str, str]) -> None:
    """Run what has to be done once for a checkout, such as making a Python environment."""
    for line in project.commands:
        if Command.of(line).program not in PROGRAMS:
            done = _shell(line, root, env)
            if done.returncode != 0:
                raise RuntimeError(f"{line}: {done.stderr}")


def run(project: Project, root: Path, home: Path, backend: Path) -> Results:
    """Run the commands in *root*."""
    results, env = Results(), environ(home)
    plugins = home / ".ansible" / "plugins" / "callback"
    plugins.mkdir(parents=True)
    shutil.copy(PLUGINS / "unchanged_record.py", plugins)
    backend.mkdir(parents=True, exist_ok=True)
    env["PULUMI_BACKEND_URL"] = f"file://{backend}"
    for number, line in enumerate(project.commands):
        command, record = Command.of(line), home / f"record{number}"
        record.mkdir()
        before = effects.files_of(root) if command.program == "ansible-playbook" else None
        done = _shell(line, root, {**env, **_recording(command, record)})
        if before is not None:
            after = effects.files_of(root)
            results.written |= {name: text for name, text in after.items() if before.get(name) != text}
        results.printed += f"$ {line}\n{done.stdout}{done.stderr}\n"
        _take(results, command, record, done)
        if done.returncode != 0:
            results.good = False
            break
    return results


def _recording(command: Command, record: Path) -> dict[str, str]:
    """The variables that make a command write down what it did; they change nothing of it."""
    if command.program == "pytest":
        words = "-p orchestrator.adapters.testinfra.plugin -p no:cacheprovider"
        return {"ORCHESTRATOR_JOB": str(record), "PYTEST_ADDOPTS": words}
    return {"UNCHANGED_RECORD": str(record / "tasks.jsonl")}


def _shell(line: str, root: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run *line* in a shell without a terminal."""
    return subprocess.run(
        ["/bin/bash", "-c", line],
        cwd=root,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def _take(results: Results, command: Command, record: Path, done: "subprocess.CompletedProcess[str]") -> None:
    """Take what a command recorded."""
    if (record / "tasks.jsonl").is_file():
        for event in map(json.loads, (record / "tasks.jsonl").read_text().splitlines()):
            results.tasks.append((event["task"], event["host"], event["outcome"]))
    if (record / "events.jsonl").is_file():
        for event in map(json.loads, (record / "events.jsonl").read_text().splitlines()):
            if event["kind"] == "test":
                results.tests[event["name"], event["host"]] = event["outcome"]
    if command.program == "pulumi" and command.arguments[:2] == ("stack", "output") and done.returncode == 0:
        results.outputs = json.loads(done.stdout)
