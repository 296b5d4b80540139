"""In which order hosts go, which of them go first, and what may be written of gates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Canary, Flaky, Gate, Probe, PrometheusGate
from orchestrator.domain.inventory import Group, Inventory, ordered
from orchestrator.domain.model import Model, canonical_json
from orchestrator.domain.plan import HostState, ObservationWindow, PlannedCanary, PlannedStep, PlaySpec
from orchestrator.domain.release import Release, Verification, Watch
from orchestrator.domain.release_steps import Rollout
from orchestrator.domain.sides import Sides

PLAY = PlaySpec(step="deploy", playbook="p.yml", hosts="web")
LOOK = ObservationWindow(seconds=1.0, every=1.0)


def inventory(count: int) -> Inventory:
    names = tuple(f"web{number}" for number in range(1, count + 1))
    return Inventory(hosts={**{name: {} for name in names}, "db1": {}}, groups={"web": Group(hosts=names)})


def step(hosts: int | str | None = None, **more: object) -> PlannedStep:
    canary = None if hosts is None else PlannedCanary(hosts=hosts, observation=LOOK)
    return PlannedStep.model_validate({"play": PLAY, "canary": canary, **more})


HOSTS = st.one_of(st.none(), st.integers(1, 40), st.integers(1, 100).map("{}%".format), st.just("web1"))
SIZES = st.lists(st.one_of(st.integers(1, 9), st.integers(1, 100).map("{}%".format)), min_size=1, max_size=4)


@given(st.integers(1, 30), HOSTS, SIZES, st.sampled_from(["inventory", "reverse", "sorted", "shuffled"]), st.text())
def test_each_host_is_in_one_batch(
    count: int, hosts: int | str | None, sizes: list[int | str], order: str, seed: str
) -> None:
    """Whatever the strategy, the order and the sizes are, each host of the step is in one batch, and no other host is."""
    made = step(hosts, sizes=tuple(sizes), order=order, seed=seed)
    batches = made.cut(inventory(count))
    assert sorted(host for batch in batches for host in batch) == sorted(f"web{n}" for n in range(1, count + 1))
    assert all(batches)
    assert batches == made.cut(inventory(count))


def test_the_canary_goes_first_and_shares_are_of_all_hosts() -> None:
    """A canary of 10% of ten hosts is one host; batches of 30% after it are of three hosts, as without a canary."""
    assert [len(batch) for batch in step("10%", sizes=("30%",)).cut(inventory(10))] == [1, 3, 3, 3]
    assert step("web3", sizes=("100%",)).cut(inventory(4)) == (("web3",), ("web1", "web2", "web4"))
    assert step(3).cut(inventory(2)) == (("web1", "web2"),)


@pytest.mark.parametrize("pattern", ["db1", "web9", "nothing"])
def test_a_canary_that_is_nobody_is_refused(pattern: str) -> None:
    """A host pattern that means none of the step's hosts is an error, and not a rollout without a look."""
    with pytest.raises(OrchestratorError) as raised:
        step(pattern).cut(inventory(3))
    assert raised.value.code == "R170"


QUERY = {"server": "http://p", "query": "up", "below": 1}


def test_orders() -> None:
    """Hosts go as the inventory has them, the other way round, by name with numbers as numbers, or shuffled alike."""
    hosts = ["web10", "web9", "db1"]
    assert ordered(hosts, "inventory") == hosts
    assert ordered(hosts, "reverse") == ["db1", "web9", "web10"]
    assert ordered(hosts, "sorted") == ["db1", "web9", "web10"]
    many = [f"web{number}" for number in range(30)]
    assert ordered(many, "shuffled", "a") == ordered(many[::-1], "shuffled", "a") != ordered(many, "shuffled", "b")


@pytest.mark.parametrize(
    "data",
    [
        {"name": "none"},
        {"name": "two", "command": ["true"], "tests": "tests"},
        {"name": "empty", "command": []},
        {"name": "file", "http": {"url": "file:///etc/passwd"}},
        {"name": "no-threshold", "prometheus": {"server": "http://p", "query": "up"}},
        {"name": "two-secrets", "prometheus": {**QUERY, "token_from": "A", "user": "ann", "password_from": "B"}},
        {"name": "no-password", "prometheus": {**QUERY, "user": "ann"}},
        {"name": "no-user", "prometheus": {**QUERY, "password_from": "B"}},
        {"name": "no-variable", "prometheus": {**QUERY, "token_from": "eyJ-a-token"}},
        {"name": "no-path", "prometheus": {**QUERY, "ca": "/etc/ca.pem"}},
        {"name": "no-time", "command": ["true"], "timeout": "0s"},
    ],
    ids=lambda data: data["name"],
)
def test_gates_that_are_none(data: dict[str, object]) -> None:
    """A gate is exactly one thing, with a URL of the web, a threshold, one secret by its variable, and a time that there is."""
    with pytest.raises(ValidationError):
        Gate.from_json(data)


