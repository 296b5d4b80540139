"""Further releases of the example shop, each with words of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.journeys.conftest import Project


def lay_release(project: Project, version: str, like: str = "1.1.0", **words: object) -> str:
    """Put a release into *project*, like the one of the version *like*, with other *words* in its file; where it is."""
    folder = project.root / "releases" / version
    shutil.copytree(project.root / "releases" / like, folder)
    shutil.copytree(project.root / "app" / like, project.root / "app" / version)
    project.replace(f"app/{version}/server.py", f'"{like}"', f'"{version}"')
    subprocess.run([sys.executable, "app/build.py", version], cwd=project.root, check=True, capture_output=True)
    file = folder / "release.yaml"
    text = file.read_text().replace(f"shop-{like}", f"shop-{version}").replace(f'"{like}"', f'"{version}"')
    file.write_text(yaml.safe_dump({**yaml.safe_load(text), **words}, sort_keys=False))
    return f"releases/{version}"


def ledgers(project: Project, environment: str) -> dict[str, str]:
    """What each host of *environment* remembers of what was done on it."""
    found = {}
    for host, variables in project.variables(environment).items():
        file = Path(variables["host_root"], ".orchestrator", "ledger.jsonl")
        found[host] = file.read_text() if file.exists() else ""
    return found


def touched(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The hosts that remember something which they did not *before*."""
    return {host for host, text in after.items() if text != before.get(host, "")}
