"""The guide for release managers, typed from its page from the request to the measures, on the real engines."""

import os
import re
import subprocess
import sys

import pytest

from tests.journeys.conftest import ROOT, Project
from tests.journeys.test_approvals import Office
from tests.journeys.test_freeze import small

PAGE = ROOT / "docs" / "guides" / "release-management.md"
PROGRAM = """#!/bin/sh
[ "$1" = worker ] && unset ORCHESTRATOR_SERVER
exec {python} -m orchestrator "$@"
"""
"""A worker acts in the folder, also where the other commands act at a server."""


def blocks() -> list[tuple[str, str]]:
    """The blocks of commands of the guide, in their order, each with the user who types it."""
    found = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    named = (re.match(r"# ([a-z]+)\n", block) for block in found)
    return [(match[1] if match else "ann", block) for match, block in zip(named, found, strict=True)]


class Desk:
    """Users who type what the guide says, each in a shell of their own."""

    def __init__(self, project: Project, office: Office) -> None:
        self.project, self.office = project, office
        programs = project.root.parent / "bin"
        programs.mkdir()
        program = programs / "orchestrator"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        environ = project.environ_of("status")
        self.env = {**environ, "PATH": f"{programs}{os.pathsep}{environ.get('PATH', os.defpath)}"}

    def type(self, user: str, block: str) -> str:
        """What the commands of a block print. `RUN` is the promotion that waits."""
        if " RUN" in block:
            [waiting] = self.office.by("bob", "approvals")["requests"]
            block = block.replace(" RUN", f" {waiting['request']['id']}")
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=self.project.root,
            env={**self.env, "ORCHESTRATOR_TOKEN": self.office.tokens[user]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{block} ended with {done.returncode}\n{done.stdout}"
        if "orchestrator worker" in block:
            self.project.rest()
        return done.stdout


def lay(shop: Project) -> Office:
    """What the guide starts with: 1.0.0 runs, production needs an approval, and ann and bob have their roles."""
    small(shop)
    shop.run("promote", "releases/1.0.0")
    office = Office(shop)
    file = shop.root / "environments" / "production" / "environment.yaml"
    file.write_text(file.read_text() + "approvals: {count: 1}\n")
    return office


@pytest.mark.rare
@pytest.mark.timeout(1500)
def test_the_guide_for_release_managers_can_be_typed(shop: Project) -> None:
    """Every command of the guide works in its order, from a request over a train to a closed review and the measures."""
    office = lay(shop)
    desk = Desk(shop, office)
    said = "\n".join(desk.type(user, block) for user, block in blocks())
    assert shop.releases("production") == {"web1": "1.1.0"}
    assert office.by("ann", "train", "show", "T-1")["train"]["state"] == "arrived"
    assert office.by("ann", "release", "show", "REL-1")["release"]["state"] == "closed"
    assert office.by("ann", "request", "show", "R-1")["request"]["state"] == "closed"
    assert office.by("ann", "implementation", "status", "IP-1")["plan"]["state"] == "completed"
    review = office.by("ann", "review", "show", "REL-1")["review"]
    assert (review["state"], review["close_code"]) == ("closed", "successful")
    [deployed] = [
        each for each in office.by("ann", "history", "production")["runs"] if each["release"]["version"] == "1.1.0"
    ]
    assert deployed["id"] in said
    assert all((shop.root / name).read_text().startswith("<!") for name in ("schedule.html", "measures.html"))
    office.by("root", "audit", "verify")


def test_the_users_of_the_guide_are_those_of_its_text() -> None:
    """Each block of the guide is typed by ann, or by a user of the text who is named in its first line."""
    text = PAGE.read_text().partition("```")[0]
    assert {user for user, _ in blocks()} == set(re.findall(r"\b(ann|bob)\b", text))
