"""Small values: durations, sizes, batches, outcomes, the promotion's table, plans' digests, and text from outside."""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.configuration import Configuration, FolderSettings, Setting
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import (
    Plan,
    PlannedStep,
    PlaySpec,
    RollbackTarget,
    StackPreview,
    SuiteSpec,
    differences,
    held,
)
from orchestrator.domain.promotion import ENDINGS, TABLE, Event, IllegalMove, State, move
from orchestrator.domain.quantities import seconds, size_bytes
from orchestrator.domain.release import PackageRef
from orchestrator.domain.release_steps import Rollout
from orchestrator.domain.step import HostResult, Outcome, StepResult, step_of, worst
from orchestrator.domain.text import clean_text, coloured, counted, in_number_order


@pytest.mark.parametrize(
    ("text", "expected"), [("250ms", 0.25), ("30s", 30), ("1.5m", 90), ("2h", 7200), ("1d", 86400), ("0s", 0)]
)
def test_durations(text: str, expected: float) -> None:
    """A duration is a number with its unit, in seconds."""
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1 s", "1w", "1e3s", ".5s", "1s ", "1sm", "١s"[1:], "inf"])
def test_what_is_no_duration(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


@given(st.integers(0, 10**9), st.sampled_from([("B", 1), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30)]))
def test_sizes(number: int, unit: tuple[str, int]) -> None:
    """A size is a whole number with a binary unit, in bytes."""
    assert size_bytes(f"{number}{unit[0]}") == number * unit[1]


@pytest.mark.parametrize("text", ["", "1", "1MB", "1.5GiB", "-1B", "MiB", "1 MiB", "1mib"])
def test_what_is_no_size(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="size"):
        size_bytes(text)


@pytest.mark.parametrize("batch", [0, -1, "0%", "101%", "5", "%", "1.5%", 1.5, "ten%", ""])
def test_what_is_no_batch(batch: Any) -> None:
    """A batch is a count of at least 1, or a share from 1% to 100%."""
    with pytest.raises(ValidationError):
        Rollout(batches=(batch,))


@given(st.lists(st.sampled_from(Outcome), max_size=8))
def test_the_worst_outcome(outcomes: list[Outcome]) -> None:
    """The worst of many is one of them, none is worse, the order does not matter, and it is good when all are."""
    found = worst(outcomes)
    assert found in outcomes or (not outcomes and found is Outcome.SKIPPED)
    assert all(worst([found, outcome]) is found for outcome in outcomes)
    assert worst(reversed(outcomes)) is found
    assert found.good == all(outcome.good for outcome in outcomes)


def test_unknown_is_the_worst() -> None:
    """Nobody could look weighs more than broken machinery, and that more than a bad release."""
    assert worst(Outcome) is Outcome.UNKNOWN
    assert worst([Outcome.FAILED, Outcome.ERRORED]) is Outcome.ERRORED
    assert [outcome for outcome in Outcome if outcome.good] == [Outcome.SUCCEEDED, Outcome.SKIPPED]


def test_what_a_step_has_touched() -> None:
    """A step names the hosts that it may have changed, in order, also those where it failed."""
    hosts = (
        HostResult(host="b", outcome=Outcome.FAILED, touched=True),
        HostResult(host="c", outcome=Outcome.UNKNOWN, touched=False),
        HostResult(host="a", outcome=Outcome.SUCCEEDED, touched=True),
    )
    assert StepResult(outcome=Outcome.UNKNOWN, hosts=hosts).touched() == ("b", "a")


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("r1.deploy.1", ("deploy.1", 1)),
        ("r1.deploy.1~2", ("deploy.1", 2)),
        ("r1.a~0", ("a~0", 1)),
        ("r1.a~2~3", ("a~2", 3)),
    ],
)
def test_steps_of_jobs(job: str, expected: tuple[str, int]) -> None:
    """A job's key tells its step, and which attempt at it this is."""
    assert step_of(job, "r1") == expected


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_moves(state: State, event: Event) -> None:
    """A move that the table has leads where it says; any other raises, names both, and changes nothing."""
    if event in TABLE[state]:
        assert move(state, event) is TABLE[state][event]
        return
    before = {known: dict(moves) for known, moves in TABLE.items()}
    with pytest.raises(IllegalMove, match=f"{state} cannot {event}"):
        move(state, event)
    assert before == TABLE


