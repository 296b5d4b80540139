"""What is stateful in the infrastructure: no rollback touches it, and a promotion only by its name."""

from pathlib import Path

import pytest

from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.domain.environment import StatefulRule
from orchestrator.domain.plan import Acknowledgements, ResourceChange, losses
from orchestrator.domain.promotion import State
from orchestrator.planning import make, plan_store, refusal, survey
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Stage
from tests.flow.test_rollback_targets import back, goal, planned

P3 = [{"name": "p3"}]
NAMED = Acknowledgements(replace=("p3",))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """1.0.0 runs on three hosts of production, and 1.1.0 is verified in staging."""
    made = Stage(tmp_path)
    made.walk("1.0.0")
    made.promote("1.1.0", "staging")
    return made


def change(
    op: str, name: str, kind: str = "aws:rds/instance:Instance", parent: str = "", kept: str = ""
) -> ResourceChange:
    return ResourceChange(op=op, type=kind, name=name, urn=f"urn:{name}", parent=parent, kept=kept)


@pytest.mark.parametrize("rule", [{"type": "aws:rds/*"}, {"name": "orders-db"}, {"type": "aws:*", "name": "orders-*"}])
def test_rules_by_type_and_name(rule: dict[str, str]) -> None:
    """A rule fits by the pattern of its type, of its name, or of both."""
    told = [change("delete", "orders-db"), change("delete", "web1", "aws:ec2/instance:Instance")]
    assert [loss.name for loss in losses(told, [StatefulRule(**rule)])] == ["orders-db"]


@pytest.mark.parametrize(
    ("op", "lost"),
    [("create", ""), ("update", ""), ("same", ""), ("read", ""), ("import", ""), ("remove-pending-replace", ""),
     ("delete", "delete"), ("replace", "replace"), ("create-replacement", "replace"), ("delete-replaced", "replace")],
)  # fmt: skip
def test_what_counts_as_a_loss(op: str, lost: str) -> None:
    """A resource is lost when it is deleted or replaced, and by nothing else."""
    assert [loss.op for loss in losses([change(op, "db")], [StatefulRule(name="db")])] == ([lost] if lost else [])


def test_a_component_stands_for_everything_in_it() -> None:
    """What lies in a component that a rule fits is stateful with it, at any depth; what the program wants kept needs no rule."""
    told = [
        change("same", "data", "shop:Data"),
        change("same", "inner", "shop:Inner", parent="urn:data"),
        change("delete-replaced", "db", parent="urn:inner"),
        change("replace", "db", parent="urn:inner"),
        change("delete", "bucket", "aws:s3/bucket:Bucket", kept="retainOnDelete"),
        change("delete", "web1", "aws:ec2/instance:Instance"),
    ]
    found = losses(told, [StatefulRule(type="shop:Data")])
    assert [str(loss) for loss in found] == [
        "replace aws:rds/instance:Instance db (in data, stateful by its type shop:Data)",
        "delete aws:s3/bucket:Bucket bucket (its declaration has retainOnDelete)",
    ]


def test_a_promotion_that_would_delete_it_is_refused_beforehand(stage: Stage) -> None:
    """A stateful resource that is not named keeps the promotion from beginning; the refusal names it and what would happen."""
    stage.stateful = P3
    stage.world.stacks["production"] = ["p1", "p2"]
    before = list(stage.world.ledger)
    run = stage.promote("1.1.0", "production")
    assert (run.state, stage.failure(run)["exit"]) == (State.FAILED, 3)
    assert stage.failure(run)["failure"]["code"] == "R200"
    assert "delete memory:host p3 (stateful by its name p3)" in run.message
    assert stage.world.ledger == before
    other = stage.promote("1.1.0", "production", named=Acknowledgements(replace=("p2",)))
    assert stage.failure(other)["failure"]["code"] == "R200"
    assert stage.promote("1.1.0", "production", named=NAMED).state is State.SUCCEEDED
    assert stage.world.up["production"] == ["p1", "p2"]


