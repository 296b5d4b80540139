"""What `status`, `matrix`, `doctor`, `queue` and `show` print of each end that a run can have."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from orchestrator.cli.view import detail
from orchestrator.documents.project import MODELS
from orchestrator.domain.facts import unsettled
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.plan import SILENT, HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.story import RunView
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]
PLACE = "production"
STUCK = [
    {"name": "migrate", "playbook": "migrate.yml", "hosts": "web", "undo": "impossible"},
    {"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "rollout": {"batches": [1, "100%"]}},
]


def _succeeded(project: MemoryProject) -> Run:
    return project.go(PLACE, "1.1.0")


def _refused(project: MemoryProject) -> Run:
    project.store.acquire(PLACE, "lock:abcdef", "eve", "the shop is closed")
    run = project.go(PLACE, "1.1.0")
    project.store.release(PLACE, "lock:abcdef")
    return run


def _timed_out(project: MemoryProject) -> Run:
    project.store.acquire(PLACE, "lock:abcdef", "eve", "the shop is closed")
    run = project.do(project.request(PLACE, "1.1.0"), wait=0.01)
    project.store.release(PLACE, "lock:abcdef")
    return run


def _rolled_back(project: MemoryProject) -> Run:
    project.world.faults.add(("deploy", "p2", "1.1.0"))
    return project.go(PLACE, "1.1.0")


def _stuck(project: MemoryProject, version: str = "1.1.0") -> Run:
    project.world.faults.add(("deploy", "p2", version))
    project.automatic = False
    return project.go(PLACE, version)


def _interrupted(project: MemoryProject) -> Run:
    return project.killed(PLACE, "1.1.0", "deploy.2")


def _working(project: MemoryProject) -> Run:
    run = project.killed(PLACE, "1.1.0", "deploy.2")
    project.works(run)
    return run


def _paused(project: MemoryProject) -> Run:
    run = project.killed(PLACE, "1.1.0", "deploy.2")
    project.store.append(run.id, [Entry(kind="control", data={"control": "pause", "by": "bob", "why": ""})])
    return run


def _queued(project: MemoryProject) -> Run:
    return project.request(PLACE, "1.1.0", queue="eu")


def _rolled_back_by_hand(project: MemoryProject) -> Run:
    project.go(PLACE, "1.1.0")
    return project.go(PLACE, "1.0.0", "rollback")


def _destroyed(project: MemoryProject) -> Run:
    return project.go(PLACE, None, "destroy")


@dataclass(frozen=True)
class Case:
    """An end of a run, and what each document must say of it.

    *headline* stands in `status` behind the environment's name, *cells* are those of 1.0.0 and 1.1.0 in `matrix`,
    *problem* is the kind of the problem that is listed first, *activity* what the run does.
    """

    make: Callable[[MemoryProject], Run]
    headline: str
    cells: tuple[str, str]
    places: tuple[str, str]
    problem: str | None
    activity: str = "ended"
    truths: tuple[str, ...] = ("seen", "seen", "seen")


CASES = {
    "succeeded": Case(_succeeded, "shop 1.1.0, verified", ("verified", "● 3/3 hosts"), ("verified", "current"), None),
    "refused": Case(_refused, "shop 1.0.0, verified", ("● 3/3 hosts", "–"), ("current", "absent"), None),
    "timed out": Case(_timed_out, "shop 1.0.0, verified", ("● 3/3 hosts", "–"), ("current", "absent"), None),
    "rolled back": Case(
        _rolled_back, "shop 1.0.0, verified", ("● 3/3 hosts", "rolled back"), ("current", "rolled back"), None
    ),
    "needs intervention": Case(
        _stuck,
        "needs manual intervention; last verified: shop 1.0.0",
        ("verified", "✘ 2/3 hosts, needs intervention"),
        ("verified", "needs intervention"),
        "intervention",
        truths=("seen", "unknown", "seen"),
    ),
    "interrupted": Case(
        _interrupted,
        "shop 1.0.0, verified",
        ("verified", "● 1/3 hosts"),
        ("verified", "partly"),
        "interrupted",
        "interrupted",
        ("seen", "unknown", "unknown"),
    ),
    "working": Case(
        _working,
        "shop 1.0.0, verified",
        ("verified", "● 1/3 hosts"),
        ("verified", "partly"),
        None,
        "working",
        ("seen", "changing", "changing"),
    ),
    "paused": Case(
        _paused,
        "shop 1.0.0, verified",
        ("verified", "● 1/3 hosts"),
        ("verified", "partly"),
        "unknown",
        "paused",
        ("seen", "unknown", "unknown"),
    ),
    "queued": Case(_queued, "shop 1.0.0, verified", ("● 3/3 hosts", "–"), ("current", "absent"), None, "queued"),
    "rolled back by hand": Case(
        _rolled_back_by_hand, "shop 1.0.0, verified", ("● 3/3 hosts", "rolled back"), ("current", "rolled back"), None
    ),
    "destroyed": Case(_destroyed, "destroyed by ann", ("verified", "–"), ("verified", "absent"), None, truths=()),
}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def made(request: pytest.FixtureRequest, project: MemoryProject) -> tuple[MemoryProject, Case, Run]:
    """1.0.0 was promoted to production; then the run of the case."""
    case = CASES[request.param]
    project.go(PLACE, "1.0.0")
    return project, case, case.make(project)


def test_status_is_true_of_every_end(made: tuple[MemoryProject, Case, Run]) -> None:
    """`status` says what holds, what runs, and what is known of each host, after every end of a run."""
    project, case, run = made
    said = project.say("status", PLACE)
    assert f"{PLACE}: {case.headline}" in said
    if case.activity != "ended":
        assert run.id in said
    item = project.json("status", PLACE)["environments"][0]
    MODELS["status"].from_json(project.json("status"))
    assert tuple(host["truth"] for host in item["hosts"]) == case.truths
    assert item["last_run"]["id"] == run.id
    assert item["last_run"]["activity"] == case.activity
    assert item["last_run"]["interrupted"] is (case.activity == "interrupted")
    assert next((problem["kind"] for problem in item["problems"]), None) == case.problem
    if case.problem == "intervention":
        first = next(line for line in said.splitlines() if line)
        assert first.startswith(f"✘ {PLACE}: promotion {run.id} of shop 1.1.0 needs manual intervention")
        assert "reason: deploy" in said
        assert f"orchestrator rollback {PLACE}" in said
    if case.problem == "interrupted":
        assert f"orchestrator resume {run.id}" in said


def test_matrix_is_true_of_every_end(made: tuple[MemoryProject, Case, Run]) -> None:
    """`matrix` counts a release where a run had an effect, out of all hosts of the environment."""
    project, case, run = made
    rows = {row["release"]["version"]: row["in"][PLACE] for row in project.json("matrix")["releases"]}
    MODELS["matrix"].from_json(project.json("matrix"))
    lines = project.say("matrix").splitlines()
    for version, state, text in zip(("1.0.0", "1.1.0"), case.places, case.cells, strict=True):
        if version not in rows:  # a package of its own is only made by a run
            assert state == "absent"
            continue
        assert rows[version]["state"] == state
        assert rows[version]["of"] == len(case.truths)
        assert text in next(line for line in lines if line.startswith(f"shop {version}"))
    if case.problem == "intervention":
        assert f"promotion {run.id} of shop 1.1.0 needs manual intervention" in project.say("matrix").splitlines()[0]


def test_doctor_is_true_of_every_end(made: tuple[MemoryProject, Case, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor` names what needs intervention as a problem, what is interrupted or unknown as a warning, and their remedy."""
    from orchestrator.app.diagnosis import examine_project

    project, case, run = made
    monkeypatch.chdir(project.folder)
    found = [check for check in examine_project(project.folder, {}) if check.name == PLACE]
    if case.problem is None:
        assert found == []
        return
    assert found[0].level == ("problem" if case.problem == "intervention" else "warning")
    assert found[0].remedy
    if case.problem != "unknown":
        assert run.id in found[0].says


