"""Codes M…: the machine and the command line."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "M101",
        "invalid usage",
        "An option or argument is missing or unknown, or has an invalid value.",
        "`orchestrator COMMAND --help` describes it.",
        Exit.USAGE,
    ),
    ErrorCode(
        "M102",
        "confirmation required",
        "The command makes a permanent change, and there is no terminal for a prompt.",
        "Add `--yes`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "M103",
        "command interrupted",
        "You pressed Ctrl-C, or the process received a signal to end.",
        "`orchestrator status` shows the state of the run; `orchestrator resume RUN` continues it.",
        Exit.INTERRUPTED,
    ),
    ErrorCode(
        "M104",
        "unknown error code",
        "The catalogue has no entry of that name.",
        "`orchestrator explain` lists all codes.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "M105",
        "cannot create the state folder",
        "The state is in `.orchestrator/` in the project, or in the folder that `ORCHESTRATOR_STATE` names. A file of that name exists, or the folder above is not writable.",
        "Correct or unset `ORCHESTRATOR_STATE`, or make the folder above writable.",
    ),
    ErrorCode(
        "M199",
        "internal error",
        "This is a mistake in Orchestrator, not in your project. Everything that was recorded is safe.",
        "The message names a file with the details. Please report it.",
        Exit.INTERNAL,
    ),
)
