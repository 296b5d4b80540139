"""Host patterns as Ansible understands them, and batches."""

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory, batches

WEB = Inventory(
    hosts={name: {} for name in ("web1", "web2", "web3", "db1", "db2", "alone")},
    groups={
        "web": Group(hosts=("web1", "web2", "web3")),
        "db": Group(hosts=("db1", "db2")),
        "site": Group(children=("web", "db")),
    },
)


def _by_ansible(inventory: Inventory) -> InventoryManager:
    """The same hosts and groups in Ansible's own hands."""
    manager = InventoryManager(loader=DataLoader(), sources=None)
    for name in inventory.groups:
        manager.add_group(name)
    for host in inventory.hosts:
        manager.add_host(host, group="all")  # as in the document that playbooks get
    for name, group in inventory.groups.items():
        for host in group.hosts:
            manager.add_host(host, group=name)
        for child in group.children:
            manager.groups[name].add_child_group(manager.groups[child])
    manager.reconcile_inventory()
    return manager


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """A few hosts in a few groups; groups hold only later ones, as Ansible allows no circle.

    Some have the groups `all` and `ungrouped` with hosts of their own, as a stack's output may.
    """
    hosts = draw(st.lists(st.sampled_from([f"h{n}" for n in range(8)]), min_size=1, unique=True))
    names = ["alpha", "beta", "gamma"]
    groups = {}
    for place, name in enumerate(names):
        own = draw(st.lists(st.sampled_from(hosts), unique=True))
        below = names[place + 1 :]
        children = draw(st.lists(st.sampled_from(below), unique=True)) if below else []
        groups[name] = Group(hosts=tuple(own), children=tuple(children))
    for name in draw(st.lists(st.sampled_from(["all", "ungrouped"]), unique=True)):
        groups[name] = Group(hosts=tuple(draw(st.lists(st.sampled_from(hosts), unique=True))))
    return Inventory(hosts={host: {} for host in hosts}, groups=groups)


PART = st.sampled_from(
    [
        "alpha",
        "beta",
        "gamma",
        "all",
        "ungrouped",
        "*",
        "h*",
        "h?",
        "?eta",
        "alpha[0]",
        "beta[-1]",
        "all[0:1]",
        "all[1:]",
        "gamma[0]",
        "h[1:3]",
        "h[135]",
        "h[!135]",
        "~h[0-3]$",
        "~(al|be)",
        "~^.*a",
        "u*",
        "al*",
        "a*[1]",
        "all[2:0]",
        "*[1:2]",
        "h3:22",
        "2001:db8::1",
    ]
)
PATTERN = st.tuples(
    st.sampled_from(":,"), PART, st.lists(st.tuples(st.sampled_from(["", "&", "!"]), PART), max_size=3)
).map(lambda parts: parts[1] + "".join(f"{parts[0]}{sign}{part}" for sign, part in parts[2]))


def _selected(inventory: Inventory, pattern: str) -> tuple[list[str] | None, str]:
    """What is selected, or None and why nothing is."""
    try:
        return inventory.select(pattern), ""
    except OrchestratorError as error:
        return None, str(error)


@settings(max_examples=150, deadline=None)
@given(inventories(), PATTERN)
def test_a_pattern_means_what_ansible_makes_of_it(inventory: Inventory, pattern: str) -> None:
    """Groups, wildcards, subscripts, unions, intersections and exclusions give the hosts that Ansible gives."""
    try:
        expected = [host.name for host in _by_ansible(inventory).get_hosts(pattern)]
    except (AnsibleError, IndexError):
        expected = None
    found, refused = _selected(inventory, pattern)
    if found is None:
        assert expected is None or "matches" in refused  # what Ansible warns of, and leaves out
        return
    assert expected is not None
    assert sorted(found) == sorted(expected)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("all", "web1 web2 web3 db1 db2 alone"),
        ("ungrouped", "alone"),
        ("site", "web1 web2 web3 db1 db2"),
        ("site:!db", "web1 web2 web3"),
        ("site:&web[1:2]", "web2 web3"),
        ("web[0],db[-1]", "web1 db2"),
        ("!web", "db1 db2 alone"),
        ("~(web|db)1", "web1 db1"),
        ("~w.*\\d:!web[0]", "web2 web3"),
        ("db, web[1:]", "db1 db2 web2 web3"),
        ("web db", "web1 web2 web3 db1 db2"),
        ("web[!3]", "web1 web2"),
        ("d*1", "db1"),
    ],
)
def test_patterns(pattern: str, hosts: str) -> None:
    """The patterns that the guides use give these hosts, in this order."""
    assert WEB.select(pattern) == hosts.split()
    assert [host.name for host in _by_ansible(WEB).get_hosts(pattern)] == hosts.split()


@settings(max_examples=150, deadline=None)
@given(inventories())
def test_hosts_of_no_group_are_those_of_ansible(inventory: Inventory) -> None:
    """A host that only `all` or `ungrouped` names is in no group, as in Ansible; one that a group names is in it alone."""
    expected = {host.name for host in _by_ansible(inventory).groups["ungrouped"].hosts}
    assert set(inventory.members("ungrouped")) == expected


