"""One query of every host: its commands and resources, its current release, and the lines of its ledger."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.adapters.ansible.ledger import LedgerKey
from orchestrator.adapters.ansible.snapshot import ROOT
from orchestrator.adapters.ansible.tally import Tally, message_line, message_of
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.host_answer import ANSWER, HostAnswer, read_answer
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import SILENT
from orchestrator.domain.requirements.check import Check, CheckedHost, checked, unchecked
from orchestrator.domain.requirements.comparisons import wanted_name
from orchestrator.domain.requirements.measured import read_measured
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.step import HostResult, Outcome, StepResult, worst
from orchestrator.domain.step_payloads import with_checks
from orchestrator.domain.variables import unsafe
from orchestrator.ports import JobOutcome

T = TypeVar("T")
COMMAND = re.compile(r"^[A-Za-z0-9_.+/-]{1,200}$")

_SCRIPT = """\
root={root}; test -d "$root" || root=$HOME
echo "@disk $(df -Pk "$root" 2>/dev/null | awk 'NR==2 {{print $4}}')"
echo "@memory $(awk '/^MemAvailable/ {{print $2}}' /proc/meminfo 2>/dev/null || echo)"
{more}for command in {commands}; do command -v "$command" >/dev/null 2>&1 && echo "@command $command"; done
echo "@release $(tr -d '\\n' < "$root/.orchestrator/state.json" 2>/dev/null)"
echo "@link $(readlink "$root/current" 2>/dev/null)"
echo "@linked $(tr -d '\\n' < "$root/current/.orchestrator-release.json" 2>/dev/null)"
"""
_CPU = """\
echo "@cpu $(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null)"
"""
_OS = """\
echo "@os $(. /etc/os-release 2>/dev/null && echo "$ID $VERSION_ID")"
"""
_SERVES = """\
echo "@serves $( ( {command} ) 2>/dev/null </dev/null | head -n 1 | cut -c 1-100 )"
"""


def question(requirements: tuple[Requirement, ...], claim: LedgerKey, verb: str) -> dict[str, object]:
    """One task that inspects a host as a whole. It is `raw`, so that the host needs nothing but a shell."""
    commands = sorted({command for requirement in requirements for command in requirement.commands})
    for command in commands:
        if not COMMAND.match(command):
            raise OrchestratorError("D103", f"{command!r} cannot be a required command's name")
    serves = claim.context.settings.serves if verb == "look" else None
    more = _CPU if any(each.cpu for each in requirements) else ""
    more += _OS if any(each.os for each in requirements) else ""
    script = _SCRIPT.format(root=ROOT, commands=" ".join(commands) or "''", more=more)
    script += _SERVES.format(command=serves) if serves else ""
    script += claim.script(verb)
    return {"name": "Inspect the host", "ansible.builtin.raw": script, "changed_when": False}


def module_task(requirements: tuple[Requirement, ...]) -> dict[str, object] | None:
    """The task of the module that measures what a shell does not; None if none of it is required."""
    if not any(each.needs_python for each in requirements):
        return None
    certificates = _all(each.certificates for each in requirements)
    wanted: dict[str, object] = {
        "packages": _once(map(wanted_name, _all(each.packages for each in requirements))),
        "ports": any(each.ports is not None for each in requirements),
        "certificates": _once(filter(None, (item.file for item in certificates))),
        "addresses": _once(filter(None, (item.address for item in certificates))),
        "endpoints": _once(_all(each.endpoints for each in requirements)),
        "facts": _once(item.fact for item in _all(each.facts for each in requirements)),
    }
    marked = {name: value if name == "facts" else unsafe(value) for name, value in wanted.items()}
    return {"name": "Measure the requirements", "orchestrator.release.requirements": marked}


def _all(parts: Iterable[tuple[T, ...]]) -> list[T]:
    return [item for part in parts for item in part]


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def requirements_by_host(requirements: tuple[Requirement, ...], inventory: Inventory) -> dict[str, list[Requirement]]:
    """What is required of each host; hosts of which nothing is required are left out."""
    wanted: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        for host in inventory.select(requirement.hosts):
            wanted.setdefault(host, []).append(requirement)
    return wanted


@dataclass(frozen=True)
class Answered:
    """The *result* of inspecting a host, its whole *answer*, and the *checks* of what is required of it."""

    result: HostResult
    answer: HostAnswer
    checks: tuple[Check, ...]


def answer_of(host: str, tally: Tally, wanted: dict[str, list[Requirement]]) -> Answered:
    """What *host* answered, with the checks of what is *wanted* of it."""
    result, text = tally.host(host), tally.answers.get(host, "")
    if not result.outcome.good:
        checks = unchecked(wanted.get(host, ()), message_line(result.message))
        return Answered(result.model_copy(update={"touched": False}), HostAnswer(), checks)
    answer = read_answer(text, ANSWER)
    checks = checked(wanted.get(host, ()), read_measured(answer, text))
    missing = [check.text for check in checks if check.state != "met"]
    found = HostResult(
        host=host,
        outcome=Outcome.FAILED if missing else Outcome.SUCCEEDED,
        touched=False,
        message="; ".join(missing),
        release=answer.release,
        fence=answer.fence,
        serves="" if answer.served is None else answer.served or SILENT,
        invalid=answer.invalid,
    )
    return Answered(found, answer, checks)


def inspection_result(hosts: tuple[HostResult, ...], outcome: JobOutcome, found: Mapping[str, Answered]) -> StepResult:
    """The result of an inspection: the worst outcome of its *hosts*, the checks, and lines of ledgers for the run."""
    ended = worst(host.outcome for host in hosts)
    data: dict[str, object] = {} if ended.good else {"code": "D106" if ended is Outcome.FAILED else "D107"}
    ledgers = {host: each.answer.ledger for host, each in found.items() if each.answer.ledger}
    if ledgers:
        data["ledger"] = {host: [line.to_json() for line in lines] for host, lines in ledgers.items()}
    checks = tuple(CheckedHost(host=host, checks=each.checks) for host, each in found.items() if each.checks)
    log = str(outcome.folder)
    result = StepResult(
        outcome=ended, message=message_of(hosts), hosts=hosts, log=log, seconds=outcome.seconds, data=data
    )
    return with_checks(result, checks)


def failed(result: StepResult) -> StepResult:
    """The *result* of an inspection that failed as a whole: every host is unknown, for that reason."""
    hosts = tuple(
        host.model_copy(update={"outcome": Outcome.UNKNOWN, "touched": False, "message": result.message})
        for host in result.hosts
    )
    data = {**result.data, "code": "D151"}
    return result.model_copy(update={"outcome": Outcome.UNKNOWN, "hosts": hosts, "data": data})
