"""Where each command can act: a test finds a command that is not in the table. See decision 0043."""

import os
from enum import Enum

SERVER, PROFILE = "ORCHESTRATOR_SERVER", "ORCHESTRATOR_PROFILE"


class Place(Enum):
    """Where a command can act, if a server is chosen."""

    REMOTE = "remote"
    """At the server."""
    LOCAL = "local only"
    """In the folder of a project, or on this machine: it is refused."""
    ANYWHERE = "anywhere"
    """It reads files that are named, or nothing; the server is not used."""


def _marked(place: Place, *names: str) -> dict[str, Place]:
    return dict.fromkeys(names, place)


PLACES: dict[str, Place] = {
    **_marked(
        Place.REMOTE, "projects", "status", "matrix", "queue", "history", "show", "approvals", "why", "can-i", "whoami"
    ),
    **_marked(
        Place.REMOTE, "package list", "package remove", "package verify", "watch", "logs", "cancel", "abort", "pause"
    ),
    **_marked(Place.REMOTE, "build"),
    **_marked(Place.REMOTE, *(f"project {name}" for name in ("push", "definitions", "show", "use"))),
    **_marked(Place.REMOTE, "plan", "promote", "rehearse", "rollback", "resume", "retry", "observe", "drift", "parity"),
    **_marked(Place.REMOTE, "requirements"),
    **_marked(Place.REMOTE, "approve", "reject", "withdraw", "raise-risk", "lock", "unlock", "away"),
    **_marked(Place.REMOTE, "book", "bookings", "free", "contention"),
    **_marked(
        Place.REMOTE,
        *(
            f"environment {name}"
            for name in (
                "list",
                "show",
                "inventory",
                "outputs",
                "preview",
                "up",
                "override",
                "resolve",
                "destroy",
                "reap",
                "quota",
            )
        ),
    ),
    **_marked(Place.REMOTE, "prune", "keys show", "keys rotate"),
    **_marked(Place.REMOTE, *(f"booking {name}" for name in ("show", "extend", "hand-over", "end", "cancel"))),
    **_marked(
        Place.REMOTE,
        *(
            f"calendar {name}"
            for name in ("list", "add", "remove", "override", "import", "export", "subscribe", "unsubscribe")
        ),
    ),
    **_marked(Place.REMOTE, *(f"line {name}" for name in ("stop", "resume", "status"))),
    **_marked(
        Place.REMOTE,
        *(
            f"people {name}"
            for name in ("accounts", "add", "list", "show", "edit", "disable", "reset-password", "unlink")
        ),
    ),
    **_marked(Place.REMOTE, *(f"group {name}" for name in ("add", "remove", "list", "members"))),
    **_marked(Place.REMOTE, *(f"service-account {name}" for name in ("add", "list", "disable", "trust"))),
    **_marked(Place.REMOTE, *(f"access {name}" for name in ("show", "grant", "revoke", "apply"))),
    **_marked(Place.REMOTE, *(f"token {name}" for name in ("create", "exchange", "list", "rotate", "revoke"))),
    **_marked(Place.REMOTE, *(f"audit {name}" for name in ("list", "show", "verify", "explain", "export"))),
    **_marked(
        Place.REMOTE,
        *(
            f"request {name}"
            for name in (
                "add",
                "edit",
                "submit",
                "revise",
                "list",
                "show",
                "rank",
                "accept",
                "reject",
                "defer",
                "reopen",
                "withdraw",
                "close",
                "import",
            )
        ),
    ),
    **_marked(
        Place.REMOTE,
        *(
            f"release {name}"
            for name in (
                "plan",
                "edit",
                "list",
                "show",
                "add",
                "remove",
                "phase",
                "start",
                "complete",
                "confirm",
                "freeze",
                "hold",
                "resume",
                "cancel",
                "close",
                "notes",
                "schedule",
            )
        ),
    ),
    **_marked(
        Place.REMOTE,
        "action add",
        "action cancel",
        "action done",
        "action list",
        "measures",
        "report",
        "review close",
        "review feedback",
        "review list",
        "review open",
        "review show",
        "review write",
    ),
    **_marked(
        Place.REMOTE,
        *(
            f"implementation {name}"
            for name in (
                "abort",
                "add",
                "begin",
                "decide",
                "done",
                "evidence",
                "export",
                "fail",
                "file",
                "help-needed",
                "list",
                "replan",
                "retry",
                "show",
                "skip",
                "start",
                "status",
            )
        ),
    ),
    **_marked(
        Place.REMOTE,
        *(
            f"train {name}"
            for name in (
                "line",
                "board",
                "cancel",
                "create",
                "depart",
                "edit",
                "hold",
                "leave",
                "list",
                "prognosis",
                "resolve",
                "resume",
                "show",
            )
        ),
    ),
    **_marked(
        Place.REMOTE, *(f"hook {name}" for name in ("add", "deliveries", "edit", "list", "remove", "show", "test"))
    ),
    **_marked(Place.REMOTE, *(f"notifications {name}" for name in ("list", "retry", "rule", "test"))),
    **_marked(Place.LOCAL, "init", "doctor", "worker", "serve", "backup", "restore", "completion", "store rebuild"),
    **_marked(Place.LOCAL, "engine install", "engine status", "hosts install", "hosts list", "hosts status"),
    **_marked(Place.ANYWHERE, "validate", "schema", "explain", "login", "logout", "package show", "package diff"),
}
LOCAL_ONLY = "N130"


def check_place(command: str) -> None:
    """Return if *command* can act at the server, or none is chosen. Raises N130."""
    if PLACES[command] is not Place.LOCAL or not (os.environ.get(SERVER) or os.environ.get(PROFILE)):
        return
    from orchestrator.domain.errors import OrchestratorError

    hint = f"without --server and --profile, and with {SERVER} and {PROFILE} unset, it acts here"
    raise OrchestratorError(LOCAL_ONLY, f"`{command}` acts on this machine, and not at a server", hint=hint)
