"""Codes V…: proving with testinfra."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "V101",
        "a test failed",
        "At least one test of the suite failed on a host: the release does not do there what it should.",
        "`orchestrator show RUN` lists the failing tests with their places.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V102",
        "no test was run",
        "The suite collected nothing, or every test was skipped. A suite that proves nothing must not pass as proof.",
        "See that the path, the names and `testinfra_hosts` of the suite are right.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V103",
        "a host could not be looked at",
        "The host does not answer, so its tests would only fail for that reason. It is *unknown*, and unknown blocks.",
        "See that the host runs and that `ssh` reaches it.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V104",
        "the suite took too long",
        "The suite did not end within its `timeout`, and was stopped with all that it had started.",
        "Raise `timeout` in `release.yaml`, or see what hangs: `orchestrator logs RUN --step SUITE`.",
        Exit.TIMEOUT,
    ),
    ErrorCode(
        "V105",
        "pytest did not run to its end",
        "pytest itself was used wrongly, crashed or was stopped.",
        "`orchestrator logs RUN` has its output.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V106",
        "a test file could not be collected",
        "A test file has a mistake, or imports something that is not installed where the orchestrator runs.",
        "The message names it. Install what is missing beside the orchestrator.",
        Exit.FAILED,
    ),
)
