"""Handlers that were notified before a failure: `retry` runs them, or refuses and names them."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.journeys.conftest import Project

FILES = {
    "orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n",
    "environments/staging/environment.yaml": """
apiVersion: orchestrator/v1
kind: Environment
name: staging
program: null
inventory: {files: [hosts.yml]}
isolation: {write: [web1]}
rollback: {automatic: false}
""",
    "hosts.yml": """
web:
  hosts:
    web1:
      ansible_connection: local
      ansible_python_interpreter: PYTHON
      orchestrator_root: ROOT/web1
""",
    "playbooks/deploy.yml": """
- hosts: web
  gather_facts: false
  tasks:
    - name: Configure it
      ansible.builtin.copy: {content: "new\\n", dest: "{{ orchestrator_root }}/conf", mode: "0644"}
      notify: Restart it
    - ansible.builtin.meta: end_host
      when: (orchestrator_root ~ '/maintained') is exists
    - name: Migrate
      ansible.builtin.command: test -e {{ orchestrator_root }}/space
      changed_when: false
  handlers:
    - name: Restart it
      ansible.builtin.shell: echo restarted >> {{ orchestrator_root }}/service
""",
    "tests/smoke/test_smoke.py": """
def test_the_service_was_restarted(host) -> None:
    root = host.ansible.get_variables()["orchestrator_root"]
    assert host.file(f"{root}/service").content_string == "restarted\\n"
""",
    "releases/shop/release.yaml": """
apiVersion: orchestrator/v1
kind: Release
name: shop
version: 1.0.0
environments: [staging]
steps: [{name: deploy, playbook: playbooks/deploy.yml, hosts: web}]
verify: [{name: smoke, tests: tests/smoke}]
""",
}


@pytest.mark.long
def test_retry_runs_the_handlers_that_a_failure_left(tmp_path: Path) -> None:
    """A service that a failed run did not restart is restarted by `retry`, once; where that is impossible the handler is named."""
    project = Project(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("ROOT", str(tmp_path)).replace("PYTHON", sys.executable).lstrip("\n"))
    host = tmp_path / "web1"
    host.mkdir()
    failed = project.run("promote", "releases/shop", "--to", "staging", code=None)
    assert failed.code == 5, failed
    assert ((host / "conf").read_text(), (host / "service").exists()) == ("new\n", False)
    run = project.run("history", "--json").json["runs"][0]["id"]
    (host / "space").touch()
    (host / "maintained").touch()  # the play ends before its handlers
    said = project.run("retry", run, code=5)
    assert "'Restart it' on web1" in said.out + said.err
    assert "D163" in said.out + said.err
    assert not (host / "service").exists()
    (host / "maintained").unlink()
    run = project.run("history", "--json").json["runs"][0]["id"]
    project.run("retry", run)
    assert (host / "service").read_text() == "restarted\n"
    shutil.rmtree(host)
