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
        "The suite collected nothing, or every test was skipped. A suite that proves nothing must not pass as proof. "
        "Only in a batch may a suite have no test, when it has tests for other hosts of the environment: it is skipped.",
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
        "pytest itself was used wrongly, crashed, was stopped, or left before all its tests had been run.",
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
    ErrorCode(
        "V107",
        "a test could not be run",
        "A fixture failed before or after the test, or the test's process died: nothing is said of the release.",
        "`orchestrator show RUN` lists these tests with their places. See that what their fixtures need is there.",
        Exit.FAILED,
    ),
)
