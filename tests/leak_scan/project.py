"""A project whose program, playbooks and suite write every canary down in every encoding, wherever they can."""

import subprocess
import sys
from pathlib import Path

from tests.journeys.conftest import Project
from tests.leak_scan.canaries import Canary

VAULT = "the password of the vaults"
PHRASE = "the phrase of the stacks"
PROGRAM = '''
"""One host, and secrets of several kinds."""

import base64
import json
import os
import time
from urllib.parse import quote

import pulumi
from orchestrator.hosts import LoopbackHost, inventory

config = pulumi.Config()
secret = json.loads(open(os.path.join(os.path.dirname(__file__), "values.json")).read())


def say(value):
    data = value.encode()
    for text in (value, base64.b64encode(data).decode(), quote(value, safe=""), json.dumps(value), data.hex()):
        pulumi.log.info(f"the program says {text}")
    return value


key = config.require_secret("apikey").apply(say)
time.sleep(secret.get("nap", 0))
pulumi.export("nap", secret.get("nap", 0))
pulumi.export("ansible_inventory", inventory(web=[LoopbackHost("web1")]))
pulumi.export("token", pulumi.Output.secret(secret["output"]))
pulumi.export("database", pulumi.Output.secret({"user": "shop-of-the-canaries", "password": secret["nested"]}))
pulumi.export("certificate", pulumi.Output.secret(secret["lines"]))
pulumi.export("apikey", key)
'''
ENCODE = (
    "import base64, json, sys, urllib.parse as u; v = sys.stdin.read(); d = v.encode(); "
    "print(v); print(base64.b64encode(d).decode()); print(base64.encodebytes(d).decode()); "
    "print(u.quote(v, safe='')); print(json.dumps(v)); print(json.dumps(json.dumps(v))); print(d.hex()); "
    "print(d.hex().upper()); sys.stderr.write(v)"
)
PLAYBOOK = """
- name: Whatever may be said of a secret
  hosts: web
  gather_facts: false
  no_log: "{{ quiet }}"
  vars:
    canaries:
      output: "{{ orchestrator_secrets.token }}"
      nested: "{{ orchestrator_secrets.database.password }}"
      lines: "{{ orchestrator_secrets.certificate }}"
      config: "{{ orchestrator_secrets.apikey }}"
      inventory: "{{ vaulted_inventory }}"
      package: "{{ vaulted_package }}"
      variable: "{{ lookup('ansible.builtin.env', 'LICENCE') }}"
      file: "{{ lookup('ansible.builtin.password', 'credentials/token', length=24) }}"
  tasks:
    - name: "Named {{ orchestrator_secrets.token }}"
      ansible.builtin.debug:
        msg: "{{ item.value }} {{ item.value | b64encode }} {{ item.value | urlencode }} {{ item.value | to_json }}"
      loop: "{{ canaries | dict2items }}"

    - name: Encodings on the host
      ansible.builtin.command:
        argv: ["{{ ansible_python_interpreter }}", -c, "{{ encode }}"]
        stdin: "{{ item.value }}"
        stdin_add_newline: false
      loop: "{{ canaries | dict2items }}"
      changed_when: true
      register: encoded

    - name: What the host answered
      ansible.builtin.debug:
        msg: "{{ encoded.results | map(attribute='stdout_lines') | list }}"

    - name: A file whose difference is shown
      ansible.builtin.copy:
        content: "{{ canaries | to_nice_json }}"
        dest: "{{ host_root }}/canaries"
        mode: "0600"
      diff: true

    - name: A file on the controller
      ansible.builtin.copy:
        content: "{{ canaries | to_nice_yaml }}"
        dest: "{{ playbook_dir }}/written-by-the-play"
        mode: "0600"
      delegate_to: localhost

    - name: Time to die in
      ansible.builtin.command: sleep {{ nap }}
      changed_when: false

    - name: How it fails
      ansible.builtin.assert:
        that: not fails
        fail_msg: "{{ canaries | to_json }} {{ canaries | to_json | b64encode }}"
"""
SUITE = """
import base64
import os
import pathlib
import tempfile
import time


def test_what_a_suite_says(host) -> None:
    found = host.ansible.get_variables()
    for name in ("vaulted_inventory",):
        value = str(found[name])
        text = f"{value} {base64.b64encode(value.encode())} {value.encode().hex()}"
        print(text)
        for folder in (os.path.dirname(__file__), tempfile.gettempdir(), os.environ["ORCHESTRATOR_JOB"] + "/tmp"):
            if os.path.isdir(folder):
                pathlib.Path(folder, "written-by-the-suite").write_text(text)
    pathlib.Path(os.environ["ORCHESTRATOR_JOB"], "begun").touch()
    time.sleep(float(found.get("suite_nap", 0)))
    assert host.file(f"{found['host_root']}/canaries").exists, found
"""
FILES = {
    "orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: canaries\n",
    "environments/staging/environment.yaml": """
apiVersion: orchestrator/v1
kind: Environment
name: staging
inventory: {output: ansible_inventory, files: [inventory]}
secrets: [LICENCE]
ansible: {environment: [LICENCE]}
controller_files: [{path: credentials/, secret: true}]
""",
    "environments/staging/Pulumi.yaml": "name: canaries\nruntime: python\n",
    "environments/staging/__main__.py": PROGRAM,
    "inventory/hosts.yml": "web: {hosts: {web1: {}}}\n",
    "ansible.cfg": "[defaults]\nvault_password_file = .vault-password\nnocows = 1\n",
    ".vault-password": f"{VAULT}\n",
    "site.yml": PLAYBOOK,
    "tests/test_site.py": SUITE,
    ".gitignore": ".vault-password\n",
}
RELEASE = """
apiVersion: orchestrator/v1
kind: Release
name: canaries
version: {version}
environments: [staging]
vars: {{quiet: {quiet}, fails: {fails}, nap: {nap}, suite_nap: {suite_nap}, encode: "{encode}"}}
steps: [{{name: deploy, playbook: site.yml, hosts: web}}]
verify: [{{name: smoke, tests: tests}}]
"""
RELEASES: dict[str, dict[str, str | int]] = {
    "0.9.0": {"quiet": "true"},
    "1.0.0": {},
    "1.1.0": {"fails": "true"},
    "1.2.0": {"nap": 8},
    "1.3.0": {"suite_nap": 8},
    "1.4.0": {},
}
"""What each release does: it generates the controller file without a word, as a value that a task makes is not known in
that run; it ends well; it fails; its play or its suite takes the time in which the process is killed."""
USUAL: dict[str, str | int] = {"quiet": "false", "fails": "false", "nap": 0, "suite_nap": 0}


