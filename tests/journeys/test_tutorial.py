"""The tutorial, typed from its page from beginning to end."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from tests.journeys.conftest import ROOT, Project
from tests.journeys.test_interrupted import until

PAGE = ROOT / "docs/tutorial.md"


def _parts() -> list[tuple[str, list[str]]]:
    """Each section's number, with the lines of its examples."""
    found = []
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        fences = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        found.append((section[0], [line for fence in fences for line in fence.splitlines()]))
    return found


class Reader:
    """Somebody who types what the page says, in a shell of their own, and does what is written between."""

    def __init__(self, project: Project) -> None:
        self.project = project
        programs = project.root.parent / "bin"
        programs.mkdir()
        program = programs / "orchestrator"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
        program.chmod(0o755)
        environ = {name: value for name, value in project.environ().items() if name != "ORCHESTRATOR_RECOVERY"}
        self.env = {**environ, "PATH": f"{programs}{os.pathsep}{environ.get('PATH', os.defpath)}"}
        self.folder = project.root.parent

    def type(self, line: str) -> str:
        """Type one line; what is said on both streams. A line that ends badly is an error unless it says its status."""
        if line.startswith("cd "):
            self.folder /= line.removeprefix("cd ")
            return ""
        if " RUN" in line:
            line = line.replace("RUN", self.project.status(self._newest())["last_run"]["id"])
        if "kill -9" in line:
            return self._pull_the_plug(line.partition(" & ")[0])
        line += " --yes" if "environment destroy" in line else ""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{line} ended with {done.returncode}\n{done.stdout}"
        return done.stdout

    def _pull_the_plug(self, line: str) -> str:
        """Start the *line*, and kill its process while it deploys to production: how long that takes to come differs."""
        with subprocess.Popen(
            line.split(), cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            until(self.project, process, "deploy.1")
            process.kill()
        return ""

    def _newest(self) -> str:
        runs = self.project.run("history", "--json").json["runs"]
        return str(runs[0]["environment"])

    def edit(self, version: str, page: str) -> None:
        """Raise the version, and write another page."""
        release = self.folder / "releases/hello/release.yaml"
        text = re.sub(r"^version: .*$", f'version: "{version}"', release.read_text(), flags=re.MULTILINE)
        release.write_text(text)
        index = self.folder / "site/index.html"
        before = "It works" if "It works" in index.read_text() else "It does"
        index.write_text(index.read_text().replace(before, page) + f"<!-- {version} -->\n")


@pytest.mark.timeout(900)
def test_the_tutorial_can_be_typed(project: Project) -> None:
    """Every line of the tutorial's examples works in its order, and what the page says of each part comes true."""
    reader = Reader(project)
    shutil.rmtree(project.root)
    project.root = project.root.with_name("hello")
    said: dict[str, str] = {}

    def versions() -> set[str | None]:
        return set(project.releases("production").values())

    for number, lines in _parts():
        if number == "3":
            assert versions() == {"1.0.0"}
            reader.edit("1.1.0", "It works")
        elif number == "4":
            assert versions() == {"1.1.0"}
            reader.edit("1.2.0", "It does")
        elif number == "6":
            assert "exit 4" in said["4"]
            reader.edit("1.3.0", "It works")
        elif number == "7":
            _settled(project)
            assert versions() == {"1.3.0"}
        said[number] = "\n".join(reader.type(line) for line in lines)
    assert "nothing to roll back to" in said["2"]
    assert "interrupted" in said["6"]
    assert list(said) == ["1", "2", "3", "4", "5", "6", "7"]


def _settled(project: Project) -> None:
    """Wait until what was interrupted has gone on to its end."""
    deadline = time.monotonic() + 120
    while any(run["ended_at"] is None for run in project.run("history", "--json").json["runs"]):
        assert time.monotonic() < deadline
        time.sleep(0.5)
