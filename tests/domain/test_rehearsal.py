"""What counts as having come back, and what an earlier rehearsal has left."""

import pytest

from orchestrator.domain.environment import SnapshotRule
from orchestrator.domain.rehearsal import LISTED, not_restored, still_left, unseen
from orchestrator.domain.snapshot import FileState, HostSnapshot, Snapshot

FILE = FileState(type="file", mode="0644", owner="a:a", content="0" * 64)
RULE = SnapshotRule()


def snapshot(*names: str, host: str = "w1") -> Snapshot:
    return Snapshot(hosts={host: HostSnapshot(files=dict.fromkeys(names, FILE))})


def of_kind(kind: str, items: dict[str, str]) -> Snapshot:
    """A snapshot of w1 with *items* in its field *kind*, and nothing else."""
    return Snapshot(hosts={"w1": HostSnapshot.model_validate({kind: items})})


@pytest.mark.parametrize("kind", ["packages", "services", "ports", "facts"])
def test_everything_has_to_come_back(kind: str) -> None:
    """A package, a service, a port and a fact that is another afterwards is named like a file."""
    found = not_restored(of_kind(kind, {"x": "1"}), of_kind(kind, {"x": "2", "y": "1"}), RULE, ["w1"])
    assert [(item.name, item.before, item.after) for item in found] == [("x", "1", "2"), ("y", None, "1")]


def test_only_hosts_that_were_walked_count() -> None:
    """A host that the rehearsal did not walk, and what the rule ignores, is left out; a storm of differences is cut."""
    before, after = snapshot(), snapshot("a", "b.log")
    assert not_restored(before, after, RULE, ["w2"]) == ()
    assert [item.name for item in not_restored(before, after, SnapshotRule(ignore=("*.log",)), ["w1"])] == ["a"]
    assert len(not_restored(before, snapshot(*map(str, range(LISTED + 9))), RULE, ["w1"])) == LISTED


def test_what_was_left_is_remembered_as_long_as_it_lies_there() -> None:
    """What an earlier rehearsal left counts while it is there as it was left, and no longer once it is gone, another, or ignored."""
    left = not_restored(snapshot(), snapshot("a"), RULE, ["w1"])
    assert still_left(snapshot("a", "b"), (*left, *left), RULE) == left
    assert still_left(snapshot("b"), left, RULE) == ()
    other = Snapshot(hosts={"w1": HostSnapshot(files={"a": FILE.model_copy(update={"content": "1" * 64})})})
    assert still_left(other, left, RULE) == ()
    assert still_left(snapshot("a"), left, SnapshotRule(ignore=("a",))) == ()
    assert still_left(snapshot("a", host="w2"), left, RULE) == ()


def test_what_could_not_be_asked_is_told_once() -> None:
    """A host that was away at one stop is unknown, once, and only where it was to be walked."""
    away = Snapshot(unknown={"w1": "unreachable"})
    assert unseen([snapshot(), away, away, snapshot()], ["w1"]) == ("w1: unreachable",)
    assert unseen([snapshot(), away], ["w2"]) == ()
    assert unseen([snapshot(), snapshot()], ["w1"]) == ()
