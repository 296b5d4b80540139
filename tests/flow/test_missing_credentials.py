"""Credentials that are not on the machine that plans or executes: a plan names them, and no run starts without them."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from orchestrator.cli.planned import plan_text, print_plan
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.journal import Entry, Kind, Run
from orchestrator.domain.plan import Plan
from orchestrator.domain.promotion import State
from orchestrator.flow import WORKFLOWS, going_back, promotion
from orchestrator.flow.credentials import NEEDS as NEEDS_OF
from orchestrator.flow.credentials import refused_step
from orchestrator.planning import make, plan_store
from orchestrator.planning.refusal import plan_refusal
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_strategies import Stage, watch

NEEDS = Literal["plan", "hosts", "gates"]
GATE = {"name": "errors", "prometheus": {"server": "http://127.0.0.1:1", "query": "up", "above": 0}}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def lacks(needed_for: NEEDS) -> MissingCredential:
    return MissingCredential(
        what="token.txt does not exist",
        place="/srv/shop/token.txt",
        why="a setting names it",
        remedy="copy it to /srv/shop/token.txt",
        needed_for=needed_for,
    )


def planned(stage: Stage) -> Plan:
    package = stage.packages.fetch(stage.store.verified("staging")[0].release.digest)
    plan = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    plan_store.save(stage.services(), plan)
    return plan


@pytest.mark.parametrize("needed_for", ["plan", "gates"])
def test_a_plan_names_what_is_missing(stage: Stage, needed_for: NEEDS, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan names a missing credential with the machine, the place, the reason and the remedy, in its text and its document."""
    stage.promote("1.0.0", "staging", **watch(gates=[GATE]))
    stage.world.missing = (lacks(needed_for),)
    plan = planned(stage)
    (found,) = plan.document()["missing_credentials"]
    assert found["machine"]
    assert (found["place"], found["why"]) == ("/srv/shop/token.txt", "a setting names it")
    print_plan(plan)
    printed = capsys.readouterr().out
    assert f"token.txt does not exist on {found['machine']}: /srv/shop/token.txt" in printed
    assert "copy it to /srv/shop/token.txt" in printed
    why = plan_refusal(plan)
    assert (why.code if why is not None else "") == ("E170" if needed_for == "plan" else "")


def test_a_plan_is_made_without_what_is_needed_to_inspect(stage: Stage) -> None:
    """Without a credential for the inspection, neither stack nor hosts are inspected, and the plan says so."""
    stage.promote("1.0.0", "staging")
    stage.world.up["production"] = ["p1"]
    stage.world.missing = (lacks("plan"),)
    plan = planned(stage)
    assert (plan.stack, plan.inventory, plan.configuration, plan.is_incomplete) == (None, None, None, True)
    assert [step.play.step for step in plan.steps] == ["deploy"]
    assert "Stack    not inspected: credentials are missing" in plan_text(plan)


@pytest.mark.parametrize(
    ("kind", "needed_for"),
    [
        ("promotion", "plan"),
        ("promotion", "gates"),
        ("rehearsal", "plan"),
        ("rehearsal", "gates"),
        ("rollback", "plan"),
    ],
)
def test_no_run_starts_without_a_credential(stage: Stage, kind: Kind, needed_for: NEEDS) -> None:
    """A promotion, a rehearsal and a rollback on a machine without a credential end with E170 before any effect."""
    about = watch(gates=[GATE])
    first = stage.walk("1.0.0", **about)
    second = stage.walk("1.1.0", **about) if kind == "rollback" else stage.promote("1.1.0", "staging", **about)
    assert first.release is not None
    assert second.release is not None
    before = list(stage.world.ledger)
    stage.world.missing = (lacks(needed_for),)
    wanted = first.release if kind == "rollback" else second.release
    ctx = stage.ctx(stage.packages.fetch(wanted.digest), "production", kind=kind)
    run = going_back(ctx) if kind == "rollback" else promotion(ctx)
    assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "E170")
    assert stage.world.ledger == before


