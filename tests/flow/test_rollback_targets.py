"""Where a rollback that a person asks for goes, what its plan says of it, and what it does."""

from pathlib import Path

import pytest

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.plan import Acknowledgements, Plan
from orchestrator.domain.promotion import State
from orchestrator.flow import going_back
from orchestrator.inspect import release_history
from orchestrator.planning import make, plan_store, refusal
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Stage, ref_of

UNDO = [
    {"name": "one", "playbook": "one.yml", "undo": "undo-one.yml"},
    {"name": "two", "playbook": "two.yml", "undo": "undo-two.yml"},
    {"name": "deploy", "playbook": "deploy.yml"},
]

BATCHES = [{**step, "rollout": {"batches": [1, "100%"]}} for step in UNDO]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def goal(stage: Stage, environment: str = "staging") -> str:
    return release_history.rollback_target(stage.services(), environment).version


def planned(
    stage: Stage, environment: str = "staging", *, skip_irreversible: bool = False, all_at_once: bool = False
) -> Plan:
    services = stage.services()
    package = stage.packages.fetch(release_history.rollback_target(services, environment).digest)
    wanted = PlanRequest(package, environment, "rollback", skip_irreversible=skip_irreversible, all_at_once=all_at_once)
    plan = make.make(services, wanted, "p", lambda _entry: None)
    plan_store.save(services, plan)
    return plan


def back(
    stage: Stage, environment: str = "staging", *, skip_irreversible: bool = False, all_at_once: bool = False
) -> Run:
    plan = planned(stage, environment, skip_irreversible=skip_irreversible, all_at_once=all_at_once)
    package = stage.packages.fetch(plan.release.digest)
    return going_back(stage.ctx(package, environment, kind="rollback", approved=plan.digest))


def test_after_a_run_that_needs_a_person_it_is_the_last_verified_release(stage: Stage) -> None:
    """While any host runs something else than the last verified release, a rollback goes to that one."""
    for version in ("1.0.0", "1.1.0"):
        stage.promote(version, "staging")
    stage.automatic = False
    stage.world.faults.add(("verify", "s1", "1.2.0"))
    assert stage.promote("1.2.0", "staging").state is State.NEEDS_INTERVENTION
    assert goal(stage) == "1.1.0"
    assert back(stage).state is State.ROLLED_BACK
    assert goal(stage) == "1.0.0"


def test_going_back_again_and_again_never_goes_forward(stage: Stage) -> None:
    """Rollback after rollback goes through the releases in the order in which they were superseded, and then ends."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        stage.promote(version, "staging")
    went = []
    for _ in range(2):
        back(stage)
        went.append(stage.store.verified("staging")[0].release.version)
    assert went == ["1.1.0", "1.0.0"]
    with pytest.raises(OrchestratorError, match="no other release"):
        goal(stage)


def test_a_release_after_a_rollback_goes_back_to_what_it_took_the_place_of(stage: Stage) -> None:
    """What was gone back from is passed over, also by the releases that come later."""
    for version in ("1.0.0", "1.1.0"):
        stage.promote(version, "staging")
    back(stage)
    stage.promote("1.2.0", "staging")
    assert goal(stage) == "1.0.0"


def test_an_automatic_rollback_is_not_part_of_the_release_history(stage: Stage) -> None:
    """After a promotion that came back by itself, a rollback goes to what the present release took the place of."""
    for version in ("1.0.0", "1.1.0"):
        stage.promote(version, "staging")
    stage.world.faults.add(("verify", "s1", "1.2.0"))
    assert stage.promote("1.2.0", "staging").state is State.ROLLED_BACK
    assert goal(stage) == "1.0.0"


def test_an_old_release_promoted_again_is_the_present_one(stage: Stage) -> None:
    """A release that is promoted again takes the place of the one before it, and a rollback goes there."""
    for version in ("1.0.0", "1.1.0", "1.0.0"):
        stage.promote(version, "staging")
    assert goal(stage) == "1.1.0"


def test_the_plan_names_the_undo_playbooks_that_run(stage: Stage) -> None:
    """The undo playbooks of a rollback's plan are those that run, newest step first."""
    stage.promote("1.0.0", "staging")
    stage.promote("1.1.0", "staging", steps=UNDO)
    stage.world.ledger.clear()
    assert [item.play.playbook for item in planned(stage).undo] == ["undo-two.yml", "undo-one.yml"]
    assert back(stage).state is State.ROLLED_BACK
    assert [line.split()[0] for line in stage.world.ledger] == ["undo-two.yml", "undo-one.yml", "deploy.yml"]


