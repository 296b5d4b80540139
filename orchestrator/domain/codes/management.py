"""Codes G…: release management. G101 to G109 are of change requests, and of the states of all nouns."""

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
)
