"""What of a playbook batches change, what only the run decides, and what does its work again."""

from pathlib import Path

import pytest

from orchestrator.adapters.ansible.playbook_traits import sources
from tests.adapters.ansible.conftest import Stage
from tests.adapters.ansible.test_playbook_model import read


def traits(folder: Path, tasks: str, play: str = "hosts: web", **files: str) -> list[str]:
    text = f"- {play}\n  tasks:\n" + "".join(f"  {line}\n" for line in tasks.splitlines())
    named = {name.replace("__", "/").replace("_j2", ".j2"): content for name, content in files.items()}
    (found,) = sources(read(folder, {"site.yml": text, **named}))
    return [f"{trait.kind} {trait.what}" for trait in found.traits]


@pytest.mark.parametrize(
    ("tasks", "play", "expected"),
    [
        ("- {name: m, ping: , run_once: true}", "hosts: web", ["run_once m"]),
        ("- {name: m, ping: , run_once: '{{ x }}'}", "hosts: web", []),
        ("- meta: end_play\n- ansible.builtin.meta: end_host\n- meta: flush_handlers", "hosts: web",
         ["end_play meta: end_play", "end_host meta: end_host"]),
        ("- add_host: {name: new}\n- group_by: {key: 'os_{{ x }}'}", "hosts: web", ["add_host add_host", "group_by group_by"]),
        ("- {name: b, ping: , async: 60, poll: 0}", "hosts: web", ["background b"]),
        ("- {name: b, ping: , async: 60, poll: 0, register: r}\n- async_status: {jid: '{{ r.x }}'}", "hosts: web", []),
        ("- {name: b, ping: , async: 60, poll: 5}", "hosts: web", []),
        ("- ping:", "{hosts: web, serial: [1, 5], any_errors_fatal: true, max_fail_percentage: 30}",
         ["serial serial: [1, 5]", "fatal any_errors_fatal: True", "fatal max_fail_percentage: 30"]),
        ("- ping:", "{hosts: web, any_errors_fatal: false, vars_prompt: [{name: a, default: b}, {name: c}]}", ["prompt a"]),
        ("- debug: {msg: '{{ ansible_play_hosts_all | first }}'}", "hosts: web", ["play_hosts ansible_play_hosts_all"]),
    ],
)  # fmt: skip
def test_what_batches_change(tmp_path: Path, tasks: str, play: str, expected: list[str]) -> None:
    """`run_once`, `meta`, `add_host`, background tasks, `serial`, limits on failures, prompts, hosts of the play."""
    text = f"- {play}\n  tasks:\n" if not play.startswith("{") else f"- <<: {play}\n  tasks:\n"
    folder = read(tmp_path, {"site.yml": text + "".join(f"  {line}\n" for line in tasks.splitlines())})
    assert [f"{trait.kind} {trait.what}" for trait in sources(folder)[0].traits] == expected


@pytest.mark.parametrize(
    ("task", "repeated"),
    [
        ("command: ls", True),
        ("ansible.builtin.shell: echo a >> /tmp/x", True),
        ("raw: ls", True),
        ("script: a.sh", True),
        ("ansible.windows.win_command: dir", True),
        ("command: {cmd: make, creates: /x}", False),
        ("command: make creates=/x", False),
        ("{command: make, args: {removes: /x}}", False),
        ("{command: make, changed_when: false}", False),
        ("copy: {content: a, dest: /x}", False),
    ],
)
def test_a_step_that_does_its_work_again_says_so(tmp_path: Path, task: str, repeated: bool) -> None:
    """A command without `creates`, `removes` and `changed_when` is not idempotent by its own word."""
    assert traits(tmp_path, f"- {task}") == (
        ["repeats " + sources(read(tmp_path, {}))[0].traits[0].what] if repeated else []
    )


@pytest.mark.parametrize(
    ("tasks", "files", "found"),
    [
        ("- debug: {msg: \"{{ hostvars[groups['web'][0]].ansible_default_ipv4.address }}\"}", {}, True),
        ("- debug: {msg: \"{{ hostvars['web1']['ansible_facts'].x }}\"}", {}, True),
        ("- template: {src: a.j2, dest: /x}", {"templates__a_j2": "\n{% for h in groups.web %}{{ hostvars[h].ansible_eth0 }}{% endfor %}\n"}, True),
        ("- debug: {msg: \"{{ groups['web'] | map('extract', hostvars, ['ansible_eth0', 'a']) }}\"}", {}, True),
        ("- {command: x creates=y, register: token}\n- debug: {msg: \"{{ hostvars['web1'].token.stdout }}\"}", {}, True),
        ("- debug: {msg: \"{{ hostvars[groups['web'][0]].ansible_host }}\"}", {}, False),
        ('- debug: {msg: "{{ hostvars[inventory_hostname].ansible_eth0 }}"}', {}, False),
        ("- debug: {msg: \"{{ hostvars['localhost'].ansible_eth0 }}\"}", {}, False),
        ("- debug: {msg: \"{{ hostvars[groups['db'][0]].ansible_eth0 }}\"}", {}, False),
        ("- {setup: , delegate_to: '{{ item }}', delegate_facts: true, loop: [web1]}\n- debug: {msg: \"{{ hostvars['web1'].ansible_eth0 }}\"}", {}, False),
        ("- add_host: {name: holder, token: a}\n- {set_fact: {token: b}}\n- debug: {msg: \"{{ hostvars['holder'].token }}\"}", {}, False),
    ],
)  # fmt: skip
def test_facts_of_other_hosts(tmp_path: Path, tasks: str, files: dict[str, str], found: bool) -> None:
    """Facts and results of other hosts are found in tasks and templates; variables of the inventory are none."""
    assert any(trait.startswith("facts ") for trait in traits(tmp_path, tasks, **files)) is found


def test_the_plays_of_a_package_are_read_with_the_roles_of_its_project(stage: Stage) -> None:
    """The deployer lists the plays of a sealed playbook, with the roles beside it; an absent one is named as unseen."""
    (play,) = stage.deployer.plays("plays/beside.yml", stage.package)
    assert (play.hosts, play.unseen) == ("all", ())
    (absent,) = stage.deployer.plays("plays/absent.yml", stage.package)
    assert (absent.hosts, len(absent.unseen)) == ("", 1)
