"""What evidence says of each host on which the work of a task was done, or ended before it was."""

import pytest

from orchestrator.app.task_work import host_evidence
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.task_work import GateTask, PlaybookTask

PLAY = PlaybookTask(environment="staging", playbook="move.yml")
GATE = GateTask(environment="staging", command=("true",))


@pytest.mark.parametrize(
    ("outcome", "touched", "changed", "said"),
    [
        (Outcome.SUCCEEDED, True, 2, "web1: succeeded, changed by 2 tasks"),
        (Outcome.SUCCEEDED, True, 1, "web1: succeeded, changed by 1 task"),
        (Outcome.SUCCEEDED, True, 0, "web1: succeeded, not changed"),
        (Outcome.UNKNOWN, True, 0, "web1: unknown, may have been changed"),
        (Outcome.SKIPPED, True, 0, "web1: skipped, may have been changed"),
        (Outcome.SKIPPED, False, 0, "web1: skipped, not changed"),
    ],
)
def test_a_host_is_named_with_what_may_have_happened(outcome: Outcome, touched: bool, changed: int, said: str) -> None:
    """A host counts as not changed only if that is known; of a gate, which changes nothing, only the outcome is told."""
    host = HostResult(host="web1", outcome=outcome, touched=touched, changed=changed)
    result = StepResult(outcome=outcome, hosts=(host,))
    assert host_evidence(result, PLAY) == (said,)
    assert host_evidence(result, GATE) == (f"web1: {outcome}",)


def test_a_failure_has_its_task_and_message() -> None:
    """A host that failed is told with the task of the playbook and its message."""
    host = HostResult(host="web1", outcome=Outcome.FAILED, touched=True, task="Move", message="no space")
    said = host_evidence(StepResult(outcome=Outcome.FAILED, hosts=(host,)), PLAY)
    assert said == ("web1: failed, may have been changed: Move: no space",)
