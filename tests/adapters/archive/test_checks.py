"""What `build` finds in playbooks before Ansible runs: each fault with its line, and nothing where by hand it works."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from orchestrator.adapters.archive.checks import Declared, StaticChecks
from tests.adapters.archive.conftest import release

KEEPS = Declared("staging", "environments/staging/environment.yaml", controller_files=("credentials/",))
LOSES = Declared("staging", "environments/staging/environment.yaml", controller_files=())


def faults(folder: Path, files: dict[str, str], *declared: Declared, **changes: Any) -> list[str]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))
    steps = [{"name": "deploy", "playbook": "site.yml", **changes.pop("step", {})}]
    made = release(steps=steps, **changes)
    paths = {"ANSIBLE_ROLES_PATH": str(folder / "roles"), "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections")}
    found = StaticChecks(folder, made, lambda _playbook: paths, declared).errors()
    assert all(error.hint for error in found)
    return [f"{error.code} {error.where}" for error in found]


def play(tasks: str = "", **files: str) -> dict[str, str]:
    return {"site.yml": "- hosts: web\n  tasks:\n" + "".join(f"  {line}\n" for line in tasks.splitlines()), **files}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- import_playbook: '{{ env }}.yml'\n", ["P126 site.yml:1"]),
        ('- ansible.builtin.import_playbook: "{% if a %}b.yml{% endif %}"\n', ["P126 site.yml:1"]),
        ("- import_playbook: other.yml\n  when: a\n", []),
    ],
)  # fmt: skip
def test_a_templated_import_of_a_playbook_is_refused(tmp_path: Path, text: str, found: list[str]) -> None:
    """A playbook whose name only the run will show could not be planned; a literal one with a condition can."""
    assert faults(tmp_path, {"site.yml": text, "other.yml": "- hosts: all\n"}) == found


@pytest.mark.parametrize(
    ("tasks", "step", "found"),
    [
        ("- pause: {prompt: 'Sure?'}", {}, ["P127 site.yml:3"]),
        ("- ansible.builtin.pause:", {}, ["P127 site.yml:3"]),
        ("- pause: prompt='Sure?'", {}, ["P127 site.yml:3"]),
        ("- pause: {prompt: 'Sure?', seconds: 5}", {}, []),
        ("- pause: minutes=1", {}, []),
        ("- {pause: {prompt: 'Sure?'}, when: asked}", {}, []),
        ("- {pause: {prompt: 'Sure?'}, tags: [ask]}", {"skip_tags": ["ask"]}, []),
        ("- {pause: {prompt: 'Sure?'}, tags: [ask]}", {"tags": ["deploy"]}, []),
        ("- {pause: {prompt: 'Sure?'}, tags: [ask, always]}", {"tags": ["deploy"]}, ["P127 site.yml:3"]),
        ("- {pause: {prompt: 'Sure?'}, tags: [never, ask]}", {}, []),
    ],
)
def test_a_task_that_waits_for_an_answer_is_found(tmp_path: Path, tasks: str, step: Any, found: list[str]) -> None:
    """`pause` without a time waits for the enter key; one that a condition or tags may leave out does not count."""
    assert faults(tmp_path, play(tasks), step=step) == found


def test_prompts_of_a_play(tmp_path: Path) -> None:
    """`vars_prompt` without a default is found; a default, and an extra variable, is an answer."""
    text = """\
    - hosts: web
      vars_prompt:
      - {name: colour, default: blue}
      - {name: version}
      - name: token
        private: true
    """
    assert faults(tmp_path, {"site.yml": text}) == ["P127 site.yml:4", "P127 site.yml:5"]
    assert faults(tmp_path, {}, step={"extra_vars": {"version": 1}}) == ["P127 site.yml:5"]
    answers = [Declared(name, "e.yaml", extra_vars=frozenset({"token"})) for name in ("staging", "production")]
    assert faults(tmp_path, {}, *answers, step={"extra_vars": {"version": 1}}) == []
    assert faults(tmp_path, {}, answers[0], LOSES, step={"extra_vars": {"version": 1}}) == ["P127 site.yml:5"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("[defaults]\nask_pass = True\n", ["P127 ansible.cfg:2"]),
        ("[defaults]\nask_vault_pass=yes\n\n[privilege_escalation]\nbecome = true\nbecome_ask_pass = 1\n", ["P127 ansible.cfg:2", "P127 ansible.cfg:6"]),
        ("[defaults]\nask_pass = no\n", []),
        ("[defaults]\n# ask_pass = True\n", []),
        ("no settings", []),
    ],
)  # fmt: skip
def test_settings_that_ask_for_a_password(tmp_path: Path, settings: str, found: list[str]) -> None:
    """`ask_pass`, `ask_vault_pass` and `become_ask_pass` in the `ansible.cfg` that counts are found with their line."""
    assert faults(tmp_path, play("- ping:", **{"ansible.cfg": settings})) == found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("lookup('password', 'credentials/db')", []),
        ("lookup('password', 'credentials/a/db length=15')", []),
        ("lookup('password', 'secrets/db length=15')", ["P128 site.yml:3"]),
        ("lookup('ansible.builtin.password', 'secrets/db')", ["P128 site.yml:3"]),
        ("query('password', 'secrets/db')", ["P128 site.yml:3"]),
        ("lookup( 'password' , 'secrets/' ~ inventory_hostname)", ["P128 site.yml:3"]),
        ("lookup('password', '/dev/null length=8')", []),
        ("lookup('password', where)", []),
        ("lookup('file', 'secrets/db')", []),
    ],
)
def test_a_password_that_no_environment_keeps_is_found(tmp_path: Path, expression: str, found: list[str]) -> None:
    """A literal path of `lookup('password')` must be below `controller_files` of each environment."""
    files = play(f'- debug: {{msg: "{{{{ {expression} }}}}"}}')
    assert faults(tmp_path, files, KEEPS) == found
    if found:
        assert faults(tmp_path, files) == []  # no environment of it is known here


def test_the_line_to_add_for_a_password_is_named(tmp_path: Path) -> None:
    """The hint has the environment's file and the folder, as the playbook's folder makes it; templates count too."""
    (tmp_path / "plays/templates").mkdir(parents=True)
    (tmp_path / "plays/site.yml").write_text("- hosts: web\n  tasks:\n  - template: {src: a.j2, dest: /x}\n")
    (tmp_path / "plays/templates/a.j2").write_text("one\n{{ lookup('password', 'credentials/db') }}\n")
    made = release(steps=[{"name": "deploy", "playbook": "plays/site.yml"}])
    paths = {"ANSIBLE_ROLES_PATH": "", "ANSIBLE_COLLECTIONS_PATH": ""}
    (error,) = StaticChecks(tmp_path, made, lambda _playbook: paths, (KEEPS,)).errors()
    assert str(error.where) == "plays/templates/a.j2:2"
    assert error.hint == "add to environments/staging/environment.yaml: controller_files: [plays/credentials/]"


def test_a_name_that_is_ours_is_found_wherever_it_is_given(tmp_path: Path) -> None:
    """Role defaults, variables of groups and hosts, files, plays, facts and results, and the release's; the root is the user's."""
    files = play(
        "- set_fact: {orchestrator_a: 1}\n- {ping: , register: orchestrator_b}\n- {debug: {msg: '{{ orchestrator_release }}'}}",
        **{
            "group_vars/all.yml": "orchestrator_root: /srv/shop\norchestrator_c: 1\n",
            "inventory/host_vars/web1/x.yml": "orchestrator_d: 1\n",
            "roles/r/defaults/main.yml": "orchestrator_e: 1\n",
            "other.yml": "- hosts: web\n  roles: [r]\n  vars:\n    orchestrator_f: 1\n    orchestrator_root: /srv\n  vars_files: [v.yml]\n",
            "v.yml": "orchestrator_g: 1\nmy_orchestrator_x: 1\n",
        },
    )
    files["site.yml"] += "- import_playbook: other.yml\n"
    assert sorted(faults(tmp_path, files, vars={"orchestrator_h": 1})) == [
        "P129 None",
        "P129 group_vars/all.yml:2",
        "P129 inventory/host_vars/web1/x.yml:1",
        "P129 other.yml:4",
        "P129 roles/r/defaults/main.yml:1",
        "P129 site.yml:3",
        "P129 site.yml:4",
        "P129 v.yml:1",
    ]


FACTS = "- debug: {msg: \"{{ hostvars[groups['web'][0]].ansible_eth0 }}\"}"


@pytest.mark.parametrize(
    ("rollout", "hosts", "more", "found"),
    [
        ({"batches": [1, "100%"]}, "web", "", ["P130 site.yml:3"]),
        ({"strategy": "canary"}, "web", "", ["P130 site.yml:3"]),
        ({}, "web", "", []),
        ({}, "all", "", []),
        ({}, "all", "- hosts: db\n", []),
        ({}, "web", "- hosts: db\n", ["P130 site.yml:3"]),
        ({}, "web", "- hosts: localhost\n", []),
    ],
)
def test_facts_of_hosts_outside_the_batch_are_refused(
    tmp_path: Path, rollout: Any, hosts: str, more: str, found: list[str]
) -> None:
    """They are known by hand and not in a batch; a step over all hosts at once has them."""
    files = play(FACTS)
    files["site.yml"] += more
    assert faults(tmp_path, files, step={"hosts": hosts, "rollout": rollout}) == found


@pytest.mark.parametrize(
    ("tasks", "found"),
    [
        ("- {command: a, tags: [migrate]}", []),
        ("- {command: a}", ["P131 None"]),
        ("- {include_tasks: '{{ x }}.yml'}", []),
        ("- {command: a, tags: migrate, register: r}\n- debug: {var: r}", ["P131 site.yml:3"]),
        ("- {command: a, tags: migrate, register: r}\n- {debug: {var: r}, tags: migrate}", []),
        ("- {set_fact: {r: 1}, tags: migrate}\n- {ping: , when: r == 1}", ["P131 site.yml:3"]),
    ],
)
def test_work_that_cannot_run_once_is_refused(tmp_path: Path, tasks: str, found: list[str]) -> None:
    """A tag that nothing has, and a result that later batches would lack."""
    step = {"rollout": {"batches": [1], "once": {"first": ["migrate"]}}}
    assert faults(tmp_path, play(tasks), step=step) == found


@pytest.mark.parametrize("word", ["--co", "--collect-only", "--setup-plan", "--setup-only", "--fixtures", "--markers", "-h", "--version"])  # fmt: skip
def test_a_suite_that_runs_no_test_is_refused(tmp_path: Path, word: str) -> None:
    """Options with which pytest runs no test can never count as passed."""
    verify = [{"name": "smoke", "tests": "tests", "args": ["-q", word]}]
    assert faults(tmp_path, play("- ping:"), verify=verify) == ["P133 None"]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("pytest.ini", "[pytest]\naddopts = -q --co\n", True),
        ("tests/setup.cfg", "[tool:pytest]\naddopts = --fixtures\n", True),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = ['-q', '--setup-only']\n", True),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '--collect-only'\n", True),
        ("tox.ini", "[testenv]\ncommands = pytest --collect-only\n[pytest]\naddopts = --lf\n", False),
        ("pytest.ini", "[pytest\n", False),
    ],
)
def test_sealed_settings_that_run_no_test_are_refused(tmp_path: Path, name: str, text: str, found: bool) -> None:
    """`addopts` in the settings file of pytest that counts for the suite, in each of its shapes."""
    assert faults(tmp_path, play("- ping:", **{name: text, "tests/smoke/test_a.py": ""})) == (
        [f"P133 {name}"] if found else []
    )
