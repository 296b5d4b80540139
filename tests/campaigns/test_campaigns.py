"""The short form of the campaigns; `make crash-sweep`, `make sim`, `make chaos` … are the long ones."""

import contextlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns import audit_mutate, bugs, rollback, servers, sim, workers
from tests.campaigns.chaos.rows import ROWS
from tests.campaigns.chaos.table import WANTED, Row, Shared, execute
from tests.campaigns.judge import judged
from tests.campaigns.simulated import SCENARIOS, Scenario, ending, prepared
from tests.campaigns.sweep import attempt
from tests.postgres import serving

QUICK = [
    "the lease is not given back",
    "an intent is written after its effect",
    "batches are not proved",
    "an effect is not remembered",
    "only one host is put back",
    "a run does not see that its environment closes",
    "a run that is held keeps its environment",
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_crash_at_any_point_is_recovered_from(scenario: Scenario, tmp_path: Path) -> None:
    """Wherever the process dies, and dies again while recovering, the run ends as it would have, and the checker finds nothing."""
    wrong, count = attempt(scenario, tmp_path, ())
    assert wrong == []
    for first in range(1 + len(scenario.name) % 5, count, 11):
        assert attempt(scenario, tmp_path, (first,))[0] == [], first
        assert attempt(scenario, tmp_path, (first, first + 9))[0] == [], (first, first + 9)


def test_the_power_fails_twice_in_the_same_step(tmp_path: Path) -> None:
    """An engine that dies with its orchestrator, and dies again in its second attempt, is begun a third time, and the run goes on."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "engines die with their orchestrator")
    _, count = attempt(scenario, tmp_path, ())
    twice = 0
    for first in range(1, count + 1, 2):
        simulation = prepared(scenario, tmp_path)
        root = simulation.play((first,))
        began = [item[2:4] for item in simulation.kept.trace if item[0] == "journal"]
        second = next((step for kind, step in began if kind == "step.started" and step.endswith("~2")), None)
        if second is None:
            continue
        for again in range(first + 1, simulation.kept.points.count + 1):
            simulation = prepared(scenario, tmp_path)
            root = simulation.play((first, again))
            assert (ending(simulation, root).value, judged(simulation, root)) == ("succeeded", []), (first, again)
            twice += any(item[3].endswith("~3") for item in simulation.kept.trace if item[0] == "journal")
        break
    assert twice


@pytest.mark.parametrize("scenario", SCENARIOS[:9], ids=lambda scenario: scenario.name)
def test_a_process_that_wakes_up_too_late_does_nothing_more(scenario: Scenario, tmp_path: Path) -> None:
    """A process that was paused until another one had ended its run touches neither journal nor hosts, stack nor the lease."""
    for at in range(1 + len(scenario.name) % 3, 200, 7 - 2 * (scenario.grown > 0)):
        simulation = prepared(scenario, tmp_path)
        root = simulation.ask("promotion", simulation.new, "production")
        if not simulation.outlast(root, simulation.kept.points.count + at):
            break
        assert ending(simulation, root).value == scenario.ends
        assert judged(simulation, root) == [], at


def test_promotions_by_chance(tmp_path: Path) -> None:
    """Promotions with random faults, crashes and late processes violate no invariant."""
    for number in range(120):
        kind, _, wrong = sim.one(20261124, number, tmp_path)
        assert wrong == [], f"seed 20261124 run {number} ({kind})"


@pytest.mark.parametrize("number", [360, 960, 2069])
def test_a_held_run_that_another_process_ended_leaves_no_place(tmp_path: Path, number: int) -> None:
    """A process that was paused before it waited, while another one ended its run, leaves no place in the queue when it wakes up."""
    assert sim.one(447612178, number, tmp_path)[2] == []


def test_bugs_are_planted_in_functions_that_exist() -> None:
    """Each planted bug replaces a function or an attribute that its owner has."""
    missing = [(name, attribute) for name, places in bugs.BUGS.items() for owner, attribute, _ in places
               if not hasattr(owner, attribute)]  # fmt: skip
    assert missing == []


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str, tmp_path: Path) -> None:
    """A bug in the engine makes the campaigns fail."""
    with contextlib.ExitStack() as planted:
        for owner, attribute, bug in bugs.BUGS[name]:
            planted.enter_context(bugs._planted(owner, attribute, bug))
        _, found = bugs.hunt(tmp_path)
    assert found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """What the rows of the table of faults use together."""
    made = Shared(tmp_path_factory.mktemp("chaos"))
    yield made
    made.forget()


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
@pytest.mark.parametrize(
    "item", [item for number in WANTED for item in ROWS[number] if item.quick], ids=lambda item: str(item.number)
)
def test_a_fault_in_real_parts_is_outlived(item: Row, shared: Shared) -> None:
    """A fault that is injected into real processes, hosts and databases does no lasting harm."""
    came = execute(item, f"20261125:{item.number}", shared)
    assert came.how == "held", came.line


@pytest.mark.long
def test_many_promotions_over_workers_that_are_killed() -> None:
    """Promotions over two workers on Postgres, one of which is killed at random, are all done, and nothing twice."""
    with serving() as server:
        assert workers.campaign(server, 12, 2, 8.0, random.Random(5)) == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_promotions_and_approvals_at_servers_that_are_killed() -> None:
    """Promotions and approvals at two servers are made once, and streams and pages recover, while servers, workers and runs are killed."""
    with serving() as server:
        assert servers.campaign(server, 12, 5.0, random.Random(7)) == 0


@pytest.mark.parametrize(
    ("target", "given", "wanted"),
    [
        ("workers", [], "tests.campaigns.workers --roots 1000 "),
        ("workers", ["COUNTS=1,2"], "tests.campaigns.workers --roots 1000 --workers 1,2 "),
        ("hostile", [], "tests.campaigns.hostile.answers --count 100000 --seed 1 "),
        ("hostile", ["N=1000000", "SEED=3"], "tests.campaigns.hostile.answers --count 1000000 --seed 3 "),
        ("crash-sweep", [], "tests.campaigns.chains "),
        ("crash-sweep", ["SHIFTS=0,3"], "tests.campaigns.chains --shifts 0,3 "),
    ],
)
def test_make_hands_on_what_it_is_given(target: str, given: list[str], wanted: str) -> None:
    """A list with commas reaches the campaign whole, and without one the campaign has its own default."""
    root = Path(__file__).parents[2]
    said = subprocess.run(["make", "-n", target, *given], cwd=root, capture_output=True, text=True, check=True).stdout
    assert any(f"-m {wanted}" in f"{' '.join(line.split())} " for line in said.splitlines())


def test_changes_of_an_audit_stream_are_named() -> None:
    """Each of 700 random changes of a recorded stream is named with its first wrong index; all kinds of change occur."""
    counts = audit_mutate.run(700, seed=3)
    assert {mutate.__name__ for mutate in audit_mutate.MUTATIONS} <= counts.keys()


def test_every_row_of_the_table_is_injected() -> None:
    """Each fault that `make chaos` promises has a function that injects it."""
    assert [number for number in WANTED if number not in ROWS] == []


@pytest.mark.long
def test_forced_rollbacks_leave_every_host_as_it_was() -> None:
    """Two rollbacks forced by chance on six hosts bring back the touched ones file by file, and leave the others alone."""
    assert rollback.campaign(runs=2, seed=4, lanes=2) == 0
