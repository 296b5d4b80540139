"""The view of one run: folded from the journal record by record, so that it can be shown during the run.

Everything that is shown of a run (the live view, `show`, `watch`, `logs`) comes from here, and from nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.domain.downtime import AvailabilityReport
from orchestrator.domain.journal import PROMOTION_KINDS, Record, Run, after_entry
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import GOING_BACK, State
from orchestrator.domain.step import HostResult, StepResult, TestResult
from orchestrator.domain.text import first_line, last_line
from orchestrator.domain.waves import Progress


def reason_of(message: str) -> str:
    """The line of a host's *message* with the reason: the first, or of older journals what a command printed last."""
    line = first_line(message, 300)
    return last_line(message) if line == "non-zero return code" else line


@dataclass
class StepStory:
    """One step of a run. *result* is None until it has ended; *about* is what was recorded at its start.

    *tasks* maps each host to its last reported task; *resources* each resource to its last status.
    """

    name: str
    label: str
    started_at: str
    about: dict[str, Any] = field(default_factory=dict)
    finished_at: str | None = None
    result: StepResult | None = None
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    tests: list[TestResult] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)

    @property
    def verb(self) -> str:
        """The verb of the flow that the step belongs to."""
        return str(self.about.get("verb", ""))

    @property
    def seconds(self) -> float | None:
        """How long it took from start to end, our own time included; None until it has ended."""
        return seconds_between(self.started_at, self.finished_at) if self.finished_at else None

    def bad_hosts(self) -> list[HostResult]:
        """The hosts that it did not go well on."""
        return [host for host in self.result.hosts if not host.outcome.good] if self.result else []

    def bad_tests(self) -> list[TestResult]:
        """The tests that did not pass."""
        return [test for test in self.result.tests if not test.outcome.good] if self.result else []

    def cause(self) -> tuple[str, str]:
        """Which test or host was not good, and the last line of the reason; empty where there is none."""
        for test in self.bad_tests():
            name = test.name.rpartition("::")[2]
            return f"{name} on {test.host}" if test.host else name, last_line(test.message)
        for host in self.bad_hosts():
            return f"{host.host} [{host.task}]" if host.task else host.host, reason_of(host.message)
        return "", ""

    def to_json(self) -> dict[str, Any]:
        """The step as `show --json` gives it."""
        result = self.result
        return {
            "name": self.name,
            "verb": self.verb,
            "label": self.label,
            "about": {key: value for key, value in self.about.items() if key != "verb"},
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "seconds": self.seconds,
            "outcome": result.outcome.value if result else None,
            "message": result.message if result else "",
            "code": result.code if result else None,
            "log": result.log if result else "",
            "engine_seconds": result.seconds if result else None,
            "hosts": [host.to_json() for host in result.hosts] if result else [],
            "tests": [test.to_json() for test in result.tests] if result else [],
            "resources": list(self.resources.values()),
            "notices": self.notices,
        }


