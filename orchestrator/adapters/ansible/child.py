"""One run of one playbook: the child part of the Ansible adapter.

In its folder (`ORCHESTRATOR_JOB`) it finds `spec.json`, runs ansible-runner with it, writes what happened to each
host and task into its events, and leaves `result.json`. The event handler only puts events into a queue: a slow
handler makes the runner give up.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path

from orchestrator.adapters.ansible.events import Translator
from orchestrator.adapters.ansible.pipe import PipedProcess
from orchestrator.adapters.ansible.prompts import Prompts, lay_askpass
from orchestrator.processes import events_of, kill_tree
from orchestrator.trees import discard

AT_ITS_END = (0, 2, 4)  # all hosts done, some failed, some unreachable: no process is left
SETTINGS = {"suppress_ansible_output": False, "suppress_output_file": True}
"""What Ansible prints goes to our own output, which is kept within bounds, and to no file of the runner's."""


def main() -> int:
    """Run the playbook; the exit code of ansible-playbook, or 254 when the runner itself gave up."""
    folder = Path(os.environ["ORCHESTRATOR_JOB"])
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    events: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()
    import ansible_runner

    _without_a_terminal()
    _make_scratch(spec.get("scratch", ()))
    listener = _Listener(events)
    lay_askpass(folder)
    private = _runner_folder(folder)
    rc, status = -signal.SIGKILL, "lost"  # unless the runner returns an exit status
    writer = threading.Thread(target=_write, args=(folder, events, spec))
    writer.start()  # last: on a full disk the lines above fail, and the thread would never end
    try:
        run = ansible_runner.run(private_data_dir=str(private), **_arguments(spec), event_handler=listener.take)
        if run.rc is not None:  # None if a signal has ended ansible-playbook
            rc, status = run.rc, run.status
    finally:
        if listener.prompt:
            events.put({"event": "prompt", "stdout": listener.prompt})
        events.put(None)
        if rc not in AT_ITS_END:  # its workers are sessions of their own, and outlive it
            kill_tree(f"ORCHESTRATOR_JOB={folder}", spare=(os.getppid(),))
        writer.join()
        discard(private)  # it holds the whole environment, in `command`
        (folder / "result.json").write_text(json.dumps({"rc": rc, "status": status}), encoding="utf-8")
    return 254 if rc < 0 else rc


def _runner_folder(job: Path) -> Path:
    """The private folder of ansible-runner in the folder *job*, with its settings."""
    private = job / "runner"
    private.mkdir(mode=0o700)
    (private / "env").mkdir()
    # As words of the call they would be dropped, together with the files for the environment.
    (private / "env" / "settings").write_text(json.dumps(SETTINGS), encoding="utf-8")
    return private


def _arguments(spec: dict[str, object]) -> dict[str, object]:
    """What ansible-runner is called with for the play that *spec* describes."""
    return {
        "project_dir": spec["project"],
        "playbook": spec["playbook"],
        "inventory": spec["inventory"],
        "limit": spec["limit"],
        "tags": spec["tags"] or None,
        "skip_tags": spec["skip_tags"] or None,
        "forks": None,
        "verbosity": spec["verbosity"] or (1 if spec["check"] else None),  # to print why a task is skipped
        "cmdline": spec["cmdline"] or None,
        "ident": "run",
        "quiet": True,
        "suppress_env_files": True,
        "fact_cache_type": "none",  # otherwise a cache of the runner replaces that of the project
    }


def _without_a_terminal() -> None:
    """Have ansible-runner start ansible-playbook over a pipe, without input."""
    import pexpect

    pexpect.spawn = PipedProcess


def _make_scratch(paths: list[str]) -> None:
    """Make the folders *paths* for modules on localhost, which an isolated play finds empty each time."""
    for path in paths:
        with contextlib.suppress(OSError):
            Path(os.path.expandvars(path)).expanduser().mkdir(parents=True, mode=0o700)


class _Listener:
    """Puts events into a queue, and ends the playbook at an event that shows a prompt for input."""

    def __init__(self, events: "queue.SimpleQueue[dict[str, object] | None]") -> None:
        self._events, self._prompts = events, Prompts()

    @property
    def prompt(self) -> str:
        """The prompt that was found; empty if there was none."""
        return self._prompts.found

    def take(self, event: dict[str, object]) -> bool:
        """Take one event of the runner, which need not keep it in files."""
        if self._prompts.found:
            return False  # the playbook is being ended: later events are ignored
        if self._prompts.ends(event) and PipedProcess.current is not None:
            PipedProcess.current.kill()
        self._events.put(event)
        return False


def _write(folder: Path, events: "queue.SimpleQueue[dict[str, object] | None]", spec: dict[str, object]) -> None:
    """Write events as they come, until None comes."""
    translator = Translator(spec, folder)
    with Path(events_of(str(folder))).open("a", encoding="utf-8") as out:
        while (event := events.get()) is not None:
            translated = translator.translate(event)
            if translated is not None:
                out.write(json.dumps(translated) + "\n")
                out.flush()


if __name__ == "__main__":
    sys.exit(main())
