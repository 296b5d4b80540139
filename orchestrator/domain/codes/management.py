"""Codes G…: release management.

G101 to G109 are of change requests, and of the states of all nouns. G201 to G209 are of planned releases.
G401 to G409 are of implementation plans.
G501 to G509 are of reviews.
"""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "G101",
        "not possible in this state",
        "The state of the object does not have this event. The message names the state, and the events that are possible in it. Nothing was changed.",
        "Choose one of the possible events.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G102",
        "change request is fixed",
        "Only a draft changes freely, and the rank of a request that has ended does not change. The message names the state.",
        "Withdraw the request and add a new one, or decide about it with `accept`, `reject` or `defer`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G103",
        "assessment not clean",
        "A check of the assessment does not hold. The message names each of them. The checks run again whenever facts change, and when the request is accepted.",
        "Correct what the check names, for example an unknown package. A wrong draft is withdrawn and added again. Otherwise defer or reject the request.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G104",
        "no commit to start from",
        "Commits are imported from the one of the release that runs in the environment. No release was verified there, or its package has no Git revision.",
        "Give the commit with `--from`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G201",
        "planned release has no package",
        "A planned release follows the runs of its packages. A draft without a package in its scope cannot be confirmed.",
        "Add a package with `orchestrator release add REL-1 --package shop-1.5.0`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G202",
        "planned release is fixed",
        "The state of the release, of a phase, or the freeze of its scope does not allow this change. The message names it.",
        "Re-plan another phase. A frozen scope grows only with `orchestrator release add --late -m WHY`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G203",
        "resources of a release not available",
        "An environment of a phase is booked or closed for its whole time, or the responsible user is absent. The message names every conflict.",
        "Choose another time with `orchestrator release phase`, wait for a booked environment with `--wait`, or name another user.",
        Exit.BUSY,
    ),
    ErrorCode(
        "G204",
        "phase cannot start or end",
        "A phase starts when every phase that it depends on was completed, and ends after it has started. The message names what it waits for.",
        "Complete that phase first with `orchestrator release complete`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G205",
        "wrong dependency of a phase",
        "A phase comes after a phase that does not exist, after itself, or starts before a phase ends that it depends on.",
        "Name an existing phase with `--after`, such as `build` or `REL-2:deploy`, or choose a later start.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G206",
        "dates of release not possible",
        "The freeze time is after the release time, a phase has no length, or the phase `deploy` starts after the release time of a timeline-driven release.",
        "Move the release time with `--release-at` of `orchestrator release edit`, or choose other times.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G207",
        "unknown package of a scope",
        "The text does not name a package with its version, or the scope does not contain what is to be removed.",
        "Name a package as `shop-1.5.0`. `orchestrator release show` lists the scope.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G301",
        "cannot book this time",
        "The environment, or something that it depends on, is booked or closed for the whole time. Or the holder is absent, or the quota of the team would be exceeded. The message names every reason, and the hint the next free slot.",
        "Book the free slot, or wait for the time with `--wait`. `orchestrator free` lists more slots.",
        Exit.BUSY,
    ),
    ErrorCode(
        "G302",
        "time of booking not possible",
        "A booking ends in the future, and an extension ends later than the booking. A booking lasts at most 90 days.",
        "Give another time.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G401",
        "parameters of plan not valid",
        "A parameter of the implementation plan has no value, is not in its file, or has a value that does not fit where it is used. The message names it.",
        "Give each parameter with `--parameter NAME=VALUE`. `orchestrator implementation start` without a name lists the files.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G402",
        "wrong dependency of a task",
        "A task comes after a task, phase or planned release that does not exist, or tasks depend on each other.",
        "Name an existing task with `--after`, such as `check`, `IP-2:check` or `REL-1:deploy`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G403",
        "reason is missing",
        "An abort, a skipped or failed task, a no-go, and a task of another user are recorded with the reason.",
        "Give the reason with `-m`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G404",
        "task has to wait",
        "A task starts when everything that it comes after has ended, and its plan has started. The message names what it waits for.",
        "Complete that first, or skip it with `orchestrator implementation skip`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G405",
        "wrong command for this task",
        "A manual task is done or fails, and a decision is go or no-go. The message names the kind of the task.",
        "Use the command that the hint names.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G406",
        "evidence cannot be recorded",
        "A text has 1 to 20,000 characters, a link starts with `https://` or `http://`, and a task has at most 100 pieces of evidence.",
        "Shorten the text, or give it as a link.",
        Exit.USAGE,
    ),
    ErrorCode(
        "G407",
        "task cannot be re-planned",
        "What has ended does not change, and the start of a task that has started is fixed. A new task has a name of its own, and values that fit.",
        "Change a task that has not ended, or add another one with `orchestrator implementation add`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G501",
        "review is closed",
        "A closed review does not change any more.",
        "Add feedback or an action: `orchestrator review feedback`, `orchestrator action add`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "G502",
        "review exists",
        "A run and a planned release have one review each.",
        "Write into that review: `orchestrator review write`.",
        Exit.NOT_ALLOWED,
    ),
)