@dataclass
class RunView:
    """One run as far as its records have been taken."""

    run: Run
    steps: dict[str, StepStory] = field(default_factory=dict)
    states: list[tuple[str, State]] = field(default_factory=list)
    hosts: dict[str, HostState] = field(default_factory=dict)
    planned: dict[str, Any] = field(default_factory=dict)
    rollback_plan: dict[str, Any] = field(default_factory=dict)
    rehearsed: dict[str, Any] | None = None
    ending: dict[str, Any] | None = None
    failed_at: str | None = None
    proved_at: str | None = None
    flaky: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    switched: list[dict[str, Any]] = field(default_factory=list)
    wave_progress: Progress | None = None
    last: int = 0

    @classmethod
    def of(cls, run: Run, records: list[Record]) -> "RunView":
        """The view of *run* that follows from *records*."""
        story = cls(run)
        for record in records:
            story.take(record)
        return story

    def take(self, record: Record) -> None:  # noqa: C901 - one branch for each kind
        """Add one record. Those that were taken already are passed over."""
        if record.seq <= self.last:
            return
        self.last = record.seq
        self.run = after_entry(self.run, record, record.at)
        if record.kind == "step.started":
            about = dict(record.data)
            label = str(about.pop("label", record.step))
            self.steps[record.step] = StepStory(record.step, label, record.at, about)
        elif record.kind == "step.finished":
            self._finish(record)
        elif record.kind == "state":
            self.states.append((record.at, State(record.data["to"])))
        elif record.kind == "planned":
            self.planned = record.data
            self.wave_progress = Progress.begun(record.data) if self.run.kind == "waves" else None
        elif record.kind == "rollback plan":
            self.rollback_plan = record.data
        elif record.kind == "rehearsed":
            self.rehearsed = record.data
        elif record.kind == "host":
            self.hosts[record.host] = HostState.from_json({**record.data, "since": record.data.get("since", record.at)})
        elif record.kind == "ended":
            self.ending = record.data
        elif record.kind == "wave" and self.wave_progress is not None:
            self.wave_progress.take(record.data)
        else:
            self._notice(record)
            self._detail(record)

    def _finish(self, record: Record) -> None:
        step = self.steps[record.step]
        step.finished_at, step.result = record.at, StepResult.from_json(record.data)
        if not step.result.good and not self.going_back:  # the last one is why it rolls back
            self.failed_at = record.at
        if self.run.state is State.VERIFYING_ROLLBACK:
            self.proved_at = record.at

    def _notice(self, record: Record) -> None:
        """Apply a notice about the whole run, or a switch."""
        if record.kind == "switched":
            self.switched.append({"at": record.at, "step": record.step, **record.data})
        if record.kind != "notice":
            return
        if record.data.get("flaky"):
            self.flaky.append({"at": record.at, "step": record.step, **record.data["flaky"]})
            self.failed_at = None if not self.going_back else self.failed_at  # it was not a failure after all
        if record.data.get("alert"):
            self.alerts.append({"at": record.at, "text": record.data["text"]})

    @property
    def probe(self) -> AvailabilityReport | None:
        """The availability of the service during the run; None without a probe, or before the run has ended."""
        step = self.steps.get("probe")
        found = step.result.data.get("probe") if step and step.result else None
        return AvailabilityReport.from_json(found) if found else None

    def _detail(self, record: Record) -> None:
        step = self.steps.get(record.step)
        if step is None:
            return
        if record.kind == "task":
            step.tasks[record.host] = record.data
        elif record.kind == "resource":
            step.resources[str(record.data["urn"])] = record.data
        elif record.kind == "test":
            step.tests.append(TestResult.from_json(record.data))
        elif record.kind == "notice":
            step.notices.append(record.data)

    @property
    def running(self) -> list[StepStory]:
        """The steps that have started and not ended."""
        return [step for step in self.steps.values() if step.result is None]

    @property
    def remaining(self) -> list[str]:
        """What the plan of a promotion has that has not started: steps by batches, the tests everywhere, the watch.

        Empty before there is a plan, and for every other kind of run.
        """
        if self.run.kind not in PROMOTION_KINDS or not self.planned:
            return []
        wanted = self._planned_batches(self.planned.get("steps", ()))
        wanted |= {f"verify.{name}.environment": f"{name} everywhere" for name in self.planned.get("verify", ())}
        if self.planned.get("blue_green"):
            wanted |= {"switch": "the switch"}
        if self.planned.get("rehearse"):
            wanted["rehearse.there"] = "the rollback, and the second promotion"
        if self.planned.get("watch") and not any(".watch." in name for name in self.steps):
            wanted["watch"] = "the watch"
        return [label for name, label in wanted.items() if name not in self.steps]

    def _planned_batches(self, steps: Iterable[str]) -> dict[str, str]:
        """The name and the label of each batch of the planned *steps*; one batch each while the hosts are not known."""
        settled = self.steps.get("hosts")
        batches = settled.result.data.get("batches", []) if settled and settled.result else []
        wanted: dict[str, str] = {}
        for at, name in enumerate(steps):
            count = len(batches[at]) if at < len(batches) else 1
            for number in range(1, count + 1):
                wanted[f"{name}.{number}"] = name if count == 1 else f"{name} batch {number} of {count}"
        return wanted

    @property
    def going_back(self) -> bool:
        """Whether a promotion has started to roll back."""
        return self.run.kind in PROMOTION_KINDS and any(state in GOING_BACK for _, state in self.states)

    @property
    def recovery(self) -> float | None:
        """Seconds from the failure to the last verification of the restored release; None without a rollback."""
        if self.failed_at is None or self.proved_at is None or self.run.state is not State.ROLLED_BACK:
            return None
        return seconds_between(self.failed_at, self.proved_at)

    @property
    def switch_back(self) -> float | None:
        """Seconds from the failure until the traffic was on the previous side again; None without a switch back."""
        step = self.steps.get("switch.back")
        if self.failed_at is None or step is None or step.finished_at is None or not (step.result and step.result.good):
            return None
        return seconds_between(self.failed_at, step.finished_at)

    def to_json(self) -> dict[str, Any]:
        """The whole story, as `show --json` gives it."""
        run = self.run
        return {
            "run": run.to_json(),
            "planned": self.planned or None,
            "rollback_plan": self.rollback_plan or None,
            "states": [{"at": at, "state": state.value} for at, state in self.states],
            "steps": [step.to_json() for step in self.steps.values()],
            "hosts": [state.to_json() for state in self.hosts.values()],
            "rehearsed": self.rehearsed,
            "flaky": self.flaky,
            "alerts": self.alerts,
            "switched": self.switched,
            "switch_back_seconds": self.switch_back,
            "probe": self.probe.to_json() if self.probe else None,
            "waves": [wave.to_json() for wave in self.wave_progress.story] if self.wave_progress else None,
            "ending": self.ending,
            "failed_at": self.failed_at,
            "recovery_seconds": self.recovery,
        }


def seconds_between(start: str, end: str) -> float:
    """Seconds between two times of the journal (ISO 8601); none where the clock was set back in between."""
    return max(0.0, round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3))
