"""A project that was there before us: a Pulumi project, playbooks with roles, and a Molecule-style suite."""

import hashlib
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.journeys.conftest import Project

VAULT = "correct horse battery staple"

PROGRAM = '''
"""Servers of the intranet; two sizes in staging, as it has always been."""

import pulumi
from orchestrator.hosts import LoopbackHost

config = pulumi.Config()
prefix = config.get("prefix") or "app"
servers = [LoopbackHost(f"{prefix}{n}") for n in range(1, config.require_int("count") + 1)]
pulumi.export("servers", {server.host_name: server.variables for server in servers})
pulumi.export("region", config.get("region") or "nowhere")
pulumi.export("license", pulumi.Output.secret("LIC-4711"))
'''

FILES = {
    "infra/Pulumi.yaml": "name: intranet\nruntime: python\ndescription: The intranet's servers\n",
    "infra/Pulumi.staging.yaml": 'config:\n  intranet:count: "1"\n',
    "infra/Pulumi.production.yaml": 'config:\n  intranet:count: "2"\n  intranet:region: cellar\n',
    "infra/__main__.py": PROGRAM,
    "ansible.cfg": "[defaults]\nroles_path = roles\nvault_password_file = .vault-password\nnocows = 1\n"
    "callbacks_enabled = marker\ncallback_plugins = callback_plugins\n",
    ".vault-password": f"{VAULT}\n",
    "callback_plugins/marker.py": '''
import os
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: marker
type: aggregate
short_description: leaves a mark
description: leaves a mark beside the playbook's run
"""

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "marker"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_stats(self, stats):
        with open(os.path.join(os.environ["HOME"], "marks"), "a") as marks:
            marks.write("ran\\n")
''',
    "playbooks/site.yml": """
- name: The intranet
  hosts: app
  become: false
  gather_facts: false
  roles:
    - role: intranet
""",
    "playbooks/group_vars/app/main.yml": 'greeting: "Hello from {{ inventory_hostname }} in {{ orchestrator_outputs.region }}"\n',
    "roles/intranet/defaults/main.yml": 'greeting: nobody\nintranet_root: "{{ host_root }}/intranet"\n',
    "roles/intranet/tasks/main.yml": """
- name: Make its folders
  ansible.builtin.file:
    path: "{{ intranet_root }}/{{ item }}"
    state: directory
    mode: "0755"
  loop: [www, run]

- name: Write the page
  ansible.builtin.template:
    src: index.html.j2
    dest: "{{ intranet_root }}/www/index.html"
    mode: "0644"
  notify: restart the intranet

- name: Write the key
  ansible.builtin.copy:
    content: "{{ api_key }}"
    dest: "{{ intranet_root }}/run/key"
    mode: "0600"
  no_log: true

- name: Handlers now
  ansible.builtin.meta: flush_handlers

- name: Wait until it answers
  ansible.builtin.uri:
    url: "http://{{ ansible_host }}:{{ app_port }}/"
  register: page
  until: page.status == 200
  retries: 20
  delay: 0.2
""",
    "roles/intranet/handlers/main.yml": """
- name: restart the intranet
  ansible.builtin.shell: |
    if test -f run/pid; then kill "$(cat run/pid)" || true; rm run/pid; sleep 0.3; fi
    nohup {{ ansible_python_interpreter | quote }} -m http.server --directory www \\
      --bind {{ ansible_host | quote }} {{ app_port | quote }} >run/log 2>&1 </dev/null &
    echo $! >run/pid
  args:
    chdir: "{{ intranet_root }}"
""",
    "roles/intranet/templates/index.html.j2": "<h1>{{ greeting }}</h1>\n<p>version {{ orchestrator_release.version }}</p>\n",
    "molecule/default/tests/test_default.py": """
import os

import testinfra.utils.ansible_runner

testinfra_hosts = testinfra.utils.ansible_runner.AnsibleRunner(
    os.environ["MOLECULE_INVENTORY_FILE"]
).get_hosts("all")


def test_page(host) -> None:
    root = host.ansible.get_variables()["host_root"]
    page = host.file(f"{root}/intranet/www/index.html")
    assert page.exists
    assert "Hello from" in page.content_string


def test_key_is_private(host) -> None:
    root = host.ansible.get_variables()["host_root"]
    key = host.file(f"{root}/intranet/run/key")
    assert key.mode == 0o600
    assert key.content_string == "s3cret"


def test_port(host) -> None:
    variables = host.ansible.get_variables()
    assert host.socket(f"tcp://{variables['ansible_host']}:{variables['app_port']}").is_listening
""",
}

INVENTORY = """
inventory:
  groups:
    app:
      hosts: "{{ outputs.servers }}"
isolation: {write: [~/marks]}
"""


def test_files_that_were_there_work_unchanged(project: Project) -> None:
    """A Pulumi project, playbooks with roles, vault, handlers, callbacks and group variables, and a Molecule suite are promoted and none of their files changes."""
    for path, text in FILES.items():
        project.write(path, text.lstrip("\n"))
    _vault(project)
    project.env["HOME"] = str(_home(project))
    before = _digests(project.root)

    project.run("init", "--name", "intranet")
    for environment in ("staging", "production"):
        file = project.root / f"environments/{environment}/environment.yaml"
        file.write_text(file.read_text() + INVENTORY)
    assert "playbook: playbooks/site.yml" in (project.root / "releases/intranet/release.yaml").read_text()
    assert "tests: molecule/default/tests" in (project.root / "releases/intranet/release.yaml").read_text()

    project.run("promote", "releases/intranet")
    assert project.releases("production") == {"app1": "1.0.0", "app2": "1.0.0"}
    assert {host["truth"] for host in project.status("production")["hosts"]} == {"assumed"}
    for name, variables in project.variables("production").items():
        url = f"http://{variables['ansible_host']}:{variables['app_port']}/"
        page = urllib.request.urlopen(url, timeout=10).read().decode()
        assert page == f"<h1>Hello from {name} in cellar</h1>\n<p>version 1.0.0</p>\n"

    outputs = project.run("environment", "outputs", "production", "--json")
    assert outputs.json["outputs"]["license"] == "[secret]"
    assert "LIC-4711" not in outputs.out
    assert (_home(project) / "marks").read_text().count("ran\n") >= 3
    assert {path: digest for path, digest in _digests(project.root).items() if path in before} == before
    journal = b"".join(path.read_bytes() for path in project.state.glob("state*.db*"))
    for secret in (b"LIC-4711", VAULT.encode(), b"s3cret"):
        assert secret not in journal
    packed = b"".join(path.read_bytes() for path in (project.root / "dist").glob("*.release"))
    assert VAULT.encode() not in packed


def _vault(project: Project) -> None:
    plain = project.write("playbooks/group_vars/all/vault.yml", "api_key: s3cret\n")
    words = [str(Path(sys.executable).parent / "ansible-vault"), "encrypt", str(plain)]
    subprocess.run(words, cwd=project.root, check=True, capture_output=True)
    assert plain.read_text().startswith("$ANSIBLE_VAULT")


def _home(project: Project) -> Path:
    folder = project.root.parent / "home"
    folder.mkdir(exist_ok=True)
    cache = folder / ".cache"
    if not cache.exists():
        cache.symlink_to(Path.home() / ".cache")
        (folder / "marks").touch()
    return folder


def _digests(root: Path) -> dict[str, str]:
    """Every file of the user's own, with what is in it."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not {".orchestrator", "dist"} & set(path.relative_to(root).parts)
    }
