"""A project as people have it: ordinary playbooks, an inventory of its own, and a stack that changes with each release.

Nothing of ours runs on its hosts but the ledger. What a host runs is in its file `app.conf`, and what was done to it
in its file `effects`, with the time: its playbooks write both, and the checker reads them.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.inside import Said
from tests.journeys.conftest import Project

HEAD = "apiVersion: orchestrator/v1\n"
LIVE, SIDES = "live", "sides"
GOOD, BAD = "good", "bad"

PULUMI = "name: {name}\nruntime: python\n"
PROGRAM = '''"""Hosts whose motto is another one for each release."""

import pulumi

from orchestrator.hosts import LoopbackHost, inventory

MOTTO = "motto 0"
hosts = {group: [LoopbackHost(name, variables={"motto": MOTTO}) for name in names] for group, names in GROUPS.items()}
pulumi.export("motto", MOTTO)
pulumi.export("ansible_inventory", inventory(**hosts))
'''
GROUPS = {
    LIVE: {"web": ["web1", "web2"]},
    SIDES: {"blue": ["web1"], "green": ["web2"], "lb": ["router"]},
}
ENVIRONMENT = """kind: Environment
name: {name}
pulumi: {{pending_creates: clear}}
inventory: {{output: ansible_inventory, files: [inventories/{name}.yml]}}
snapshot: {{ignore: [effects]}}
"""
INVENTORIES = {
    LIVE: "web: {vars: {tax: '7.5'}}\n",
    SIDES: "web: {children: {blue: {}, green: {}}, vars: {tax: '7.5'}}\n",
}

NOTED = """    - name: Write down that this {what}
      ansible.builtin.shell: >-
        echo "$(date +%s.%N) {what} {{{{ orchestrator_release.run_id }}}} {{{{ orchestrator_release.step }}}}" >> effects
      args: {{chdir: "{{{{ host_root }}}}"}}
      changed_when: true
"""
PLAY = "- name: {name}\n  hosts: {hosts}\n  gather_facts: false\n  tasks:\n{began}{tasks}{ended}"
CONFIGURE = """    - name: Write the configuration
      ansible.builtin.template: {src: app.conf.j2, dest: "{{ host_root }}/app.conf", mode: "0644"}
    - name: Wait while it is held
      ansible.builtin.wait_for: {path: "{{ host_root }}/hold", state: absent, timeout: 60, sleep: 1}
"""
CONF = """version = {{ orchestrator_release.version }}
digest = {{ orchestrator_release.digest }}
motto = {{ motto }}
outputs = {{ orchestrator_outputs.motto }}
tax = {{ tax }}
"""
PREPARE = """    - name: Make room for what is new
      ansible.builtin.copy: {content: "prepared\\n", dest: "{{ host_root }}/prepared-{{ orchestrator_release.version }}", mode: "0644"}
"""
CLEAR = """    - name: Take away what was prepared
      ansible.builtin.file: {path: "{{ host_root }}/prepared-{{ orchestrator_release.version }}", state: absent}
"""
RETIRE = """    - name: Stop what stands by
      ansible.builtin.file: {path: "{{ host_root }}/app.conf", state: absent}
"""
SWITCH = """    - name: Lead to the live side
      ansible.builtin.copy:
        content: "{{ orchestrator_release.sides.live_hosts | join('\\n') }}\\n"
        dest: "{{ host_root }}/upstreams"
        mode: "0644"
"""
SMOKE = '''"""What is configured is what was released, and it is not a bad one."""

testinfra_hosts = ["ansible://web"]


def test_it_is_what_was_released(host) -> None:
    about = host.ansible.get_variables()
    text = host.check_output("cat %s/app.conf", about["host_root"])
    found = dict(line.split(" = ") for line in text.splitlines())
    assert found["version"] == about["orchestrator_release"]["version"]
    assert found["motto"] == found["outputs"]
    assert about["inventory_hostname"] != about["bad"]
'''
RELEASE = """kind: Release
name: thing
version: "{version}"
environments: [{environment}]
requirements: [{{hosts: all, commands: [sh]}}]
vars: {{bad: "{bad}"}}
{more}
verify:
  - {{name: smoke, tests: tests/smoke, timeout: 1m}}
