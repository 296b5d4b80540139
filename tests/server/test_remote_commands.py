"""Commands with `--server`: the words, documents, errors and exit codes that they have in the folder of the project."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from orchestrator.cli import NAMES, cli, main
from orchestrator.cli.places import PLACES, Place
from orchestrator.management import sent_types
from orchestrator.management import use_cases as calls
from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.remote_site import Said, difference, said, serving

__all__ = ["office"]  # the fixture

RIGHTS = yaml.safe_load((Path(__file__).parents[1] / "app" / "rights.yaml").read_text())
READING = (
    "projects", "status", "status staging", "status nowhere", "status --hosts", "matrix", "matrix --name shop", "matrix -n 1",
    "queue", "queue staging", "history", "history staging", "history -n 1", "history nowhere", "show 000001",
    "show 999999", "approvals", "approvals {request}", "approvals --mine", "approvals nothing",
    "why shop-1.0.0 --to production", "why shop-1.0.0 --to staging", "why shop-9.9.9-x --to nowhere",
    "can-i promote staging", "can-i promote staging --why", "can-i approve --as bob", "can-i view --as nobody",
    "calendar list", "bookings", "bookings --all", "booking show B-1", "booking show B-7", "free staging --for 1h",
    "contention", "environment quota", "request list", "request list --all", "request show R-1", "request rank",
    "request show R-9", "release list", "release show REL-1", "release schedule", "release notes REL-1",
    "implementation list", "implementation list --all", "implementation status", "implementation status IP-1",
    "implementation show IP-1 check", "implementation show IP-1 other", "implementation start", "implementation export IP-1",
    "review list", "review list --all", "review show 000001-staging", "review show nothing", "action list --mine",
    "measures", "measures --runs lead-time", "measures --environment nowhere", "package list",
    "people list", "people show ann", "people show zoe", "group list", "service-account list", "access show",
    "token list", "audit list", "audit show 1", "lock status", "line status", "away", "whoami",
    "watch 000001", "logs 000001", "logs 000001 --step nothing", "logs 000001 --host s1", "cancel 000001", "pause 999999",
)  # fmt: skip

PLAN = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Move the database
tasks:
  - {name: check, kind: manual, title: Check, duration: 30m}
  - {name: switch, kind: decision, title: Switch, after: [check]}
"""


@pytest.fixture
def story(office: RequestProject) -> RequestProject:
    """A project with runs, a request that waits, a change request, a booking, and a planned release."""
    office.go("staging", "1.0.0")
    office.go("staging", "1.1.0")
    office.ask("1.0.0")
    office.by("ann", "request", "add", "search", "--value", "4")
    office.by("ann", "book", "staging", "--from", "2027-01-01T08:00:00Z", "--for", "1h", "--purpose", "test")
    office.by("ann", "release", "plan", "spring", "--to", PLACE, "--start", "2027-02-01T08:00:00Z",
              "--freeze", "2027-02-02T08:00:00Z", "--release-at", "2027-02-03T08:00:00Z")  # fmt: skip
    (office.folder / "implementation").mkdir()
    (office.folder / "implementation" / "move.yaml").write_text(PLAN)
    office.by("ann", "implementation", "start", "move", "--owner", "ann")
    office.by("ann", "review", "open", "000001-staging")
    office.by("olga", "lock", "staging", "-m", "repair")
    return office


def both(story: RequestProject, url: str, user: str, words: list[str]) -> tuple[Said, Said]:
    """What a command prints in the folder, and with the server from another folder."""
    here = said(story, user, *words)
    folder = story.folder.parent / "elsewhere"
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    try:
        there = said(story, user, "--server", url, *words)
    finally:
        os.chdir(story.folder)
    return here, there


def leaves() -> Iterator[str]:
    """Every command and subcommand."""
    with click.Context(cli) as context:
        for name in NAMES:
            command = cli.get_command(context, name)
            if isinstance(command, click.Group):
                yield from (f"{name} {part}" for part in command.list_commands(context))
            else:
                yield name


def test_every_command_has_a_place() -> None:
    """Each command is marked as remote, local only or anywhere; the table has no other command."""
    assert PLACES.keys() == set(leaves())
    local = {name.partition(" ")[0] for name, place in PLACES.items() if place is Place.LOCAL}
    assert local == {"init", "doctor", "engine", "hosts", "worker", "serve", "backup", "restore", "store", "completion"}


