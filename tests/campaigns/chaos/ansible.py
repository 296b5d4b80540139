"""Rows 31 to 34: Ansible and pytest fail in part, are killed, say what is not true, or never end."""

import base64
import contextlib
import json
import os
import random
import resource
import signal
import textwrap
from pathlib import Path

from orchestrator.adapters.testinfra.verifier import TestinfraVerifier
from orchestrator.domain.context import Context
from orchestrator.domain.plan import SuiteSpec
from orchestrator.domain.step import StepResult
from orchestrator.processes import _parents, command_line, family, tagged
from tests.adapters.ansible.conftest import FILES, Stage, outcomes
from tests.campaigns.chaos.hosts import PLAYS, Going, gone
from tests.campaigns.chaos.parts import nothing_left, stage, until
from tests.campaigns.chaos.table import Scene, needs, row
from tests.sealed import sealed

LOUD = """- name: Say much, and what is not true
  hosts: web
  gather_facts: false
  tasks:
    - name: Say much
      ansible.builtin.command: "{{ ansible_python_interpreter }} {{ host_root }}/loud.py"
      ignore_errors: "{{ inventory_hostname == 'web1' }}"
    - name: Leave a mark
      ansible.builtin.shell: echo mark >> {{ host_root }}/marks
"""


@row(31, "hosts are unreachable, fail, are ignored, or are none", quick=True)
def in_part(scene: Scene) -> str:
    """Each host is told as it was, and a play for nobody is no success."""
    made = stage(scene, files=FILES)
    failed = made.deploy("site.yml", "r1", 1, extra_vars={"fail_on": "web2"})
    assert outcomes(failed) == ["succeeded", "failed"], failed.message
    nobody = made.deploy("nobody.yml", "r2", 2)
    assert (nobody.outcome.value, nobody.data["code"]) == ("failed", "D102"), nobody.message
    gone(made)
    unreachable = made.deploy("site.yml", "r3", 3)
    assert outcomes(unreachable) == ["succeeded", "unknown"], unreachable.message
    assert unreachable.touched() == ("web1",)
    return "one failed, one unreachable, no host matched: each told so"


@row(31, "the status is 0, and hosts have failed")
def forgiven(scene: Scene) -> str:
    """A play that forgives every failure, so that Ansible ends with 0: only what was forgiven on purpose is good."""
    text = FILES["plays/site.yml"] + "      ignore_errors: true\n"
    cleared = FILES["plays/site.yml"] + "    - ansible.builtin.meta: clear_host_errors\n"
    made = stage(scene, files={**FILES, "plays/site.yml": text, "plays/cleared.yml": cleared})
    ignored = made.deploy("site.yml", "r1", 1, extra_vars={"fail_on": "web2"})
    assert outcomes(ignored) == ["succeeded", "succeeded"], ignored.message
    result = made.deploy("cleared.yml", "r2", 2, extra_vars={"fail_on": "web2"})
    assert outcomes(result) == ["succeeded", "failed"], (outcomes(result), result.message)
    assert not result.good
    return f"ignored: good; failed and cleared: {result.outcome.value}"


def _killed(scene: Scene, what: str) -> str:
    """`kill -9` of one part of a play: nothing of it is left, and a second attempt makes it good."""
    made = stage(scene, files=PLAYS)
    hold = Path(made.hosts[1].root) / "hold"
    hold.touch()
    scene.end.callback(hold.unlink, missing_ok=True)
    going = Going(made, "r1", 1, timeout=30.0)
    until(lambda: made.marks() == [1, 1], "the module works")
    folder = made.jobs.folder("r1.deploy.1")
    for process in _victims(made, folder, what):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    first = going.wait()
    hold.unlink()
    assert not first.good, outcomes(first)
    nothing_left(folder)
    second = made.deploy("deploy.yml", "r1", 1, step="deploy.1~2")
    assert outcomes(second) == ["succeeded", "succeeded"], second.message
    again = 2 if what == "module" else 1  # what lives on at the host comes to its end, and is not done again
    assert made.marks() == [1, again], made.marks()
    return f"{first.outcome.value} after {first.seconds:.0f} s, then made good"


@row(32, "ansible-playbook is killed")
def parent(scene: Scene) -> str:
    """`kill -9` of the playbook's own process."""
    return _killed(scene, "parent")


@row(32, "a worker of ansible-playbook is killed")
def worker(scene: Scene) -> str:
    """`kill -9` of the process that does one host's task."""
    return _killed(scene, "worker")


@row(32, "a module is killed on its host")
def module(scene: Scene) -> str:
    """`kill -9` of what Ansible has started on the host, with its children."""
    return _killed(scene, "module")


def _victims(made: Stage, folder: Path, what: str) -> list[int]:
    """The processes to kill."""
    if what == "module":
        on_host = tagged(made.hosts[1].mark)
        return family([process for process in on_host if "orchestrator_remote" in command_line(process)])
    parents, here = _parents(), tagged(f"ORCHESTRATOR_JOB={folder}")
    ours = [process for process in here if "bin/ansible-playbook" in command_line(process)]
    top = [process for process in ours if parents.get(process) not in ours]
    return top if what == "parent" else [process for process in ours if parents.get(process) in top]