"""
LIVE_STEPS = """rehearse: {rehearse}
steps:
  - {{name: prepare, playbook: playbooks/prepare.yml, hosts: web, undo: playbooks/clear.yml, timeout: 2m}}
  - name: deploy
    playbook: playbooks/site.yml
    hosts: web
    timeout: 2m
    rollout:
      strategy: canary
      canary: {{hosts: web1, observe: 300ms, every: 300ms, gates: [{{name: up, command: [sleep, "1"]}}]}}
"""
SIDES_STEPS = """watch: {{for: 300ms, every: 300ms, gates: [{{name: kept, command: ["{kept}"]}}]}}
steps:
  - name: deploy
    playbook: playbooks/site.yml
    hosts: web
    timeout: 2m
    rollout:
      strategy: blue_green
      blue_green: {{blue: blue, green: green, switch: playbooks/switch.yml, router: lb, retire: playbooks/retire.yml}}
"""


@dataclass
class Plain(Project):
    """The project. Each release is a new one, and with each of them the motto of the stack is another one."""

    number: int = 0

    def lay(self) -> None:
        """Write its files."""
        self.write("orchestrator.yaml", f"{HEAD}kind: Project\nname: plain\n")
        for name, groups in GROUPS.items():
            self.write(f"environments/{name}/Pulumi.yaml", PULUMI.format(name=name))
            self.write(f"environments/{name}/__main__.py", PROGRAM.replace("GROUPS", repr(groups)))
            self.write(f"environments/{name}/environment.yaml", HEAD + ENVIRONMENT.format(name=name))
            self.write(f"inventories/{name}.yml", INVENTORIES[name])
        self._playbook("site", "Put the release there", "web", CONFIGURE)
        self._playbook("prepare", "Prepare", "web", PREPARE)
        self._playbook("clear", "Clear", "web", CLEAR)
        self._playbook("switch", "Switch", "lb", SWITCH)
        self._playbook("retire", "Retire", "web", RETIRE)
        self.write("playbooks/templates/app.conf.j2", CONF)
        self.write("tests/smoke/test_it.py", SMOKE)

    def _playbook(self, file: str, name: str, hosts: str, tasks: str) -> None:
        began, ended = NOTED.format(what="began"), NOTED.format(what="ended")
        text = PLAY.format(name=name, hosts=hosts, began=began, tasks=tasks, ended=ended)
        self.write(f"playbooks/{file}.yml", text)

    def make(self, environment: str = LIVE, how: str = GOOD, *, rehearse: bool = False) -> str:
        """Write a new release, and another motto for the stack that it goes to; the release's version."""
        program = f"environments/{environment}/__main__.py"
        self.replace(program, f'"motto {self.motto(environment)}"', f'"motto {self.number + 1}"')
        self.number += 1
        version, bad = f"1.{self.number}.0", how == BAD
        if environment == LIVE:
            more = LIVE_STEPS.format(rehearse=str(rehearse).lower())
        else:
            more = SIDES_STEPS.format(kept="false" if bad else "true")
        text = RELEASE.format(
            version=version, environment=environment, bad="web2" if bad and environment == LIVE else "", more=more
        )
        self.write(f"releases/{version}/release.yaml", HEAD + text)
        return version

    def guard(self, environment: str, *, drift: bool) -> None:
        """Let the environment refuse a promotion where something has drifted, or let it not."""
        rule = "require: {no_drift: true}\n" if drift else ""
        self.write(f"environments/{environment}/environment.yaml", HEAD + ENVIRONMENT.format(name=environment) + rule)

    def motto(self, environment: str) -> str:
        """The number of the motto in the stack's program."""
        text = (self.root / f"environments/{environment}/__main__.py").read_text(encoding="utf-8")
        return text.partition('MOTTO = "motto ')[2].partition('"')[0]

    def promote(self, version: str, environment: str = LIVE, code: int | None = 0) -> Said:
        """Promote it, and see that it ends with *code*."""
        return self.run("promote", f"releases/{version}", "--to", environment, code=code)

    def good_release(self, environment: str = LIVE) -> str:
        """See that a good release runs everywhere; its version."""
        release = self.status(environment)["release"]
        running = {item["version"] for item in [release] if item}
        current = set(self.releases(environment).values())
        if running and running <= current <= {*running, None}:  # none runs on new hosts
            return str(running.pop())
        version = self.make(environment)
        self.promote(version, environment)
        return version

    def folder(self, environment: str) -> Path:
        """Where the hosts of an environment lie."""
        return self.state / "hosts" / f"{environment}-{environment}"
