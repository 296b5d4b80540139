"""Plans that were approved: whatever they say is held against what is there when they are executed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.configuration import NOT_PASSED
from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PARTS, Plan, PlanAction, PlaySpec, differences, held
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.flow import going_back, promotion
from orchestrator.planning import make, plan_store
from orchestrator.planning.survey import PlanRequest
from orchestrator.ports import Emit
from tests.flow.test_promotion import Stage, release

OTHER = "sha256:" + "9" * 64
DIGEST = "sha256:" + "1" * 64
REF = {"name": "shop", "version": "1.0.0", "digest": DIGEST}
PLAY = {"step": "deploy", "playbook": "deploy.yml", "hosts": "web", "limit": ["w1"], "tags": ["t"], "skip_tags": ["s"],
        "vars": {"a": 1}, "extra_vars": {"b": "c"}, "timeout": 60.0}  # fmt: skip
PLAYS = [{"name": "p", "where": "deploy.yml:1", "hosts": "web", "times": 1, "on": ["w1"], "effects": ["e"],
          "repeats": ["r"], "unseen": ["n"]}]  # fmt: skip
SUITE = {"name": "smoke", "tests": "tests", "limit": ["w1"], "args": ["-q"], "timeout": 60.0}
INVENTORY = {
    "hosts": {"w1": {}},
    "groups": {"web": {"hosts": ["w1"], "children": ["x"], "vars": {}}},
    "files": ["/i"],
    "source_digest": DIGEST,
}
FLAKY = {"retries": 1, "within": "1s"}
GATES = [
    {"gate": {"name": "a", "tests": "t", "hosts": "web", "timeout": "1s"}, "suite": SUITE, "own": True},
    {"gate": {"name": "b", "http": {"url": "http://a", "status": 200, "contains": "c", "timeout": "1s"}}},
    {"gate": {"name": "c", "command": ["true"]}},
    {"gate": {"name": "d", "prometheus": {
        "server": "http://a", "query": "q", "timeout": "1s", "above": 1.0, "below": 2.0,
    }}},
]  # fmt: skip
FULL: dict[str, Any] = {
    "apiVersion": "orchestrator/v1", "kind": "Plan", "action": "rollback", "at": "2026-01-01", "project": "demo", "environment": "staging",
    "release": REF, "losses": [{"op": "delete", "type": "t", "name": "n", "urn": "u", "why": "w"}],
    "points_of_no_return": ["s"], "acknowledgements": {"replace": ["n"], "no_return": ["s"]},
    "definition": DIGEST, "after": "dev",
    "project_definition": DIGEST,
    "stack": {
        "state_digest": DIGEST, "update_plan": DIGEST, "counts": {"create": 1}, "inventory": INVENTORY, "refused": "r",
        "changes": [
            {"op": "create", "type": "t", "name": "n", "urn": "u", "parent": "p", "properties": ["q"], "kept": "protect"}
        ],
    },
    "inventory": INVENTORY, "inventory_digest": DIGEST,
    "requirements": [{"hosts": "web", "disk_free": "1GiB", "memory": "1GiB", "commands": ["sh"]}],
    "undo": [{"release": REF, "play": PLAY, "plays": PLAYS}], "second_pass": {"restore": [PLAY]},
    "skipped": [{"release": REF, "step": "seed", "undo": "nothing"}],
    "steps": [{
        "play": PLAY, "batches": [["w1"]], "sizes": [1], "max_failures": 1, "pause": 1.0, "undo": "u.yml",
        "preview": {
            "hosts": [{"host": "w1", "changes": 1, "tasks": ["t"]}], "previewed": 1, "opaque": ["o"], "failed": ["f"],
            "unseen": ["w1: away"], "diff": "d",
        },
        "strategy": "canary", "order": "shuffled", "seed": "s", "once": {"first": ["t"], "last": ["u"]},
        "plays": PLAYS, "undo_plays": PLAYS,
        "canary": {"hosts": "10%", "observation": {"seconds": 2.0, "every": 1.0, "gates": GATES, "flaky": FLAKY}},
    }],
    "implementations": [{"step": "s", "position": 1, "template": "i.yaml", "parameters": {"a": "b"}, "undo": "u.yaml"}],
    "reversals": [{"step": "s", "release": REF, "position": 1, "template": "u.yaml", "parameters": {"a": "b"}}],
    "verify": [{**SUITE, "flaky": FLAKY}], "rehearse": True, "artifacts": [{"name": "shop.tar.gz", "unpack": True}],
    "watch": {"seconds": 60.0, "every": 1.0, "suite": SUITE, "gates": GATES, "flaky": FLAKY},
    "probe": {"url": "http://a", "service": "http://b", "hosts": "web", "every": "1s", "timeout": "1s"},
    "current_hosts": [{"host": "w1", "truth": "seen", "release": REF, "since": "2026-01-01T00:00:00Z", "run": "r1"}],
    "unmet": ["w1: no sh"], "unreachable": ["w1"],
    "rollback_target": {"release": REF, "definition": DIGEST, "available": True, "impossible": ["i"], "reason": "r",
             "second_pass": {"restore": [PLAY]}},
    "automatic_rollback": True,
    "ephemeral": {"ttl": "1h", "per": "release", "keep_on_failure": True}, "skip_irreversible": True,
    "crossed": ["s"], "all_at_once": True,
    "conditions": [{"name": "drift", "holds": False, "why": ["w"], "evidence": DIGEST}], "notes": ["n"],
    "uninspected": "u",
    "configuration": {
        "versions": {"ansible-core": "2"},
        "plays": [{"folder": ".", "settings": [{"name": "defaults.forks", "value": "1", "origin": "o"}]}],
        "hosts": [{"name": "defaults.forks", "value": "2", "origin": "o"}],
        "environment": ["A"], "values": DIGEST,
    },
    "blue_green": {
        "blue": "b", "green": "g", "hosts": {"blue": ["h1"], "green": ["h2"]}, "router": "r", "unchanged_hosts": ["h1"], "first": True, "stacked": True,
        "switch": {"step": "switch", "playbook": "p.yml", "hosts": "all"}, "retire": {"step": "retire", "playbook": "p.yml", "hosts": "all"},
        "switch_plays": PLAYS, "retire_plays": PLAYS,
    },
}  # fmt: skip
FIXED = {("apiVersion",), ("kind",)}  # these have one value only
ASKED_ONCE = {"preview"}  # taken over from what was approved


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of everything in a document that is no list or mapping itself."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path
        return
    for key, below in inner:
        yield from leaves(below, (*path, key))


def changed(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """A copy of *document* with another value at *path*."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    at: Any = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = _other(at[path[-1]])
    return copy


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    known = {
        "rollback": "promote",
        "delete": "replace",
        "1h": "2h",
        "release": "environment",
        "seen": "assumed",
        DIGEST: OTHER,
        "1GiB": "2GiB",
        "smoke": "other",
        "canary": "rolling",
        "shuffled": "sorted",
        "10%": "20%",
        "1s": "2s",
    }
    return known.get(value, f"{value}x")


