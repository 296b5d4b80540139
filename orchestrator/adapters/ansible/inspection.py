"""One question to every host: what it has, which release it runs, and what its ledger says."""

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.ledger import Claim, Told
from orchestrator.adapters.ansible.snapshot import ROOT
from orchestrator.adapters.ansible.tally import Tally, message_of
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import SILENT
from orchestrator.domain.quantities import size_bytes
from orchestrator.domain.release import Requirement
from orchestrator.domain.step import HostResult, Outcome, StepResult, worst
from orchestrator.ports import JobOutcome

ANSWER = 65536  # characters of what a host says of itself
COMMAND = re.compile(r"^[A-Za-z0-9_.+/-]{1,200}$")

_SCRIPT = """\
root={root}; test -d "$root" || root=$HOME
echo "@disk $(df -Pk "$root" 2>/dev/null | awk 'NR==2 {{print $4}}')"
echo "@memory $(awk '/^MemAvailable/ {{print $2}}' /proc/meminfo 2>/dev/null || echo)"
for command in {commands}; do command -v "$command" >/dev/null 2>&1 && echo "@command $command"; done
echo "@release $(tr -d '\\n' < "$root/.orchestrator/state.json" 2>/dev/null)"
echo "@link $(readlink "$root/current" 2>/dev/null)"
echo "@linked $(tr -d '\\n' < "$root/current/.orchestrator-release.json" 2>/dev/null)"
"""


_SERVES = """\
echo "@serves $( ( {command} ) 2>/dev/null </dev/null | head -n 1 | cut -c 1-100 )"
"""


def question(requirements: tuple[Requirement, ...], claim: Claim, verb: str) -> dict[str, Any]:
    """One task that asks a host everything; `raw`, so that it needs nothing on the host but a shell."""
    commands = sorted({command for requirement in requirements for command in requirement.commands})
    for command in commands:
        if not COMMAND.match(command):
            raise OrchestratorError("D103", f"{command!r} cannot be a required command's name")
    serves = claim.context.settings.serves if verb == "look" else None
    script = _SCRIPT.format(root=ROOT, commands=" ".join(commands) or "''")
    script += _SERVES.format(command=serves) if serves else ""
    script += claim.script(verb)
    return {"name": "Look at the host", "ansible.builtin.raw": script, "changed_when": False}


def requirements_by_host(requirements: tuple[Requirement, ...], inventory: Inventory) -> dict[str, list[Requirement]]:
    """What is required of each host; hosts of which nothing is required are left out."""
    wanted: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        for host in inventory.select(requirement.hosts):
            wanted.setdefault(host, []).append(requirement)
    return wanted


def answer_of(host: str, tally: Tally, wanted: dict[str, list[Requirement]]) -> HostResult:
    """What one host said: whether it has what it needs, and which release is current there."""
    result = tally.host(host)
    if not result.outcome.good:
        return result.model_copy(update={"touched": False})
    said = answer_lines(tally, host)
    missing = [text for requirement in wanted.get(host, []) for text in _missing(requirement, said)]
    outcome = Outcome.FAILED if missing else Outcome.SUCCEEDED
    release = release_in(said)
    message, fence = "; ".join(missing), Told.by(said).fence
    asked = said.get("serves")
    serves = next(iter(asked[0].split()), SILENT) if asked else ""
    return HostResult(
        host=host, outcome=outcome, touched=False, message=message, release=release, fence=fence, serves=serves
    )


def answer_lines(tally: Tally, host: str) -> dict[str, list[str]]:
    """The lines of a host's answer that begin with `@`, by their first word."""
    said: dict[str, list[str]] = {}
    for line in tally.answers.get(host, "").splitlines():
        if line.startswith("@"):
            key, _, value = line[1:].strip().partition(" ")
            said.setdefault(key, []).append(value)
    return said


def release_in(lines: Mapping[str, list[str]]) -> str | None:
    """The digest of the release that is current on a host, by the lines of its answer."""
    return _current(*((lines.get(name) or [""])[0] for name in ("release", "link", "linked")))


def _missing(requirement: Requirement, said: dict[str, list[str]]) -> list[str]:
    """What *requirement* wants and the host has not."""
    missing = [f"no {command}" for command in requirement.commands if command not in said.get("command", [])]
    for name, size, word in (("disk", requirement.disk_free, "disk space"), ("memory", requirement.memory, "memory")):
        if size is None:
            continue
        told = (said.get(name) or [""])[0]
        if not told.isdigit():
            missing.append(f"cannot tell its {word}")
        elif int(told) * 1024 < size_bytes(size):
            missing.append(f"{int(told) // 1024} MiB of {word}, wants {size}")
    return missing


def _current(state: str, link: str, linked: str) -> str | None:
    """The digest of the release that `current` points to; None when nobody can say which one that is.

    Args:
        state: what the collection wrote down when it moved the link, as JSON; empty where it never did.
        link: where the link points now, which counts: somebody may have moved it by hand.
        linked: what the folder there says of itself, as JSON.
    """
    known = _fields(_fields(state).get("current"))
    if known and Path(link).name == known.get("folder"):
        return str(known.get("digest") or "") or None
    return str(_fields(linked).get("digest") or "") or None


def _fields(said: Any) -> dict[str, Any]:
    """A JSON object, or its text, as a dictionary; empty when it is none."""
    with contextlib.suppress(ValueError):
        value = json.loads(said) if isinstance(said, str) else said
        return value if isinstance(value, dict) else {}
    return {}


def summary(
    hosts: tuple[HostResult, ...], outcome: JobOutcome, ledgers: Mapping[str, tuple[dict[str, Any], ...]]
) -> StepResult:
    """The result of an inspection: the worst of its *hosts*, and what their *ledgers* say of the run."""
    ended = worst(host.outcome for host in hosts)
    data: dict[str, Any] = {} if ended.good else {"code": "D106" if ended is Outcome.FAILED else "D107"}
    if any(ledgers.values()):
        data["ledger"] = {host: list(lines) for host, lines in ledgers.items() if lines}
    log = str(outcome.folder)
    return StepResult(
        outcome=ended, message=message_of(hosts), hosts=hosts, log=log, seconds=outcome.seconds, data=data
    )


def failed(result: StepResult) -> StepResult:
    """The *result* of an inspection that failed as a whole: every host is unknown, for that reason."""
    hosts = tuple(
        host.model_copy(update={"outcome": Outcome.UNKNOWN, "touched": False, "message": result.message})
        for host in result.hosts
    )
    data = {**result.data, "code": "D151"}
    return result.model_copy(update={"outcome": Outcome.UNKNOWN, "hosts": hosts, "data": data})
