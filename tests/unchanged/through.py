"""A project through the product: what `init` and a user add to it, `build`, and `promote`."""

import configparser
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from orchestrator.domain.environment import Environment
from tests.unchanged import effects
from tests.unchanged.by_hand import Results, environ, prepare, with_plain_pulumi
from tests.unchanged.project import Command, Project

ENVIRONMENT = "staging"


def add_files(project: Project, root: Path) -> None:
    """Write the product's files, as far as the project has none of its own: they say the same as its README."""
    for name, document in _documents(project, root):
        path = root / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(document, sort_keys=False))


def _documents(project: Project, root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    own = {"apiVersion": "orchestrator/v1"}
    files = list(dict.fromkeys(file for command in project.playbooks() for file in _inventories(command, root)))
    steps: list[dict[str, Any]] = []
    for command in project.playbooks():
        for playbook in command.arguments:
            step: dict[str, Any] = {"name": f"step-{len(steps) + 1}", "playbook": _place(command, playbook)}
            for option, names in (("tags", ("-t", "--tags")), ("skip_tags", ("--skip-tags",))):
                values = [tag for value in command.values(*names) for tag in value.split(",")]
                step |= {option: values} if values else {}
            limit = command.values("-l", "--limit")
            steps.append(step | ({"hosts": limit[0]} if limit else {}))
    suites = [
        {"name": f"suite-{number + 1}", "tests": _place(command, command.arguments[0])}
        for number, command in enumerate(project.suites())
    ]
    environment: dict[str, Any] = {
        **own, "kind": "Environment", "name": ENVIRONMENT, "program": None,
        "inventory": {"files": files}, "rollback": {"automatic": False},
    }  # fmt: skip
    environment |= {"preview": "none"} if "preview" in Environment.model_fields else {}
    yield "orchestrator.yaml", {**own, "kind": "Project", "name": project.name}
    yield f"environments/{ENVIRONMENT}/environment.yaml", environment
    release = {
        **own, "kind": "Release", "name": project.name, "version": "1.0.0", "environments": [ENVIRONMENT],
        "steps": steps, "verify": suites,
    }  # fmt: skip
    yield f"releases/{project.name}/release.yaml", release


def _inventories(command: Command, root: Path) -> Iterator[str]:
    """The inventories of one run of ansible-playbook: those that it names, else those of its `ansible.cfg`."""
    named = command.values("-i", "--inventory")
    config = configparser.ConfigParser(interpolation=None, strict=False)
    if not named and config.read(root / command.folder / "ansible.cfg") and config.has_option("defaults", "inventory"):
        named = [part.strip() for part in config.get("defaults", "inventory").split(",")]
    for name in named:
        yield _place(command, name)


def _place(command: Command, name: str) -> str:
    """Where *name* lies in the project: the command names it from its folder."""
    return os.path.normpath(Path(command.folder, name))


def run(project: Project, root: Path, home: Path, backend: Path, python: str) -> Results:
    """Build and promote, with the product that the interpreter *python* has."""
    results, env = Results(), environ(home)
    env |= {"NO_COLOR": "1", "ORCHESTRATOR_RECOVERY": "manual", "PULUMI_BACKEND_URL": f"file://{backend}"}
    env |= project.variables()
    backend.mkdir(parents=True, exist_ok=True)
    prepare(project, root, env)
    release = next((root / "releases").glob("*/release.yaml")).parent.relative_to(root)
    package = f"dist/{project.name}-1.0.0.release"
    for words in (["build", str(release)], ["promote", package, "--to", ENVIRONMENT]):
        done = _orchestrator(words, root, env, python)
        results.printed += f"$ orchestrator {' '.join(words)}\n{done.stdout}{done.stderr}\n"
        results.good = done.returncode == 0
        if not results.good:
            break
    _take(results, root, env)
    results.written = dict(_written(root / ".orchestrator"))
    if project.has_program and results.good:
        with_plain_pulumi(project, root, env, results)
    return results


def _orchestrator(
    words: list[str], root: Path, env: dict[str, str], python: str = sys.executable
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [python, "-m", "orchestrator", *words], cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200,
        check=False,
    )  # fmt: skip


def _take(results: Results, root: Path, env: dict[str, str]) -> None:
    """Take tasks and tests from the run's records."""
    status = json.loads(_orchestrator(["status", ENVIRONMENT, "--json"], root, env).stdout or "{}")
    last = (status.get("environments") or [{}])[0].get("last_run") or {}
    if not last:
        return
    logs = _orchestrator(["logs", last["id"], "--json"], root, env).stdout
    for record in map(json.loads, logs.splitlines()):
        data = record.get("data") or {}
        if record["kind"] == "task" and data.get("outcome") != "started":
            results.tasks.append((data["task"], record["host"], data["outcome"]))
        elif record["kind"] == "test":
            results.tests[data["name"], data["host"]] = data["outcome"]
    results.printed += _orchestrator(["logs", last["id"], "--output"], root, env).stdout


def _written(state: Path) -> Iterator[tuple[str, str]]:
    """The files that playbooks wrote on the controller: those kept with the run, then those kept for the environment."""
    jobs = sorted(state.glob("jobs/*/files.json"), key=lambda listing: listing.stat().st_mtime_ns)
    versions = sorted(state.glob(f"controller-files/{ENVIRONMENT}/[0-9]*"))
    for folder in [*(listing.with_name("files") for listing in jobs), *versions[-1:]]:
        yield from effects.files_of(folder).items()
