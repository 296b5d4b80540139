"""One run of one playbook: the child part of the Ansible adapter.

In its folder (`ORCHESTRATOR_JOB`) it finds `spec.json`, runs ansible-runner with it, writes what happened to each
host and task into `events.jsonl`, and leaves `result.json`. The event handler only puts events into a queue: a slow
handler makes the runner give up.
"""

import json
import os
import queue
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.processes import sweep

AT_ITS_END = (0, 2, 4)  # all hosts done, some failed, some unreachable: nothing goes on behind it
LIMIT = 4000
OWN_LIMIT = 65536  # characters of what our own tasks print
TEMPORARY = re.compile(r"\S*/ansible-(?:local|tmp)-[^/\s]+/(?:\.?tmp[^/\s]*/?)?([^/\s]*)")
SETTINGS = {"pexpect_use_poll": True, "suppress_ansible_output": False, "suppress_output_file": True}
"""What Ansible prints goes to our own output, which is kept within bounds, and to no file of the runner's."""
OUTCOMES = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
    "runner_on_start": "started",
}


def main() -> int:
    """Run the playbook; the exit code of ansible-playbook, or 254 when the runner itself gave up."""
    folder = Path(os.environ["ORCHESTRATOR_JOB"])
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    import ansible_runner

    _close_at_once()
    private = folder / "runner"
    private.mkdir(mode=0o700)
    (private / "env").mkdir()
    # As words of the call they would be dropped, together with the files for the environment.
    (private / "env" / "settings").write_text(json.dumps(SETTINGS), encoding="utf-8")
    rc, status = -signal.SIGKILL, "lost"  # unless it tells how it has ended
    writer = threading.Thread(target=_write, args=(folder / "events.jsonl", events, spec))
    writer.start()  # last: where the disk is full, what comes before it fails, and nobody would tell it to end
    try:
        run = ansible_runner.run(
            private_data_dir=str(private),
            project_dir=spec["project"],
            playbook=spec["playbook"],
            inventory=spec["inventory"],
            limit=spec["limit"],
            tags=spec["tags"] or None,
            skip_tags=spec["skip_tags"] or None,
            forks=None,
            verbosity=spec["verbosity"] or (1 if spec["check"] else None),  # so that it says why a task is skipped
            cmdline=spec["cmdline"] or None,
            ident="run",
            quiet=True,
            suppress_env_files=True,
            event_handler=lambda event: _queue(events, event),
        )
        if run.rc is not None:  # there is none when a signal has ended ansible-playbook
            rc, status = run.rc, run.status
    finally:
        events.put(None)
        if rc not in AT_ITS_END:  # its workers are sessions of their own, and outlive it
            sweep(f"ORCHESTRATOR_JOB={folder}", spare=(os.getppid(),))
        writer.join()
        shutil.rmtree(private, ignore_errors=True)  # it holds the whole environment, in `command`
        (folder / "result.json").write_text(json.dumps({"rc": rc, "status": status}), encoding="utf-8")
    return 254 if rc < 0 else rc


def _close_at_once() -> None:
    """Let pexpect not sleep a tenth of a second after it has closed a terminal: ansible-playbook is gone by then.

    It counts by a clock that nobody can set, too: one that is set back by years makes its poll overflow.
    """
    import pexpect

    pexpect.expect.time = pexpect.utils.time = SimpleNamespace(time=time.monotonic, sleep=time.sleep)

    class Spawn(pexpect.spawn):  # type: ignore[misc]
        def _spawnpty(self, args: list[str], **more: Any) -> Any:
            process = super()._spawnpty(args, **more)
            process.delayafterclose = 0
            return process

    pexpect.spawn = Spawn


def _queue(events: "queue.SimpleQueue[dict[str, Any] | None]", event: dict[str, Any]) -> bool:
    events.put(event)
    return False  # the runner need not keep the event in files


def _write(path: Path, events: "queue.SimpleQueue[dict[str, Any] | None]", spec: dict[str, Any]) -> None:
    """Write events as they come, until None comes."""
    with path.open("a", encoding="utf-8") as out:
        while (event := events.get()) is not None:
            told = _translate(event, spec)
            if told is not None:
                out.write(json.dumps(told) + "\n")
                out.flush()


