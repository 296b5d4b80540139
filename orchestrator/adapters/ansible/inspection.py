"""One query of every host: its commands and resources, its current release, and the lines of its ledger."""

import re
from collections.abc import Mapping

from orchestrator.adapters.ansible.ledger import LedgerKey
from orchestrator.adapters.ansible.snapshot import ROOT
from orchestrator.adapters.ansible.tally import Tally, message_of
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.host_answer import ANSWER, HostAnswer, LedgerLine, read_answer
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import SILENT
from orchestrator.domain.quantities import size_bytes
from orchestrator.domain.release import Requirement
from orchestrator.domain.step import HostResult, Outcome, StepResult, worst
from orchestrator.ports import JobOutcome

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


def question(requirements: tuple[Requirement, ...], claim: LedgerKey, verb: str) -> dict[str, object]:
    """One task that inspects a host as a whole. It is `raw`, so that the host needs nothing but a shell."""
    commands = sorted({command for requirement in requirements for command in requirement.commands})
    for command in commands:
        if not COMMAND.match(command):
            raise OrchestratorError("D103", f"{command!r} cannot be a required command's name")
    serves = claim.context.settings.serves if verb == "look" else None
    script = _SCRIPT.format(root=ROOT, commands=" ".join(commands) or "''")
    script += _SERVES.format(command=serves) if serves else ""
    script += claim.script(verb)
    return {"name": "Inspect the host", "ansible.builtin.raw": script, "changed_when": False}


def requirements_by_host(requirements: tuple[Requirement, ...], inventory: Inventory) -> dict[str, list[Requirement]]:
    """What is required of each host; hosts of which nothing is required are left out."""
    wanted: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        for host in inventory.select(requirement.hosts):
            wanted.setdefault(host, []).append(requirement)
    return wanted


def answer_of(host: str, tally: Tally, wanted: dict[str, list[Requirement]]) -> tuple[HostResult, HostAnswer]:
    """The result of inspecting *host* (missing requirements, current release), and its whole answer."""
    result, answer = tally.host(host), read_answer(tally.answers.get(host, ""), ANSWER)
    if not result.outcome.good:
        return result.model_copy(update={"touched": False}), HostAnswer()
    missing = [text for requirement in wanted.get(host, []) for text in _missing(requirement, answer)]
    return HostResult(
        host=host,
        outcome=Outcome.FAILED if missing else Outcome.SUCCEEDED,
        touched=False,
        message="; ".join(missing),
        release=answer.release,
        fence=answer.fence,
        serves="" if answer.served is None else answer.served or SILENT,
        invalid=answer.invalid,
    ), answer


def _missing(requirement: Requirement, answer: HostAnswer) -> list[str]:
    """The parts of *requirement* that the host does not meet, each in a few words."""
    missing = [f"no {command}" for command in requirement.commands if command not in answer.commands]
    sizes = (("disk space", answer.disk, requirement.disk_free), ("memory", answer.memory, requirement.memory))
    for word, reported, size in sizes:
        if size is None:
            continue
        if reported is None:
            missing.append(f"did not report its {word}")
        elif reported * 1024 < size_bytes(size):
            missing.append(f"{reported // 1024} MiB of {word}, {size} required")
    return missing


def inspection_result(
    hosts: tuple[HostResult, ...], outcome: JobOutcome, ledgers: Mapping[str, tuple[LedgerLine, ...]]
) -> StepResult:
    """The result of an inspection: the worst outcome of its *hosts*, and the lines of their *ledgers* for the run."""
    ended = worst(host.outcome for host in hosts)
    data: dict[str, object] = {} if ended.good else {"code": "D106" if ended is Outcome.FAILED else "D107"}
    if any(ledgers.values()):
        data["ledger"] = {host: [line.to_json() for line in lines] for host, lines in ledgers.items() if lines}
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
