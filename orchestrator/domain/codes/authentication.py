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
        "The plan states other operations, losses or hosts than Pulumi's saved update plan allows. They are derived again from that file before any change, and the document is never trusted.",
        "Make a new plan with `orchestrator plan`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "E165",
        "definition too large",
        "The definition of an environment has the program's folder and what the program reads of the project: everything "
        "beside it that its text names. That is more than 5,000 files or 100 MiB.",
        "Name the files that the program reads in `environment.yaml`: `pulumi: {reads: [lib/, config.yaml]}`. Only these then count. The paths are relative to the project's root.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E166",
        "kept definition was changed",
        "Kept definitions are compared file by file with their digest before each use. A file was changed, added or removed since the definition was kept. The definition is not used.",
        "Find out who can write to the state folder, and remove the named folder. The definition is kept again when the environment is planned. A shared definition is fetched again, and an older one is in your backups.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "E167",
        "declared file does not exist",
        "`pulumi.reads` in `environment.yaml` names a file or a folder that the project does not have.",
        "Correct the path. It counts from the project's root.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E168",
        "language host not installed",
        "Pulumi runs a program through a language host for its runtime (`runtime:` in `Pulumi.yaml`). The host was not found beside the engine, on `PATH` or in Pulumi's home. The engine that this program builds has the host for Python. `orchestrator engine install --runtime yaml` adds the host for YAML.",
        "Install the host as the message describes, or use your own engine that has it: `ORCHESTRATOR_PULUMI`.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E169",
        "virtual environment missing",
        "`runtime.options` in `Pulumi.yaml` names the virtual environment of the program, and it does not exist.",
        "Make it and install the program's requirements, as for `pulumi` by hand.",
        Exit.FAILED,
    ),
    ErrorCode(
        "R240",
        "plan not authenticated",
        "A plan only counts if this project made it. The document has no authentication code: it was written by an older version, or by another program.",
        "Make a new plan with `orchestrator plan RELEASE --to ENV --out FILE`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R241",
        "unknown project key",
        "The plan was made with a key that this project does not have. It comes from a machine with another key, from another project, or from the time before `orchestrator keys rotate`. A rotated key expires, or was revoked.",
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
        "`chmod 600 FILE`. If another user may have read it: `orchestrator keys rotate --revoke`.",
    ),
)
