"""Promotions that wait for approvals, told as several users."""

import csv
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.app.requests import Promote
from orchestrator.documents.register import MODELS
from orchestrator.domain.journal import Entry
from orchestrator.domain.promotion import State
from tests.cli.request_project import PLACE, RULE, RequestProject, office

__all__ = ["office"]  # the fixture


def state(office: RequestProject, run: str) -> Any:
    return office.by("vic", "approvals", run)


def test_a_promotion_waits_until_it_is_approved(office: RequestProject) -> None:
    """`promote` ends with 0 and waits without a run or a lease; another user's approval lets a worker start exactly the plan that was shown."""
    asked = office.ask("1.0.0")
    MODELS["run-request"].from_json(asked)
    run = asked["request"]["id"]
    assert (asked["state"], asked["worker"]) == ("waiting", False)
    assert asked["approval"]["reason"] == "waiting for 1 of 1 approval: can be given by bob, cid"
    assert (office.store.runs(), office.store.lease(PLACE)) == ([], None)
    assert office.duties() == []
    assert "waiting for 1 of 1 approval: can be given by bob, cid; the request expires at" in office.tells(
        "vic", "status"
    )
    listed = office.by("bob", "approvals", "--mine")
    MODELS["run-requests"].from_json(listed)
    assert [each["request"]["id"] for each in listed["requests"]] == [run]
    assert office.by("ann", "approvals", "--mine")["requests"] == []
    assert "Plan: promote shop 1.0.0 → production" in office.tells("bob", "approvals", run)

    voted = office.by("bob", "approve", run, "-m", "read it")
    assert (voted["state"], voted["approval"]["counted"]) == ("ready", ["bob"])
    assert office.store.runs() == []
    assert office.duties() == [f"{run} started as {run}, for the workers of default"]
    assert office.duties() == []
    done = office.execute(run)
    assert (done.state, done.by, done.plan) == (State.SUCCEEDED, "ann", asked["request"]["plan"])
    assert office.duties() == [f"{run} is finished: {run} ended: succeeded"]
    assert state(office, run)["state"] == "finished"
    assert office.by("vic", "approvals")["requests"] == []
    assert len(office.world.running) == 3


def test_a_plan_shows_its_risk(office: RequestProject) -> None:
    """`plan` and the request show the risk with its arithmetic, and `why` the approvals that a promotion would need."""
    office.packages.put(office.release("1.0.0"))
    shown = office.tells("ann", "plan", "1.0.0", "--to", PLACE)
    assert "5 + 5 = 10 (low)" in shown
    why = office.tells("ann", "why", "1.0.0", "--to", PLACE, code=None)
    assert "waiting for 1 of 1 approval: can be given by bob, cid" in why
    assert office.ask("1.0.0")["arithmetic"] == "5 + 5 = 10 (low)"


def test_a_prune_keeps_plans_that_were_voted_on(office: RequestProject) -> None:
    """A prune keeps the old plan of a request, also one that a newer plan has replaced, if a user has voted on it."""
    asked = office.ask("1.0.0")
    office.by("bob", "approve", asked["request"]["id"])
    folder = office.folder / ".orchestrator" / "plans"
    plan = folder / asked["request"]["plan"].removeprefix("sha256:")
    stray = folder / ("e" * 64)
    shutil.copytree(plan, stray)
    for path in (plan, stray):
        os.utime(path / "plan.json", (1_000_000_000, 1_000_000_000))
    office.tells("ann", "withdraw", asked["request"]["id"])
    assert office.by("olga", "prune")["plans"] == [stray.name]
    assert plan.is_dir()


def test_who_may_vote(office: RequestProject) -> None:
    """The requester, an operator and a viewer do not approve; each refusal names the rule, and records no vote."""
    run = office.ask("1.0.0")["request"]["id"]
    with office.acting("root"):
        office.say("access", "grant", "approver", "user:ann")
    code, text = office.refused("ann", "approve", run)
    assert (code, "the user requested the promotion" in text) == ("A204", True)
    for name in ("olga", "vic", "root"):
        code, text = office.refused(name, "approve", run)
        assert (code, text.endswith("these users may: ann, bob, cid")) == ("A101", True), name
    assert state(office, run)["votes"] == []
    assert office.duties() == []