def test_show_is_true_of_every_end(made: tuple[MemoryProject, Case, Run]) -> None:
    """`show` names one state of the run, the reason of its end, and the command that helps."""
    project, case, run = made
    document = project.json("show", run.id)
    MODELS["run"].from_json(document)
    assert document["activity"] == case.activity
    said = project.say("show", run.id)
    words = {
        "working": f"running (deploying), by ann: orchestrator watch {run.id}",
        "interrupted": f"interrupted, by ann: orchestrator resume {run.id}",
        "paused": f"paused by bob, by ann: orchestrator resume {run.id}",
        "queued": f"waiting for a worker, by ann: orchestrator watch {run.id}",
    }
    if case.activity in words:
        assert words[case.activity] in said
        assert sum(word in said for word in words.values()) == 1
    if case.problem == "intervention":
        assert "needs intervention" in said
        assert "reason: deploy batch 2 of 2: 1.1.0: p2 failed: p2 [deploy]: the task failed" in said
        assert f"orchestrator rollback {PLACE}" in said
        assert document["remedies"]


def test_history_and_queue_agree_with_status(made: tuple[MemoryProject, Case, Run]) -> None:
    """`history` and `queue` name the same activity of a run as `status`."""
    project, case, run = made
    assert project.json("history", PLACE)["runs"][0]["activity"] == case.activity
    holder = project.json("queue", PLACE)["environments"][0]["holder"]
    if case.activity in {"working", "interrupted", "paused"}:
        assert holder["id"] == run.id
        assert holder["activity"] == case.activity
        assert f"{PLACE}: held by promotion {run.id}" in project.say("queue")
    else:
        assert holder is None


