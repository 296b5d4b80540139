"""What steps may declare that they change: judged by the journal of a run."""

from orchestrator.domain.effects import declared_change
from orchestrator.domain.journal import Record
from orchestrator.domain.step import StepResult

DECLARED = {
    "accept": {"nothing"},
    "build": {"nothing"},
    "close": {"nothing"},
    "deploy": {"hosts"},
    "implement": {"implementation"},
    "observe": {"nothing"},
    "plan": {"nothing"},
    "probe": {"nothing"},
    "provision": {"claim", "nothing", "stack"},
    "rehearse": {"hosts", "nothing", "side", "stack"},
    "request": {"nothing"},
    "restore": {"hosts", "nothing", "side", "stack"},
    "switch": {"side"},
    "undo": {"hosts", "implementation"},
    "verify": {"nothing", "suite"},
}
"""What the steps of each verb may declare. A retirement, and the end of an ephemeral stack, are told apart below."""
CLOSING = {"retire": "hosts", "dispose": "stack"}


def undeclared(records: list[Record]) -> list[str]:
    """The steps whose declaration their verb does not allow, or that touched a host without having declared one."""
    changes = {item.step: declared_change(item.step, item.data, {}) for item in records if item.kind == "step.started"}
    found = []
    for item in records:
        if item.kind == "step.started":
            allowed = DECLARED.get(item.data["verb"], set()) | ({CLOSING[item.step]} if item.step in CLOSING else set())
            if item.data["may_change"]["kind"] not in allowed:
                found.append(f"{item.step} declares {item.data['may_change']}")
        elif item.kind == "step.finished":
            touched = {host.host for host in StepResult.from_json(item.data).hosts if host.touched}
            if changes[item.step].kind == "hosts" and not touched <= set(changes[item.step].hosts):
                found.append(f"{item.step} touched {touched}")
    return found
