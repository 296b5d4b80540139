"""Playbooks as they are read before they run: what is written out is known, what is templated is said to be unseen."""

from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.adapters.ansible.playbook_model import Playbook
from orchestrator.adapters.ansible.playbook_reader import PlaybookReader


def read(folder: Path, files: dict[str, str], playbook: str = "site.yml") -> Playbook:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return PlaybookReader(folder, [folder / "roles"], [folder / "collections"]).read(folder / playbook)


def tasks(book: Playbook) -> list[str]:
    return [f"{task.module} {task.where.file}:{task.where.line}" for task in book.tasks]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"site.yml": "- hosts: all\n  tasks:\n  - ping:\n"}, ["ping site.yml:3"]),
        (
            {"site.yml": "- import_playbook: apps/one.yml\n- hosts: all\n  tasks:\n  - ansible.builtin.debug: msg=a\n",
             "apps/one.yml": "- hosts: web\n  roles: [base]\n", "apps/roles/base/tasks/main.yml": "- ping:\n"},
            ["ping apps/roles/base/tasks/main.yml:1", "debug site.yml:4"],
        ),
        (
            {"site.yml": "- hosts: all\n  tasks:\n  - block:\n    - import_tasks: t/a.yml\n    rescue:\n    - fail:\n",
             "t/a.yml": "- include_tasks: b.yml\n- command: a\n", "t/b.yml": "- shell: b\n"},
            ["shell t/b.yml:1", "command t/a.yml:2", "fail site.yml:6"],
        ),
        (
            {"site.yml": "- hosts: all\n  tasks:\n  - include_role: {name: app, tasks_from: other.yml}\n",
             "roles/app/tasks/other.yml": "- import_tasks: more.yaml\n", "roles/app/tasks/more.yaml": "- copy:\n",
             "roles/app/meta/main.yml": "dependencies:\n- role: base\n", "roles/base/tasks/main.yaml": "- user:\n",
             "roles/app/handlers/main.yml": "- name: again\n  service: name=a\n"},
            ["user roles/base/tasks/main.yaml:1", "copy roles/app/tasks/more.yaml:1", "service roles/app/handlers/main.yml:1"],
        ),
        (
            {"site.yml": "- hosts: all\n  roles:\n  - acme.tools.web\n",
             "collections/ansible_collections/acme/tools/roles/web/tasks/main.yml": "- ping:\n"},
            ["ping collections/ansible_collections/acme/tools/roles/web/tasks/main.yml:1"],
        ),
        (
            {"site.yml": "- hosts: all\n  collections: [acme.tools]\n  roles: [web]\n",
             "collections/ansible_collections/acme/tools/roles/web/tasks/main.yml": "- ping:\n"},
            ["ping collections/ansible_collections/acme/tools/roles/web/tasks/main.yml:1"],
        ),
        (
            {"site.yml": "- hosts: all\n  vars: {a: !vault aaaa, b: !unsafe '{{ x }}'}\n  tasks:\n  - {action: command ls}\n  - local_action: {module: uri, url: a}\n"},
            ["command site.yml:4", "uri site.yml:5"],
        ),
        (
            {"site.yml": "- hosts: all\n  vars: &v {a: 1}\n  pre_tasks:\n  - &t {ping: , vars: {<<: *v}}\n  tasks:\n  - *t\n"},
            ["ping site.yml:4", "ping site.yml:4"],
        ),
        ({"site.yml": "- hosts: all\n  tasks: [[{ping: }], {import_tasks: a.yml}]\n", "a.yml": "- import_tasks: a.yml\n- ping:\n"}, ["ping site.yml:2", "ping a.yml:2"]),
    ],
)  # fmt: skip
def test_tasks_are_found_where_they_are_written(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    """Imported playbooks and tasks, literal includes, roles, their dependencies and handlers, blocks and aliases."""
    assert tasks(read(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("text", "unseen"),
    [
        ("- hosts: all\n  tasks:\n  - include_tasks: '{{ os }}.yml'\n", "include_tasks {{ os }}.yml"),
        ("- hosts: all\n  roles: ['{{ which }}']\n", "role {{ which }}"),
        ("- hosts: all\n  roles: [nowhere]\n", "role nowhere"),
        ("- hosts: all\n  tasks:\n  - include_role: {name: '{{ a }}'}\n", "role {{ a }}"),
        ("- hosts: all\n  tasks:\n  - import_tasks: nowhere.yml\n", "import_tasks nowhere.yml"),
    ],
)
def test_what_only_the_run_will_show_is_unseen(tmp_path: Path, text: str, unseen: str) -> None:
    """A templated name, and a file that is absent, is recorded with its place and never guessed."""
    play = read(tmp_path, {"site.yml": text}).plays[0]
    assert [what for what, _ in play.unseen] == [unseen]
    assert str(play.unseen[0][1]).startswith("site.yml:")


def test_keywords_of_blocks_and_imports_hold_for_their_tasks(tmp_path: Path) -> None:
    """Tags add up, `run_once` and `delegate_to` come from the block, and an include hands on its tags alone."""
    text = """\
    - hosts: web
      tags: play
      tasks:
      - run_once: true
        delegate_to: db1
        tags: [block, a]
        block:
        - command: one
          tags: own
        - import_tasks: more.yml
      - include_tasks: more.yml
        run_once: true
        tags: dynamic
    """
    book = read(tmp_path, {"site.yml": text, "more.yml": "- command: two\n"})
    found = [(task.run_once, task.delegate_to, sorted(task.tags)) for task in book.tasks]
    assert found == [
        (True, "db1", ["a", "block", "own", "play"]),
        (True, "db1", ["a", "block", "play"]),
        (False, "", ["dynamic", "play"]),
    ]


def test_variables_are_found_with_their_place(tmp_path: Path) -> None:
    """Variables of plays, tasks, roles and files, facts, results of tasks, loop variables and prompts."""
    files = {
        "site.yml": """\
        - hosts: all
          vars: {a: 1}
          vars_files: [v.yml]
          vars_prompt: [{name: b, default: x}]
          roles: [{role: r, vars: {c: 1}}]
          tasks:
          - {set_fact: {d: 1}, register: e, loop: [1], loop_control: {loop_var: f}, vars: {g: 1}}
          - set_fact: h=1
        """,
        "v.yml": "i: 1\n",
        "roles/r/defaults/main.yml": "j: 1\n",
        "roles/r/vars/main.yml": "---\n\nk: 1\n",
        "roles/r/tasks/main.yml": "- include_vars: l.yml\n",
        "roles/r/vars/l.yml": "m: 1\n",
    }
    found = {item.name: str(item.where) for item in read(tmp_path, files).definitions}
    assert set(found) == set("abcdefghijkm")
    assert (found["k"], found["d"], found["j"]) == (
        "roles/r/vars/main.yml:3",
        "site.yml:7",
        "roles/r/defaults/main.yml:1",
    )


def test_a_templated_import_of_a_playbook_is_unseen(tmp_path: Path) -> None:
    """An imported playbook whose name is templated, or that is absent, is named with its place."""
    book = read(tmp_path, {"site.yml": "- import_playbook: '{{ x }}.yml'\n- import_playbook: absent.yml\n"})
    assert [(what, str(where)) for what, where in book.imports_unseen] == [
        ("{{ x }}.yml", "site.yml:1"),
        ("absent.yml", "site.yml:2"),
    ]


@pytest.mark.parametrize("text", ["a: [", "\x00", "$ANSIBLE_VAULT;1.1;AES256\n61\n", "[" * 100 + "]" * 100])
def test_a_playbook_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    """Broken, encrypted and absurdly nested YAML is a `ValueError` and nothing else."""
    with pytest.raises(ValueError, match=r"."):
        read(tmp_path, {"site.yml": text})


@pytest.mark.parametrize("text", ["", "a: 1\n", "- 1\n- [2]\n- hosts: {a: 1}\n  tasks: 5\n  roles: {a: {b: 1}}\n  vars_prompt: x\n",
                                  "- hosts: all\n  tasks:\n  - {}\n  - {when: x}\n  - {name: [1], command: {a: 1}, tags: 5}\n"])  # fmt: skip
def test_what_is_no_playbook_is_read_without_a_crash(tmp_path: Path, text: str) -> None:
    """A file in the wrong shape has no plays, or plays without tasks: Ansible itself reports what is wrong."""
    assert read(tmp_path, {"site.yml": text}) is not None


def test_a_play_knows_its_hosts(tmp_path: Path) -> None:
    """Host patterns as text or list, on the controller or not; a play without a name is called by its hosts."""
    text = "- hosts: [localhost]\n- {hosts: [web, db], name: both}\n- hosts: 127.0.0.1\n- hosts: localhost,web\n"
    plays = read(tmp_path, {"site.yml": text}).plays
    assert [(play.name, play.hosts, play.local) for play in plays] == [
        ("localhost", "localhost", True), ("both", "web,db", False), ("127.0.0.1", "127.0.0.1", True),
        ("localhost,web", "localhost,web", False),
    ]  # fmt: skip
