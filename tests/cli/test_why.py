"""Why not? Every condition of a promotion from the command line, told as several users, on a real SQLite register."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.documents.register import MODELS
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
PLACE = "production"
ALWAYS = ("--start", "2020-01-01T00:00", "--end", "2020-01-01T23:59", "--zone", "UTC", "--rule", "FREQ=DAILY")
As = Callable[[str], None]


@pytest.fixture
def act_as(project: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> As:
    """Users with roles, each with a token: ann administers, rita is a release manager, olga an operator, vera views."""
    for name in ("ann", "rita", "olga", "vera"):
        project.say("people", "add", name)
    tokens = {name: project.json("token", "create", "--for", name)["token"] for name in ("ann", "rita", "olga", "vera")}
    project.say("access", "grant", "administrator", "user:ann")
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", tokens["ann"])
    for role, name in (("release-manager", "rita"), ("operator", "olga"), ("viewer", "vera")):
        project.say("access", "grant", role, f"user:{name}")
    return lambda name: monkeypatch.setenv("ORCHESTRATOR_TOKEN", tokens[name])


def states(project: MemoryProject, *more: str, code: int = 3) -> dict[str, str]:
    document = project.json("why", "1.1.0", "--to", PLACE, *more, code=code)
    MODELS["admission"].from_json(document)
    return {each["condition"]: each["state"] for each in document["conditions"] if each["state"] != "met"}


def on_the_path(project: MemoryProject, more: str = "") -> None:
    """Production comes after staging."""
    project.rules = {}
    file = project.folder / "environments" / PLACE / "environment.yaml"
    file.write_text(f"{file.read_text()}after: staging\n{more}")


def test_each_condition_is_named_with_who_can_change_it(project: MemoryProject, act_as: As) -> None:
    """A release that nobody verified, a stopped line and a missing right are listed together; the refusal has them too."""
    on_the_path(project)
    project.packages.put(project.release("1.1.0"))
    act_as("olga")
    project.say("line", "stop", PLACE, "-m", "incident 4711")
    assert states(project) == {"right": "refused", "path": "refused", "line": "waiting"}
    act_as("vera")
    assert states(project, "--as", "rita") == {"path": "refused", "line": "waiting"}
    text = project.say("why", "1.1.0", "--to", PLACE, code=3)
    assert "line stopped by olga with no known end: incident 4711" in text
    assert f"next:  orchestrator line resume {PLACE}" in text
    act_as("rita")
    error = project.json("promote", "1.1.0", "--to", PLACE, code=3)["errors"][0]
    assert (error["code"], "incident 4711" in error["message"]) == ("R105", True)
    assert [each["condition"] for each in error["admission"]["conditions"] if each["code"]] == ["path", "line"]
    assert project.store.runs() == []


def test_a_release_waits_after_its_verification(project: MemoryProject, act_as: As) -> None:
    """`promote_after` refuses a promotion with the time at which it is over, and lets it pass from then on."""
    on_the_path(project, "promote_after: {verified: 24h}\n")
    mark = project.go("staging", "1.1.0")
    act_as("rita")
    document = project.json("why", "1.1.0", "--to", PLACE, code=3)
    until = next(each["until"] for each in document["conditions"] if each["condition"] == "path")
    assert (document["until"], until > str(mark.ended_at), document["refused"]) == (until, True, False)
    error = project.json("promote", "1.1.0", "--to", PLACE, code=3)["errors"][0]
    assert (error["code"], "to be promoted after" in error["message"]) == ("A220", True)
    file = project.folder / "environments" / PLACE / "environment.yaml"
    file.write_text(file.read_text().replace("24h", "0s"))
    assert states(project, code=0) == {}


def test_a_freeze_is_passed_by_role_with_a_reason_that_stays(project: MemoryProject, act_as: As) -> None:
    """An operator cannot pass a freeze; a release manager can, for one release, and the override is listed for ever."""
    project.go(PLACE, "1.0.0")
    project.packages.put(project.release("1.1.0"))
    act_as("rita")
    project.say("calendar", "add", "soft-freeze", "inventory", *ALWAYS)
    assert states(project) == {"freeze": "waiting"}
    act_as("olga")
    assert (
        project.json("calendar", "override", "1.1.0", "--to", PLACE, "-m", "x", code=3)["errors"][0]["code"] == "A101"
    )
    act_as("rita")
    assert project.say("calendar", "override", "1.1.0", "--to", PLACE, code=2) == ""
    made = project.json("calendar", "override", "1.1.0", "--to", PLACE, "-m", "payments are down")
    MODELS["overrides"].from_json(made)
    assert states(project, code=0) == {"freeze": "warning"}
    assert "passed by rita: payments are down" in project.say("why", "1.1.0", "--to", PLACE)
    assert project.json("why", "1.0.0", "--to", PLACE, code=3)["until"] is not None
    listed = project.json("calendar", "list")
    MODELS["calendar"].from_json(listed)
    assert [(each["by"], each["reason"]) for each in listed["overrides"]] == [("rita", "payments are down")]
    project.say("calendar", "remove", listed["rules"][0]["id"])
    error = project.json("calendar", "override", "1.1.0", "--to", PLACE, "-m", "y", code=6)["errors"][0]
    assert "nothing to pass" in error["message"]


def test_a_hard_freeze_and_a_stopped_line_are_not_passed(project: MemoryProject, act_as: As) -> None:
    """Without a role that may pass it a hard freeze stays, and so does a stopped line."""
    project.packages.put(project.release("1.1.0"))
    act_as("rita")
    project.say("calendar", "add", "hard-freeze", "audit", *ALWAYS)
    error = project.json("calendar", "override", "1.1.0", "--to", PLACE, "-m", "x", code=3)["errors"][0]
    assert (error["code"], "no role may pass this" in error["message"]) == ("A301", True)


def test_a_release_that_was_rolled_back_is_held_until_somebody_says_why(project: MemoryProject, act_as: As) -> None:
    """The condition names the run that went back, and `promote` refuses with the same words."""
    project.go(PLACE, "1.0.0")
    project.go(PLACE, "1.1.0")
    back = project.go(PLACE, "1.0.0", "rollback")
    act_as("rita")
    assert states(project) == {"rolled-back": "refused"}
    error = project.json("promote", "1.1.0", "--to", PLACE, code=3)["errors"][0]
    assert (error["code"], back.id in error["message"]) == ("R203", True)


def test_an_overrun_needs_a_right_and_a_reason(project: MemoryProject, act_as: As) -> None:
    """A promotion that by its last runs would not end before a freeze is refused (A302) with the next time at which it fits; --overrun needs -m and the right."""
    clock = project.store.clock
    for version in ("0.9.0", "1.0.0"):
        run = project.request(PLACE, version)
        project.do(run, lambda _name, when: clock.sleep(300) if when == "done" else None)
    project.packages.put(project.release("1.1.0"))
    act_as("rita")
    start, end = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (20, 200))
    times = (f"{start:%Y-%m-%dT%H:%M}", "--end", f"{end:%Y-%m-%dT%H:%M}", "--zone", "UTC")
    project.say("calendar", "add", "hard-freeze", "audit", "--start", *times)
    found = project.json("why", "1.1.0", "--to", PLACE, code=3)
    fits = next(each for each in found["conditions"] if each["condition"] == "fit")
    assert (fits["state"], fits["until"][:16]) == ("refused", f"{end:%Y-%m-%dT%H:%M}")
    error = project.json("promote", "1.1.0", "--to", PLACE, code=3)["errors"][0]
    assert (error["code"], f"it would fit from {end:%Y-%m-%d %H:%M} UTC" in error["message"]) == ("A302", True)
    assert project.say("promote", "1.1.0", "--to", PLACE, "--overrun", code=2) == ""
    act_as("olga")
    refused = project.json("promote", "1.1.0", "--to", PLACE, "--overrun", "-m", "x", code=3)["errors"][0]
    assert refused["code"] == "A101"


def test_documents_say_whether_an_environment_is_open(project: MemoryProject, act_as: As) -> None:
    """`status`, `matrix`, `queue` and `environment` show why an environment is closed and when it opens, in text and JSON."""
    project.go(PLACE, "1.0.0")
    act_as("rita")
    project.say("calendar", "add", "hard-freeze", "audit", *ALWAYS)
    closed = project.json("why", "1.0.0", "--to", PLACE, code=3)["calendar"]
    assert (closed["open"], closed["reasons"][0]["title"], closed["next_close"]) == (False, "audit", None)
    status = project.json("status")
    assert [item["calendar"] for item in status["environments"] if item["name"] == PLACE] == [closed]
    assert "closed: hard freeze 'audit' by rita" in project.say("status")
    assert project.json("matrix")["calendar"][PLACE] == closed
    assert f"{PLACE} (closed)".upper() in project.say("matrix")
    assert (
        next(item for item in project.json("queue")["environments"] if item["environment"] == PLACE)["calendar"]
        == closed
    )
    assert project.json("environment", "show", PLACE)["calendar"] == closed
    assert "closed: hard freeze 'audit'" in project.say("environment", "show", PLACE)


def test_status_shows_what_the_next_release_waits_for(project: MemoryProject, act_as: As) -> None:
    """`status ENV` names the release that was verified in the environment before, with the conditions that it does not meet."""
    on_the_path(project, "promote_after: {verified: 24h}\n")
    project.go("staging", "1.1.0")
    act_as("rita")
    found = project.json("status", PLACE)["environments"][0]["next_promotion"]
    assert (found["release"]["version"], found["may_start"]) == ("1.1.0", False)
    assert [each["condition"] for each in found["conditions"] if each["code"]] == ["path"]
    text = project.say("status", PLACE)
    assert "next: shop 1.1.0: not before" in text
    assert "path: verified in staging at" in text


def test_the_first_wave_is_checked_when_it_is_requested(project: MemoryProject, act_as: As) -> None:
    """A rollout in waves whose first environment is closed is refused before any run exists."""
    file = project.folder / "orchestrator.yaml"
    file.write_text(f"{file.read_text()}waves:\n- name: all\n  environments: [[{PLACE}]]\n")
    project.packages.put(project.release("1.1.0"))
    act_as("rita")
    project.say("line", "stop", PLACE, "-m", "incident 4711")
    error = project.json("promote", "1.1.0", "--to", "all", code=3)["errors"][0]
    assert (error["code"], "incident 4711" in error["message"]) == ("A301", True)
    assert project.store.runs() == []


def test_missing_approvals_are_a_condition_before_anything_is_requested(project: MemoryProject, act_as: As) -> None:
    """With `approvals:` the condition names how many are missing and who can give them."""
    file = project.folder / "environments" / PLACE / "environment.yaml"
    file.write_text(f"{file.read_text()}approvals: {{count: 1}}\n")
    project.packages.put(project.release("1.1.0"))
    act_as("ann")
    project.say("people", "add", "paul")
    project.say("access", "grant", "approver", "user:paul")
    act_as("rita")
    assert states(project) == {"approval": "waiting"}
    text = project.say("why", "1.1.0", "--to", PLACE, code=3)
    assert "waiting for 1 of 1 approval: can be given by paul" in text