PLACES = [path for path in leaves(FULL) if path not in FIXED]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_any_change_of_a_plan_is_noticed_and_named(path: tuple[Any, ...]) -> None:
    """Whatever an approved plan's digest covers, another value of it now is a difference with a name."""
    approved = Plan.from_json(FULL)
    now = Plan.from_json(changed(FULL, path))
    assert now.digest != approved.digest
    assert differences(approved, now) == [PARTS[path[0]]]
    once = path[0] in {"stack", "steps"} and ASKED_ONCE & set(path)
    assert differences(approved, held(approved, now)) == ([] if once else [PARTS[path[0]]])


def test_a_note_that_decides_nothing_may_stand_between_others() -> None:
    """A plan holds where another process has other variables that are not passed on, wherever a plan notes these."""
    approved = Plan.from_json({**FULL, "notes": ["the first", f"PYTHONPATH is set here {NOT_PASSED}", "the last"]})
    for notes, differing in ((["the first", "the last"], []), (["the last", "the first"], ["the notes"])):
        now = approved.model_copy(update={"notes": tuple(notes)})
        assert differences(approved, held(approved, now)) == differing
    assert differences(approved, held(approved, approved)) == []


def test_every_field_that_a_digest_covers_has_a_name() -> None:
    """No field of a plan that decides something is left out of the comparison, and the sample has all."""
    assert set(PARTS) == set(Plan.model_fields) - {"created_at", "checked", "missing_credentials"} == set(FULL)


@pytest.mark.parametrize("which", ["more steps", "fewer steps", "no stack", "a stack"])
def test_plans_of_another_shape_do_not_hold(which: str) -> None:
    """A step or a stack that came or went is noticed too."""
    approved = now = Plan.from_json(FULL)
    if which == "more steps":
        now = approved.model_copy(update={"steps": approved.steps * 2})
    elif which == "fewer steps":
        now = approved.model_copy(update={"steps": ()})
    elif which == "no stack":
        now = approved.model_copy(update={"stack": None})
    else:
        approved = approved.model_copy(update={"stack": None})
    assert differences(approved, held(approved, now))


def test_another_engine_is_named() -> None:
    """A plan that was made with another version of Pulumi or of a provider does not hold, and says which part it is."""
    approved = Plan.from_json(changed_stack(pulumi="v3.259.0", aws="6.1.0"))
    for versions in ({"pulumi": "v3.260.0", "aws": "6.1.0"}, {"pulumi": "v3.259.0", "aws": "6.2.0"}, {}):
        now = Plan.from_json(changed_stack(**versions))
        assert now.digest != approved.digest
        assert differences(approved, held(approved, now)) == ["the versions of Pulumi and its providers"]


