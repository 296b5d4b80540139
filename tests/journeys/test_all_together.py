"""Infrastructure, data and application change in one release, and go back together when it fails late."""

import json
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.journeys.conftest import ROOT, Project
from tests.journeys.releases import ledgers, touched

EXAMPLE = ROOT / "examples" / "guestbook"
PROGRAM = '''"""Hosts with a book each, and one beside them."""

import pulumi

from orchestrator.hosts import LoopbackHost, inventory

COUNT = 2
web = [LoopbackHost(f"web{number}") for number in range(1, COUNT + 1)]
pulumi.export("hosts", COUNT)
pulumi.export("ansible_inventory", inventory(web=web, beside=[LoopbackHost("beside1")]))
'''
DATA = """- name: Change the data
  hosts: web
  gather_facts: false
  tasks:
    - name: Change the table, and write down that it was done
      ansible.builtin.script:
        cmd: "table.py {what} {{{{ (host_root ~ '/shared/data') | quote }}}}"
        executable: "{{{{ ansible_python_interpreter }}}}"
"""
TABLE = '''"""expand: first and last names beside the old text. shrink: the old text alone, as it was."""

import pathlib
import sqlite3
import sys

what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
if not (folder / "guestbook.db").exists():  # a new host: the application makes the table as it wants it
    sys.exit()
with sqlite3.connect(folder / "guestbook.db", timeout=30) as database:
    for name in ("first", "last"):
        database.execute(f"ALTER TABLE guests {'ADD' if what == 'expand' else 'DROP'} COLUMN {name}")
    if what == "expand":
        split = "first = substr(name, 1, instr(name, ' ') - 1), last = substr(name, instr(name, ' ') + 1)"
        database.execute(f"UPDATE guests SET {split}")
with (folder / "done").open("a") as log:
    print(what, file=log)
'''
OLD, NEW = ("web1", "web2"), ("web1", "web2", "web3")
FORWARD = ("provision", "expand.1", "deploy.1", "verify.smoke.environment", "gate.late.watch.2")
AGAIN = "restore.again.deploy"  # with the variables of the stack as it was: web3 is among them no longer
BACK = ("undo.1.expand", "restore.deploy", "restore.stack", "hosts.restored", "restore.look", "verify.smoke.restored")


@pytest.fixture
def book(project: Project) -> Project:
    """The guestbook on two hosts and one beside them, with 1.0.0 in staging and a guest in each book."""
    left = shutil.ignore_patterns(".orchestrator", "dist", "__pycache__")
    shutil.copytree(EXAMPLE, project.root, dirs_exist_ok=True, ignore=left)
    build = [sys.executable, "app/build.py", "1.0.0", "1.1.0"]
    subprocess.run(build, cwd=project.root, check=True, capture_output=True)
    project.write("environments/staging/__main__.py", PROGRAM)
    for what in ("expand", "shrink"):
        project.write(f"playbooks/{what}.yml", DATA.format(what=what))
    project.write("playbooks/files/table.py", TABLE)
    file = project.root / "releases/1.1.0/release.yaml"
    signals = project.root.parent / "signals"
    signals.mkdir()
    described = project.root / "environments/staging/environment.yaml"
    described.write_text(f"{described.read_text()}isolation: {{read: [{json.dumps(str(signals))}]}}\n")
    late = {"name": "late", "command": ["sh", "-c", f"test ! -e '{signals}/late'"]}
    words = {
        "steps": [
            {"name": "expand", "playbook": "playbooks/expand.yml", "hosts": "web", "undo": "playbooks/shrink.yml"},
            {"name": "deploy", "playbook": "playbooks/deploy.yml", "hosts": "web"},
        ],
        "watch": {"for": "3m", "every": "1s", "gates": [late]},
    }
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **words}, sort_keys=False))
    project.run("promote", "releases/1.0.0", "--to", "staging")
    for host in OLD:
        _sign(project, host, "Ada.Lovelace")
    return project


