"""The result of a play: one rule over the exit code, the statistics, and the hosts that came through.

A play is good only if three conditions hold: ansible-playbook exited with 0, its statistics have no failed or
unreachable host, and every host reached our own closing task. A host that did not reach it is *unknown*.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain.step import Outcome, worst

_OUTCOMES = {
    "D102": Outcome.FAILED,
    "D120": Outcome.ERRORED,
    "D130": Outcome.ERRORED,
    "D160": Outcome.FAILED,
    "D162": Outcome.FAILED,
}  # of the rest the worst host decides
EXPLAINED = (0, 2, 4)  # all hosts done, some failed, some unreachable: codes for which statistics count


@dataclass(frozen=True)
class PlayEnd:
    """What is known when a play has ended.

    Attributes:
        limit: the hosts that the play was started for.
        how: `exited`, or how its job was ended: `timeout`, `stopped`, `lost`.
        code: the exit code of ansible-playbook; below 0: a signal ended it.
        stats: Ansible's own statistics, by counter and host; empty: there were none.
        closing: whether every host has a closing task to reach.
        closed: the hosts that reached it.
        seen: the hosts on which a task of the playbook started.
        touched: the hosts on which anything may have been changed.
        refused: the hosts that refused an older fence.
        own: how many tasks of ours each host has done, which count in the statistics.
        matched: whether a play of the playbook matched hosts of the limit, or ended before its first task.
        prompt: what prompted for input; empty: nothing did.
    """

    limit: tuple[str, ...]
    how: str = "exited"
    code: int | None = 0
    stats: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    closing: bool = True
    closed: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    own: Mapping[str, int] = field(default_factory=dict)
    matched: bool = True
    prompt: str = ""

    def count(self, name: str, host: str) -> int:
        """A counter of Ansible's statistics for *host*."""
        return int(self.stats.get(name, {}).get(host, 0))


@dataclass(frozen=True)
class Verdict:
    """The result of a play.

    Attributes:
        outcome: the worst of all.
        hosts: the outcome of each host of the limit.
        code: the error that explains a play which is not good; empty: its hosts explain it.
        outside: failed or unreachable hosts outside of the limit, such as localhost.
    """

    outcome: Outcome
    hosts: Mapping[str, Outcome]
    code: str = ""
    outside: tuple[str, ...] = ()


def decide(end: PlayEnd) -> Verdict:
    """Decide the result of a play that has ended."""
    hosts = {host: _host(end, host) for host in end.limit}
    outside = _outside(end)
    code = _code(end, hosts, outside)
    outcome = _OUTCOMES.get(code) or worst([*hosts.values(), *outside.values()])
    return Verdict(outcome, hosts, code, tuple(outside))


def _code(end: PlayEnd, hosts: Mapping[str, Outcome], outside: Mapping[str, Outcome]) -> str:
    """The error that explains a play; the first rule that applies counts. Empty: its hosts explain it."""
    explained = bool(outside) or any(not outcome.good for outcome in hosts.values())
    killed = end.code is not None and end.code < 0
    rules = (
        ("D160", bool(end.prompt)),
        ("D130", end.how != "exited" or killed),
        ("D120", not end.stats or (end.code not in EXPLAINED and not explained)),
        ("D140", bool(end.refused)),
        ("D161", bool(outside)),
        ("D162", end.code != 0 and not explained),
        ("D102", not end.matched and set(hosts.values()) <= {Outcome.SKIPPED}),
    )
    return next((code for code, applies in rules if applies), "")


def _host(end: PlayEnd, host: str) -> Outcome:
    if not end.stats:
        return Outcome.UNKNOWN if host in end.touched else Outcome.SKIPPED
    if end.count("dark", host):
        return Outcome.UNKNOWN
    if end.count("failures", host) or host in end.refused:
        return Outcome.FAILED
    if end.closing and host not in end.closed:  # Ansible stopped before it, for whatever reason
        return Outcome.UNKNOWN if host in end.seen or end.code == 0 else Outcome.SKIPPED
    return Outcome.SUCCEEDED if _worked(end, host) else Outcome.SKIPPED


def _worked(end: PlayEnd, host: str) -> bool:
    """Whether the host did a task of the playbook; where only ours are counted, the playbook had nothing to do."""
    if not end.own.get(host):
        return bool(end.count("processed", host))
    return sum(end.count(name, host) for name in ("ok", "failures", "skipped")) > end.own[host]


def _outside(end: PlayEnd) -> dict[str, Outcome]:
    """The hosts outside of the limit that failed or cannot be reached, with their outcomes."""
    words = (("dark", Outcome.UNKNOWN), ("failures", Outcome.FAILED))
    return {
        host: outcome
        for name, outcome in words
        for host, count in end.stats.get(name, {}).items()
        if count and host not in end.limit
    }