def lay(project: Project, canaries: dict[str, Canary]) -> None:
    """Write the files of the project, and encrypt what is encrypted in it."""
    import json

    for path, text in FILES.items():
        project.write(path, text.lstrip("\n"))
    values = {kind: canaries[kind].value for kind in ("output", "nested", "lines")}
    project.write("environments/staging/values.json", json.dumps(values))
    for version, about in RELEASES.items():
        text = RELEASE.format(version=version, encode=ENCODE, **{**USUAL, **about})
        project.write(f"releases/{version}/release.yaml", text.lstrip("\n"))
    _encrypt(project, "inventory/group_vars/web/vault.yml", "vaulted_inventory", canaries["inventory"].value)
    _encrypt(project, "group_vars/all/vault.yml", "vaulted_package", canaries["package"].value)
    project.env |= {"LICENCE": canaries["variable"].value, "PULUMI_CONFIG_PASSPHRASE": PHRASE}


def slow_down(project: Project) -> None:
    """Let the program take the time in which the process is killed."""
    import json

    file = project.root / "environments/staging/values.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "nap": 8}))


def _encrypt(project: Project, path: str, name: str, value: str) -> None:
    import json

    file = project.write(path, f"{name}: {json.dumps(value)}\n")
    words = [str(Path(sys.executable).parent / "ansible-vault"), "encrypt", str(file)]
    subprocess.run(words, cwd=project.root, check=True, capture_output=True)


def configure(project: Project, engine: Path, canary: Canary) -> None:
    """Set the secret configuration of the stack, as its owner does it by hand: over standard input."""
    folder = project.root / "environments/staging"
    backend = project.state / "pulumi/backend"
    backend.mkdir(parents=True, exist_ok=True)
    project.env["PULUMI_BACKEND_URL"] = f"file://{backend}"
    env = project.environ()
    for words in (["stack", "init", "staging"], ["config", "set", "--secret", "apikey", "--stack", "staging"]):
        done = subprocess.run(
            [str(engine), *words, "--non-interactive"],
            cwd=folder,
            env=env,
            input=canary.value,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
