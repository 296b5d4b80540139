"""The rule by which the result of a play is decided."""

from typing import Any

import pytest

from orchestrator.adapters.ansible.verdict import PlayEnd, decide

ALL = ("web1", "web2")
DONE = {"ok": {"web1": 3, "web2": 3}, "processed": {"web1": 1, "web2": 1}}
GOOD: dict[str, Any] = {
    "limit": ALL,
    "stats": DONE,
    "closed": frozenset(ALL),
    "seen": frozenset(ALL),
    "own": {"web1": 1, "web2": 1},
}
CASES = [
    ("all came through", {}, "succeeded", "succeeded succeeded", ""),
    ("no task of theirs", {"own": {"web1": 3, "web2": 3}}, "skipped", "skipped skipped", ""),
    ("nothing matched", {"own": {"web1": 3, "web2": 3}, "matched": False}, "failed", "skipped skipped", "D102"),
    ("one failed", {"code": 2, "stats": {**DONE, "failures": {"web1": 1}}}, "failed", "failed succeeded", ""),
    ("one unreachable", {"code": 4, "stats": {**DONE, "dark": {"web2": 1}}}, "unknown", "succeeded unknown", ""),
    ("stopped early", {"code": 2, "closed": frozenset()}, "unknown", "unknown unknown", ""),
    ("one was left behind", {"closed": frozenset({"web1"})}, "unknown", "succeeded unknown", ""),
    ("one never started", {"code": 2, "closed": frozenset({"web1"}), "seen": frozenset({"web1"})}, "failed",
     "succeeded skipped", "D162"),
    ("a code that nothing explains", {"code": 2}, "failed", "succeeded succeeded", "D162"),
    ("an odd code", {"code": 250}, "errored", "succeeded succeeded", "D120"),
    ("no statistics", {"stats": {}, "code": 1, "touched": frozenset({"web1"})}, "errored", "unknown skipped", "D120"),
    ("localhost failed", {"code": 2, "stats": {**DONE, "failures": {"localhost": 1}}}, "failed",
     "succeeded succeeded", "D161"),
    ("an added host is unreachable", {"code": 4, "stats": {**DONE, "dark": {"new": 1}}}, "unknown",
     "succeeded succeeded", "D161"),
    ("a host refused", {"code": 2, "refused": frozenset({"web2"})}, "failed", "succeeded failed", "D140"),
    ("killed by a signal", {"code": -9, "stats": {}}, "errored", "skipped skipped", "D130"),
    ("timed out", {"how": "timeout"}, "errored", "succeeded succeeded", "D130"),
    ("asked for input", {"code": -9, "stats": {}, "prompt": "a key"}, "failed", "skipped skipped", "D160"),
    ("a question has no closing task", {"closing": False, "closed": frozenset(), "own": {}}, "succeeded",
     "succeeded succeeded", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "more", "outcome", "hosts", "code"), CASES, ids=[case[0] for case in CASES])
def test_a_play_is_good_only_when_everything_says_so(
    name: str, more: dict[str, Any], outcome: str, hosts: str, code: str
) -> None:
    """Exit code, statistics and closing tasks decide the result together."""
    verdict = decide(PlayEnd(**{**GOOD, **more}))
    found = (verdict.outcome.value, " ".join(verdict.hosts[host].value for host in ALL), verdict.code)
    assert found == (outcome, hosts, code), name