def test_other_settings_of_the_engine_are_named() -> None:
    """A plan that was made with other settings of Pulumi does not hold, and says which part it is."""
    plans = [
        Plan.from_json({**FULL, "stack": {**FULL["stack"], "settings": settings}})
        for settings in ({"PULUMI_EXPERIMENTAL": "true"}, {"PULUMI_EXPERIMENTAL": "false"}, {})
    ]
    for now in plans[1:]:
        assert now.digest != plans[0].digest
        assert differences(plans[0], held(plans[0], now)) == ["the settings of Pulumi"]


def changed_stack(**versions: str) -> dict[str, Any]:
    return {**FULL, "stack": {**FULL["stack"], "versions": versions}}


def test_a_plan_file_without_its_digest_is_refused(stage: Stage) -> None:
    """A plan whose digest was taken out could say anything, and is not executed."""
    stage.promote("1.0.0", "staging")
    package = stage.packages.fetch(stage.store.verified("staging")[0].release.digest)
    made = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    file = plan_store.save(stage.services(), made)
    assert plan_store.read_plan(stage.services(), file).digest == made.digest
    document = json.loads(file.read_text())
    del document["digest"]
    file.write_text(json.dumps(document))
    with pytest.raises(OrchestratorError) as refused:
        plan_store.read_plan(stage.services(), file)
    assert refused.value.code == "R122"


@pytest.mark.parametrize("text", ["[]", '"text"', "{}", "null"])
def test_what_is_no_plan_is_refused(stage: Stage, tmp_path: Path, text: str) -> None:
    """A JSON file that is something else is said to be no plan."""
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(OrchestratorError) as refused:
        plan_store.read_plan(stage.services(), file)
    assert refused.value.code == "R121"


def test_a_switched_off_rollback_is_named(stage: Stage) -> None:
    """An environment whose automatic rollback was switched off since the plan was made stops the run, and says so."""
    from orchestrator.flow import promotion

    stage.promote("1.0.0", "staging")
    package = stage.packages.fetch(stage.store.verified("staging")[0].release.digest)
    stage.world.up["production"] = ["p1", "p2", "p3"]
    approved = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    plan_store.save(stage.services(), approved)
    stage.automatic = False
    run = promotion(stage.ctx(package, "production", approved=approved.digest))
    assert "whether a failure is rolled back automatically" in run.message
    assert stage.failure(run)["exit"] == 7


@pytest.mark.parametrize(("hosts", "code"), [("db", "D101"), ("web[7]", "D101"), ("web:!all", "D102"), ("~x$", "D101")])
def test_a_step_without_hosts_is_refused_before_the_stack_is_updated(stage: Stage, hosts: str, code: str) -> None:
    """A step whose pattern means no host that the preview foresees is refused by the plan: nothing is provisioned."""
    package = stage.packages.put(release("1.0.0", steps=[{"name": "deploy", "playbook": "deploy.yml", "hosts": hosts}]))
    with pytest.raises(OrchestratorError) as error:
        make.make(stage.services(), PlanRequest(package, "staging"), "p", lambda _entry: None)
    assert (error.value.code, stage.world.up) == (code, {})


