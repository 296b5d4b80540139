"""A server and a worker without a checkout, as processes of their own: the plan that was approved is the plan that runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.installed import program
from orchestrator.app import access, people, tokens
from orchestrator.cli import main
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.domain.server_profiles import ServerProfile
from orchestrator.machine_wiring import RealDefinitionSealer
from orchestrator.management.remote_uploads import PART_BYTES
from orchestrator.wiring import open_app
from tests.server.test_process import answer, free_port
from tests.server.test_uploads import interrupt_upload, places_sent, server, write

PROJECT = "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n"
LOCAL = (
    PROJECT + "store: sqlite:///{shared}/shop.db\nartifacts: {shared}/artifacts\nisolation: 'off'\ndefinition: pushed\n"
)
SOURCES = {
    "orchestrator.yaml": PROJECT,
    "environments/staging/environment.yaml": (
        "apiVersion: orchestrator/v1\nkind: Environment\nname: staging\nprogram: null\npreview: none\n"
        "inventory: {files: [environments/staging/hosts.yml]}\nansible: {ledger: false, environment: [OUT]}\n"
    ),
    "playbooks/deploy.yml": (
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "  - ansible.builtin.copy: {content: '{{ greeting }}', dest: '{{ out }}'}\n"
    ),
    "tests/smoke/test_it.py": "def test_it(host): assert host.check_output('echo yes') == 'yes'\n",
    "releases/shop/release.yaml": (
        'apiVersion: orchestrator/v1\nkind: Release\nname: shop\nversion: "1.0.0"\nenvironments: [staging]\n'
        "steps:\n- {name: deploy, playbook: playbooks/deploy.yml, undo: nothing}\nverify:\n- {name: smoke, tests: tests/smoke}\n"
    ),
}


def hosts(greeting: str, out: Path) -> dict[str, str]:
    """The inventory of staging: this machine, with a *greeting* that the playbook writes to *out*."""
    found = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "greeting": greeting,
        "out": str(out),
    }
    return {"environments/staging/hosts.yml": json.dumps({"all": {"hosts": {"web1": found}}})}


@contextmanager
def worker(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`orchestrator worker` in *folder*."""
    words = [sys.executable, "-m", "orchestrator", "worker", "--as-system"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environ.pop("ORCHESTRATOR_TOKEN", None)
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for_worker(folder: Path) -> None:
    """Return once a worker of the project of *folder* does what is due."""
    app, deadline = open_app(folder), time.monotonic() + 60
    try:
        while not app.scheduler_runs():
            assert time.monotonic() < deadline, "no worker"
            time.sleep(0.1)
    finally:
        app.close()


def token_of_root(folder: Path) -> str:
    """The token of a user who has every role in the project of *folder*."""
    app = open_app(folder)
    people.add_user(app.acting, User(name="root"))
    acting = app.acting_as(Actor(name="root"))
    access.grant(app.acting, Binding(role="administrator", to="user:root"))
    for role in sorted(BUILT_IN):
        access.grant(acting, Binding(role=role, to="user:root"))
    made = tokens.create_token(acting, "root", lifetime=timedelta(hours=1)).text
    app.close()
    return made


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sources of a project, and the folders of a server and of a worker without any."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ORCHESTRATOR_PROJECT_KEY_FILE", str(tmp_path / "shared/project.key"))
    (tmp_path / "shared/artifacts").mkdir(parents=True)
    (tmp_path / "shared/project.key").touch(0o600)
    (tmp_path / "shared/project.key").write_bytes(b"k" * 32)
    for name in ("server", "worker"):
        write(tmp_path / name, {"orchestrator.yaml": LOCAL.format(shared=tmp_path / "shared")})
    write(tmp_path / "source", {**SOURCES, **hosts("one", tmp_path / "out")})
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", token_of_root(tmp_path / "server"))
    monkeypatch.chdir(tmp_path / "source")
    return tmp_path