def test_only_what_was_started_is_undone(stage: Stage) -> None:
    """After a run that stopped half-way, a rollback undoes the steps that it started where it touched something, and no others."""
    stage.promote("1.0.0", "staging")
    stage.automatic = False
    stage.promote("1.0.0", "production")
    stage.promote("1.1.0", "staging", steps=BATCHES)
    stage.world.faults.add(("deploy", "p1", "1.1.0"))
    assert stage.promote("1.1.0", "production", steps=BATCHES).state is State.NEEDS_INTERVENTION
    undo = planned(stage, "production").undo
    assert [(item.play.playbook, item.play.limit) for item in undo] == [("undo-one.yml", ("p1",))]


def test_what_cannot_be_undone_is_said_and_refused_beforehand(stage: Stage) -> None:
    """A present release with a step that cannot be undone is not gone back from without an explicit word."""
    stage.promote("1.0.0", "staging")
    steps = [*UNDO, {"name": "data", "playbook": "data.yml", "undo": "impossible"}]
    stage.promote("1.1.0", "staging", named=Acknowledgements(no_return=("data",)), steps=steps)
    before = list(stage.world.ledger)
    plan = planned(stage)
    assert plan.rollback_target.impossible == ("data",)
    assert "point of no return: data cannot be undone" in plan.notes
    run = back(stage)
    assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "R135")
    assert stage.world.ledger == before
    assert back(stage, skip_irreversible=True).state is State.ROLLED_BACK


def test_a_promotion_without_its_way_back_is_refused_beforehand(stage: Stage) -> None:
    """While the package of the last verified release is gone or changed nothing is begun, unless nothing would go back by itself."""
    stage.promote("1.0.0", "staging")
    before = list(stage.world.ledger)
    stage.packages.spoiled.add(ref_of(release_history.last_verified(stage.services(), "staging")).digest)
    run = stage.promote("1.1.0", "staging")
    assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "R136")
    assert stage.world.ledger == before
    stage.automatic = False
    assert stage.promote("1.2.0", "staging").state is State.SUCCEEDED


def test_the_infrastructure_goes_back_with_the_release(stage: Stage) -> None:
    """A rollback puts the stack back to the definition that was verified with the release, as its plan says, after the hosts; these get their release once more, with the variables of that stack."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2"]
    stage.promote("1.1.0", "production")
    stage.world.ledger.clear()
    plan = planned(stage, "production")
    assert plan.stack is not None
    assert plan.stack.counts == {"create": 1, "same": 2}
    run = back(stage, "production")
    assert run.state is State.ROLLED_BACK
    assert stage.world.ledger == ["deploy.yml shop 1.0.0 production/p1", "deploy.yml shop 1.0.0 production/p2",
                                  "up production", *(f"deploy.yml shop 1.0.0 production/p{n}" for n in (1, 2, 3))]  # fmt: skip
    assert stage.store.verified("production")[0].definition == stage.store.verified("production")[2].definition


@pytest.mark.parametrize("fault", ["p1", "p3"])
def test_a_host_that_is_made_anew_gets_its_release_again(stage: Stage, fault: str) -> None:
    """A host that the infrastructure replaces on its way back has lost its release, and gets it once more, also where the promotion had not touched it yet."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.world.replaced = {"p2"}
    stage.world.faults.add(("verify", fault, "1.1.0"))
    stage.world.ledger.clear()
    run = stage.promote("1.1.0", "production")
    assert run.state is State.ROLLED_BACK
    old = stage.store.verified("production")[0].release
    assert old.version == "1.0.0"
    assert stage.world.releases("production") == [old.digest] * 3
    after = stage.world.ledger[stage.world.ledger.index("up production", 1) :]
    again = ["p1", "p2"] if fault == "p1" else ["p1", "p2", "p3"]  # the touched ones: the stack gives other variables
    assert after == ["up production", *(f"deploy.yml shop 1.0.0 production/{host}" for host in again)]