def test_a_refused_attempt_does_not_hide_the_running_one(project: MemoryProject) -> None:
    """While a promotion runs, `status` shows it as the holder, also after a second attempt was refused."""
    running = _working(project)
    refused = project.go(PLACE, "1.2.0")
    assert refused.state.value == "failed"
    said = project.say("status", PLACE)
    assert f"promotion {running.id} of shop 1.1.0: running (deploying), by ann, holds the environment" in said
    item = project.json("status", PLACE)["environments"][0]
    assert item["holder"]["id"] == running.id
    assert item["last_run"]["id"] == refused.id
    row = next(row for row in project.json("matrix")["releases"] if row["release"]["version"] == "1.2.0")
    assert row["in"][PLACE]["state"] == "absent"


def test_a_killed_holder_is_shown_with_the_run_behind_it(project: MemoryProject) -> None:
    """When the holder was killed and another run waits, `status` shows both, and that resuming the holder helps."""
    project.go(PLACE, "1.0.0")
    holder = _interrupted(project)
    behind = project.request(PLACE, "1.2.0")
    project.works(behind)
    project.store.enqueue(PLACE, behind, supersede=True)
    said = project.say("status", PLACE)
    assert said.splitlines()[0] == f"✘ {PLACE}: promotion {holder.id} of shop 1.1.0 is interrupted"
    assert f"orchestrator resume {holder.id}" in said
    assert f"promotion {behind.id} of shop 1.2.0: waiting for the environment, by ann" in said


def test_a_destroyed_environment_has_no_hosts_and_no_release(project: MemoryProject) -> None:
    """After `environment destroy` the environment is shown as destroyed, by whom and when, until it is changed again."""
    project.go(PLACE, "1.0.0")
    project.go(PLACE, None, "destroy")
    said = project.say("status", PLACE)
    assert "destroyed by ann" in said
    assert "p1" not in said
    assert "PRODUCTION (DESTROYED)" in project.say("matrix")
    project.go(PLACE, "1.1.0")
    assert "shop 1.1.0, verified" in project.say("status", PLACE)


def test_missing_records_are_not_never(project: MemoryProject) -> None:
    """Without a journal `status` says that there are no records, and names the command that asks the hosts."""
    said = project.say("status", PLACE)
    assert "never" not in said
    assert said.splitlines()[0] == f"{PLACE}: no records here"
    assert said.count("no records") == 1
    assert f"orchestrator promote RELEASE --to {PLACE}" in said
    assert f"orchestrator observe {PLACE}" in said


def test_matrix_shows_what_a_manual_rollback_left_and_restored(project: MemoryProject) -> None:
    """After a manual rollback `matrix` shows the left release as rolled back, and the restored one as verified."""
    project.go(PLACE, "1.0.0")
    project.go(PLACE, "1.1.0")
    project.go(PLACE, "1.0.0", "rollback")
    states = {row["release"]["version"]: row["in"][PLACE]["state"] for row in project.json("matrix")["releases"]}
    assert states == {"1.0.0": "current", "1.1.0": "rolled back"}
    project.go(PLACE, None, "destroy")
    states = {row["release"]["version"]: row["in"][PLACE]["state"] for row in project.json("matrix")["releases"]}
    assert states == {"1.0.0": "verified", "1.1.0": "rolled back"}


def test_doctor_warns_of_a_missing_journal(project: MemoryProject) -> None:
    """`doctor` warns when the state folder has files of earlier runs and the journal has no run."""
    from orchestrator.app.diagnosis import examine_project

    assert not [check for check in examine_project(project.folder, {}) if check.level == "warning"]
    (project.folder / ".orchestrator" / "jobs" / "abc123-staging.deploy.1").mkdir(parents=True)
    warned = [check.says for check in examine_project(project.folder, {}) if check.level == "warning"]
    assert any("the journal has no runs" in text for text in warned)


def test_a_later_success_settles_an_intervention(project: MemoryProject) -> None:
    """A run that needs intervention is no problem any more once a later run ends with a verified release."""
    project.go(PLACE, "1.0.0")
    _stuck(project)
    project.automatic = True
    assert project.json("status", PLACE)["environments"][0]["problems"]
    project.go(PLACE, "1.2.0")
    assert project.json("status", PLACE)["environments"][0]["problems"] == []


