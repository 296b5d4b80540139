"""Codes I…: the isolation of processes that run code of a package or of a project."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "I101",
        "isolation not available",
        "`isolation: required` in `orchestrator.yaml` refuses to run code of a package without isolation. This machine has "
        "neither bubblewrap nor user namespaces that its users may make, or is not Linux. Or an inventory starts the "
        "orchestrator for another environment (`.pulumi.yml`), which is not isolated. Nothing was started.",
        "Install bubblewrap, or allow user namespaces. `orchestrator doctor` shows what this machine can do. With "
        "`isolation: auto` processes run without isolation, and a package is then code of the operator.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "I102",
        "invalid isolation setting",
        "The variable `ORCHESTRATOR_JOB_ISOLATION` comes before `isolation` in `orchestrator.yaml`. It can be `required`, "
        "`auto` or `off`.",
        "Correct the variable, or unset it.",
        Exit.USAGE,
    ),
    ErrorCode(
        "I103",
        "path cannot be declared",
        "`isolation.read` of an `environment.yaml` names the state folder, a file in it, or a key or password file that "
        "another environment names. No isolated process finds these. Nothing was started.",
        "Remove the path. If two environments use one key, name it in the settings of both (`ansible.transport`).",
        Exit.USAGE,
    ),
    ErrorCode(
        "I104",
        "process not isolated",
        "The folders that an isolated process finds could not be put together, although isolation works on this machine. The "
        "message names the path and the error of the system. The process was not started.",
        "Correct what the message names: a path that `isolation.read` or `isolation.write` declares, or a folder that was removed "
        "meanwhile. `orchestrator doctor` shows whether isolation works here.",
    ),
    ErrorCode(
        "I110",
        "access refused by isolation",
        "A process that runs code of a package finds its copy of the package, temporary folders, the network, and the "
        "credentials of its own environment. Something else was needed: a file of the home folder or of the machine, or an "
        "environment variable. The message names it.",
        "If the environment may have it, declare it in its `environment.yaml`: `isolation: {read: [~/.aws]}` for files, "
        "folders and sockets, `isolation: {environment: [AWS_PROFILE]}` for variables. Files of the state folder and keys of other "
        "environments cannot be declared.",
    ),
    ErrorCode(
        "I111",
        "loopback host refused",
        "An isolated Pulumi program starts and ends the loopback hosts of its own stack. A preview starts and ends none. Nothing "
        "was started.",
        "Correct the program. A host of a stack that was renamed is ended by `orchestrator environment destroy` before the stack is renamed.",
    ),
)
