"""Codes of what is verified immediately before it is used: plan documents, update plans and the project key."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "E162",
        "no usable update plan",
        "A plan that changes the stack constrains Pulumi to the update plan that was saved at preview. That file is missing or "
        "cannot be read, and an update is never run without it.",
        "Make a new plan with `orchestrator plan`, on this machine or with a shared store (`artifacts:`).",
        Exit.UNEXPECTED_CHANGES,
    ),
    ErrorCode(
        "E163",
        "update plan was changed",
        "The file of Pulumi's saved update plan is not the one that the plan was made with. Nothing was changed.",
        "Find out who can write to the state folder, then make a new plan with `orchestrator plan`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "E164",
        "plan and update plan differ",
        "The operations, losses or hosts that the plan states are not those that Pulumi's saved update plan allows. They are "
        "derived again from that file before anything is changed, and the document is never believed.",
        "Make a new plan with `orchestrator plan`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R240",
        "plan not authenticated",
        "A plan counts only when this project made it. The document has no authentication code: it was written by an older "
        "version, or by something else.",
        "Make a new plan with `orchestrator plan RELEASE --to ENV --out FILE`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R241",
        "unknown project key",
        "The plan was made with a key that this project does not have: on a machine with another key, in another project, or "
        "with a key that was revoked or that expired after `orchestrator keys rotate`.",
        "Make a new plan here. Machines that share plans need the same key file: `ORCHESTRATOR_PROJECT_KEY_FILE`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R242",
        "wrong authentication code",
        "The document is not the one that the project made: it was changed after the code was computed.",
        "Make a new plan with `orchestrator plan`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "S150",
        "project key cannot be used",
        "The file with the project key is missing, cannot be read, or is not 32 bytes long.",
        "Correct `ORCHESTRATOR_PROJECT_KEY_FILE`, copy the file from another machine of the project, or make a key with "
        "`orchestrator keys rotate`. Plans that were made with a lost key have to be made again.",
    ),
    ErrorCode(
        "S151",
        "project key readable by others",
        "Other users of the machine can read or write the file with the project key, so a plan could be forged.",
        "`chmod 600 FILE`. If somebody else may have read it: `orchestrator keys rotate --revoke`.",
    ),
)