def test_a_rollback_by_hand_sees_to_it_as_well(stage: Stage) -> None:
    """So it is when a person goes back."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.promote("1.1.0", "production")
    stage.world.replaced = {"p2"}
    stage.world.ledger.clear()
    assert back(stage, "production").state is State.ROLLED_BACK
    assert stage.world.ledger[-4:] == ["up production", *(f"deploy.yml shop 1.0.0 production/p{n}" for n in (1, 2, 3))]


def test_the_stack_stays_when_it_is_as_it_was(stage: Stage) -> None:
    """A rollback whose plan finds the stack in order leaves it alone, whatever the program says now."""
    stage.walk("1.0.0")
    stage.walk("1.1.0")
    stage.world.stacks["production"] = ["p1", "p2"]
    stage.world.ledger.clear()
    stack = planned(stage, "production").stack
    assert stack is not None
    assert stack.counts == {"same": 3}
    assert back(stage, "production").state is State.ROLLED_BACK
    assert "up production" not in stage.world.ledger


def test_what_two_runs_left_behind_is_undone_once(stage: Stage) -> None:
    """After two runs of a release that need a person, each undo playbook is planned once for each host."""
    stage.promote("1.0.0", "staging")
    stage.automatic = False
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    for _ in range(2):
        assert stage.promote("1.1.0", "staging", steps=UNDO).state is State.NEEDS_INTERVENTION
    assert [item.play.playbook for item in planned(stage).undo] == ["undo-two.yml", "undo-one.yml"]
    assert back(stage).state is State.ROLLED_BACK
    with pytest.raises(OrchestratorError, match="no other release"):
        goal(stage)


def test_an_undo_that_was_done_is_not_done_again(stage: Stage) -> None:
    """What the automatic rollback had undone before it got stuck is not undone a second time by hand."""
    stage.promote("1.0.0", "staging")
    stage.world.faults |= {("verify", "s1", "1.1.0"), ("verify", "s1", "1.0.0")}
    assert stage.promote("1.1.0", "staging", steps=UNDO).state is State.NEEDS_INTERVENTION
    stage.world.faults.clear()
    assert planned(stage).undo == ()
    assert back(stage).state is State.ROLLED_BACK


def test_a_stack_that_needs_a_person_goes_back_to_the_last_verified_release(stage: Stage) -> None:
    """After an update of the stack that failed both ways, a rollback goes to the release that the hosts still run, and takes the stack there."""
    for version in ("1.0.0", "1.1.0"):
        stage.walk(version)
    stage.promote("1.2.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.world.faults.add(("up", "production", ""))
    assert stage.promote("1.2.0", "production").state is State.NEEDS_INTERVENTION
    stage.world.faults.clear()
    assert goal(stage, "production") == "1.1.0"
    assert back(stage, "production").state is State.ROLLED_BACK
    assert goal(stage, "production") == "1.0.0"


@pytest.mark.parametrize(("truth", "leads_to"), [("seen", "1.0.0"), ("assumed", "1.0.0"), ("unknown", "1.1.0")])
def test_a_host_that_a_release_is_not_for_is_no_reason_to_go_to_it_again(
    stage: Stage, truth: str, leads_to: str
) -> None:
    """A release is for the hosts of its steps: a router with an older one is as it should be, unless nobody knows what it runs."""
    first = stage.promote("1.0.0", "staging")
    last = stage.promote("1.1.0", "staging")
    assert first.release is not None
    router = {"host": "router", "truth": truth, "release": first.release.to_json(), "run": first.id}
    stage.store.append(last.id, [Entry(kind="host", host="router", data=router)])
    assert goal(stage) == leads_to


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_restored_host_has_the_variables_of_the_restored_stack(stage: Stage, by_hand: bool) -> None:
    """After a rollback that took the infrastructure back, no host keeps a variable of the stack that is gone."""
    stage.walk("1.0.0")
    before = dict(stage.world.given)
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    if not by_hand:
        stage.world.faults.add(("verify", "p2", "1.1.0"))
    run = stage.promote("1.1.0", "production")
    if by_hand:
        run = back(stage, "production")
    assert run.state is State.ROLLED_BACK
    there = {place: given for place, given in stage.world.given.items() if place[1] in stage.world.up["production"]}
    assert there == {place: given for place, given in before.items() if place[0] == "production"}


def test_a_stack_that_gives_the_same_variables_is_no_reason_to_restore_twice(stage: Stage) -> None:
    """Hosts are restored once where the infrastructure goes back and gives them what they had."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.promote("1.1.0", "production")
    stage.world.up["production"] = ["p1", "p2", "p3"]  # somebody has taken the fourth away
    stage.world.serial["production"] += 1
    stage.world.ledger.clear()
    assert back(stage, "production").state is State.ROLLED_BACK
    assert stage.world.ledger.count("deploy.yml shop 1.0.0 production/p1") == 1