def test_every_state_reaches_an_ending() -> None:
    """The table knows every state, every one can be reached, and from each there is a way to an ending."""
    assert set(TABLE) == set(State)
    assert {State.SUCCEEDED, State.FAILED, State.ROLLED_BACK, State.HELD, State.NEEDS_INTERVENTION} == ENDINGS
    assert _from(State.REQUESTED) == set(State)
    for state in State:
        assert _from(state) & ENDINGS
    for state in (State.HALTING, State.UNDOING, State.RESTORING, State.VERIFYING_ROLLBACK):
        assert not _from(state) & {State.SUCCEEDED, State.FAILED}


def _from(state: State) -> set[State]:
    """What can be reached from *state*, itself included."""
    found: set[State] = set()
    waiting = [state]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += TABLE[here].values()
    return found


D1, D2 = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def _plan(**more: Any) -> Plan:
    play = PlaySpec(step="deploy", playbook="site.yml", hosts="web", vars={"a": 1, "b": [1, "x"]})
    about: dict[str, Any] = {
        "project": "shop",
        "environment": "staging",
        "release": PackageRef(name="shop", version="1.0.0", digest=D1),
        "definition": D1,
        "steps": (PlannedStep(play=play, batches=(("web1",), ("web2",))),),
        "verify": (SuiteSpec(name="smoke", tests="tests"),),
        "rollback_target": RollbackTarget(),
    }
    return Plan(**{**about, **more})


def test_equal_plans_have_equal_digests() -> None:
    """The same plan has the same digest, also after a way through JSON, and whenever it was made."""
    plan = _plan()
    assert plan.digest == _plan().digest == _plan(created_at="2026-01-01T00:00:00Z").digest
    assert Plan.from_json(plan.to_json()).digest == plan.digest
    assert plan.document()["digest"] == plan.digest
    assert differences(plan, _plan(created_at="later")) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"release": PackageRef(name="shop", version="1.0.0", digest=D2)}, ["the release package"]),
        ({"definition": D2}, ["the environment's definition"]),
        ({"inventory_digest": D2}, ["the hosts"]),
        ({"verify": (SuiteSpec(name="smoke", tests="tests", args=("-x",)),)}, ["the tests"]),
        ({"rollback_target": RollbackTarget(reason="none")}, ["the rollback target"]),
        ({"environment": "production"}, ["the environment"]),
        ({"automatic_rollback": False}, ["whether a failure is rolled back automatically"]),
        ({"notes": ("a warning",)}, ["the notes"]),
    ],
)
def test_different_plans_have_different_digests(change: dict[str, Any], named: list[str]) -> None:
    """Whatever decides what a plan does changes its digest, and what it stands on is named."""
    assert _plan(**change).digest != _plan().digest
    assert differences(_plan(), _plan(**change)) == named


def _of_vaults(value: str) -> Configuration:
    """A configuration with vault ids, for the hosts and for the plays of one folder."""
    found = (Setting(name="defaults.vault_identity_list", value=value, origin="environment.yaml"),)
    return Configuration(plays=(FolderSettings(folder=".", settings=found),), hosts=found)