def test_a_tag_of_once_is_left_out_in_all_batches_but_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a release wants once runs in the first batch, or in the last: the others skip its tag."""
    rollout = {"batches": [1], "once": {"first": ["migrate"], "last": ["announce"]}}
    steps = [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "skip_tags": ["never"], "rollout": rollout}]
    stage.promote("1.0.0", "staging", steps=steps)
    ctx = stage.ctx(stage.packages.put(release("1.0.0", steps=steps)), "production")
    deploy, skipped = ctx.services.deployer.deploy, list[tuple[str, ...]]()

    def recorded(
        play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        skipped.append(play.skip_tags)
        return deploy(play, package, inventory, context, job, emit)

    monkeypatch.setattr(ctx.services.deployer, "deploy", recorded)
    assert promotion(ctx).state is State.SUCCEEDED
    assert skipped == [("never", "announce"), ("never", "migrate", "announce"), ("never", "migrate")]


def test_a_plan_lists_every_play_and_its_digest_covers_them(stage: Stage) -> None:
    """Each step of a plan has the plays of its playbook, and a plan with others has another digest."""
    stage.promote("1.0.0", "staging")
    package = stage.packages.put(release("1.0.0"))
    made = make.make(stage.services(), PlanRequest(package, "staging"), "p", lambda _entry: None)
    assert [(play.hosts, play.times, play.on) for play in made.steps[0].plays] == [("web", 1, ("s1",))]
    other = made.model_copy(update={"steps": (made.steps[0].model_copy(update={"plays": ()}),)})
    assert (made.digest != other.digest, differences(made, other)) == (True, ["the steps"])


def test_a_plan_previews_no_hosts_where_the_environment_turns_that_off(stage: Stage) -> None:
    """With `preview: none` no playbook runs in check mode, and the plan says so; without it each step is previewed."""
    stage.promote("1.0.0", "staging")
    wanted = PlanRequest(stage.packages.put(release("1.1.0")), "staging", check=True)
    with_preview = make.make(stage.services(), wanted, "p", lambda _entry: None)
    stage.rules["staging"] = {"preview": "none"}
    without = make.make(stage.services(), wanted, "q", lambda _entry: None)
    assert [plan.steps[0].preview is not None for plan in (with_preview, without)] == [True, False]
    assert [any("not previewed" in note for note in plan.notes) for plan in (with_preview, without)] == [False, True]


def _listed(plays: tuple[PlannedPlay, ...]) -> list[tuple[str, int | None, tuple[str, ...] | None]]:
    return [(play.where, play.times, play.on) for play in plays]


def test_a_plan_lists_the_plays_of_undo_playbooks(stage: Stage) -> None:
    """A promotion's plan lists the plays of each undo playbook, and a rollback's plan those that it runs; both digests cover them."""
    steps = [
        {"name": "one", "playbook": "one.yml", "undo": "undo-one.yml", "rollout": {"batches": [1]}},
        {"name": "two", "playbook": "two.yml", "undo": "nothing"},
    ]
    stage.walk("1.0.0")
    stage.walk("1.1.0", steps=steps)
    package = stage.packages.put(release("1.1.0", steps=steps))
    made = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    hosts = ("p1", "p2", "p3")
    assert [_listed(step.undo_plays) for step in made.steps] == [[("undo-one.yml:1", 1, hosts)], []]
    other = made.model_copy(update={"steps": tuple(step.model_copy(update={"undo_plays": ()}) for step in made.steps)})
    assert differences(made, other) == ["the steps"]
    wanted = PlanRequest(stage.packages.put(release("1.0.0")), "production", "rollback")
    back = make.make(stage.services(), wanted, "q", lambda _entry: None)
    assert [_listed(item.plays) for item in back.undo] == [[("undo-one.yml:1", 1, hosts)]]
    bare = back.model_copy(update={"undo": tuple(item.model_copy(update={"plays": ()}) for item in back.undo)})
    assert differences(back, bare) == ["what is undone"]


def test_a_plan_lists_what_runs_after_the_infrastructure_went_back(stage: Stage) -> None:
    """A plan that changes the stack lists the second pass of a rollback, and the plan of a rollback its own; both run it so."""
    stage.walk("1.0.0")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.promote("1.1.0", "staging")
    wanted = PlanRequest(stage.packages.put(release("1.1.0")), "production")
    made = make.make(stage.services(), wanted, "p", lambda _entry: None)
    assert made.rollback_target.second_pass is not None
    assert [(play.step, play.playbook, play.limit) for play in made.rollback_target.second_pass.restore] == [
        ("deploy", "deploy.yml", ())
    ]
    assert stage.promote("1.1.0", "production").state is State.SUCCEEDED

    package = stage.packages.put(release("1.0.0"))
    back = make.make(stage.services(), PlanRequest(package, "production", "rollback"), "q", lambda _entry: None)
    assert back.second_pass is not None
    assert [play.limit for play in back.second_pass.restore] == [("p1", "p2", "p3", "p4")]
    assert differences(back, back.model_copy(update={"second_pass": None})) == [
        "the steps after the restored infrastructure"
    ]
    run = going_back(stage.ctx(package, "production", kind="rollback"))
    assert run.state is State.ROLLED_BACK
    hosts = {
        record.step: tuple(record.data["hosts"])
        for record in stage.store.records(run.id)
        if record.kind == "step.started" and record.step.startswith("restore.again")
    }
    assert hosts == {"restore.again.deploy": ("p1", "p2", "p3")}  # p4 went with the stack


def test_a_plan_that_leaves_the_stack_has_no_second_pass(stage: Stage) -> None:
    """If the infrastructure stays as it is, no plan lists steps after it."""
    stage.walk("1.0.0")
    stage.walk("1.1.0")
    plans: tuple[tuple[str, PlanAction], ...] = (("1.2.0", "promote"), ("1.0.0", "rollback"))
    for version, action in plans:
        stage.promote("1.2.0", "staging") if action == "promote" else None
        wanted = PlanRequest(stage.packages.put(release(version)), "production", action)
        made = make.make(stage.services(), wanted, "p", lambda _entry: None)
        assert (made.second_pass, made.rollback_target.second_pass) == (None, None)
