"""The result of a suite, for every way in which pytest can end."""

import pytest

from orchestrator.adapters.testinfra.verdict import Ending, Session, judge
from orchestrator.domain.step import Outcome, TestResult


def _test(outcome: Outcome, message: str = "") -> TestResult:
    return TestResult(name="tests/test_it.py::test_it", host="web1", outcome=outcome, message=message)


def _session(status: int = 0, collected: int = 1, reported: int = 1) -> Session:
    return Session(status=status, collected=collected, reported=reported)


PASSED = _test(Outcome.SUCCEEDED)
FAILED = _test(Outcome.FAILED, "the service does not answer\nassert 1 == 0")
ERRORED = _test(Outcome.ERRORED, "no such fixture")
UNKNOWN = _test(Outcome.UNKNOWN, "cannot be reached: no answer")
SKIPPED = _test(Outcome.SKIPPED)

ENDINGS = {
    "all say so": (Ending(session=_session(), tests=(PASSED,)), "succeeded", "", "1 test passed"),
    "some did not have to pass": (
        Ending(session=_session(0, 3, 3), tests=(PASSED, SKIPPED, SKIPPED), expected=1),
        "succeeded", "", "1 test passed, 1 skipped, 1 failed as expected",
    ),
    "a test failed": (
        Ending(code=1, session=_session(1, 2, 2), tests=(PASSED, FAILED)),
        "failed", "V101", "test_it on web1: the service does not answer",
    ),
    "a test failed, and the process says 0": (
        Ending(session=_session(), tests=(PASSED, FAILED)), "failed", "V101", "does not answer",
    ),
    "a fixture failed": (Ending(code=1, session=_session(1), tests=(ERRORED,)), "errored", "V107", "no such fixture"),
    "a host died": (Ending(code=1, session=_session(1), tests=(UNKNOWN,)), "unknown", "V103", "cannot be reached"),
    "several are bad": (
        Ending(code=1, session=_session(1, 3, 3), tests=(FAILED, FAILED, PASSED)), "failed", "V101", "(and 1 more)",
    ),
    "nothing was collected": (Ending(code=5, session=_session(5, 0, 0)), "failed", "V102", "no test was run"),
    "all were skipped": (Ending(session=_session(), tests=(SKIPPED,)), "failed", "V102", "no test was run"),
    "only expected failures": (
        Ending(session=_session(), tests=(SKIPPED,), expected=1), "failed", "V102", "no test was run",
    ),
    "the session did not end": (Ending(tests=(PASSED,)), "errored", "V105", "in the middle of its session"),
    "there was no session": (Ending(), "errored", "V105", "in the middle of its session"),
    "the session failed, and the process says 0": (
        Ending(session=_session(1), tests=(PASSED,)), "errored", "V105", "session ended with 1",
    ),
    "the process failed after its session": (
        Ending(code=1, session=_session(), tests=(PASSED,), output="coverage is too low"),
        "errored", "V105", "coverage is too low",
    ),
    "tests were left out": (Ending(session=_session(0, 3, 1), tests=(PASSED,)), "errored", "V105", "left 2 tests out"),
    "it was used wrongly": (Ending(code=4, output="no such option"), "errored", "V105", "no such option"),
    "a file cannot be collected": (
        Ending(code=2, session=_session(2, 1, 0), broken=("tests/test_it.py: no module",)),
        "errored", "V106", "tests/test_it.py: no module",
    ),
    "it was refused": (Ending(code=4, refused="pytest runs no test with --co"), "errored", "V110", "runs no test"),
    "it was refused, and the process says 0": (
        Ending(refused="pytest runs no test with --co", session=_session(), tests=(PASSED,)),
        "errored", "V110", "runs no test",
    ),
    "it took too long": (
        Ending(how="timeout", code=None, seconds=60, tests=(PASSED,)), "errored", "V104", "ran longer than 60 s and was stopped (timeout of the suite)",
    ),
    "it was stopped": (Ending(how="stopped", code=None), "errored", "V105", "was stopped"),
    "it died": (Ending(how="lost", code=None, tests=(PASSED,)), "errored", "V105", "died"),
    "a host is missing": (
        Ending(session=_session(), tests=(PASSED,), unreachable=("web2",)),
        "unknown", "V103", "1 test passed; cannot be reached: web2",
    ),
    "a host is missing, and nothing was run": (
        Ending(code=5, session=_session(5, 0, 0), unreachable=("web2",)), "unknown", "V103", "cannot be reached: web2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_a_suite_succeeds_only_when_everything_says_so(name: str) -> None:
    """Exit status, end of the session, tests reported and tests that were run decide together."""
    ending, outcome, code, words = ENDINGS[name]
    verdict = judge(ending)
    assert (verdict.outcome.value, verdict.code) == (outcome, code)
    assert words in verdict.message