@pytest.mark.parametrize("kind", sorted(NEEDS_OF))
def test_no_run_without_a_plan_starts_without_a_credential(stage: Stage, kind: Kind) -> None:
    """An operation on a stack, and an observation, end with E170 before any effect on a machine without a credential, and do their work with it."""
    first = stage.walk("1.0.0")
    assert first.release is not None
    package, before = stage.packages.fetch(first.release.digest), list(stage.world.ledger)
    hosts, entries = list(stage.world.up["production"]), stage.store.hosts("production")

    def run() -> Run:
        parameters = {"run": first.id} if kind == "reap" else {}
        ctx = stage.ctx(package, "production", kind=kind)
        stage.store.append(ctx.run.id, [Entry(kind="requested", data={"kind": kind, "parameters": parameters})], 0)
        return WORKFLOWS[kind](ctx)

    stage.world.missing = (lacks("plan"),)
    refused = run()
    assert (refused.state, stage.failure(refused)["failure"]["code"]) == (State.FAILED, "E170")
    assert (stage.world.ledger, stage.world.up["production"]) == (before, hosts)
    assert stage.store.hosts("production") == entries
    assert stage.store.lease("production") is None
    stage.world.missing = ()
    assert run().state is State.SUCCEEDED


@pytest.mark.parametrize("begun", [True, False])
def test_what_was_begun_is_completed(stage: Stage, begun: bool) -> None:
    """An operation whose step a process that died has started is not refused for a credential, and one that was not started is."""
    stage.promote("1.0.0", "staging")
    ctx = stage.ctx(stage.packages.fetch(stage.store.verified("staging")[0].release.digest), "staging", kind="destroy")
    stage.world.missing = (lacks("plan"),)
    found = refused_step(ctx, begun=begun)
    assert (found.data["code"] if found is not None else "") == ("" if begun else "E170")


@pytest.mark.parametrize("held", [True, False])
def test_an_approved_plan_stays_valid(stage: Stage, held: bool) -> None:
    """A credential that appears after the approval does not void the plan, and one that disappears refuses the start until it is back."""
    stage.promote("1.0.0", "staging", **watch(gates=[GATE]))
    stage.world.up["production"] = ["p1", "p2", "p3"]
    stage.world.missing = (lacks("gates"),) if held else ()
    approved = planned(stage)
    stage.world.missing = () if held else (lacks("gates"),)
    package = stage.packages.fetch(approved.release.digest)
    run = promotion(stage.ctx(package, "production", approved=approved.digest))
    if not held:
        assert stage.failure(run)["failure"]["code"] == "E170"
        stage.world.missing = ()
        run = promotion(stage.ctx(package, "production", approved=approved.digest))
    assert run.state is State.SUCCEEDED, stage.failure(run)


def test_votes_are_for_the_same_text(stage: Stage) -> None:
    """The digest and the text of a plan for approvers are the same with and without a missing credential of a gate."""
    stage.promote("1.0.0", "staging", **watch(gates=[GATE]))
    stage.world.missing = (lacks("gates"),)
    before = planned(stage)
    stage.world.missing = ()
    after = planned(stage)
    assert before.missing_credentials
    assert not after.missing_credentials
    assert (before.digest, plan_text(before)) == (after.digest, plan_text(after))


def test_a_declared_secret_that_is_not_set(stage: Stage) -> None:
    """A variable that `secrets` names and plays are given is missing where it is not set; one that nobody is given is not."""
    stage.promote("1.0.0", "staging")
    own = {"secrets": ["TOKEN", "OTHER"], "ansible": {"environment": ["TOKEN"]}}
    stage.own = own
    package = stage.packages.fetch(stage.store.verified("staging")[0].release.digest)
    services, plan = stage.services(), planned(stage)
    assert [each.place for each in plan.missing_credentials] == ["TOKEN"]
    given = replace(services, environ={"TOKEN": "v4lue-of-token"})
    plan = make.make(given, PlanRequest(package, "production"), "p", lambda _entry: None)
    assert (plan.missing_credentials, "v4lue" in str(plan.document())) == ((), False)