@pytest.mark.parametrize(
    "pattern", ["nobody", "web:nobody", "web:!nobody", "nob*", "~nob", "web[7]", "web[-4]", "web:22"]
)
def test_a_name_that_nothing_has_is_an_error(pattern: str) -> None:
    """A part of a pattern that names neither a group nor a host, or none of a group's hosts, is D101."""
    with pytest.raises(OrchestratorError) as error:
        WEB.select(pattern)
    assert error.value.code == "D101"


def test_a_misspelled_pattern_gets_the_nearest_name() -> None:
    """The message about a pattern that matches nothing suggests the group or host whose name is nearest."""
    inventory = Inventory(hosts={"web1": {}, "db1": {}}, groups={"frontend": Group(hosts=("web1",))})
    for pattern, name in (("frontned", "frontend"), ("all:!bd1", "db1")):
        with pytest.raises(OrchestratorError, match=rf"; did you mean '{name}'\?$"):
            inventory.select(pattern)
    with pytest.raises(OrchestratorError, match=r"'nobody'$"):
        inventory.select("nobody")


def test_groups_in_a_circle_end() -> None:
    """Groups that hold each other have the hosts of both, once."""
    circle = Inventory(hosts={"a": {}, "b": {}}, groups={"x": Group(hosts=("a",), children=("y",)),
                                                         "y": Group(hosts=("b",), children=("x",))})  # fmt: skip
    assert circle.members("x") == ["a", "b"]


def test_the_outline_has_no_variables() -> None:
    """What may be shown of an inventory holds its hosts and groups, and no variable."""
    full = Inventory(hosts={"a": {"password": "hush"}}, groups={"x": Group(hosts=("a",), vars={"token": "hush"})})
    assert "hush" not in str(full.hosts_only().to_json())
    assert full.hosts_only().members("x") == ["a"]
    assert full.digest != full.hosts_only().digest


SIZE = st.one_of(st.integers(1, 30), st.integers(1, 100).map(lambda share: f"{share}%"))


@given(st.lists(st.integers(), unique=True, max_size=120), st.lists(SIZE, min_size=1, max_size=5))
def test_batches_cover_every_host_once(numbers: list[int], sizes: list[Any]) -> None:
    """Whatever the sizes, every host is in exactly one batch, no batch is empty, and the order stays."""
    hosts = [f"h{number}" for number in numbers]
    cut = batches(hosts, tuple(sizes))
    assert [host for batch in cut for host in batch] == hosts
    assert all(cut)


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (10, ("100%",), [10]),
        (10, (1, "30%", "100%"), [1, 3, 6]),
        (10, (4,), [4, 4, 2]),
        (3, ("10%",), [1, 1, 1]),
        (10, ("25%",), [2, 2, 2, 2, 2]),
        (0, (5,), []),
    ],
)
def test_batch_sizes(count: int, sizes: tuple[int | str, ...], expected: list[int]) -> None:
    """Shares are of all hosts, rounded down but never to nothing, and the last size repeats."""
    assert [len(batch) for batch in batches([f"h{number}" for number in range(count)], sizes)] == expected


def test_where_files_lie_is_nothing_that_is_held_to() -> None:
    """What the user's files say counts, once it has been read, and not the folder that a machine keeps them in."""
    here = Inventory(hosts={"web1": {}}, files=("/srv/one/hosts.yml",), source_digest="sha256:1")
    assert here.digest == here.model_copy(update={"files": ("/srv/two/hosts.yml",)}).digest
    assert here.digest != here.model_copy(update={"source_digest": "sha256:2"}).digest
    assert here.digest != here.model_copy(update={"files": ()}).digest


def test_a_document_has_files_as_they_are_written() -> None:
    """In a document and its outline, an inventory has the names that the project has for its files, on each machine."""
    one, two = (
        Inventory(hosts={"web1": {}}).with_files((f"/srv/{name}/hosts.yml",), ("hosts.yml",)) for name in ("one", "two")
    )
    assert one.files != two.files
    assert one.to_json() == two.to_json() == one.hosts_only().to_json()
    assert one.to_json()["files"] == ["hosts.yml"]
    assert one.digest == two.digest
    assert Inventory().with_files_of(one).files == one.files


@pytest.mark.parametrize(
    ("earlier", "same"),
    [
        (("/srv/one/envs/hosts.yml",), True),
        (("/srv/one/hosts.yml",), False),
        (("/srv/one/envs/other-hosts.yml",), False),
        (("envs/hosts.yml",), False),
        (("/srv/one/envs/hosts.yml", "/srv/one/more.yml"), False),
        ((), False),
    ],
)
def test_an_earlier_document_keeps_the_form_of_its_files(earlier: tuple[str, ...], same: bool) -> None:
    """An inventory is written as an earlier document has it exactly when that has the same files by absolute paths."""
    now = Inventory(hosts={"web1": {}}).with_files(("/srv/two/envs/hosts.yml",), ("envs/hosts.yml",))
    found = now.in_form_of(Inventory(files=earlier))
    assert found.to_json()["files"] == (list(earlier) if same else ["envs/hosts.yml"])
    assert found.files == now.files
    assert now.in_form_of(None) == now
