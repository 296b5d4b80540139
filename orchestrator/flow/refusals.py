"""Hosts that refuse the fencing token of a run during its rollback, which continues without them.

A host refuses an older token than it has seen. If another process has taken the run over, all hosts are right, and the
store confirms it (S103). If the store has no newer token, that host alone has one, and the others are not affected.
"""

from orchestrator.domain.step import Outcome, StepResult, worst


def blocked_hosts(result: StepResult) -> tuple[str, ...]:
    """The hosts on which nothing was done because other hosts refused."""
    if not result.refused:
        return ()
    return tuple(host.host for host in result.hosts if host.outcome is Outcome.SKIPPED and not host.touched)


def only(result: StepResult) -> bool:
    """Whether the *result* is bad for no other reason than hosts that refused."""
    refused = set(result.refused)
    return bool(refused) and all(host.outcome.good or host.host in refused for host in result.hosts)


def key(job: str) -> str:
    """The key of the job that continues with the other hosts of *job*, in the same attempt."""
    name, attempt, number = job.partition("~")
    return f"{name}.others{attempt}{number}"


def merged(refused: StepResult, done: StepResult) -> StepResult:
    """The result for all hosts: what the others have *done*, and who has *refused*."""
    hosts = {host.host: host for host in (*refused.hosts, *done.hosts)}
    ended = worst(host.outcome for host in hosts.values())
    bad = {} if done.good else done.data
    data = {**refused.data, **bad, "refused": [*refused.refused, *done.refused]}
    message = refused.message if done.good else done.message
    return done.model_copy(update={"outcome": ended, "hosts": tuple(hosts.values()), "data": data, "message": message})