def test_the_guide_lists_every_command() -> None:
    """The guide has each command in the line of its place."""
    lines = (Path(__file__).parents[2] / "docs/guides/remote.md").read_text().splitlines()
    found = {line.split(" | ")[0].strip("| "): set(re.findall("`([^`]+)`", line)) for line in lines}
    for place in Place:
        assert found[place.value] == {name for name, each in PLACES.items() if each is place}, place


def test_reading_commands_print_the_same_with_a_server(story: RequestProject) -> None:
    """Commands that read print the same words, documents, errors and exit codes with a server as without one."""
    request = story.by("vic", "approvals")["requests"][0]["request"]["id"]
    wrong = {}
    with serving(story) as url:
        for words in READING:
            for flag in ("", " --json"):
                line = words.format(request=request) + flag
                here, there = both(story, url, "root", line.split())
                if here.plain() != there.plain():
                    wrong[line] = difference(here.plain(), there.plain())
    assert not wrong, "\n\n".join(f"{line}: {text}" for line, text in wrong.items())


def test_a_refused_command_prints_the_same_with_a_server(story: RequestProject) -> None:
    """A command without its right is refused with the same error at the server, which records the attempt."""
    with serving(story) as url:
        for words in ("audit list", "lock production -m x", "people add zoe", "request accept R-1"):
            here, there = both(story, url, "vic", words.split())
            assert (here.code, difference(here, there)) == (3, "3 3"), words
            assert both(story, url, "vic", [*words.split(), "--json"])[0].out == said(
                story, "vic", "--server", url, *words.split(), "--json"
            ).out  # fmt: skip
        entries = story.by("root", "audit", "list", "--actor", "vic", "--limit", "100")["entries"]
        assert len([each for each in entries if each["outcome"] == "denied"]) == 20


CHANGING = (
    "people add zoe --team red", "people disable zoe -m gone", "group add ops ann bob", "group members ops --add cid",
    "group remove ops", "service-account add ci", "service-account disable ci", "people reset-password bob",
    "access grant viewer user:zoe", "access revoke viewer user:zoe", "access grant nothing user:zoe",
    "token create --for bob --name x", "away bob --deputy cid --until 2027-03-01T08:00:00Z",
    "calendar add window day --start 2027-01-01T08:00 --end 2027-01-01T17:00 --zone UTC --environment production",
    "line stop production -m leak", "line resume production", "unlock staging", "lock staging -m again --for 1h",
    "book production --from 2027-05-01T08:00:00Z --for 2h --purpose load", "booking extend B-1 --until 2027-01-01T10:00:00Z",
    "booking hand-over B-1 user:bob", "booking cancel B-1", "environment quota --team red --environment staging --hours 4",
    "request add filters --value 5 --submit", "request edit R-1 --value 2", "request submit R-1", "request accept R-1",
    "request reject R-1 -m no", "request rank --refresh", "release edit REL-1 --title summer", "release add REL-1 --request R-2",
    "release confirm REL-1", "release hold REL-1 -m wait", "release resume REL-1", "release cancel REL-1 -m stop",
    "people edit bob --team red", "people edit bob --zone Nowhere/X", "people edit eve --team red",
    "implementation start move", "implementation add IP-1 page --title Page --for 10m", "implementation replan IP-1 page --for 20m",
    "implementation begin IP-1 check", "implementation help-needed IP-1 check -m stuck", "implementation begin IP-1 check -m on",
    "implementation evidence IP-1 check --evidence seen", "implementation done IP-1 check", "implementation decide IP-1 switch go",
    "implementation fail IP-1 page -m no", "implementation retry IP-1 page", "implementation skip IP-1 page -m no",
    "implementation status --refresh", "implementation abort IP-2 -m no --yes", "implementation export IP-1 --format json",
    "review open 000002-staging", "review write 000001-staging --well Fast --badly Loud", "review feedback 000001-staging -m x --rating 3",
    "action add 000001-staging Disk --owner bob --due 2027-02-01T08:00:00Z", "action done A-1 -m bought",
    "action add 000001-staging Fan --owner bob --due 2027-02-01T08:00:00Z", "action cancel A-2 -m no", "review close 000001-staging -m ok",
    "report --out report.html", "package remove 1.1.0", "package remove 9.9.9",
    "raise-risk {request} high -m big", "approve {request} --yes", "withdraw {request} -m later",
    "audit export {folder} --from 2026-01-01T00:00:00Z --to 2027-01-01T00:00:00Z",
)  # fmt: skip
PLANNERS = {"book", "booking", "release", "implementation", "review", "action"}


