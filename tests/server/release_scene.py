"""A project with objects of release management in the states that its pages show."""

import hashlib
import io
from datetime import UTC, datetime, timedelta

from orchestrator.adapters.archive.project_definition import not_a_definition
from orchestrator.adapters.archive.sealed import END, put_all
from orchestrator.app.acting import Change, change
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.provider_sign_in import Account
from orchestrator.domain.notifications import Fact, Notification
from orchestrator.domain.project_definition import DefinitionManifest, ProjectDefinition
from orchestrator.domain.register import ACCOUNTS, NOTIFICATIONS, PROJECT_DEFINITIONS
from orchestrator.domain.release import PackageFile
from tests.cli.request_project import RequestProject

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
DAY = timedelta(days=1)
LAUNCH = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Launch ${{ parameters.version }}
description: The tasks around the launch.
parameters:
  version: {description: The version}
tasks:
  - name: announce
    title: Announce ${{ parameters.version }}
    instructions: Mail the shops.
    owner: olga
    timeout: 4h
  - name: check
    owner: ann
    after: [announce]
    duration: 1h
  - name: decide
    kind: decision
    after: [check]
"""


def at(days: float) -> str:
    """The time in a number of days, as a command or a form has it."""
    return (datetime.now(UTC) + days * DAY).isoformat(timespec="minutes")


def lay_template(office: RequestProject) -> None:
    """Write the template *launch*."""
    folder = office.folder / "implementation"
    folder.mkdir(exist_ok=True)
    (folder / "launch.yaml").write_text(LAUNCH)


def lay_release(office: RequestProject, *more: str) -> None:
    """Plan REL-1 of ann, with R-1, which was accepted, and a package that is built."""
    package = office.packages.put(office.release("1.5.0"))
    fields = ("--why", "asked for", "--package", package.ref.name, "--environment", "production", "--submit")
    office.by("olga", "request", "add", "Sell gift cards", *fields)
    office.by("ann", "request", "accept", "R-1")
    scope = ("--request", "R-1", "--package", f"{package.ref.name}-1.5.0", "--role", "tester=bob")
    times = ("--freeze", at(5), "--release-at", at(9))
    office.by("ann", "release", "plan", "Advent", "--to", "production", *times, *scope, *more)


def lay_plan(office: RequestProject, *more: str) -> None:
    """Start IP-1 of ann from the template *launch*; its first task waits for olga."""
    lay_template(office)
    office.by("ann", "implementation", "start", "launch", "--parameter", "version=1.5.0", *more)


def lay_review(office: RequestProject) -> str:
    """Open the review of a run, with the action A-1 of olga, which is overdue. The id of the review."""
    run = office.go("staging", "1.0.0").id
    office.by("ann", "review", "open", run)
    office.by("ann", "action", "add", run, "Watch the disk", "--owner", "olga", "--due", "2026-01-01T00:00:00Z")
    return run


TARGET = "https://93.184.216.34/in"
ISSUER = "https://login.example.com"
HOOK = {"form": "github", "account": "ci", "release": "shop", "on_push": "yes"}
DEAD = "d" * 32
"""The id of the notification of the scene, which is dead."""
PEOPLE_FORMS: dict[str, dict[str, str]] = {
    "/users": {"name": "dora"},
    "/users/bob/edit": {"team": "red"},
    "/users/bob/unlink": {"issuer": ISSUER},
    "/groups": {"name": "night"},
    "/groups/ops/members": {"shown": "bob", "members": "bob, cid"},
    "/service-accounts": {"name": "robot"},
    "/absences": {"user": "bob", "deputy": "cid", "end": "2031-01-07T08:00"},
    "/absences/end": {"user": "cid"},
    "/bindings": {"role": "viewer", "to": "user:bob", "environment": "stag*"},
    "/bindings/revoke": {"role": "viewer", "to": "user:vic"},
    "/tokens": {"owner": "bob", "days": "1"},
    "/hooks": {"name": "new", **HOOK},
    "/hooks/main/edit": {**HOOK, "ref": "main"},
    "/notification-rules": {"name": "new", "channel": "webhook", "address": TARGET},
    "/notification-rules/ops/edit": {"channel": "webhook", "digest": "daily"},
}
"""A form that is valid for each path of the pages of users at which a reason is not enough."""


PROJECT = b"apiVersion: orchestrator/v1\nkind: Project\nname: demo\n"
MANIFEST = DefinitionManifest(
    project="demo",
    files=(PackageFile(path="orchestrator.yaml", size=len(PROJECT), sha256=hashlib.sha256(PROJECT).hexdigest()),),
    credentials=("vault.txt",),
)
"""The definition of the scene."""


def lay_definition(office: RequestProject) -> None:
    """A definition that root has pushed and nobody uses."""
    archive = io.BytesIO()
    put_all(archive, MANIFEST.text, MANIFEST.files, lambda _file: io.BytesIO(PROJECT), not_a_definition)
    archive.write(END)
    made = {"digest": MANIFEST.digest, "files": 1, "size": MANIFEST.size, "pushed_by": "root", "message": "the first"}

    def work(task: Change) -> None:
        pushed_at = datetime(2026, 1, 1, tzinfo=UTC)
        task.put(PROJECT_DEFINITIONS, ProjectDefinition.model_validate({**made, "pushed_at": pushed_at}))

    with office.acting("root"):
        app = office.app()
        app.definition_archives.keep(MANIFEST.digest, archive.getvalue())
        change(app.acting, Action.MANAGE_TOKENS, work)
        app.close()


def lay_notifications(office: RequestProject) -> None:
    """The rules *ops* of root and *vic-mail* of vic, and a notification by *ops* that is dead."""
    office.by("root", "notifications", "rule", "add", "ops", "--webhook", TARGET, "--event", "run.failed")
    mail = "smtps://93.184.216.34?from=a@example.com&to=vic@example.com"
    office.by("vic", "notifications", "rule", "add", "vic-mail", "--mail", mail, "--for", "vic")
    lay_dead(office, "ops", DEAD)


def lay_dead(office: RequestProject, rule: str, key: str) -> None:
    """A notification by *rule* that is dead, with the id *key*."""
    when = datetime.now(UTC)
    fact = Fact(id="f", kind="run.failed", at=when, about="r", environment="staging", text="it failed: disk full")
    dead = {"id": key, "message": key, "rule": rule, "fact": fact, "state": "dead", "due_at": when, "tries": 7}

    def work(task: Change) -> None:
        task.put(NOTIFICATIONS, Notification.model_validate({**dead, "error": "no route"}))

    with office.acting("root"):
        change(office.app().acting, Action.MANAGE_TOKENS, work)


def lay_account(office: RequestProject, user: str) -> None:
    """The account of *user* at the provider of the scene."""
    account = Account(issuer=ISSUER, subject="7001", user=user, name=user, linked_at=datetime(2026, 1, 1, tzinfo=UTC))

    def work(task: Change) -> None:
        task.put(ACCOUNTS, account)

    with office.acting("root"):
        change(office.app().acting, Action.MANAGE_PEOPLE, work)


def lay_people(office: RequestProject) -> None:
    """A definition, the account and the group *ops* of bob, the service account *ci* with its hook, an absence of cid, and rules of notifications."""
    lay_notifications(office)
    lay_account(office, "bob")
    office.by("root", "group", "add", "ops", "bob")
    office.by("root", "service-account", "add", "ci")
    office.packages.put(office.release("1.0.0"))
    office.by("root", "hook", "add", "main", "--form", "github", "--for", "ci", "--release", "shop")
    lay_definition(office)
    office.by("root", "away", "--user", "cid", "--deputy", "bob", "--until", "2031-01-01T00:00:00Z")


FORMS: dict[str, dict[str, str]] = {
    "/planned-releases": {
        "title": "Advent",
        "environment": "production",
        "mode": "timeline",
        "freeze": "2031-01-07T08:00",
        "release": "2031-01-08T08:00",
    },
    "/planned-releases/REL-1/phase": {"name": "close", "responsible": "bob", "after": "deploy"},
    "/planned-releases/REL-1/edit": {"title": "Christmas"},
    "/planned-releases/REL-1/add": {"packages": "shop-1.3.0"},
    "/planned-releases/REL-1/remove": {"packages": "shop-1.3.0"},
    "/implementation-plans": {"template": "launch", "parameters": "version=2.0.0"},
    "/implementation-plans/IP-1/replan": {"title": "The launch"},
    "/implementation-plans/IP-1/tasks": {"name": "page"},
    "/implementation-plans/IP-1/tasks/announce/replan": {"title": "Mail them"},
    "/implementation-plans/IP-1/tasks/announce/decide": {"decision": "go", "reason": "x"},
    "/implementation-plans/IP-1/tasks/announce/evidence": {"evidence": "x"},
    "/trains": {"line": "weekly"},
    "/train-lines": {"name": "daily", "stops": "staging", "start": "2031-01-07T08:00"},
    "/train-lines/weekly/edit": {"stops": "staging", "start": "2031-01-07T08:00", "zone": "UTC"},
    "/trains/T-1/board": {"package": "shop-1.3.0"},
    "/trains/T-1/leave": {"package": "shop"},
    "/trains/T-1/edit": {"departs_at": "2031-01-07T08:00"},
    "/reviews": {"subject": "REL-1"},
    "/reviews/REL-1/write": {"went_well": "x"},
    "/reviews/REL-1/feedback": {"text": "x"},
    "/reviews/REL-1/actions": {"title": "x", "owner": "ann", "due": "2031-01-07T08:00"},
}
"""A form that is valid for each path of release management at which a reason is not enough."""
NAMES = {
    "{train}": "T-1",
    "{line}": "weekly",
    "{release}": "REL-1",
    "{phase}": "build",
    "{task}": "announce",
    "{review}": "REL-1",
    "{action}": "A-1",
    "{rule}": "ops",
    "{notification}": DEAD,
    "{hook}": "main",
    "{digest}": MANIFEST.digest,
}
"""The objects in the paths of release management."""


def lay_line(office: RequestProject) -> None:
    """Add the line *weekly* of ann and its train T-1, which departs in some days."""
    stops = ("--stop", "staging", "--stop", "production+2h")
    start = (datetime.now(UTC) + 5 * DAY).strftime("%Y-%m-%dT%H:%M")
    office.by("ann", "train", "line", "add", "weekly", *stops, "--start", start, "--rule", "FREQ=WEEKLY")
    office.by("ann", "train", "create", "weekly")


def lay_all(office: RequestProject) -> None:
    """REL-1 of ann with its review and the action A-1 of olga, IP-1, whose first task waits for olga, and T-1."""
    times = ("--freeze", at(5), "--release-at", at(9))
    office.by("ann", "release", "plan", "Advent", "--to", "production", *times)
    office.by("ann", "review", "open", "REL-1")
    due = ("--owner", "olga", "--due", "2026-01-01T00:00:00Z")
    office.by("ann", "action", "add", "REL-1", "Watch the disk", *due)
    lay_plan(office)
    lay_line(office)