def test_a_manual_rollback_keeps_its_batches(stage: Stage) -> None:
    """A rollback restores the batches that its plan shows, one after the other, and verifies each before the next one."""
    for version in ("1.0.0", "1.1.0"):
        stage.walk(version)
    plan = planned(stage, "production")
    assert plan.steps[0].batches == (("p1",), ("p2", "p3"))
    run = back(stage, "production")
    assert run.state is State.ROLLED_BACK
    steps = stage.kinds(run, "step.started")
    found = [step for step in steps if step.startswith(("restore.deploy", "verify."))]
    assert found == [
        "restore.deploy.1",
        "verify.smoke.restore.deploy.1",
        "restore.deploy.2",
        "verify.smoke.restored",
    ]


def test_a_bad_batch_stops_a_manual_rollback(stage: Stage) -> None:
    """When the first batch does not pass its tests, the next batch is not restored."""
    for version in ("1.0.0", "1.1.0"):
        stage.walk(version)
    stage.world.faults.add(("verify", "p1", "1.0.0"))
    run = back(stage, "production")
    assert run.state is State.NEEDS_INTERVENTION
    assert "restore.deploy.2" not in stage.kinds(run, "step.started")


def test_all_hosts_are_restored_at_the_same_time_on_request(stage: Stage) -> None:
    """With *all at once* the plan shows one batch, and one batch is what is run."""
    for version in ("1.0.0", "1.1.0"):
        stage.walk(version)
    assert planned(stage, "production", all_at_once=True).steps[0].batches == (("p1", "p2", "p3"),)
    run = back(stage, "production", all_at_once=True)
    restored = [step for step in stage.kinds(run, "step.started") if step.startswith("restore.")]
    assert restored == ["restore.deploy"]


def test_an_older_release_is_not_promoted_over_a_point_of_no_return(stage: Stage) -> None:
    """Promoting a release that newer ones took the place of is refused, as a rollback is, over what cannot be undone."""
    gone = {"name": "migrate", "playbook": "migrate.yml", "undo": "impossible"}
    deploy = {"name": "deploy", "playbook": "deploy.yml"}
    stage.promote("1.0.0", "staging")
    stage.promote("1.1.0", "staging", named=Acknowledgements(no_return=("migrate",)), steps=[gone, deploy])
    old = stage.packages.fetch(release_history.release_history(stage.services(), "staging")[1].release.digest)

    def made(*named: str) -> Plan:
        wanted = PlanRequest(old, "staging", named=Acknowledgements(no_return=named))
        return make.make(stage.services(), wanted, "p", lambda _entry: None)

    why = refusal.plan_refusal(made())
    assert why is not None
    assert why.code == "R135"
    assert "--point-of-no-return migrate" in why.message
    assert refusal.plan_refusal(made("migrate")) is None
    run = stage.promote("1.0.0", "staging")
    assert run.state is State.FAILED
    assert stage.world.releases("staging") != [old.digest]
    assert stage.promote("1.0.0", "staging", named=Acknowledgements(no_return=("migrate",))).state is State.SUCCEEDED