@row(32, "Ansible runs out of memory")
def starved(scene: Scene) -> str:
    """`prlimit --as` on ansible-playbook in the middle: it fails, bounded, and a second attempt makes it good."""
    needs()
    made = stage(scene, files=PLAYS)
    hold = Path(made.hosts[0].root) / "hold"
    hold.touch()
    scene.end.callback(hold.unlink, missing_ok=True)
    going = Going(made, "r1", 1, timeout=20.0)
    until(lambda: made.marks()[0] == 1, "the module works")
    folder = made.jobs.folder("r1.deploy.1")
    for process in (*_victims(made, folder, "parent"), *_victims(made, folder, "worker")):
        resource.prlimit(process, resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
    hold.unlink()
    first = going.wait()
    nothing_left(folder)
    second = made.deploy("deploy.yml", "r1", 1, step="deploy.1~2")
    assert outcomes(second) == ["succeeded", "succeeded"], second.message
    assert made.marks() == [1, 1], made.marks()
    return f"{first.outcome.value} ({first.data.get('code')}), and then made good, once"


@row(33, "a host's output is huge, binary, and forges events")
def loud(scene: Scene) -> str:
    """Megabytes of any bytes, among them what Ansible's runner takes for events: none of it is believed."""
    made = stage(scene, files={**PLAYS, "plays/loud.yml": LOUD})
    for number, host in enumerate(made.hosts):
        (Path(host.root) / "loud.py").write_text(_loud(made, scene.rng, number))
    result = made.deploy("loud.yml", "r1", 1)
    told = json.dumps([entry.to_json() for entry in made.entries]) + json.dumps(result.to_json())
    assert outcomes(result) == ["succeeded", "failed"], (outcomes(result), result.message[:500])
    assert made.marks() == [1, 0], made.marks()
    tasks = {str(entry.data.get("task")) for entry in made.entries}
    assert not {task for task in tasks if task.startswith("forged")}, tasks
    assert "\\u001b" not in told
    size = (made.jobs.folder("r1.deploy.1") / "events.jsonl").stat().st_size
    assert size < 500_000, size
    return f"8 MB from two hosts: {size} bytes of events, none of them forged"


def _loud(made: Stage, rng: random.Random, number: int) -> str:
    """A program of the host that says what it should not, and fails."""
    other = made.hosts[1 - number].name
    about = {"host": other, "task": "forged", "task_action": "command", "res": {"changed": True}}
    events = [
        {"event": "runner_on_ok", "event_data": about},
        {"event": "runner_on_unreachable", "event_data": about},
        {
            "event": "playbook_on_stats",
            "event_data": {"ok": {"web1": 9, "web2": 9}, "processed": {"web1": 1, "web2": 1}},
        },
        {"uuid": "../../../../etc/passwd", "event": "runner_on_failed", "event_data": about},
    ]
    coded = [base64.b64encode(json.dumps(event).encode()).decode() for event in events]
    forged = "".join(f"\x1b[K{text}\x1b[{len(text)}D\x1b[K\n" for text in coded)
    junk = bytes(rng.randrange(256) for _ in range(4096))
    return (
        "import sys\n"
        f"forged, junk = {forged!r}, {junk!r}\n"
        "for out in (sys.stdout.buffer, sys.stderr.buffer):\n"
        "    out.write(forged.encode() + junk * 512 + forged.encode())\n"
        "sys.exit(3)\n"
    )


SUITES: dict[str, tuple[str, set[str]]] = {
    "it has no test": ("import os\n", {"V102"}),
    "it leaves with 0 before its end": ("import os\n\ndef test_a():\n    pass\n\ndef test_b():\n    os._exit(0)\n", {"V105", "V107"}),
    "it crashes": ("import os, signal\n\ndef test_a():\n    os.kill(os.getpid(), signal.SIGSEGV)\n", {"V105", "V107"}),
    "it fails at every second time": (
        """
        def test_a(host):
            seen = host.run("echo x >> {root}/flap; wc -l < {root}/flap")
            assert int(seen.stdout) % 2 == 0
        """,
        {"V101"},
    ),
    "it hangs, and forks": (
        """
        import subprocess, sys, time

        def test_a():
            pass

        def test_b():
            code = "import os, time\\nfor _ in range(5):\\n    os.fork()\\nos.setsid()\\ntime.sleep(300)"
            for _ in range(3):
                subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
            time.sleep(300)
        """,
        {"V104"},
    ),
}  # fmt: skip


@row(34, "a suite proves nothing, crashes, flaps, hangs or forks")
def suites(scene: Scene) -> str:
    """None of them passes, each is named for what it is, and of none a process is left."""
    made, told = stage(scene, files=FILES), []
    host = made.hosts[0]
    for number, (name, (text, codes)) in enumerate(SUITES.items()):
        result, folder = _verify(made, number, textwrap.dedent(text).replace("{root}", host.root))
        assert not result.good, f"{name}: it passed"
        assert result.data.get("code") in codes, f"{name}: {result.data.get('code')}: {result.message}"
        nothing_left(folder)
        told.append(str(result.data["code"]))
    return f"{', '.join(SUITES)}: {', '.join(told)}"


def _verify(made: Stage, number: int, text: str) -> tuple[StepResult, Path]:
    content = made.folder / f"suite{number}"
    (content / "tests").mkdir(parents=True)
    (content / "tests" / "test_it.py").write_text(f'testinfra_hosts = ["ansible://web1"]\n{text}')
    package = sealed(content, made.package.manifest.release.model_copy(update={"artifacts": ()}))
    verifier = TestinfraVerifier(made.jobs, os.environ, made.deployer.resolver)
    suite = SuiteSpec(name="smoke", tests="tests", limit=("web1",), args=(), timeout=12.0)
    job = f"r{number}.verify"
    context = Context(run=f"r{number}", environment="test")
    result = verifier.verify(suite, package, made.inventory, context, job, made.entries.append)
    return result, made.jobs.folder(job)
