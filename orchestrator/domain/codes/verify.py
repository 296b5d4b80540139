"""Codes V…: verification with testinfra."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "V101",
        "a test failed",
        "At least one test of the suite failed on a host. The release does not work on it as specified.",
        "`orchestrator show RUN` lists the failing tests with their places.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V102",
        "no test was run",
        "The suite collected no test, or every test was skipped. Such a suite must not count as successful. There is one exception: in a batch, a suite without a test for these hosts is skipped if it has tests for other hosts of the environment.",
        "Check the path, the names and `testinfra_hosts` of the suite.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V103",
        "cannot inspect a host",
        "The host does not respond, so its tests would only fail for that reason. It is *unknown*, and *unknown* blocks.",
        "Ensure that the host runs and that `ssh` reaches it.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V104",
        "suite exceeded its timeout",
        "The suite did not end within its `timeout`, and was stopped with all processes that it had started.",
        "Raise `timeout` in `release.yaml`, or find the cause: `orchestrator logs RUN --step SUITE`.",
        Exit.TIMEOUT,
    ),
    ErrorCode(
        "V105",
        "pytest did not complete",
        "pytest was called with wrong arguments, crashed, was stopped, or exited before all its tests had run.",
        "`orchestrator logs RUN` prints its output.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V106",
        "cannot collect a test file",
        "A test file has a mistake, or imports a module that is not installed beside the orchestrator.",
        "The message names the module. Install it beside the orchestrator.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V107",
        "cannot run a test",
        "A fixture failed before or after the test, or the test's process died. This is not a result about the release.",
        "`orchestrator show RUN` lists these tests with their places. Ensure that their fixtures have what they need.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V110",
        "suite refused",
        "The suite's arguments or settings make pytest run no test (`--collect-only`, `--setup-plan`, `--fixtures`), or use "
        "settings, `conftest.py` files, modules or tests from outside the package. Such a suite cannot verify a release.",
        "The message names the option or the path. Change `args` in `release.yaml` or the suite's pytest settings, and "
        "build a new release.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V140",
        "gate failed",
        "The condition of the gate does not hold. A request got another response or none, a value is outside its limit, or a command ended with another status than 0.",
        "The message contains the result. `orchestrator show RUN` has the result of each host, `orchestrator logs RUN --output` the output of a command.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V141",
        "cannot check a gate",
        "The gate got no response. The name does not resolve, the machine cannot be reached, Prometheus has no value, or a command could not be started, took too long, or ended with 75. This is not a result about the release. It alerts, and rolls nothing back.",
        "Ensure that the target of the gate can be reached from the orchestrator's machine.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V142",
        "unknown gate or probe variable",
        "`{{ … }}` contains the name of a variable: of the host, the environment or the release. The variable does not exist, is not a plain value, or does not result in a URL. Only names are allowed, not expressions.",
        "`orchestrator environment inventory ENV --show-variables` prints the variables of the hosts. `hosts:` of the gate or the probe selects its hosts.",
        Exit.FAILED,
    ),
)