def test_a_rejection_ends_the_request(office: RequestProject) -> None:
    """A rejected promotion does not start, also if others approve; its requester sees by whom it was rejected and why."""
    run = office.ask("1.0.0")["request"]["id"]
    ended = office.by("cid", "reject", run, "-m", "not before the audit")
    assert (ended["state"], ended["request"]["note"]) == ("rejected", "rejected by cid")
    assert office.refused("bob", "approve", run)[0] == "A206"
    assert office.duties() == []
    assert "not before the audit" in office.tells("ann", "approvals", run)


def test_a_request_is_withdrawn_by_its_requester(office: RequestProject) -> None:
    """The requester, and users who may control runs, withdraw a request; an approver does not."""
    run = office.ask("1.0.0")["request"]["id"]
    assert office.refused("bob", "withdraw", run)[0] == "A101"
    assert office.by("ann", "withdraw", run, "-m", "wrong version")["state"] == "withdrawn"
    assert office.refused("ann", "withdraw", run)[0] == "A206"
    assert office.refused("bob", "approve", run)[0] == "A206"
    run = office.ask("1.0.0")["request"]["id"]
    assert office.by("olga", "withdraw", run)["state"] == "withdrawn"


def test_a_vote_is_withdrawn(office: RequestProject) -> None:
    """A request whose approval was withdrawn waits again, and starts only after another one."""
    run = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", run)
    assert office.by("bob", "withdraw", run, "--vote")["state"] == "waiting"
    assert office.duties() == []
    assert office.refused("cid", "withdraw", run, "--vote")[0] in {"A101", "A206"}
    office.by("cid", "approve", run)
    assert office.duties()[-1].startswith(f"{run} started")


def test_a_vote_is_for_the_plan_that_was_shown(office: RequestProject) -> None:
    """With `--plan` a vote for another plan is refused, and an empty or short digest is not a vote."""
    asked = office.ask("1.0.0")
    run, plan = asked["request"]["id"], asked["request"]["plan"]
    assert office.refused("bob", "approve", run, "--plan", "sha256:" + "0" * 64)[0] == "A205"
    for empty in ("", "sha256:", plan[:12]):
        assert office.by("bob", "approve", run, "--plan", empty, code=2)["errors"]
    assert state(office, run)["votes"] == []
    assert office.by("bob", "approve", run, "--plan", plan)["state"] == "ready"


def test_a_role_that_is_lost_does_not_count_at_the_start(office: RequestProject) -> None:
    """An approval counts only while its user has the role; the refusal says that it does not count, and why."""
    run = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", run)
    with office.acting("root"):
        office.say("access", "revoke", "approver", "user:bob")
    assert office.duties()[0].startswith(f"{run} is waiting: an approval no longer counts")
    assert state(office, run)["approval"]["void"] == {"bob": "the user does not hold a role that approves"}
    assert office.store.runs() == []


def test_what_changes_after_the_approval_needs_new_votes(office: RequestProject) -> None:
    """A plan that no longer holds at the start changes nothing: the request waits with the differences named, for votes for a new plan."""
    asked = office.ask("1.0.0")
    run, plan = asked["request"]["id"], asked["request"]["plan"]
    office.by("bob", "approve", run)
    office.world.stacks[PLACE].append("p4")
    office.duties()
    assert office.execute(run).state is State.FAILED
    assert office.world.running == {}
    (text,) = office.duties()
    assert text.startswith(f"{run} is waiting: the plan no longer held: the environment's definition")
    seen = state(office, run)
    assert (seen["state"], seen["request"]["round"], seen["request"]["plan"] == plan) == ("waiting", 2, False)
    assert seen["approval"]["void"] == {"bob": "it is for another plan"}
    assert office.duties() == []
    office.by("bob", "approve", run)
    office.duties()
    again = state(office, run)["request"]["run"]
    assert again != run
    assert office.execute(again).state is State.SUCCEEDED


def test_nothing_enters_without_its_request(office: RequestProject) -> None:
    """A promotion into an environment with approvals that no request has started is refused before any effect, and a rehearsal too."""
    office.packages.put(office.release("1.0.0"))
    for kind in ("promotion", "rehearsal"):
        run = office.request(PLACE, "1.0.0", kind)
        done = office.execute(run.id)
        ended = [record.data for record in office.store.records(run.id) if record.kind == "ended"]
        assert (done.state, ended[0]["failure"]["code"]) == (State.FAILED, "A201")
    assert office.world.running == {}


def test_a_rollback_never_waits(office: RequestProject) -> None:
    """A rollback needs no approval and no request."""
    office.rule("")
    for version in ("1.0.0", "1.1.0"):
        office.execute(office.request(PLACE, version).id)
    office.rule()
    run = office.request(PLACE, "1.0.0", "rollback")
    assert office.execute(run.id).state is State.ROLLED_BACK