def test_a_plan_with_absolute_paths_still_holds() -> None:
    """A plan of an earlier version, whose digest covers the folder of a machine, holds in any folder with the same files."""
    here = Inventory(hosts={"web1": {}}).with_files(("/srv/two/hosts.yml",), ("hosts.yml",))
    earlier = Inventory(hosts={"web1": {}}, files=("/srv/one/hosts.yml",))
    now = _plan(
        inventory=here,
        stack=StackPreview(state_digest=D1, inventory=here),
        configuration=_of_vaults("a@a.txt, b.txt, c@prompt"),
    )
    approved = _plan(
        inventory=earlier,
        stack=StackPreview(state_digest=D1, inventory=earlier),
        configuration=_of_vaults("a@/srv/one/a.txt, /srv/one/b.txt, c@prompt"),
    )
    approved = Plan.from_json(approved.to_json())
    assert held(approved, now).digest == approved.digest
    assert differences(now, held(now, now)) == []
    for vaults in ("a@/srv/one/other.txt, /srv/one/b.txt, c@prompt", "a@/srv/one/a.txt, /srv/one/b.txt"):
        other = approved.model_copy(update={"configuration": _of_vaults(vaults)})
        assert differences(other, held(other, now)) == ["the configuration"]
    other = approved.model_copy(update={"inventory": Inventory(hosts={"web1": {}}, files=("/srv/one/more.yml",))})
    assert differences(other, held(other, now)) == ["the hosts"]


VARS = st.dictionaries(st.text("ab", min_size=1, max_size=3), st.one_of(st.integers(), st.text(max_size=4)), max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VARS, VARS)
def test_a_digest_stands_for_the_variables(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two plans have the same digest exactly when their steps are equal."""
    plays = [PlaySpec(step="deploy", playbook="site.yml", hosts="web", vars=values) for values in (one, other)]
    first, second = (_plan(steps=(PlannedStep(play=play),)).digest for play in plays)
    assert (first == second) == (one == other)


@given(st.text(st.characters(), max_size=200), st.one_of(st.none(), st.integers(0, 50)))
def test_no_control_byte_is_left(text: str, limit: int | None) -> None:
    """Cleaned text has no control character but newline and tab, changes no direction, and stays when cleaned again."""
    cleaned = clean_text(text, limit)
    _harmless(cleaned)
    assert clean_text(cleaned) == cleaned
    if limit is not None and len(cleaned) > limit:
        assert cleaned.endswith("characters more)")


HOSTILE = [
    "\x1b",
    "[",
    "31m",
    "]0;",
    "\x07",
    "\\",
    "\x9b",
    "\x00",
    "\r",
    "\n",
    "\u202e",
    "\u2066",
    "a",
    ";",
    "P",
    "\x7f",
]


@given(st.lists(st.sampled_from(HOSTILE), max_size=25).map("".join))
def test_pieces_of_escape_sequences(text: str) -> None:
    """However escape sequences are nested or torn, nothing that a terminal obeys is left."""
    _harmless(clean_text(text))


def _harmless(text: str) -> None:
    assert [char for char in text if char not in "\n\t" and not char.isprintable()] == []
    assert not set(text) & set("\u034f\u115f\u1160\u2800\u3164\ufe0f\uffa0")


@pytest.mark.parametrize("char", "\u061c\u200b\u200d\u2060\u180e\u00ad\u2028\U000e0041\ue000\u3164\u00a0\ud800")
def test_what_is_not_seen_is_not_shown(char: str) -> None:
    """Marks of width zero, tags, private characters and fillers go; another blank is a space, also in a coloured line."""
    expected = {"\u2028": "a b", "\u00a0": "a b", "\ud800": "a?b"}.get(char, "ab")
    assert clean_text(f"a{char}b") == expected
    assert coloured(f"\x1b[31ma{char}b\x1b[0m\x1b[2J") == f"\x1b[31m{expected}\x1b[0m"


def test_whole_sequences_go_without_a_trace() -> None:
    """Colours, titles and carriage returns are gone, and the words stay."""
    assert clean_text("\x1b[1;31mred\x1b[0m \x1b]0;title\x07end\r\nline\rover") == "red end\nline\nover"
    assert counted(1, "host") == "1 host"
    assert counted(0, "host") == "0 hosts"


def test_versions_are_in_the_order_of_their_numbers() -> None:
    """A version with a larger number comes later, whatever its digits, and a text without numbers is no error."""
    versions = ["1.10.0", "latest", "1.9.0", "1.9.0-rc.10", "1.9.0-rc.2"]
    assert sorted(versions, key=in_number_order) == ["1.9.0", "1.9.0-rc.2", "1.9.0-rc.10", "1.10.0", "latest"]
