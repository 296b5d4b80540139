"""What `promote`, `plan` and `rollback` decide before anything is started."""

import json
import re
from pathlib import Path

import pytest

from orchestrator.cli.planned import print_plan
from orchestrator.domain.plan import Plan, PlanAction
from orchestrator.domain.text import undated
from orchestrator.domain.wave_plan import PlannedEnvironment, WavePlan
from orchestrator.planning import make
from orchestrator.planning.survey import PlanRequest
from tests.cli.memory_project import PROJECT, MemoryProject, project

__all__ = ["project"]
PLACE = "production"


def test_a_release_that_runs_everywhere_is_nothing_to_do(project: MemoryProject) -> None:
    """`promote` of what runs everywhere, or where `--to` says, ends with 0 and starts no run."""
    for name in ("staging", PLACE):
        project.go(name, "1.0.0")
    count = len(project.store.runs())
    for words in (("promote", "1.0.0"), ("promote", "1.0.0", "--to", PLACE)):
        assert "nothing to do: shop 1.0.0 already runs" in project.say(*words, code=0)
        assert project.json(*words) == {
            "apiVersion": "orchestrator/v1", "kind": "Walk", "root": None, "exit": 0, "runs": [],
        }  # fmt: skip
    assert len(project.store.runs()) == count


def test_redeploy_promotes_it_again(project: MemoryProject) -> None:
    """With `--redeploy` an environment counts although the release runs there, with and without `--to`."""
    for name in ("staging", PLACE):
        project.go(name, "1.0.0")
    app, package = project.app(), project.packages.fetch(project.store.verified(PLACE)[0].release.digest)
    assert app.plans.targets(app.actor, package, None, redeploy=True) == ("production", "staging")
    assert app.plans.targets(app.actor, package, PLACE, redeploy=True) == (PLACE,)


def test_redeploy_in_waves(project: MemoryProject) -> None:
    """With `--redeploy` a walk goes to environments that have the release; a plan that leaves them out is refused with it."""
    walk = "waves: [{name: both, environments: [[staging], [production]]}]\n"
    (project.folder / "orchestrator.yaml").write_text(PROJECT + walk)
    for name in ("staging", PLACE):
        project.go(name, "1.0.0")
    app, package = project.app(), project.packages.fetch(project.store.verified(PLACE)[0].release.digest)
    waves = app.plans.waves(app.actor, "both")
    assert waves is not None
    assert "; --redeploy promotes it again" in project.say("promote", "1.0.0", "--to", "both")
    targets = app.plans.wave_targets(app.actor, package, waves, redeploy=True)
    assert targets == ("staging", PLACE)
    nothing = tuple((PlannedEnvironment(environment=name),) for name in ("staging", PLACE))
    plan = WavePlan(project="demo", release=package.ref, rollout=waves, waves=nothing)
    (project.folder / "plan.json").write_text(json.dumps(app.plans.document(app.actor, plan)))
    [error] = project.json("promote", "--plan", "plan.json", "--redeploy", code=2)["errors"]
    assert "leaves out environments that have the release" in error["message"]
    assert error["hint"] == "orchestrator plan shop-1.0.0 --to both --redeploy"


def test_a_busy_environment_is_named_by_a_rollback(project: MemoryProject) -> None:
    """`rollback -y` of an environment that a run holds says who holds it, and ends as busy."""
    run = project.killed(PLACE, "1.0.0", "deploy.1")
    errors = project.json("rollback", PLACE, "-y", code=8)["errors"]
    assert errors[0]["code"] == "S101"
    assert run.id in errors[0]["message"]
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d UTC, \d+ [smhd] ago\)$", errors[0]["message"])
    assert undated(errors[0]["message"]).endswith(" UTC)")


def test_a_plan_that_cannot_be_executed_has_no_line_to_execute_it(project: MemoryProject) -> None:
    """A plan with a reason against it prints that reason, and no command that executes it."""
    project.go(PLACE, "1.0.0")
    good = _printed(project, _plan(project, "1.1.0"))
    assert "Execute  orchestrator promote --plan" in good
    project.world.gone.add("p2")
    bad = _printed(project, _plan(project, "1.2.0"))
    assert "Execute" not in bad
    assert "Blocked  cannot be reached: p2" in bad


