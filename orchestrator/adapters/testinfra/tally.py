"""The results of a suite as its process reports them, and what comes of them in the end."""

from pathlib import Path
from typing import Any

from orchestrator.adapters.testinfra.verdict import NOTHING_COLLECTED, Ending, Session, judge, of_host
from orchestrator.domain.job_event import NUMBER, Shape, is_event
from orchestrator.domain.journal import Entry
from orchestrator.domain.step import HostResult, Outcome, StepResult, TestResult
from orchestrator.domain.text import clean_text
from orchestrator.file_system import read_end
from orchestrator.ports import Emit, JobOutcome

SHAPES: dict[str, Shape] = {
    "test": {
        "name": str, "host": str, "outcome": str, "duration": NUMBER, "message": str, "where": str, "reruns": int,
        "expected": bool, "nobody": bool,
    },
    "collect": {"name": str, "message": str},
    "end": {"status": int, "collected": int, "told": int},
    "refused": {"message": str},
}  # fmt: skip
"""The events of a suite."""

PRINTED = 64 << 10  # bytes at the end of what pytest has printed
OUTCOMES = frozenset(outcome.value for outcome in Outcome)


class Tally:
    """The results of a suite, as they come."""

    __test__ = False  # not a pytest class

    def __init__(self, suite: str, emit: Emit, job: str) -> None:
        self._suite, self._emit, self._job = suite, emit, job
        self.tests: list[TestResult] = []
        self.broken: list[str] = []
        self.flaky: list[str] = []
        self.session: Session | None = None
        self.refused = ""
        self.expected = self.nobody = 0

    def take(self, number: int, event: dict[str, Any]) -> None:
        """Take one event of the process; events of an unknown kind or shape are ignored."""
        if not is_event(event, SHAPES):
            return
        match event["kind"]:
            case "test":
                self._take_test(number, event)
            case "collect":
                self._take_broken(number, event)
            case "end":
                self.session = Session(int(event["status"]), int(event["collected"]), int(event["told"]))
            case "refused":
                self.refused = clean_text(event["message"], 1000)

    def _take_test(self, number: int, event: dict[str, Any]) -> None:
        """Take the result of one test."""
        if event["outcome"] not in OUTCOMES:
            return
        result = TestResult(
            name=clean_text(event["name"], 500),
            host=clean_text(event["host"], 255),
            outcome=Outcome(event["outcome"]),
            duration=float(event["duration"]),
            message=clean_text(event["message"], 4000),
            where=clean_text(event["where"], 500),
        )
        if event["reruns"] and result.outcome is Outcome.SUCCEEDED:
            self.flaky.append(f"{result.name} on {result.host}")
        self.expected += bool(event["expected"])
        self.nobody += bool(event["nobody"])
        self.tests.append(result)
        key = f"{self._job}:{number}"
        self._emit(Entry(kind="test", step=self._suite, host=result.host, data=result.to_json(), key=key))

    def _take_broken(self, number: int, event: dict[str, Any]) -> None:
        """Take a file that could not be collected."""
        text = clean_text(event["message"], 4000)
        self.broken.append(f"{clean_text(event['name'], 500)}: {_last_line(text)}")
        data = {"level": "error", "text": text}
        self._emit(Entry(kind="notice", step=self._suite, data=data, key=f"{self._job}:{number}"))

    def found_nothing(self, outcome: JobOutcome) -> bool:
        """Whether pytest came to its end and had no test at all for the hosts that it was given."""
        ended = outcome.how == "exited" and outcome.code in (0, NOTHING_COLLECTED) and self.session is not None
        return ended and not self.broken and not self.refused and len(self.tests) == self.nobody

    def elsewhere(self, outcome: JobOutcome, here: list[str]) -> StepResult:
        """The result of a suite that is about other hosts than these."""
        about: dict[str, Any] = {"tests": tuple(self.tests), "hosts": self._hosts(here, [])}
        message = "has no test for these hosts, only for others of the environment"
        log = str(outcome.folder)
        return StepResult(outcome=Outcome.SKIPPED, message=message, log=log, seconds=outcome.seconds, **about)

    def result(self, outcome: JobOutcome | None, here: list[str], gone: list[str]) -> StepResult:
        """The suite's result. Without an *outcome* no host could be reached, and pytest was not started."""
        about: dict[str, Any] = {"tests": tuple(self.tests), "hosts": self._hosts(here, gone)}
        if outcome is None:
            message = f"cannot be reached: {', '.join(gone)}"
            return StepResult(outcome=Outcome.UNKNOWN, message=message, data={"code": "V103"}, **about)
        verdict = judge(self._ending(outcome, gone))
        facts: dict[str, Any] = {"flaky": self.flaky} | ({"code": verdict.code} if verdict.code else {})
        if outcome.how != "exited" or (outcome.code or 0) < 0:
            facts["how"] = outcome.how if outcome.how != "exited" else "lost"
        about |= {"log": str(outcome.folder), "seconds": outcome.seconds, "data": facts}
        return StepResult(outcome=verdict.outcome, message=verdict.message, **about)

    def _ending(self, outcome: JobOutcome, gone: list[str]) -> Ending:
        """All that is known of the suite."""
        return Ending(
            how=outcome.how,
            code=outcome.code,
            session=self.session,
            tests=tuple(self.tests),
            expected=self.expected,
            broken=tuple(self.broken),
            refused=self.refused,
            unreachable=tuple(gone),
            seconds=outcome.seconds,
            output=_output(outcome.folder),
        )

    def _hosts(self, here: list[str], gone: list[str]) -> tuple[HostResult, ...]:
        """The result of each host."""
        by_host: dict[str, list[TestResult]] = {host: [] for host in here}
        for test in self.tests:
            by_host.setdefault(test.host, []).append(test)
        seen = [
            HostResult(host=host, outcome=of_host(test.outcome for test in by_host[host]), touched=False)
            for host in here
        ]
        lost = [
            HostResult(host=host, outcome=Outcome.UNKNOWN, touched=False, message="cannot be reached") for host in gone
        ]
        return (*seen, *lost)


def _last_line(text: str) -> str:
    """The last line of *text* that has words."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")


def _output(folder: Path) -> str:
    """The last line that pytest printed."""
    text = read_end(folder / "output.log", PRINTED)
    return _last_line(clean_text(text, None))[:500] if text else "no output"
