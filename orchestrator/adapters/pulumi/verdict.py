"""The table from the engine's error texts to our codes."""

import re
from collections.abc import Mapping

from orchestrator.adapters.pulumi.workspace import INSTALLED
from orchestrator.domain.errors import JobLost, OrchestratorError
from orchestrator.domain.text import clean_text

PROTECTED = "E140"
_HOLDER = re.compile(r"created by .*")

# The first text that the engine's output contains decides. `{line}` is the line of the error.
_TABLE = (
    ("the stack is currently locked", "E130", "the stack {stack} is locked by another update: {holder}"),
    ("Another update is currently in progress", "E130", "the stack {stack} is being updated by another user"),
    ("violates plan", "E131", "Pulumi would do something other than what was planned: {line}"),
    ("passphrase must be set", "E132", "the passphrase of the stack {stack} was not given"),
    ("incorrect passphrase", "E132", "the passphrase of the stack {stack} is wrong"),
    ("failed to discover package requirements", "E133", "the program's Python interpreter has no pip: {line}"),
    ("No module named pip", "E133", "the program's Python interpreter has no pip: {line}"),
    ("error reading from server", "E111", "a process below Pulumi died: {line}"),
    ("marked for protection", PROTECTED, "Pulumi protects a resource: {line}"),
    ("because it is protected", PROTECTED, "Pulumi protects a resource: {line}"),
    ("PULUMI_ACCESS_TOKEN must be set", "E134", "Pulumi's backend requires a login: {line}"),
)
MACHINERY = {"E111", "E130", "E132", "E133", "E134", "E136", "E137"}  # the release is not to blame for these

RESOLVE = (
    "check whether each exists, and record it: orchestrator environment resolve {environment} "
    "--created URN=ID | --absent URN | --all-absent"
)


def is_good(how: str, code: int | None, result: Mapping[str, object]) -> bool:
    """Whether an operation was completed: only if all of these conditions hold.

    The job and Pulumi have exited with success. Pulumi has not reported a damaged state, a resource that was started
    and not completed, or a create whose result is unknown.

    Args:
        how: how the job's process ended.
        code: its exit status.
        result: what the job recorded of Pulumi: its exit status, and what its events contain.
    """
    left = any(result.get(name) for name in ("refused", "corrupt", "unfinished", "uncertain"))
    return how == "exited" and code == 0 and result.get("code") == 0 and not left


def died(verb: str, stack: str, how: str, counts: Mapping[str, int], unfinished: list[str]) -> OrchestratorError:
    """The error for an operation that did not come to an end, with what is known of it.

    Args:
        verb: the operation that was requested.
        stack: the stack's name.
        how: how its process ended: `exited` when only the engine below it died.
        counts: what it had reported as done, by Pulumi's words.
        unfinished: the resources that it had started to change.
    """
    ended = "was killed" if how in {"exited", "lost"} else f"was stopped ({how})"
    done = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()) if count) or "nothing"
    rest = f", not {', '.join(unfinished)}" if unfinished else ""
    kind = JobLost if how in {"exited", "lost"} else OrchestratorError
    return kind("E111", f"pulumi {verb} {stack} {ended}; it had reported as done: {done}{rest}")


def facts(verb: str, error: OrchestratorError, result: Mapping[str, object]) -> dict[str, object]:
    """What a step's result records of an operation that did not succeed.

    Args:
        verb: the operation that was requested.
        error: its error.
        result: what the job recorded of Pulumi.
    """
    again = verb == "destroy" or not result.get("effects")  # an interrupted destruction is continued in any case
    lost = {"how": "lost"} if isinstance(error, JobLost) and again else {}
    left = {name: result[name] for name in ("unfinished", "uncertain", "urns") if result.get(name)}
    return {"untouched": not result.get("effects"), **error.to_json(), **lost, **left}


def error(
    verb: str, stack: str, output: str, log: str, ended: str, roots: tuple[str, str] = ("", "")
) -> OrchestratorError:
    """The error for an operation that did not succeed.

    Args:
        verb: the operation that was requested.
        stack: the stack's name.
        output: the engine's error diagnostics, or the end of its standard error.
        log: where its whole output can be read.
        ended: how the process ended, used if it printed nothing.
        roots: the project, and the folder with the copy that ran.
    """
    text = clean_text(output, 4000)
    line = _first(text) or ended
    where = _place(text, *roots)
    line = f"{where}: {line}" if where and where not in line else line
    for sign, code, message in _TABLE:
        if sign in text:
            holder = next(iter(_HOLDER.findall(text)), "see its output")
            return OrchestratorError(code, message.format(stack=stack, line=line, holder=holder))
    return OrchestratorError("E110", f"pulumi {verb} {stack}: {line}", hint=f"see {log}")


def _place(text: str, project: str, copy: str) -> str:
    """The line of the user's program that an error is about, as `FILE:LINE` below the project; empty: it names none.

    Of a Python traceback that is the last one in the user's own files, of other stack traces the first.
    """
    if not project:
        return ""
    text = text.replace(copy, project)
    matches = re.finditer(rf"{re.escape(project)}/([^\s\"'():,]+)(?:\", line |[:(])(\d+)", text)
    found = [f"{match[1]}:{match[2]}" for match in matches if not INSTALLED & set(match[1].split("/"))]
    if not found:
        return ""
    return found[-1] if "Traceback" in text else found[0]


def _first(text: str) -> str:
    """The line of an error with its cause: the first, or the last one of a Python traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    traceback = next((at for at, line in enumerate(lines) if line.startswith("Traceback")), None)
    if traceback is None:
        return lines[0].removeprefix("error: ")
    tail = [line for line in text.splitlines() if line and not line.startswith((" ", "Traceback", "Program failed"))]
    return tail[-1].strip() if tail else lines[0]