def _sign(project: Project, host: str, name: str) -> None:
    about = project.variables("staging")[host]
    request = urllib.request.Request(f"http://{about['ansible_host']}:{about['app_port']}/{name}", method="POST")
    assert urllib.request.urlopen(request, timeout=10).status == 201


def _database(project: Project, host: str) -> tuple[list[str], list[str], str]:
    """The columns of the host's table, the names in it, and what was done to it."""
    folder = Path(project.variables("staging")[host]["host_root"], "shared/data")
    with closing(sqlite3.connect(folder / "guestbook.db")) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(guests)")]
        names = [name for (name,) in database.execute("SELECT name FROM guests ORDER BY rowid")]
    return columns, names, (folder / "done").read_text() if (folder / "done").exists() else ""


def _stack(project: Project) -> dict[str, Any]:
    """The stack's outputs, its hosts with everything that is known of them among them."""
    found: dict[str, Any] = project.run("environment", "outputs", "staging", "--json").json["outputs"]
    return found


def _done(text: str, run: str) -> list[str]:
    """What a host remembers to have done for *run*, in order."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line["step"] for line in lines if line["run"] == run and line["outcome"] == "done"]


@pytest.mark.timeout(900)
def test_all_of_it_goes_back_in_order(book: Project) -> None:
    """A release that adds a host, changes a table and the application, and fails in its watch goes back by the plan that was shown beforehand: data, application, infrastructure, in that order, each once, and only where something was touched."""
    stack, before = _stack(book), ledgers(book, "staging")
    book.replace("environments/staging/__main__.py", "COUNT = 2", "COUNT = 3")
    process = book.launch("promote", "releases/1.1.0", "--to", "staging")
    run = book.reaches(process, "staging", "gate.late.watch.2")
    assert book.releases("staging") == dict.fromkeys(NEW, "1.1.0")
    assert (_stack(book)["hosts"], set(book.variables("staging"))) == (3, {*NEW, "beside1"})
    assert _database(book, "web1") == (["name", "first", "last"], ["Ada Lovelace"], "expand\n")
    for host in OLD:
        _sign(book, host, "Grace.Hopper")
    foreseen = book.run("plan", "--rollback", "staging", "--json").json
    jsonschema.validate(foreseen, json.loads((ROOT / "docs/schemas/rollback-plan.json").read_text()))
    assert (foreseen["outlook"]["how"], foreseen["outlook"]["losses"]) == ("preview", [])
    assert foreseen["outlook"]["counts"]["delete"] == 1
    (book.root.parent / "signals/late").touch()
    out, err = process.communicate(timeout=200)
    assert process.returncode == 4, f"{out}\n{err}"

    story = book.story("staging")
    assert (story["run"]["id"], story["run"]["state"]) == (run, "rolled back")
    plan = story["rollback_plan"]
    assert plan["digest"] == foreseen["digest"]
    assert [(item["play"]["step"], item["play"]["limit"]) for item in plan["undo"]] == [("expand", [*NEW])]
    assert [(play["step"], play["limit"]) for play in plan["restore"]] == [("deploy", [*NEW])]
    assert plan["definition"] is not None
    assert (set(plan["touched"]), plan["untouched"]) == (set(NEW), ["beside1"])
    names = [step["name"] for step in story["steps"]]
    assert [name for name in names if name in {*FORWARD, *BACK}] == [*FORWARD, *BACK]

    after = ledgers(book, "staging")
    assert touched(before, after) == set(OLD)  # web3 is gone again
    for host in OLD:
        assert _done(after[host], run) == ["expand.1", "deploy.1", "undo.1.expand", "restore.deploy", AGAIN]
        assert _database(book, host) == (["name"], ["Ada Lovelace", "Grace Hopper"], "expand\nshrink\n")
    assert _stack(book) == stack
    assert book.releases("staging") == dict.fromkeys(OLD, "1.0.0")
    assert book.status("staging")["release"]["version"] == "1.0.0"
    book.replace("environments/staging/__main__.py", "COUNT = 3", "COUNT = 2")
    assert set(book.run("environment", "preview", "staging", "--json").json["counts"]) == {"same"}