def test_the_path_waits_before_the_environment_with_approvals(office: RequestProject) -> None:
    """A promotion along the path goes as far as it may, and then records the request for the next environment."""
    office.rule(f"after: staging\n{RULE}")
    office.packages.put(office.release("1.0.0"))
    code, text = office.refused("ann", "promote", "1.0.0", "--to", PLACE)
    assert (code, "has not been verified in staging" in text) == ("R105", True)
    office.go("staging", "1.0.0")
    asked = office.by("ann", "promote", "1.0.0")
    assert (asked["state"], asked["request"]["environment"]) == ("waiting", PLACE)


def test_the_same_promotion_again(office: RequestProject) -> None:
    """Requesting it again keeps the votes while the plan is the same; another package of the name supersedes the request."""
    first = office.ask("1.0.0")["request"]
    again = office.ask("1.0.0")["request"]
    assert (again["id"], again["round"]) == (first["id"], 1)
    newer = office.ask("1.1.0")["request"]
    old = state(office, first["id"])
    assert (old["state"], old["request"]["note"]) == ("superseded", f"superseded by {newer['id']}")
    assert state(office, newer["id"])["state"] == "waiting"


def test_a_closed_environment_holds_what_is_approved(office: RequestProject) -> None:
    """A stopped line holds an approved promotion, and does not void its approval; it starts when the line is resumed."""
    run = office.ask("1.0.0")["request"]["id"]
    office.tells("olga", "line", "stop", PLACE, "-m", "incident 12")
    assert office.by("bob", "approve", run)["state"] == "ready"
    assert office.duties() == []
    assert "incident 12" in office.tells("vic", "status")
    office.tells("ann", "line", "resume", PLACE)
    assert office.duties()[-1].startswith(f"{run} started")


def test_a_later_start(office: RequestProject) -> None:
    """With `--at` an approved promotion waits for that time; a time that is not one is an error."""
    office.rule("")
    assert office.ask("1.0.0", "--at", "2990-01-01T00:00:00Z")["state"] == "ready"
    assert office.duties() == []
    assert "requested to start at 2990-01-01" in office.tells("vic", "status")
    assert office.by("ann", "promote", "1.0.0", "--to", PLACE, "--at", "tomorrow", code=2)["errors"]


def test_the_next_window(office: RequestProject) -> None:
    """A promotion into a closed environment is refused; with `--at next-window` it is recorded, says when it opens, and starts then."""
    office.packages.put(office.release("1.0.0"))
    office.rule("")
    start, end = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}T00:00" for days in (-1, 30))
    words = ("--start", start, "--end", end, "--zone", "UTC", "--environment", PLACE)
    office.tells("ann", "calendar", "add", "soft-freeze", "long", *words, "-m", "moving")
    assert office.refused("ann", "promote", "1.0.0", "--to", PLACE)[0] == "A301"
    asked = office.ask("1.0.0", "--at", "next-window")
    closed = next(found for found in asked["admission"]["conditions"] if found["condition"] == "freeze")
    assert (asked["state"], closed["state"], closed["until"][:16]) == ("ready", "waiting", end)
    assert (asked["worker"], office.duties()) == (False, [])
    entry = office.by("vic", "calendar", "list")["rules"][0]["id"]
    office.tells("ann", "calendar", "remove", entry)
    run = asked["request"]["id"]
    assert office.duties() == [f"{run} started as {run}, for the workers of default"]


def test_a_crash_between_the_start_and_its_run_loses_nothing(office: RequestProject, monkeypatch: Any) -> None:
    """A process that dies after the start was recorded, and before the run was, leaves it to the next scheduler."""
    run = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", run)
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.app.request_duties.submit_started", lambda *_a, **_k: None)
        office.duties()
    assert (state(office, run)["state"], office.store.runs()) == ("started", [])
    assert office.duties()[-1].startswith(f"{run} started as {run}")
    assert len(office.store.runs()) == 1