def test_changing_commands_have_the_same_effect_with_a_server(story: RequestProject) -> None:
    """A command that changes something prints the same and leaves the same with a server as without one."""
    state = story.folder / ".orchestrator"
    kept = {file: file.read_bytes() for file in state.glob("state.db*")}
    request = story.by("vic", "approvals")["requests"][0]["request"]["id"]
    outcomes = []
    for server in (False, True):
        for file in state.glob("state.db*"):
            file.unlink()
        for file, data in kept.items():
            file.write_bytes(data)
        with serving(story) as url:
            found = []
            for words in CHANGING:
                line = words.format(request=request, folder=story.folder / f"export-{server}").split()
                user = "bob" if line[0] == "approve" else "ann" if line[0] in PLANNERS else "root"
                found.append(said(story, user, *(["--server", url] if server else []), *line).plain())
        outcomes.append(found)
    wrong = {
        words: difference(here, there) for words, here, there in zip(CHANGING, *outcomes, strict=True) if here != there
    }
    assert not wrong, "\n\n".join(f"{words}: {text}" for words, text in wrong.items())
    assert {here.code for here in outcomes[0]} >= {0}


REQUESTS = {"submissions.submit", "submissions.retry", "submissions.recorded"}
"""Their requests have a form of their own, in which the journal has them."""


def test_use_cases_that_are_called_have_rights() -> None:
    """Each use case that a client can call has its roles in the table that is kept by hand, and types that can be sent."""
    cases = calls.use_cases()
    assert cases.keys() <= {name.partition("(")[0] for name in RIGHTS}
    for name, case in cases.items():
        if name in REQUESTS:
            continue
        kinds = [each.annotation for each in case.parameters.values() if each.annotation not in calls.SUPPLIED]
        assert "Path" not in str(kinds), name
        for kind in [*kinds, case.result_type]:
            sent_types.adapter(sent_types.sent_type(kind))
        assert calls.name_of(case.function) == name


def test_commands_for_this_machine_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that acts on this machine is refused before anything happens; its help is shown."""
    for name, place in PLACES.items():
        if place is not Place.LOCAL:
            continue
        assert main(["-C", str(tmp_path), "--server", "http://127.0.0.1:1", *name.split()]) == 2, name
        assert "error[N130]" in capsys.readouterr().err, name
        assert main(["--server", "http://127.0.0.1:1", *name.split(), "--help"]) == 0
    assert "ORCHESTRATOR_SERVER" not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_a_profile_is_kept_for_its_user_alone(
    story: RequestProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`login` checks the token and writes a private profile; commands use it by name or address, and `logout` removes it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "orchestrator" / "servers.json"
    with serving(story) as url:
        done = said(story, "ann", "login", url, "--name", "work")
        assert (done.code, "signed in to demo" in done.out, " as ann;" in done.out) == (0, True, True), done
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for words in (("--profile", "work"), ("--server", url)):
            assert '"name": "ann"' in said(story, None, *words, "whoami", "--json").out
        assert said(story, None, "--profile", "other", "status").code == 6
        assert said(story, None, "--profile", "work", "--server", url, "status").code == 2
        file.chmod(0o644)
        assert "N138" in said(story, None, "--profile", "work", "status").err
        file.chmod(0o600)
        assert said(story, None, "logout", "work").code == 0
        assert "N134" in said(story, None, "--server", url, "status").err
        story.tokens["eve"] = "orch_aaaaaaaa_" + "A" * 43
        assert "A108" in said(story, "eve", "login", url).err
    assert file.read_text().count("token") == 0
    for wrong in ("http://releases.example.com", "ftp://x", "https://user@x", "https://x/y"):
        assert "N133" in said(story, "ann", "--server", wrong, "status").err, wrong
