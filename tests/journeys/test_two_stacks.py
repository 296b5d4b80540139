"""Two stacks of one program as the sides of production, on real hosts: a release makes or changes one, and leaves the other alone."""

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.inspect.stacks import stacks_of
from orchestrator.wiring import open_app
from tests.journeys.conftest import Project, lay_shop
from tests.journeys.releases import lay_release

pytestmark = pytest.mark.timeout(900)  # five promotions over eight hosts

PROGRAM = """
import pulumi
from orchestrator.hosts import LoopbackHost, inventory

side = pulumi.get_stack().removeprefix("production-")
web = [LoopbackHost(f"{side}{number}") for number in (1, 2)]
pulumi.export("ansible_inventory", inventory(web=web, variables={"shop_tax": "7.5", "of": side}))
"""
SWITCH = """
- name: Let the service lead to the live side
  hosts: web
  gather_facts: false
  tasks:
    - name: Write down where to
      ansible.builtin.copy:
        dest: "{{ upstreams }}"
        content: |
          {% for host in orchestrator_release.sides.live_hosts %}
          {{ hostvars[host].ansible_host }}:{{ hostvars[host].app_port }} {{ hostvars[host].of }}
          {% endfor %}
      delegate_to: localhost
      run_once: true
"""
GATE = {"name": "promise", "hosts": "web", "http": {"url": "http://{{ ansible_host }}:{{ app_port }}/gift-cards",
                                                    "contains": "{{ promised }}"}}  # fmt: skip
STEPS = [{"name": "deploy", "playbook": "playbooks/deploy.yml", "hosts": "web", "rollout": {
    "strategy": "blue_green", "blue_green": {"blue": "blue", "green": "green", "switch": "playbooks/switch.yml"}}}]  # fmt: skip


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """The shop with one staging host, and production on two stacks, of which none is there yet."""
    made = Project(tmp_path_factory.mktemp("stacks") / "project", env=store())
    made.root.mkdir()
    try:
        lay_shop(made)
        made.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
        made.write("environments/production/__main__.py", PROGRAM)
        made.write("environments/production/Pulumi.yaml", "name: production\nruntime: python\n")
        made.write("playbooks/switch.yml", SWITCH)
        router = tmp_path_factory.mktemp("router")
        made.env["ROUTER"] = str(router)
        words = f'vars: {{upstreams: "{router}/upstreams", promised: "PROMISED"}}\nisolation: {{write: [{router}]}}\n'
        for name, more in (
            ("staging", ""),
            ("production", "sides: {blue: production-blue, green: production-green}\n"),
        ):
            file = made.root / f"environments/{name}/environment.yaml"
            promised = words.replace("PROMISED", "10" if name == "staging" else "100")
            file.write_text(f"{file.read_text()}\n{promised}{more}")
        where = lay_release(made, "2.0.0", steps=STEPS)
        made.run("promote", where)
        yield made
    finally:
        made.clean()


def served(project: Project) -> tuple[str, str]:
    """The version that the service leads to, and the side."""
    line = Path(project.env["ROUTER"], "upstreams").read_text().splitlines()[0]
    place, _, side = line.partition(" ")
    with urllib.request.urlopen(f"http://{place}/version", timeout=5) as answer:
        return str(answer.read().decode()), side


def states(project: Project) -> dict[str, str]:
    """The digest of each side's stack, as its backend has it."""
    app = open_app(project.root, project.environ())
    try:
        return {
            side: app.services.provisioner.state_digest(spec)
            for side, spec in stacks_of(app.services, "production").items()
        }
    finally:
        app.store.close()


@pytest.mark.xdist_group("test_two_stacks")
def test_each_release_has_a_stack(two: Project) -> None:
    """The first release makes the blue stack, the second one the green one; a rollback switches, and touches neither; a failure puts back the one that is not live."""
    assert served(two) == ("2.0.0", "blue")
    assert set(two.releases("production")) == {"blue1", "blue2"}
    first = states(two)

    where = lay_release(two, "2.1.0", steps=STEPS)
    two.run("promote", where)
    assert served(two) == ("2.1.0", "green")
    assert two.releases("production") == {"blue1": "2.0.0", "blue2": "2.0.0", "green1": "2.1.0", "green2": "2.1.0"}
    second = states(two)
    assert (second["blue"] == first["blue"], second["green"] == first["green"]) == (True, False)
    assert two.run("drift", "production").code == 0

    two.run("rollback", "production", "--yes")
    assert served(two) == ("2.0.0", "blue")
    assert states(two) == second

    late = {"for": "500ms", "every": "500ms", "gates": [GATE]}
    where = lay_release(two, "2.2.0", steps=STEPS, watch=late)
    two.replace("environments/production/__main__.py", "(1, 2)", "(1, 2, 3)")
    two.run("promote", where, "--to", "staging")
    said = two.run("promote", where, "--to", "production", code=4)
    assert "gate promise" in said.err
    assert served(two) == ("2.0.0", "blue")
    assert set(two.releases("production").values()) == {"2.0.0"}
    assert "green3" not in two.releases("production")
    assert states(two)["blue"] == second["blue"]
    names = [step["name"] for step in two.story("production")["steps"]]
    assert names.index("switch.back") < names.index("restore.deploy") < names.index("restore.stack")

    two.run("environment", "destroy", "production", "--yes")
    assert not any(host.get("side") for host in two.status("production")["hosts"])
