"""The events of ansible-runner, as one line each for the parent: what happened to which host, in our own words."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.prompts import unanswered_prompt
from orchestrator.adapters.ansible.reason import failure_reason

LIMIT = 4000
INVALID = "D184"
SHORT = 200  # characters of a digest that a host reports
COMPARED = 200_000  # characters of each side of a difference
HEADER = 1000  # characters of a line of it
ROWS = 2000  # lines of it: a host chooses them, and comparing more takes too long
OWN_LIMIT = 65536  # characters of what our own tasks print
TEMPORARY = re.compile(r"\S*/ansible-(?:local|tmp)-[^/\s]+/(?:\.?tmp[^/\s]*/?)?([^/\s]*)")
CHANGED = re.compile(r"^(?:\x1b\[[\d;]*m)*changed: \[", re.MULTILINE)
OUTCOMES = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
    "runner_on_start": "started",
}
STATS = ("ok", "failures", "dark", "changed", "processed", "rescued", "ignored", "skipped")


class Translator:
    """Translates the events of one play, in order; *spec* is the child's order, *folder* the one of its job."""

    def __init__(self, spec: Mapping[str, Any], folder: Path) -> None:
        self._spec, self._folder = spec, folder
        self._handlers: set[str] = set()

    def translate(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """The line for *event*; None when the parent need not know of it."""
        kind, data = str(event.get("event")), event.get("event_data") or {}
        if kind == "playbook_on_task_start" and data.get("is_conditional"):
            self._handlers.add(str(data.get("task_uuid")))
        if kind not in OUTCOMES:
            line = _of_the_play(kind, data, event)
            return {**line, "text": self._relative(line["text"])} if line is not None and "text" in line else line
        task = _task_or_invalid(OUTCOMES[kind], data, self._spec, str(event.get("stdout", "")))
        for name in ("where", "message"):
            task[name] = self._relative(task[name])
        if task.get("check"):
            task["check"]["diff"] = self._relative(task["check"]["diff"])
        prompt = unanswered_prompt(self._folder) if task["outcome"] == "unreachable" else ""
        if prompt:
            task["message"] = f"ssh prompts for input, which a run cannot give: {prompt}\n{task['message']}"
        if str(data.get("task_uuid")) in self._handlers:
            task["handler"] = True
        return task

    def _relative(self, text: str) -> str:
        """*text* with paths as they are in the package: the copy of a job lies elsewhere each time."""
        return text.replace(f"{self._spec.get('content')}/", "")


def _of_the_play(kind: str, data: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The line for an event that is not of one host's task."""
    text, play = str(event.get("stdout", ""))[:LIMIT], _play(data)
    if kind == "error" or (kind == "verbose" and "ERROR" in text):
        return {"kind": "notice", "level": "error", "text": text}
    lines: dict[str, dict[str, Any]] = {
        "playbook_on_stats": {"kind": "stats", **{name: data.get(name) or {} for name in STATS}},
        "playbook_on_no_hosts_matched": {"kind": "no_hosts", "none": True, "play": play},
        "playbook_on_no_hosts_remaining": {"kind": "no_hosts", "none": False, "play": play},
        "playbook_on_play_start": {"kind": "play", "play": play, "name": str(data.get("name", ""))},
        "playbook_on_notify": {"kind": "notify", "play": play, **_notified(data)},
        "prompt": {"kind": "prompt", "text": text},
    }
    return lines.get(kind)


def _notified(data: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(data.get(name, "")) for name in ("host", "handler")}


def _play(data: Mapping[str, Any]) -> str:
    """The play of an event; ansible-runner counts its batches behind an underscore."""
    return str(data.get("play_uuid", "")).partition("_")[0]


def _task_or_invalid(outcome: str, data: Mapping[str, Any], spec: Mapping[str, Any], output: str) -> dict[str, Any]:
    """The line of a task. A result that no module would return is left out: it is the word of a host."""
    try:
        return _task(outcome, data, spec, output)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError):
        bad = {**data, "res": {"msg": f"the result of the task is not valid ({INVALID})"}}
        return _task(outcome, bad, {**spec, "check": False}, "")


def _task(outcome: str, data: Mapping[str, Any], spec: Mapping[str, Any], output: str) -> dict[str, Any]:
    result = data.get("res") or {}
    hidden = bool(result.get("_ansible_no_log"))
    task = {
        "kind": "task",
        "play": _play(data),
        "host": data.get("host", ""),
        "task": str(data.get("task", ""))[:500],
        "action": data.get("resolved_action") or data.get("task_action", ""),
        "at": _copied(str(data.get("task_path", "")), spec),
        "where": _where(str(data.get("task_path", "")), spec["project"]),
        "outcome": "changed" if outcome == "ok" and _changed(result, output) else outcome,
        "seconds": data.get("duration") or 0,
        "ignored": bool(data.get("ignore_errors")),
        "message": "" if hidden else _message(outcome, result),
    }
    if isinstance(result.get("orchestrator_release"), dict):
        task["release"] = {"digest": _short(result["orchestrator_release"].get("digest"))}
    if spec["check"] and not hidden:
        opaque = _opaque(outcome, task["action"], result, output)
        task["check"] = {"diff": _diff(result.get("diff")), "opaque": opaque}
    if str(data.get("task_path", "")).startswith(f"{spec['own']}:"):
        task["own"] = True
    if spec["stdout"] or "own" in task:
        task["stdout"] = str(result.get("stdout", ""))[: spec["stdout"] or OWN_LIMIT]
    return task


def _short(value: object) -> object:
    """*value*, if it is a text that may be a digest; otherwise the name of its type."""
    return value if value is None or (isinstance(value, str) and len(value) <= SHORT) else f"a {type(value).__name__}"


def _changed(result: Mapping[str, Any], output: str) -> bool:
    """Whether a task that is good has changed its host.

    ansible-runner passes on no result of a task with `no_log`. *output*, the output of Ansible, still shows the change.
    """
    return bool(result.get("changed")) or ("censored" in result and CHANGED.search(output) is not None)


def _message(outcome: str, result: Mapping[str, Any]) -> str:
    return failure_reason(result)[:LIMIT] if outcome in {"failed", "unreachable"} else ""


def _opaque(outcome: str, action: object, result: dict[str, Any], output: str) -> bool:
    """Whether check mode could not predict the effect of this task.

    ansible-runner passes on no result of a skipped task. The reason is only in *output*, the output of Ansible.
    """
    free = str(action).rsplit(".", 1)[-1] in {"command", "shell", "raw", "script"}
    if outcome == "skipped":
        text = f"{output} {result.get('msg', '')} {result.get('skip_reason', '')}".lower()
        return "check mode" in text or "would have run" in text or (free and "conditional result was false" not in text)
    return free and outcome != "started"


def _diff(diff: Any) -> str:
    parts = diff if isinstance(diff, list) else [diff]
    text = ""
    for part in parts:
        if not isinstance(part, dict):
            continue
        if part.get("prepared"):
            text += "".join(f"{_named(line.rstrip())}\n" for line in _lines(part["prepared"]))
        elif "before" in part or "after" in part:
            import difflib

            before, after = (_lines(part.get(name)) for name in ("before", "after"))
            header = _named(part.get("before_header")), _named(part.get("after_header"))
            text += "".join(difflib.unified_diff(before, after, *header))
    return text[:20_000]


def _named(header: Any) -> str:
    """The name of one side of a difference; a temporary file is named after what it holds, the same each time."""
    return TEMPORARY.sub(lambda found: found[1] or "content", str(header or "")[:HEADER])


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True, default=str)
    return [f"{line}\n" for line in text[:COMPARED].splitlines()[:ROWS]]


def _copied(path: str, spec: Mapping[str, Any]) -> str:
    """*path* of a task as the parent finds it: an isolated play has its copy at another path."""
    content, copy = str(spec.get("content") or ""), spec.get("copy")
    return f"{copy}{path[len(content) :]}" if copy and content and path.startswith(f"{content}/") else path


def _where(path: str, project: str) -> str:
    return path.removeprefix(project.rstrip("/") + "/")