def _translate(event: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any] | None:
    kind, data = str(event.get("event")), event.get("event_data") or {}
    if kind == "playbook_on_stats":
        stats = ("ok", "failures", "dark", "changed", "processed", "rescued", "ignored", "skipped")
        return {"kind": "stats", **{name: data.get(name) or {} for name in stats}}
    if kind in {"playbook_on_no_hosts_matched", "playbook_on_no_hosts_remaining"}:
        return {"kind": "no_hosts", "none": kind.endswith("matched")}
    if kind == "error" or (kind == "verbose" and "ERROR" in str(event.get("stdout"))):
        return {"kind": "notice", "level": "error", "text": str(event.get("stdout", ""))[:LIMIT]}
    if kind not in OUTCOMES:
        return None
    return _task(OUTCOMES[kind], data, spec, str(event.get("stdout", "")))


def _task(outcome: str, data: dict[str, Any], spec: dict[str, Any], said: str) -> dict[str, Any]:
    result = data.get("res") or {}
    hidden = bool(result.get("_ansible_no_log"))
    told = {
        "kind": "task",
        "host": data.get("host", ""),
        "task": str(data.get("task", ""))[:500],
        "action": data.get("resolved_action") or data.get("task_action", ""),
        "where": _where(str(data.get("task_path", "")), spec["project"]),
        "outcome": "changed" if outcome == "ok" and result.get("changed") else outcome,
        "seconds": data.get("duration") or 0,
        "ignored": bool(data.get("ignore_errors")),
        "message": "" if hidden else _message(outcome, result),
    }
    if isinstance(result.get("orchestrator_release"), dict):
        told["release"] = result["orchestrator_release"]
    if spec["check"] and not hidden:
        opaque = _opaque(outcome, told["action"], result, said)
        told["check"] = {"diff": _diff(result.get("diff")), "opaque": opaque}
    if str(data.get("task_path", "")).startswith(f"{spec['own']}:"):
        told["own"] = True
    if spec["stdout"] or "own" in told:
        told["stdout"] = str(result.get("stdout", ""))[: spec["stdout"] or OWN_LIMIT]
    return told


def _message(outcome: str, result: dict[str, Any]) -> str:
    if outcome not in {"failed", "unreachable"}:
        return ""
    for item in result.get("results") or []:
        if isinstance(item, dict) and item.get("failed"):
            return _message(outcome, item)
    parts = [str(result.get(name)) for name in ("msg", "stderr", "stdout") if result.get(name)]
    return "\n".join(dict.fromkeys(part.strip() for part in parts))[:LIMIT]


def _opaque(outcome: str, action: object, result: dict[str, Any], said: str) -> bool:
    """Whether check mode could not say what this task would do.

    ansible-runner passes on no result of a task that was skipped; why it was is only *said*, on Ansible's own output.
    """
    free = str(action).rsplit(".", 1)[-1] in {"command", "shell", "raw", "script"}
    if outcome == "skipped":
        text = f"{said} {result.get('msg', '')} {result.get('skip_reason', '')}".lower()
        return "check mode" in text or "would have run" in text or (free and "conditional result was false" not in text)
    return free and outcome != "started"


def _diff(diff: Any) -> str:
    parts = diff if isinstance(diff, list) else [diff]
    text = ""
    for part in parts:
        if not isinstance(part, dict):
            continue
        if part.get("prepared"):
            text += _named(part["prepared"])
        elif "before" in part or "after" in part:
            import difflib

            before, after = (_lines(part.get(name)) for name in ("before", "after"))
            header = _named(part.get("before_header")), _named(part.get("after_header"))
            text += "".join(difflib.unified_diff(before, after, *header))
    return text[:20_000]


def _named(header: Any) -> str:
    """The name of one side of a difference; a temporary file is named after what it holds, the same each time."""
    return TEMPORARY.sub(lambda found: found[1] or "content", str(header or ""))


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True, default=str)
    return [f"{line}\n" for line in text.splitlines()]


def _where(path: str, project: str) -> str:
    return path.removeprefix(project.rstrip("/") + "/")


if __name__ == "__main__":
    sys.exit(main())
