"""Snapshots of hosts: what is compared is named, once, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orchestrator.domain.snapshot import (
    FileState,
    HostSnapshot,
    Snapshot,
    compare_snapshots,
    gaps,
    ignored,
    ignored_changes,
    tampered,
)

NAMES = some.text("abc/.", min_size=1, max_size=6)
STATES = some.builds(
    FileState,
    type=some.sampled_from(["file", "folder", "link"]),
    mode=some.sampled_from(["0644", "0755"]),
    owner=some.sampled_from(["a:a", "b:b"]),
    content=some.sampled_from(["", "0" * 64, "1" * 64]),
)
HOSTS = some.builds(
    HostSnapshot,
    files=some.dictionaries(NAMES, STATES, max_size=4),
    packages=some.dictionaries(NAMES, NAMES, max_size=3),
    ports=some.dictionaries(NAMES, NAMES, max_size=2),
)
SNAPSHOTS = some.builds(Snapshot, hosts=some.dictionaries(some.sampled_from(["w1", "w2"]), HOSTS, max_size=2))


@given(SNAPSHOTS)
def test_nothing_differs_from_itself(one: Snapshot) -> None:
    """A snapshot equals itself, and what was written of it and read again."""
    assert compare_snapshots(one, one) == ()
    assert gaps(one, one) == ()
    again = Snapshot.from_json(one.to_json())
    assert (again, again.digest) == (one, one.digest)


@given(SNAPSHOTS, SNAPSHOTS)
def test_a_difference_is_seen_from_both_sides(one: Snapshot, two: Snapshot) -> None:
    """What came on one way is what went on the other; each thing that differs on a host that both have is named once."""
    there, back = compare_snapshots(one, two), compare_snapshots(two, one)
    assert [(item.host, item.kind, item.name) for item in there] == [(item.host, item.kind, item.name) for item in back]
    assert [(item.before, item.after) for item in there] == [(item.after, item.before) for item in back]
    assert len({(item.host, item.kind, item.name) for item in there}) == len(there)
    both = set(one.hosts) & set(two.hosts)
    same = all(one.hosts[host].to_json() == two.hosts[host].to_json() for host in both)
    assert (not there) == same
    assert {text.partition(":")[0] for text in gaps(one, two)} == set(one.hosts) ^ set(two.hosts)


@pytest.mark.parametrize(
    ("pattern", "kind", "name", "meant"),
    [
        ("*.log", "file", "app/a.log", True),
        ("logs", "file", "app/logs/a", True),
        ("app/logs", "file", "app/logs/a", True),
        ("app/logs", "file", "other/app/logs/a", False),
        ("/etc/shop/*.bak", "file", "/etc/shop/a.bak", True),
        ("file:a", "file", "a", True),
        ("package:linux-*", "package", "linux-image", True),
        ("package:linux-*", "file", "linux-image", False),
        ("port:udp/*", "port", "tcp/0.0.0.0:80", False),
        ("*", "package", "bash", False),
    ],
)
def test_patterns(pattern: str, kind: str, name: str, meant: bool) -> None:
    """A pattern is about files unless it begins with another kind; with a slash it means a whole name and all below it."""
    assert ignored([pattern], kind, name) is meant


def test_what_of_a_file_differs_is_told() -> None:
    """Of a file that is still one only what is another is told: its mode, its owner or its content."""
    old = FileState(type="file", mode="0644", owner="a:a", content="0" * 64)
    before = Snapshot(hosts={"w1": HostSnapshot(files={"x": old})})
    after = Snapshot(hosts={"w1": HostSnapshot(files={"x": old.model_copy(update={"mode": "0600"})})})
    assert [str(item) for item in compare_snapshots(before, after)] == ["w1: file x changed (mode 0644 → mode 0600)"]


def test_what_the_collection_wrote_down_is_believed() -> None:
    """A file that is gone, edited, made executable or put beside the release's own is told; links and our own notes are not."""
    file = FileState(type="file", mode="0644", owner="a:a", content="0" * 64)
    files = {
        "releases/r/same": file,
        "releases/r/edited": file.model_copy(update={"content": "1" * 64}),
        "releases/r/mode": file.model_copy(update={"mode": "0755"}),
        "releases/r/more": file,
        "releases/r/.orchestrator-release.json": file,
        "releases/r/data": FileState(type="link", mode="0777", owner="a:a", content="../../shared/data"),
        "elsewhere": file,
    }
    wrote = dict.fromkeys(("same", "edited", "mode", "gone"), "0" * 64)
    found = tampered("w1", HostSnapshot(current="r", files=files, installed=wrote))
    assert {(item.name, item.change) for item in found} == {
        ("edited", "changed"), ("mode", "changed"), ("gone", "removed"), ("more", "added")}  # fmt: skip
    ignore = ("releases/r/edited", "more", "same")
    host = HostSnapshot(current="r", files=files, installed=wrote)
    assert ignored_changes("w1", host, ignore) == ("edited", "more")
    assert {item.name for item in tampered("w1", host, ignore)} == {"mode", "gone"}