def test_a_query_without_a_secret_is_written_as_before() -> None:
    """What a query does not say of secrets and certificates is not in what is written of it, so that digests stay."""
    assert set(PrometheusGate.from_json(QUERY).to_json()) == {"server", "query", "timeout", "above", "below"}
    full = {**QUERY, "user": "ann", "password_from": "B", "ca": "ca.pem"}
    assert PrometheusGate.from_json(full).to_json().items() >= full.items()


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (Canary, {"hosts": 0}),
        (Canary, {"hosts": "101%"}),
        (Canary, {"gates": [{"name": "a", "command": ["x"]}, {"name": "a", "command": ["y"]}]}),
        (Rollout, {"canary": {}}),
        (Rollout, {"strategy": "rolling", "canary": {}}),
        (Watch, {"for": "1m"}),
        (Probe, {}),
        (Flaky, {"retries": 0}),
    ],
)
def test_what_says_nothing_is_refused(model: type[Model], data: dict[str, object]) -> None:
    """A canary without hosts or without the strategy, a watch or a probe that looks at nothing: each is an error."""
    with pytest.raises(ValidationError):
        model.from_json(data)


@given(st.floats(allow_nan=False), st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_thresholds(value: float, above: float, below: float) -> None:
    """A value holds when it is below the one and above the other threshold, and never when it is equal to one."""
    gate = PrometheusGate(server="http://p", query="q", above=above, below=below)
    assert gate.holds(value) == (above < value < below)
    assert not gate.holds(above)


def test_what_was_written_before_keeps_its_text() -> None:
    """A rollout, a suite and a watch without any of the new words are written as they always were."""
    assert canonical_json(Rollout().to_json()) == b'{"batches":["100%"],"max_failures":0,"pause":"0s"}'
    assert set(Verification(name="smoke", tests="t").to_json()) == {"name", "tests", "timeout", "args"}
    watch = Watch.from_json({"for": "1m", "tests": "t"}).model_dump(by_alias=True)
    assert watch == {"for": "1m", "every": "30s", "tests": "t"}


def two_sides(**more: object) -> dict[str, object]:
    about = {"blue": "blue", "green": "green", "switch": "switch.yml", **more}
    return {"strategy": "blue_green", "blue_green": about}


@given(st.integers(1, 12), st.integers(1, 12), SIZES, st.sampled_from(["blue", "green"]))
def test_a_step_goes_to_one_side(blue: int, green: int, sizes: list[int | str], to: str) -> None:
    """A step with sides goes to each host of one side once, and to none of the other."""
    names = {"blue": tuple(f"b{n}" for n in range(blue)), "green": tuple(f"g{n}" for n in range(green))}
    groups = {**{name: Group(hosts=hosts) for name, hosts in names.items()}, "web": Group(children=("blue", "green"))}
    found = Inventory(hosts={host: {} for hosts in names.values() for host in hosts}, groups=groups)
    made = step(sizes=tuple(sizes), sides=("blue", "green"), to=to)
    assert sorted(host for batch in made.cut(found) for host in batch) == sorted(names[to])
    assert made.divided(found) == Sides(**names)


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        ({"strategy": "blue_green"}, "is required with"),
        ({"blue_green": two_sides()["blue_green"]}, "is allowed with strategy: blue_green only"),
        (two_sides(gates=[{"name": "up", "command": ["true"]}]), "checked during the observation"),
        (two_sides(blue="{{ blue }}"), "pattern"),
        (two_sides(switch="../switch.yml"), "inside the project"),
    ],
)
def test_what_cannot_be_meant_of_sides(rollout: dict[str, object], words: str) -> None:
    """Sides without the strategy, the strategy without sides, and gates that nobody would ask are errors in the file."""
    with pytest.raises(ValidationError, match=words):
        Rollout.from_json(rollout)


def test_there_is_one_switch_and_one_way_back() -> None:
    """Steps with different sides are an error, and so is one with an undo of its own: its way back is the switch."""
    deploy = {"name": "deploy", "playbook": "p.yml", "rollout": two_sides()}
    for other, words in (
        ({"name": "more", "playbook": "p.yml", "rollout": two_sides(green="web")}, "different blue_green"),
        ({"name": "more", "playbook": "p.yml", "undo": "undo.yml", "rollout": two_sides()}, "leave `undo` out"),
    ):
        data = {"apiVersion": "orchestrator/v1", "kind": "Release", "name": "shop", "version": "1", "environments": ["s"],
                "steps": [deploy, other], "verify": [{"name": "smoke", "tests": "tests"}]}  # fmt: skip
        with pytest.raises(ValidationError, match=words):
            Release.from_json(data)


def test_what_has_no_sides_is_what_it_was() -> None:
    """Nothing of sides is in what is kept of steps and hosts that have none: their digests are those of before."""
    words = {"sides", "to", "side", "is_standby", "switch_uncertain", "blue_green"}
    kept = [Rollout(), step(), HostState(host="a", truth="empty")]
    assert [words & set(value.to_json()) for value in kept] == [set(), set(), set()]
