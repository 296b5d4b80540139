"""The events of ansible-runner as lines of ours."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible.events import Translator

SPEC = {"project": "/content", "own": "/job/around.yml", "check": False, "stdout": 0}
CENSORED = {"censored": "the output has been hidden due to the fact that 'no_log: true' was specified for this result"}


@pytest.mark.parametrize(
    ("result", "stdout", "outcome"),
    [
        ({"changed": True}, "changed: [web1]", "changed"),
        ({"changed": False}, "ok: [web1]", "ok"),
        (CENSORED, "changed: [web1]", "changed"),
        (CENSORED, "\x1b[0;33mchanged: [web1] => (item=None)\x1b[0m\n\x1b[0;33mchanged: [web1]\x1b[0m", "changed"),
        (CENSORED, "ok: [web1]", "ok"),
        ({"changed": False, "msg": "changed: [web1]"}, "ok: [web1] => changed: [x]", "ok"),
    ],
)
def test_a_task_that_keeps_its_result_back_is_changed_when_ansible_says_so(
    tmp_path: Path, result: dict[str, Any], stdout: str, outcome: str
) -> None:
    """A task with `no_log` is reported as changed or not, as by hand."""
    data = {"host": "web1", "task": "Write the key", "task_action": "copy", "res": result}
    line = Translator(SPEC, tmp_path).translate({"event": "runner_on_ok", "event_data": data, "stdout": stdout})
    assert line is not None
    assert line["outcome"] == outcome


def test_a_task_of_an_isolated_play_is_found_in_its_copy(tmp_path: Path) -> None:
    """An isolated play has its copy at the path of the project: what is shown has no such path, what is read is the copy's."""
    spec = {**SPEC, "project": "/shop/ansible", "content": "/shop", "copy": "/jobs/one/content"}
    data = {
        "host": "web1",
        "task": "one",
        "task_path": "/shop/ansible/site.yml:7",
        "res": {"msg": "no /shop/ansible/x"},
    }
    line = Translator(spec, tmp_path).translate({"event": "runner_on_failed", "event_data": data, "stdout": ""})
    assert line is not None
    assert (line["at"], line["where"]) == ("/jobs/one/content/ansible/site.yml:7", "site.yml:7")
    assert line["message"] == "no ansible/x"