@pytest.mark.long
def test_a_plan_runs_with_the_definition_that_it_was_made_with(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker without a checkout executes an older plan with its own definition, a new promotion with the current one, and refuses a changed one."""
    port, out = free_port(), places / "out"
    at = ("--server", f"http://127.0.0.1:{port}")

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = int(main([*at, *words]))
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    with server(places / "server", port), worker(places / "worker"):
        wait_for_worker(places / "server")
        assert run("project", "push", "-m", "the first")[0] == 0
        code, said = run("build", "shop")
        assert code == 0, said
        code, said = run("plan", "shop-1.0.0", "--to", "staging", "--json")
        assert code == 0, said
        plan = json.JSONDecoder().raw_decode(said)[0]
        write(places / "source", hosts("two", out))
        assert run("project", "push", "-m", "the second")[0] == 0
        code, said = run("promote", "shop-1.0.0", "--to", "staging", "--plan", plan["digest"])
        assert (code, out.read_text() if out.exists() else "") == (0, "one"), said
        listed = json.loads(run("project", "definitions", "--json")[1])["definitions"]
        assert [each["digest"] == plan["project_definition"] for each in listed] == [False, True]
        code, said = run("promote", "shop-1.0.0", "--to", "staging", "--redeploy")
        assert (code, out.read_text()) == (0, "two"), said
        assert not (places / "worker/environments").exists()
        app = open_app(places / "server")
        app.definition_archives.remove(listed[1]["digest"])
        app.definition_archives.keep(listed[1]["digest"], b"something else")
        app.close()
        for folder in (places / "cache/orchestrator/definitions").glob(f"*/{plan['project_definition'][7:]}"):
            (folder / "manifest.json").write_text("{}")
        assert run("project", "use", listed[1]["digest"])[0] != 0
        code, said = run("promote", "shop-1.0.0", "--to", "staging", "--plan", plan["digest"])
        assert (code != 0, out.read_text()) == (True, "two"), said


@pytest.mark.long
def test_a_worker_without_a_credential_says_so_in_the_plan(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan of a worker that lacks a file with a password names it, no promotion starts there without it, and an approved plan stays valid."""
    port, out, credential = free_port(), places / "out", places / "worker/vault.txt"
    write(
        places / "source",
        {"ansible.cfg": "[defaults]\nvault_password_file = vault.txt\n", "vault.txt": "correct horse"},
    )
    at = ("--server", f"http://127.0.0.1:{port}")

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = int(main([*at, *words]))
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    def planned() -> dict[str, Any]:
        code, said = run("plan", "shop-1.0.0", "--to", "staging", "--json")
        assert code == 0, said
        found: dict[str, Any] = json.JSONDecoder().raw_decode(said)[0]
        return found

    with server(places / "server", port), worker(places / "worker"):
        wait_for_worker(places / "server")
        assert run("project", "push", "-m", "the first")[0] == 0
        assert run("build", "shop")[0] == 0
        (missing,) = planned()["missing_credentials"]
        assert (missing["what"], missing["place"]) == ("vault.txt does not exist", str(credential))
        said = run("plan", "shop-1.0.0", "--to", "staging")[1]
        assert f"Missing  vault.txt does not exist on {missing['machine']}: {credential}" in said
        code, said = run("promote", "shop-1.0.0", "--to", "staging")
        assert (code, "E170" in said, out.exists()) == (1, True, False), said
        credential.write_text("correct horse")
        plan = planned()
        assert "missing_credentials" not in plan
        credential.unlink()
        code, said = run("promote", "--plan", plan["digest"])
        assert (code, "E170" in said, out.exists()) == (1, True, False), said
        credential.write_text("correct horse")
        code, said = run("promote", "--plan", plan["digest"])
        assert (code, out.read_text() if out.exists() else "") == (0, "one"), said
        assert "correct horse" not in json.dumps(plan) + said


@pytest.mark.long
def test_a_definition_runs_isolated(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With isolation required, a worker runs a pushed definition, with a credential of its own folder."""
    port, out = free_port(), places / "out"
    for name in ("server", "worker"):
        text = LOCAL.format(shared=places / "shared").replace("isolation: 'off'", "isolation: required")
        write(places / name, {"orchestrator.yaml": text})
    settings = SOURCES["environments/staging/environment.yaml"] + f"isolation: {{write: [{out}]}}\n"
    write(places / "source", {"vault.txt": "correct horse"})
    encrypt = ("encrypt_string", "--vault-password-file", "vault.txt", "one", "--name", "greeting")
    done = subprocess.run(
        [program("ansible-vault"), *encrypt], cwd=places / "source", capture_output=True, text=True, check=True
    )
    files = {
        "ansible.cfg": "[defaults]\nvault_password_file = vault.txt\n",
        "environments/staging/environment.yaml": settings,
        "environments/staging/group_vars/all.yml": f"{done.stdout}\nout: {out}/greeting\n",
        "environments/staging/hosts.yml": json.dumps({"all": {"hosts": {"web1": {
            "ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}),
    }  # fmt: skip
    write(places / "source", files)
    write(places / "worker", {"vault.txt": "correct horse"})
    out.mkdir()
    at = ("--server", f"http://127.0.0.1:{port}")
    with server(places / "server", port), worker(places / "worker"):
        wait_for_worker(places / "server")
        for words in (("project", "push"), ("build", "shop"), ("promote", "shop-1.0.0", "--to", "staging")):
            code = int(main([*at, *words]))
            printed = capsys.readouterr()
            assert code == 0, printed.out + printed.err
    assert (out / "greeting").read_text() == "one"


def test_an_upload_of_a_definition_continues_after_either_process_was_killed(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `kill -9` of a client and of the server during an upload, `project push` sends only the parts that are missing."""
    (places / "source/environments/staging/big.txt").write_bytes(b"text\n" * (PART_BYTES // 2))
    made = RealDefinitionSealer().seal(places / "source", places / "sealed")
    data, port = Path(made.file).read_bytes(), free_port()
    url, path = f"http://127.0.0.1:{port}", f"/api/v1/definition-uploads/{made.digest}"
    with server(places / "server", port) as process:
        client = ServerProfile(name="x", url=url, token=os.environ["ORCHESTRATOR_TOKEN"])
        interrupt_upload(process, client, path, data)
    sent = places_sent(monkeypatch)
    with server(places / "server", port):
        capsys.readouterr()
        assert main(["--server", url, "project", "push", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["definition"]["digest"] == made.digest
        assert sent[0].startswith(f"bytes {2 * PART_BYTES}-"), sent
        deadline = time.monotonic() + 30
        while "staging" not in (found := answer(port, "GET", "/api/v1/environments", Authorization=bearer())[2]):
            assert time.monotonic() < deadline, found
            time.sleep(0.2)


def bearer() -> str:
    return f"Bearer {os.environ['ORCHESTRATOR_TOKEN']}"