def test_the_name_is_part_of_the_plan(stage: Stage) -> None:
    """A plan says first what would be lost, its digest covers the agreement, and an approved one is executed with it."""
    stage.stateful = P3
    stage.world.stacks["production"] = ["p1", "p2"]
    package = stage.packages.refs()[-1]
    made = {}
    for named in (Acknowledgements(), NAMED):
        wanted = PlanRequest(stage.packages.fetch(package.digest), "production", named=named)
        made[named] = make.make(stage.services(), wanted, "p", lambda _entry: None)
        plan_store.save(stage.services(), made[named])
        assert [loss.name for loss in made[named].losses] == ["p3"]
    assert made[Acknowledgements()].digest != made[NAMED].digest
    refused = refusal.plan_refusal(made[Acknowledgements()])
    assert refused is not None
    assert refused.code == "R200"
    ctx = stage.ctx(stage.packages.fetch(package.digest), "production", approved=made[Acknowledgements()].digest)
    from orchestrator.flow import promotion

    assert promotion(ctx).state is State.FAILED
    ctx = stage.ctx(stage.packages.fetch(package.digest), "production", approved=made[NAMED].digest)
    assert promotion(ctx).state is State.SUCCEEDED


def test_what_pulumi_protects_is_refused_even_by_name(stage: Stage) -> None:
    """A protected resource is not deleted by a promotion that names it: Pulumi would refuse it half-way."""
    stage.world.wanted["p3"] = "protect"
    stage.world.stacks["production"] = ["p1", "p2"]
    before = list(stage.world.ledger)
    run = stage.promote("1.1.0", "production", named=NAMED)
    assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "E140")
    assert stage.world.ledger == before


@pytest.mark.parametrize("kept", ["", "protect", "retainOnDelete"])
def test_an_automatic_rollback_leaves_it_alone(stage: Stage, kept: str) -> None:
    """When going back would delete a stateful or protected resource the hosts go back, the stack stays, and a person is asked."""
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.world.faults.add(("verify", "p4", "1.1.0"))
    if kept:
        stage.world.wanted["p4"] = kept
    else:
        stage.stateful = [{"name": "p4"}]
    run = stage.promote("1.1.0", "production")
    assert (run.state, stage.failure(run)["exit"]) == (State.NEEDS_INTERVENTION, 5)
    assert "a rollback would delete memory:host p4" in run.message
    assert stage.world.up["production"] == ["p1", "p2", "p3", "p4"]
    old = stage.store.verified("production")[0].release
    assert old.version == "1.0.0"
    assert stage.world.releases("production")[:3] == [old.digest] * 3
    assert stage.world.ledger.count("up production") == 2  # of 1.0.0 and of 1.1.0, and none back


def test_a_rollback_by_hand_leaves_it_alone(stage: Stage) -> None:
    """The plan of a rollback says that the infrastructure stays; executed, the hosts go back, and a person is asked for the rest."""
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.promote("1.1.0", "production")
    stage.stateful = [{"name": "p4"}]
    assert goal(stage, "production") == "1.0.0"
    plan = planned(stage, "production")
    assert "the infrastructure stays as it is" in " ".join(plan.notes)
    run = back(stage, "production")
    assert run.state is State.NEEDS_INTERVENTION
    assert "a rollback would delete memory:host p4" in run.message
    assert stage.world.up["production"] == ["p1", "p2", "p3", "p4"]
    assert stage.versions("production") == {"1.0.0"}


def test_the_rules_of_then_count_as_well(stage: Stage) -> None:
    """A rule that stands only in the definition to which the infrastructure goes back protects as one of now does."""
    spec = MemoryProvisioner(stage.world).definition(stage.services().environment("production")[0], stage.folder)
    old = spec.model_copy(
        update={"settings": spec.settings.model_copy(update={"stateful": (StatefulRule(name="p3"),)})}
    )
    stage.world.stacks["production"] = ["p1", "p2"]
    now = MemoryProvisioner(stage.world).definition(stage.services().environment("production")[0], stage.folder)
    preview = MemoryProvisioner(stage.world).preview(now, "job", lambda _entry: None)
    assert survey.lost(stage.services(), "production", now, preview) == ()
    assert [loss.name for loss in survey.lost(stage.services(), "production", old, preview)] == ["p3"]