def test_the_plan_of_a_rollback_shows_what_is_run(project: MemoryProject) -> None:
    """The plan of a rollback lists its batches, and names the command that executes it."""
    project.go(PLACE, "1.0.0")
    project.go(PLACE, "1.1.0")
    said = _printed(project, _plan(project, "1.0.0", "rollback"))
    assert "deploy: deploy.yml on [p1] then [p2, p3]" in said
    assert f"Execute  orchestrator rollback {PLACE}" in said


@pytest.mark.parametrize("shared", [False, True])
def test_a_plan_whose_package_is_elsewhere_names_the_command_that_brings_it(
    project: MemoryProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared: bool
) -> None:
    """`promote --plan FILE` without the plan's package prints which command to run on which machine, and starts no run."""
    if shared:
        (tmp_path / "shared").mkdir()
        monkeypatch.setenv("ORCHESTRATOR_ARTIFACTS", str(tmp_path / "shared"))
    app, plan = project.app(), _plan(project, "1.0.0")
    (tmp_path / "plan.json").write_text(json.dumps(app.plans.document(app.actor, plan)))
    project.packages.remove(plan.release)
    [error] = project.json("promote", "--plan", "plan.json", code=6)["errors"]
    file = f"{plan.release.digest.removeprefix('sha256:')}.release"
    assert error["code"] == "P301"
    assert f"{plan.release} ({plan.release.digest})" in error["message"]
    if shared:
        command = f"orchestrator package verify .orchestrator/packages/{file} --keep"
        assert error["hint"] == f"run on the machine that made the plan: {command}; then repeat this command here"
    else:
        command = f"run here: orchestrator package verify {file} --keep"
        assert error["hint"] == f"copy .orchestrator/packages/{file} from the machine that made the plan, and {command}"
    [error] = project.json("promote", "--plan", "abcdef", code=None)["errors"]
    assert "--out FILE" in error["hint"]
    assert project.store.runs() == []


def test_many_hosts_are_counted(project: MemoryProject) -> None:
    """A plan for 200 hosts fits the screen: it counts hosts and batches, and names the first."""
    project.world.stacks[PLACE] = [f"web{number:03}" for number in range(200)]
    project.go(PLACE, "1.0.0")
    said = _printed(project, _plan(project, "1.1.0"))
    assert max(map(len, said.splitlines())) <= 160
    assert "200 hosts: 1 host, then 199 hosts; first web000" in said
    said = project.say("status", PLACE)
    assert max(map(len, said.splitlines())) <= 120
    assert "200 hosts; list them with --hosts" in said
    assert "web150" not in said
    assert "web150" in project.say("status", PLACE, "--hosts")


def _plan(project: MemoryProject, version: str, action: PlanAction = "promote") -> Plan:
    package = project.packages.put(project.release(version))
    return make.make(project.services(), PlanRequest(package, PLACE, action), "p", lambda _entry: None)


def _printed(project: MemoryProject, plan: Plan) -> str:
    assert project.capsys is not None
    project.capsys.readouterr()
    print_plan(plan)
    return project.capsys.readouterr().out


def test_a_plan_and_a_run_fit_a_narrow_screen(project: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 60 columns `plan` and `show` fold long lines between words, below their content; elsewhere they do not."""
    note = "the operator has to read this sentence, which is far too long for a narrow terminal of 60 columns"
    run = project.go(PLACE, "1.0.0")
    plan = _plan(project, "1.1.0").model_copy(update={"notes": (note,), "created_at": ""})
    whole = _printed(project, plan)
    assert f"  ! {note}" in whole.splitlines()
    shown = project.say("show", run.id)
    monkeypatch.setattr("orchestrator.cli.output.terminal", lambda _stream=None: True)
    monkeypatch.setenv("COLUMNS", "60")
    lines = _printed(project, plan).splitlines()
    assert [line for line in lines if len(line) > 60 and " " in line.strip()[10:]] == []
    start = next(number for number, line in enumerate(lines) if line.startswith("  ! the operator"))
    assert lines[start + 1].startswith("    ")
    assert " ".join("\n".join(lines).split()) == " ".join(whole.split())
    narrow = project.say("show", run.id).splitlines()
    assert max(map(len, narrow)) <= 60
    assert len(narrow) > len(shown.splitlines())
