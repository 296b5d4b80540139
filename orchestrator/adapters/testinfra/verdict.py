"""The result of a suite: one function, from everything that is known when its process has ended."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.error_codes import NO_TEST_RUN
from orchestrator.domain.step import Outcome, TestResult, worst
from orchestrator.domain.text import counted

NOTHING_COLLECTED = 5


@dataclass(frozen=True)
class Session:
    """The end of pytest's session, as our plugin reported it: exit status, tests collected, tests reported."""

    status: int
    collected: int
    reported: int


@dataclass(frozen=True)
class Ending:
    """How one run of a suite ended.

    Args:
        how: `exited`, or the reason for which the process ended otherwise (`timeout`, `stopped`, `lost`).
        code: the exit status; None when it did not exit.
        session: the end of the session; None when pytest did not come to it.
        tests: the results of the tests.
        expected: the number of tests that failed as expected.
        broken: the files that could not be collected, each with the reason.
        refused: the reason for which our plugin did not let pytest start; empty when it did.
        unreachable: the hosts that could not be reached.
        seconds: the time that it took.
        output: the last line that pytest printed.
    """

    how: str = "exited"
    code: int | None = 0
    session: Session | None = None
    tests: tuple[TestResult, ...] = ()
    expected: int = 0
    broken: tuple[str, ...] = ()
    refused: str = ""
    unreachable: tuple[str, ...] = ()
    seconds: float = 0.0
    output: str = "no output"


@dataclass(frozen=True)
class Verdict:
    """The outcome of a suite, one sentence, and the error code when it is not good."""

    outcome: Outcome
    message: str = ""
    code: str = ""


def judge(ending: Ending) -> Verdict:
    """Return the result of a suite. It succeeds only if all of these conditions hold.

    The process exited with 0, pytest's session came to its end with the same status, every collected test was reported,
    at least one was run and passed, none is bad, and every host could be reached.
    """
    ended = _process(ending) or _session(ending)
    missing = f"cannot be reached: {', '.join(ending.unreachable)}" if ending.unreachable else ""
    message, code = ended.message, ended.code
    if missing and code == NO_TEST_RUN:  # the suite may have tests for the hosts that could not be reached
        message, code = "", "V103"
    unseen = [Outcome.UNKNOWN] if missing else []
    outcome = worst([ended.outcome, *unseen, *(test.outcome for test in ending.tests if not test.outcome.good)])
    text = "; ".join(part for part in (message, missing) if part)
    return Verdict(outcome, text, "" if outcome.good else code or "V103")


def _process(ending: Ending) -> Verdict | None:
    """The verdict over a process that did not come to pytest's tests, or was ended from outside."""
    if ending.how == "timeout":
        tests = counted(len(ending.tests), "test")
        late = f"ran longer than {ending.seconds:.0f} s and was stopped (timeout of the suite)"
        text = f"{late}, {tests} had ended"
        return Verdict(Outcome.ERRORED, text, "V104")
    if ending.how != "exited":
        return Verdict(Outcome.ERRORED, f"pytest {'died' if ending.how == 'lost' else 'was stopped'}", "V105")
    if ending.refused:
        return Verdict(Outcome.ERRORED, ending.refused, "V110")
    if ending.broken:
        return Verdict(Outcome.ERRORED, f"could not be collected: {ending.broken[0]}", "V106")
    return None


def _session(ending: Ending) -> Verdict:
    """The verdict over a pytest that exited by its own decision."""
    session, tests = ending.session, ending.tests
    bad = [test for test in tests if not test.outcome.good]
    nothing = ending.code == NOTHING_COLLECTED or not any(test.outcome is Outcome.SUCCEEDED for test in tests)
    if session is None and (ending.code == 0 or tests):
        text = f"pytest ended in the middle of its session, {counted(len(tests), 'test')} had ended"
        return Verdict(Outcome.ERRORED, text, "V105")
    if bad:
        return _worst_test(bad)
    if nothing and ending.code in (0, NOTHING_COLLECTED):
        return Verdict(Outcome.FAILED, "no test was run: a suite without tests does not pass", "V102")
    amiss = _amiss(ending)
    return (
        Verdict(Outcome.ERRORED, amiss, "V105")
        if amiss
        else Verdict(Outcome.SUCCEEDED, _counts(tests, ending.expected))
    )


def _amiss(ending: Ending) -> str:
    """What keeps a suite without a bad test from success; empty when nothing does."""
    session = ending.session
    if session is None or ending.code != 0:
        return f"pytest ended with {ending.code}: {ending.output}"
    if session.status != 0:
        return f"pytest's session ended with {session.status}, and its process with 0"
    if session.collected > session.reported:
        left = counted(session.collected - session.reported, "test")
        return f"pytest ended without an error, and left {left} out"
    return ""


def _worst_test(bad: list[TestResult]) -> Verdict:
    """The verdict over tests that are not good: the worst of them, in the words of the first such test."""
    found = worst(test.outcome for test in bad)
    first = next(test for test in bad if test.outcome is found)
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    text = f"{first.name.rpartition('::')[2]} on {first.host or 'no host'}: {_first(first.message)}{more}"
    return Verdict(found, text, {Outcome.UNKNOWN: "V103", Outcome.ERRORED: "V107"}.get(found, "V101"))


def _counts(tests: tuple[TestResult, ...], expected: int) -> str:
    """The number of tests that passed, and of those that did not have to."""
    passed = sum(test.outcome is Outcome.SUCCEEDED for test in tests)
    skipped = len(tests) - passed - expected
    parts = [f"{counted(passed, 'test')} passed"]
    parts += [f"{skipped} skipped"] if skipped else []
    parts += [f"{expected} failed as expected"] if expected else []
    return ", ".join(parts)


def of_host(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a host by its tests: the worst bad one, otherwise *succeeded* if any is, otherwise *skipped*."""
    found = set(outcomes)
    bad = [outcome for outcome in found if not outcome.good]
    return worst(bad) if bad else Outcome.SUCCEEDED if Outcome.SUCCEEDED in found else Outcome.SKIPPED


def _first(text: str) -> str:
    """The first line of *text* that has words."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")
