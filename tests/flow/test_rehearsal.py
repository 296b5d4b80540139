"""The way back, walked before it is needed, on the world in memory: what comes back, and what does not."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import Acknowledgements
from orchestrator.domain.promotion import State
from orchestrator.domain.rehearsal import InfrastructureRehearsal, Rehearsal
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.run_context import RunContext
from orchestrator.planning import rollback_plan
from orchestrator.planning.plan_store import load_plan
from tests.flow.test_promotion import Stage, release

SUITES = ["verify.smoke.rehearse.before", "verify.smoke.environment", "verify.smoke.rehearse.back",
          "verify.smoke.rehearse.again"]  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.world.stacks["staging"] = ["s1", "s2"]
    made.walk("1.0.0")
    made.world.ledger.clear()
    return made


def rehearse(stage: Stage, version: str, **changes: object) -> Run:
    ctx = stage.ctx(stage.packages.put(release(version, **changes)), "staging", kind="rehearsal")
    return WORKFLOWS["rehearsal"](ctx)


def evidence(stage: Stage, run: Run) -> Rehearsal | None:
    found = [record.data for record in stage.store.records(run.id) if record.kind == "rehearsed"]
    assert all(Rehearsal.from_json(data["document"]).digest == data["evidence"] for data in found)
    return Rehearsal.from_json(found[0]["document"]) if found else None


def plays(stage: Stage) -> list[str]:
    return [line.removeprefix("deploy.yml shop ") for line in stage.world.ledger if line.startswith("deploy.yml")]


def test_there_back_and_again(stage: Stage) -> None:
    """The release goes to every host, the one before goes back on every host, and the release again, each with its tests; then it stays, and the evidence is good."""
    run = rehearse(stage, "1.1.0")
    assert run.state is State.SUCCEEDED
    hosts = ("staging/s1", "staging/s2")
    assert plays(stage) == [f"{version} {host}" for version in ("1.1.0", "1.0.0", "1.1.0") for host in hosts]
    steps = [step for step in stage.kinds(run, "step.started") if step in SUITES]
    assert steps == SUITES
    found = evidence(stage, run)
    assert found is not None
    assert found.good
    assert (found.back.version, found.release.version) == ("1.0.0", "1.1.0")
    assert [leg.name for leg in found.legs] == ["there", "back", "again"]
    assert [item.name for item in found.legs[1].steps] == ["rehearse.back.deploy", "verify.smoke.rehearse.back"]
    assert stage.store.verified("staging")[0].release.version == "1.1.0"


def test_what_is_left_behind_is_caught(stage: Stage) -> None:
    """A step that puts a file beside the release and takes it away with nothing is caught by name, and the release goes back."""
    stage.world.leaves["1.1.0"] = "etc/left"
    run = rehearse(stage, "1.1.0")
    assert run.state is State.ROLLED_BACK
    ended = stage.failure(run)
    assert (ended["exit"], ended["failure"]["code"]) == (4, "R184")
    found = evidence(stage, run)
    assert found is not None
    assert not found.good
    assert {(item.host, item.kind, item.name, item.change) for item in found.left} == {
        ("s1", "file", "etc/left", "added"), ("s2", "file", "etc/left", "added")}  # fmt: skip
    assert {state.digest for state in stage.store.hosts("staging")} == {found.back.digest}


def test_what_lies_there_still_is_caught_again(stage: Stage) -> None:
    """What an earlier rehearsal has left behind is named by the next one, though it was there before; once it is taken away, or is to be ignored, it is not."""
    stage.world.leaves["1.1.0"] = "etc/left"
    rehearse(stage, "1.1.0")
    again = evidence(stage, rehearse(stage, "1.1.0"))
    assert again is not None
    assert (again.left, len(again.carried), again.good) == ((), 2, False)
    stage.rules["staging"] = {"snapshot": {"ignore": ["etc/left"]}}
    ignoring = evidence(stage, rehearse(stage, "1.1.1"))
    assert ignoring is not None
    assert ignoring.good


def test_an_undo_of_its_own_is_walked(stage: Stage) -> None:
    """A step with an undo playbook is undone by it on the way back, newest first, and done again on the way forward."""
    steps = [{"name": "migrate", "playbook": "migrate.yml", "hosts": "web[0]", "undo": "unmigrate.yml"},
             {"name": "deploy", "playbook": "deploy.yml", "hosts": "web"}]  # fmt: skip
    run = rehearse(stage, "1.1.0", steps=steps)
    assert run.state is State.SUCCEEDED
    words = [line.split()[0] for line in stage.world.ledger]
    back, again = ["unmigrate.yml", "deploy.yml", "deploy.yml"], ["migrate.yml", "deploy.yml", "deploy.yml"]
    assert words == [*again, *back, *again]


@pytest.mark.parametrize("host", ["s1", "s2"])
def test_a_way_back_that_fails_is_gone_again(stage: Stage, host: str) -> None:
    """Where the way back itself fails, the release does not stay: it ends as every run whose way back fails."""
    stage.world.faults.add(("deploy", host, "1.0.0"))
    run = rehearse(stage, "1.1.0")
    assert run.state is State.NEEDS_INTERVENTION
    assert evidence(stage, run) is None


def test_a_failure_on_the_way_forward_goes_back(stage: Stage) -> None:
    """A release that fails is rolled back as without a rehearsal, and there is no evidence."""
    stage.world.faults.add(("verify", "s2", "1.1.0"))
    run = rehearse(stage, "1.1.0")
    assert run.state is State.ROLLED_BACK
    assert evidence(stage, run) is None


def test_what_cannot_be_rehearsed_is_refused(stage: Stage) -> None:
    """Without a release to go back to, with one that is there already, or with a point of no return, nothing is done, and it is said why."""
    said = {}
    for version, changes in (("1.0.0", {}), ("1.1.0", {"steps": [
        {"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "undo": "impossible"}]})):  # fmt: skip
        ended = stage.failure(rehearse(stage, version, **changes))
        assert (ended["exit"], ended["failure"]["code"]) == (3, "R183")
        said[version] = str(ended["message"])
    assert "is deployed already" in said["1.0.0"]
    assert "deploy cannot be undone" in said["1.1.0"]
    stage.world.running["staging", "s2"] = stage.packages.put(release("0.9.0")).digest
    assert "does not run on s2" in str(stage.failure(rehearse(stage, "1.2.0"))["message"])
    assert stage.world.ledger == []


def test_files_ask_for_it(stage: Stage) -> None:
    """`rehearse: true` of an environment, or of a release in the first environment that it goes to, lets a promotion be a rehearsal; where it cannot be one, it goes on, and the plan says why."""
    assert evidence(stage, stage.promote("1.1.0", "staging")) is None
    stage.rules["staging"] = {"rehearse": True}
    assert evidence(stage, stage.promote("1.2.0", "staging")) is not None
    stage.rules.clear()
    assert evidence(stage, stage.promote("1.3.0", "staging", rehearse=True)) is not None
    assert evidence(stage, stage.promote("1.3.0", "production", rehearse=True)) is None
    impossible = [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "undo": "impossible"}]
    agreed = Acknowledgements(no_return=("deploy",))
    run = stage.promote("1.4.0", "staging", named=agreed, rehearse=True, steps=impossible)
    assert run.state is State.SUCCEEDED
    planned = next(record.data for record in stage.store.records(run.id) if record.kind == "planned")
    assert "not rehearsed: deploy cannot be undone" in planned["notes"]


def test_an_environment_can_require_it(stage: Stage) -> None:
    """With `require: {rehearsal: true}` a promotion is refused until there is good evidence for exactly this pair of packages."""
    stage.rules["production"] = {"require": {"rehearsal": True}}
    stage.promote("1.1.0", "staging")
    ledger = list(stage.world.ledger)
    run = stage.promote("1.1.0", "production")
    assert (stage.failure(run)["exit"], stage.failure(run)["failure"]["code"]) == (3, "R186")
    assert stage.world.ledger == ledger

    assert rehearse(stage, "1.2.0").state is State.SUCCEEDED  # from 1.1.0, which production has not
    assert stage.failure(stage.promote("1.2.0", "production"))["failure"]["code"] == "R186"

    stage.promote("1.0.0", "staging")
    assert rehearse(stage, "1.2.0").state is State.SUCCEEDED
    run = stage.promote("1.2.0", "production")
    assert run.state is State.SUCCEEDED
    assert stage.promote("1.2.0", "production").state is State.SUCCEEDED  # what is there may always come again


def test_bad_evidence_lets_nobody_in(stage: Stage) -> None:
    """Evidence that something was left behind keeps the release out, and says what it was."""
    stage.world.leaves["1.1.0"] = "etc/left"
    rehearse(stage, "1.1.0")
    stage.promote("1.1.0", "staging")
    stage.rules["production"] = {"require": {"rehearsal": True}}
    ended = stage.failure(stage.promote("1.1.0", "production"))
    assert ended["failure"]["code"] == "R186"
    assert "s1: file etc/left added" in str(ended["message"])


def test_it_survives_a_crash_anywhere(tmp_path: Path) -> None:
    """A process that dies before or after any step of a rehearsal is gone on with by another one to the same end, with one piece of evidence."""
    names = [*SUITES, "rehearse.before", "rehearse.there", "rehearse.back", "rehearse.again", "rehearse.judge",
             "rehearse.back.deploy", "rehearse.again.deploy.1", "rehearse.again.deploy.2"]  # fmt: skip
    for number, (name, when) in enumerate((name, when) for name in names for when in ("before", "done", "after")):
        (tmp_path / str(number)).mkdir()
        stage = Stage(tmp_path / str(number))
        stage.world.stacks["staging"] = ["s1", "s2"]
        stage.walk("1.0.0")
        ctx = stage.ctx(stage.packages.put(release("1.1.0")), "staging", kind="rehearsal")
        answers: dict[str, Any] = {}

        def crash(step: str, moment: str, name: str = name, when: str = when) -> None:
            if (step, moment) == (name, when):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            WORKFLOWS["rehearsal"](RunContext(ctx.services, MemoryDurable(answers, crash), ctx.run))
        run = WORKFLOWS["rehearsal"](RunContext(ctx.services, MemoryDurable(answers), ctx.run))
        assert run.state is State.SUCCEEDED, (name, when)
        found = evidence(stage, run)
        assert found is not None
        assert found.good
        assert stage.world.releases("staging") == [found.release.digest] * 2


@pytest.mark.parametrize(
    ("step", "touched"),
    [
        ("rehearse.back.deploy", ("s1", "s2")),
        ("verify.smoke.rehearse.back", ("s1", "s2")),
        ("rehearse.again", ("s1", "s2")),
        ("rehearse.again.deploy.1", ("s1",)),  # it is meant, and may have begun
        ("verify.smoke.rehearse.again.deploy.1", ("s1",)),
    ],
)
def test_the_way_back_is_known_on_each_leg(stage: Stage, step: str, touched: tuple[str, ...]) -> None:
    """Before each step of a rehearsal the journal says which hosts a rollback would put back: those of the leg that goes on."""
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "staging", kind="rehearsal")

    def crash(name: str, when: str) -> None:
        if (name, when) == (step, "before"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WORKFLOWS["rehearsal"](RunContext(ctx.services, MemoryDurable({}, crash), ctx.run))
    run = stage.store.run(ctx.run.id)
    told = rollback_plan.current_rollback_plan(stage.services(), run)
    assert told.touched == touched


def stacks(stage: Stage, run: Run) -> list[str]:
    wanted = (
        "provision",
        "rehearse.stack",
        "rehearse.hosts",
        "rehearse.new",
        "deploy.1",
        "rehearse.back",
        "rehearse.again",
    )
    return [step for step in stage.kinds(run, "step.started") if step.startswith(wanted)]


def test_the_infrastructure_is_walked_as_well(stage: Stage) -> None:
    """A release that comes with another stack goes back with it, hosts first, and forward again with it; hosts that come back with it get the older release, those that go with it nothing; and the evidence says so, with the times."""
    stage.world.stacks["staging"] = ["s1", "s3"]  # s2 goes, s3 comes
    run = rehearse(stage, "1.1.0")
    assert run.state is State.SUCCEEDED
    assert stacks(stage, run) == [
        "provision", "deploy.1", "rehearse.back.deploy", "rehearse.stack.back", "rehearse.hosts.back",
        "rehearse.new.deploy", "rehearse.back", "rehearse.stack.again", "rehearse.hosts.again", "rehearse.again.deploy.1",
        "rehearse.again.deploy.2", "rehearse.again",
    ]  # fmt: skip
    lines = [line.removeprefix("deploy.yml shop ").replace("staging/", "") for line in stage.world.ledger]
    assert lines == ["up staging", "1.1.0 s1", "1.1.0 s3", "1.0.0 s1", "1.0.0 s3", "up staging", "1.0.0 s1",
                     "1.0.0 s2", "up staging", "1.1.0 s1", "1.1.0 s3"]  # fmt: skip
    assert stage.world.up["staging"] == ["s1", "s3"]
    assert run.plan is not None
    planned = load_plan(stage.services(), run.plan).rollback_target.second_pass
    assert planned is not None
    listed = [f"rehearse.new.{play.step}" for play in planned.restore]
    assert [step for step in stacks(stage, run) if step.startswith("rehearse.new")] == listed
    found = evidence(stage, run)
    assert found is not None
    assert (found.good, found.infrastructure) == (True, InfrastructureRehearsal(back=True))
    assert [item.name for item in found.legs[1].steps if "stack" in item.name] == ["rehearse.stack.back"]
    assert {state.host: state.truth for state in stage.store.hosts("staging")} == {"s1": "seen", "s3": "seen"}


def test_a_host_that_is_made_anew_on_the_walk(stage: Stage) -> None:
    """A host that the walk replaces gets the older release again, as it would in a rollback, before that one is proved."""
    stage.world.stacks["staging"] = ["s1", "s2", "s3"]
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "staging", kind="rehearsal")

    def replaced(step: str, when: str) -> None:
        if (step, when) == ("rehearse.stack.back", "before"):
            stage.world.replaced = {"s2"}

    ctx.durable = MemoryDurable({}, replaced)
    run = WORKFLOWS["rehearsal"](ctx)
    assert run.state is State.SUCCEEDED
    lines = [line.removeprefix("deploy.yml shop ").replace("staging/", "") for line in stage.world.ledger]
    back = lines[lines.index("up staging", 1) :]
    assert back[:4] == ["up staging", "1.0.0 s1", "1.0.0 s2", "up staging"]


def test_without_a_change_of_it_nothing_is_said(stage: Stage) -> None:
    """A release that changes nothing of the stack gives the evidence that it always gave."""
    found = evidence(stage, rehearse(stage, "1.1.0"))
    assert found is not None
    assert found.infrastructure is None
    assert "infrastructure" not in found.to_json()


@pytest.mark.parametrize("kept", ["", "protect", "retainOnDelete"])
def test_what_is_stateful_is_not_walked(stage: Stage, kept: str) -> None:
    """Where going back would delete something stateful or protected the infrastructure stays, the hosts go back and forward all the same, and the evidence says why."""
    stage.world.stacks["staging"] = ["s1", "s2", "s3"]
    if kept:
        stage.world.wanted["s3"] = kept
    else:
        stage.stateful = [{"name": "s3"}]
    run = rehearse(stage, "1.1.0")
    assert run.state is State.SUCCEEDED
    assert stage.world.ledger.count("up staging") == 1
    found = evidence(stage, run)
    assert found is not None
    assert found.good
    assert found.infrastructure is not None
    assert not found.infrastructure.back
    assert "delete memory:host s3" in found.infrastructure.why
    assert "rehearse.hosts.back" not in stacks(stage, run)


def test_what_the_promotion_loses_by_name_is_lost_once(stage: Stage) -> None:
    """Where the promotion itself deletes something stateful, by its name, the infrastructure is not walked back: it would come back empty."""
    stage.stateful = [{"name": "s2"}]
    stage.world.stacks["staging"] = ["s1"]
    ctx = stage.ctx(
        stage.packages.put(release("1.1.0")),
        "staging",
        kind="rehearsal",
        acknowledgements=Acknowledgements(replace=("s2",)),
    )
    run = WORKFLOWS["rehearsal"](ctx)
    assert run.state is State.SUCCEEDED
    found = evidence(stage, run)
    assert found is not None
    assert found.infrastructure == InfrastructureRehearsal(
        back=False, why="that would delete memory:host s2 (stateful by its name s2)"
    )
    assert stage.world.ledger.count("up staging") == 1


def test_a_definition_that_is_not_kept_is_not_walked(stage: Stage) -> None:
    """Where it is not kept how the stack was defined with the older release, the evidence says that it was not walked."""
    old = stage.store.verified("staging")[0].definition
    stage.world.stacks["staging"] = ["s1", "s2", "s3"]
    del stage.world.kept[str(old)]
    found = evidence(stage, rehearse(stage, "1.1.0"))
    assert found is not None
    assert found.infrastructure is not None
    assert "is not kept here" in found.infrastructure.why


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_a_failure_between_two_stacks_goes_back(stage: Stage, version: str) -> None:
    """What fails while the stack is walked back or forward ends where every rollback ends: the older release, and the stack that it was verified with."""
    stage.world.stacks["staging"] = ["s1", "s2", "s3"]
    fault = ("verify", "s1", version)
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "staging", kind="rehearsal")

    def crash(step: str, when: str) -> None:  # no crash: the fault comes when the stack has gone back, and goes
        if (step, when) == ("rehearse.hosts.back", "after"):
            stage.world.faults.add(fault)
            stage.world.passing[fault] = 1

    ctx.durable = MemoryDurable({}, crash)
    run = WORKFLOWS["rehearsal"](ctx)
    assert run.state is State.ROLLED_BACK
    old = stage.store.verified("staging")[0].release
    assert old.version == "1.0.0"
    assert stage.world.up["staging"] == ["s1", "s2"]
    assert stage.world.releases("staging") == [old.digest] * 2
    (planned,) = [record.data for record in stage.store.records(run.id) if record.kind == "rollback plan"]
    assert "s3" not in planned["touched"] or version == "1.1.0"


WALK = ["rehearse.stack.back", "rehearse.hosts.back", "rehearse.back", "rehearse.stack.again", "rehearse.hosts.again",
        "rehearse.again.deploy.1"]  # fmt: skip


@pytest.mark.parametrize("name", WALK)
@pytest.mark.parametrize("when", ["before", "done", "after"])
def test_a_walk_of_the_stack_survives_a_crash(stage: Stage, name: str, when: str) -> None:
    """A process that dies while the stack goes back or forward is gone on with to the same end, and what the journal foresees of the way back is what is gone then."""
    stage.world.stacks["staging"] = ["s1", "s2", "s3"]
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "staging", kind="rehearsal")
    answers: dict[str, Any] = {}

    def crash(step: str, moment: str) -> None:
        if (step, moment) == (name, when):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WORKFLOWS["rehearsal"](RunContext(ctx.services, MemoryDurable(answers, crash), ctx.run))
    told = rollback_plan.current_rollback_plan(stage.services(), stage.store.run(ctx.run.id))
    assert set(told.touched) <= {"s1", "s2", "s3"}
    run = WORKFLOWS["rehearsal"](RunContext(ctx.services, MemoryDurable(answers), ctx.run))
    assert run.state is State.SUCCEEDED
    found = evidence(stage, run)
    assert found is not None
    assert (found.good, found.infrastructure) == (True, InfrastructureRehearsal(back=True))
    assert stage.world.up["staging"] == ["s1", "s2", "s3"]
    assert stage.world.releases("staging") == [found.release.digest] * 3
