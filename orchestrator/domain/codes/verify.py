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
        "a gate is shut",
        "What the gate asks for does not hold: a request was answered otherwise or not at all, a value is on the wrong side "
        "of its threshold, or a command ended with another status than 0.",
        "The message says what was found. `orchestrator show RUN` has the same for each host, `orchestrator logs RUN "
        "--output` what a command printed.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V141",
        "a gate could not be asked",
        "Nobody was there to answer: the name is not known, the machine cannot be reached, Prometheus has no value, a command "
        "could not be started, took too long, or ended with 75. Nothing is said of the release. This rolls nothing back by "
        "itself; it alerts.",
        "See that what is asked can be reached from where the orchestrator runs.",
        Exit.FAILED,
    ),
    ErrorCode(
        "V142",
        "a variable of a gate or a probe is not known",
        "In `{{ … }}` stands the name of a variable: of the host, the environment or the release. It is not there, is no "
        "plain value, or does not make a URL. Only names can stand there, no expressions.",
        "`orchestrator environment inventory ENV --show-variables` shows what hosts have. `hosts:` of the gate or the probe "
        "says which hosts it is for.",
        Exit.FAILED,
    ),
)