def test_a_retry_completes_what_was_approved(office: RequestProject) -> None:
    """A retry of a started promotion enters without new votes, also after the votes have expired; a rollback instead ends the request."""
    office.rule(f"{RULE}rollback: {{automatic: false}}\n")
    run = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", run)
    office.duties()
    office.world.faults.add(("deploy", "p1", "1.0.0"))
    executed = office.execute(run)
    assert executed.state is State.NEEDS_INTERVENTION
    assert office.duties() == [f"the review of {executed.id} was opened: intervention"]
    with office.acting("olga"):
        app = office.app()
        again = app.submissions.retry(app.actor, office.store.run(run), None)
        app.register.close()
    app = office.app()
    office.by("bob", "approvals", run)
    app.entrance.admit(app.services, office.store.run(again.name), plan=again.plan, overrun=False)
    app.register.close()
    assert state(office, run)["request"]["run"] == again.name
    office.store.append(
        again.name, [Entry(kind="ended", data={"state": "needs intervention", "exit": 5, "failure": None})]
    )
    assert office.duties() == [f"the review of {again.name} was opened: intervention"]
    office.go("staging", "1.0.0")
    office.store.append(
        office.request(PLACE, "1.0.0", "observe").id, [Entry(kind="ended", data={"state": "succeeded"})]
    )
    assert office.duties()[0].startswith(f"{run} is finished")


def test_everything_is_in_the_audit_stream(office: RequestProject) -> None:
    """Request, vote, start and end are entries with their actors, and the stream verifies."""
    run = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", run, "-m", "fine")
    office.duties()
    office.execute(run)
    office.duties()
    with office.acting("root"):
        entries = office.json("audit", "list")["entries"]
        assert office.json("audit", "verify")["finding"] is None
    mine = [entry for entry in entries if entry["object"] in {f"run:{run}", f"vote:{run} 000001"}]
    found = [(entry["actor"], entry["detail"].get("event") or entry["detail"]["decision"]) for entry in mine]
    assert found == [
        ("ann", "request"), ("bob", "approve"), ("bob", "approve"), ("system", "start"), ("system", "finish"),
    ]  # fmt: skip


def test_a_role_that_there_is_not_refuses_the_plan(office: RequestProject) -> None:
    """A rule with a role that neither is built in nor recorded refuses the plan with its place; recorded, the same rule holds."""
    office.rule(
        "approvals: {count: 1, roles: [dba]}\n", project="policy: [{name: p, then: {count: 1, roles: [aprover]}}]\n"
    )
    office.packages.put(office.release("1.0.0"))
    errors = office.by("ann", "promote", "1.0.0", "--to", PLACE, code=2)["errors"]
    assert [(error["code"], error["line"], error["hint"]) for error in errors] == [
        ("F140", 4, "did you mean 'approver'?"),
        ("F140", 4, errors[1]["hint"]),
    ]
    assert [error["file"] for error in errors] == ["orchestrator.yaml", f"environments/{PLACE}/environment.yaml"]
    assert office.by("vic", "approvals")["requests"] == []
    office.rule("approvals: {count: 1, roles: [dba]}\n", project="policy: []\n")
    file = office.folder / "access.yaml"
    file.write_text("apiVersion: orchestrator/v1\nkind: Access\nroles: [{name: dba, actions: [view, approve]}]\n")
    office.by("root", "access", "apply", "-f", str(file))
    assert office.ask("1.0.0")["state"] == "waiting"


def test_an_export_has_everything_about_each_run_of_its_sample(office: RequestProject) -> None:
    """The runs of the population are also those that needed no vote, and the folder of a run has its request, its votes and who controlled it."""
    office.rule("")
    package = office.packages.put(office.release("1.0.0"))
    with office.acting("ann"):
        app = office.app()
        free = app.submissions.submit(app.actor, Promote(package=package.ref, targets=(PLACE,)), queue="default")
        app.close()
        office.say("cancel", f"{free.root}-{PLACE}", code=None)
    office.rule()
    run = office.ask("1.1.0")["request"]["id"]
    office.by("bob", "approve", run)
    office.by("root", "access", "grant", "auditor", "user:vic")
    times = ("--from", "2020-01-01T00:00:00Z", "--to", "2090-01-01T00:00:00Z")
    statement = office.by("vic", "audit", "export", str(office.folder / "all"), *times, "--sample", "9")
    assert set(statement["sample"]["objects"]) == {f"run:{run}", f"run:{free.root}-{PLACE}"}

    def objects(name: str) -> list[tuple[str, str, str]]:
        with (office.folder / "all" / f"run-{name}" / "entries.csv").open(newline="") as file:
            return [(row["actor"], row["action"], row["object"].partition(":")[0]) for row in csv.DictReader(file)]

    assert objects(f"{free.root}-{PLACE}") == [("ann", "promote", "run"), ("ann", "run:control", "run")]
    assert objects(run) == [("ann", "promote", "run"), ("bob", "approve", "vote"), ("bob", "approve", "run")]