def test_a_later_run_takes_the_place_of_an_intervention(project: MemoryProject) -> None:
    """Of several runs in a row that need intervention only the last one is a problem, each stack operation by its kind."""
    project.go(PLACE, "1.0.0")
    stuck = [_stuck(project), _stuck(project, "1.2.0")]
    problems = project.json("status", PLACE)["environments"][0]["problems"]
    assert [problem["run"] for problem in problems if problem["kind"] == "intervention"] == [stuck[1].id]
    settled = Run(id="a", root="a", kind="promotion", environment=PLACE, state=State.SUCCEEDED, ended_at="x")
    runs = [
        settled.model_copy(update={"id": name, "kind": kind, "state": State.NEEDS_INTERVENTION if bad else State.SUCCEEDED})
        for name, kind, bad in (
            ("1", "provision", True), ("2", "provision", True), ("3", "resolve", True), ("4", "promotion", True),
            ("5", "provision", True), ("6", "promotion", True), ("7", "promotion", False), ("8", "promotion", True),
        )
    ]  # fmt: skip
    assert [run.id for run in unsettled(runs)] == ["1", "3", "4"]


def test_a_release_that_is_not_known_is_named_by_its_digest_once(project: MemoryProject) -> None:
    """A host with a release of which there is no package is shown with its digest, once in a line."""
    run, digest = project.go(PLACE, "1.0.0"), f"sha256:{'ab' * 32}"
    unknown = PackageRef(name="unknown", version="0", digest=digest)
    state = HostState(host="p1", truth="seen", release=unknown)
    project.store.append(run.id, [Entry(kind="host", host="p1", data=state.to_json())])
    for words in (("status", PLACE), ("show", run.id)):
        [line] = [line for line in project.say(*words).splitlines() if "abababababab" in line]
        assert line.count("abababababab") == 1
        assert "unknown" in line


def test_a_refusal_has_no_line_for_a_log(project: MemoryProject) -> None:
    """A step that the orchestrator refused itself has no command for its log; one that failed on a host has."""
    refused, failed = _refused(project), _stuck(project)
    lines = [_details(project, run) for run in (refused, failed)]
    assert ["log: orchestrator logs" in text for text in lines] == [False, True]
    assert "orchestrator explain S101" in lines[0]


def _details(project: MemoryProject, run: Run) -> str:
    story = RunView.of(run, project.store.records(run.id))
    bad = [step for step in story.steps.values() if step.result is not None and not step.result.good]
    return "\n".join(line for step in bad for line in detail(step, run.id))


def test_an_ambiguous_beginning_lists_the_candidates(project: MemoryProject) -> None:
    """`show` of the beginning of several runs names each of them, with its kind, release and state."""
    first, second = project.go(PLACE, "1.0.0"), project.go(PLACE, "1.1.0")
    error = project.json("show", "0000", code=None)["errors"][0]
    assert error["code"] == "R102"
    assert f"{first.id} (promotion of shop 1.0.0, succeeded)" in error["message"]
    assert second.id in error["message"]


def test_a_name_that_is_not_known_gets_the_nearest_one(project: MemoryProject) -> None:
    """A wrong environment, step or release is answered with the nearest name that there is."""
    run = project.go(PLACE, "1.0.0")
    cases = {
        ("status", "producton"): "did you mean 'production'?",
        ("logs", run.id, "--step", "deply.1"): "did you mean 'deploy.1'?",
        ("promote", "shop-1.0.1"): "did you mean 'shop-1.0.0'?",
    }
    for words, hint in cases.items():
        assert project.json(*words, code=None)["errors"][0]["hint"] == hint


def test_history_fits_a_narrow_screen(project: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 80 columns `history` takes two lines for each run, folded between words."""
    _stuck(project)
    monkeypatch.setattr("orchestrator.cli.output.terminal", lambda _stream=None: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = project.say("history", PLACE).splitlines()
    assert max(map(len, lines)) <= 80
    assert "by ann: " in lines[2]
    for words in (("status",), ("matrix",), ("queue",)):
        assert max(map(len, project.say(*words).splitlines())) <= 80


def test_a_service_that_does_not_respond_is_a_problem(project: MemoryProject) -> None:
    """After `observe` found no service on a host, `status` names it as a problem, with the commands that help."""
    project.go(PLACE, "1.0.0")
    project.world.serves = {"p1": "1.0.0", "p2": SILENT, "p3": "0.9.0"}
    project.go(PLACE, None, "observe")
    said = project.say("status", PLACE).splitlines()
    assert said[0] == f"✘ {PLACE}: the service on p2 does not respond; another version runs on p3 (serves 0.9.0)"
    assert f"orchestrator promote shop-1.0.0 --to {PLACE} --redeploy" in "\n".join(said)
    assert project.json("status", PLACE)["environments"][0]["problems"][0]["kind"] == "service"
