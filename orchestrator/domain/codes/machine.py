"""Codes M…: the machine and the command line."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "M101",
        "the command was used wrongly",
        "An option or argument is missing, unknown or has a value that it cannot have.",
        "`orchestrator COMMAND --help` describes it.",
        Exit.USAGE,
    ),
    ErrorCode(
        "M102",
        "a confirmation is needed",
        "The command changes something for good, and there is no terminal to ask at.",
        "Add `--yes`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "M103",
        "interrupted",
        "You pressed Ctrl-C, or the process was asked to end.",
        "`orchestrator status` shows what was going on; `orchestrator resume RUN` goes on with it.",
        Exit.INTERRUPTED,
    ),
    ErrorCode(
        "M104",
        "no such error code",
        "The catalogue has no entry of that name.",
        "`orchestrator explain` lists all codes.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "M105",
        "the state folder cannot be made",
        "Everything that is kept goes into `.orchestrator/` in the project, or to where `ORCHESTRATOR_STATE` says. There "
        "is something else of that name, or the folder above it may not be written to.",
        "Correct or unset `ORCHESTRATOR_STATE`, or make the folder above it yours.",
    ),
    ErrorCode(
        "M199",
        "an internal error",
        "This is a mistake in Orchestrator and not in what you did. What was recorded so far is safe.",
        "The message names a file with the details; please report it.",
        Exit.INTERNAL,
    ),
)
