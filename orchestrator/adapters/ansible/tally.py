"""What the events of a play show of each host, and the step's result from them."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.handlers import PendingHandlers
from orchestrator.adapters.ansible.ledger import CLAIM, CLOSING, OWN, REFUSED
from orchestrator.adapters.ansible.verdict import PlayEnd, Verdict, decide
from orchestrator.domain.error_codes import (
    ANSIBLE_INCOMPLETE,
    FAILURE_UNEXPLAINED,
    NO_HOST_LEFT,
    PLAYBOOK_NOT_RUN,
    PLAYBOOK_PROMPTS,
    REFUSED_BY_HOST,
    TASK_OUTSIDE_BATCH,
)
from orchestrator.domain.host_answer import Fault, read_reported
from orchestrator.domain.job_event import NUMBER, Shape, are_counts, has_shape, is_event
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import HostPreview, StepPreview
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.text import clean_text, counted
from orchestrator.file_system import read_end
from orchestrator.ports import Emit, JobOutcome

HARMLESS = {
    "setup", "gather_facts", "ping", "debug", "set_fact", "assert", "fail", "stat", "slurp", "wait_for", "pause",
    "include_tasks", "import_tasks", "include_role", "import_role", "include_vars", "meta", "add_host", "group_by",
    "getent", "find", "package_facts", "service_facts", "wait_for_connection", "validate_argument_spec", "facts",
}  # fmt: skip
ENDED = {"timeout": "took too long and was stopped", "stopped": "was stopped", "lost": "died"}
SHAPES: dict[str, Shape] = {
    "stats": {},
    "play": {"play": str, "name": str},
    "notify": {"play": str, "host": str, "handler": str},
    "no_hosts": {"play": str, "none": bool},
    "prompt": {"text": str},
    "notice": {"level": str, "text": str},
    "task": {
        "host": str, "task": str, "action": str, "outcome": str, "message": str, "where": str, "seconds": NUMBER,
        "ignored": bool, "play?": str, "at?": str, "handler?": bool, "own?": bool, "stdout?": str, "release?": dict,
        "check?": dict,
    },
}  # fmt: skip
"""The events of a play."""

OF_THE_PLAY = {
    NO_HOST_LEFT,
    PLAYBOOK_NOT_RUN,
    ANSIBLE_INCOMPLETE,
    PLAYBOOK_PROMPTS,
    TASK_OUTSIDE_BATCH,
    FAILURE_UNEXPLAINED,
}  # errors of a whole play
PRINTED = 48 << 20  # bytes of output, which its supervisor keeps below this
CHECK: Shape = {"diff": str, "opaque": bool}
OWN_PLAYS = CLOSING | {CLAIM}
NO_CONNECTION = re.compile(  # messages of ssh from before a task could start
    r"ssh: connect to host|could not resolve hostname|host key verification failed|permission denied \("
    r"|banner exchange|kex_exchange_identification",
    re.IGNORECASE,
)


@dataclass
class Tally:
    """What a play's events show of each host, as they come. *setting* names what gives the *timeout* (in seconds)."""

    step: str
    limit: tuple[str, ...]
    emit: Emit
    job: str
    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    invalid: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    checked: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    own: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    plays: dict[str, set[str]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    handlers: PendingHandlers = field(default_factory=PendingHandlers)
    prompt: str = ""
    closing: bool = True
    timeout: float = 0.0
    setting: str = ""

    def take(self, number: int, event: dict[str, Any]) -> None:
        """Take one event of the child; events of another shape are ignored."""
        if not is_event(event, SHAPES):
            return
        kind = event.pop("kind")
        if kind == "stats":
            self.stats = _stats(event)
        elif kind == "play" and event["name"] not in OWN_PLAYS:
            self.plays.setdefault(event["play"], set())
            if event["play"] not in self.order:
                self.order.append(event["play"])
        elif kind == "notify" and event["play"] in self.order and event["host"] in self.limit:
            self.handlers.flushed(event["host"], self.order.index(event["play"]), event["handler"])
        elif kind == "no_hosts" and event["none"]:
            self.plays.pop(event["play"], None)
        elif kind == "prompt":
            self.prompt = clean_text(event["text"], 1000)
        elif kind == "notice":
            text = clean_text(event["text"], 4000)
            self.errors.append(text)
            data = {"level": event["level"], "text": text}
            self.emit(Entry(kind="notice", step=self.step, data=data, key=f"{self.job}:{number}"))
        elif kind == "task":
            self._task(number, event)

    def _task(self, number: int, event: dict[str, Any]) -> None:
        host, outcome = str(event["host"]), str(event["outcome"])
        if event.pop("own", False):
            event.pop("play", None)
            self._own(host, outcome, event)
            if outcome != "unreachable" or event["ignored"]:
                return
        self._saw(host, outcome, event)
        if outcome == "started":
            if str(event["action"]).rsplit(".", 1)[-1] not in HARMLESS:
                self.touched.add(host)
            return
        event = {key: clean_text(value) if isinstance(value, str) else value for key, value in event.items()}
        self._note_outcome(host, outcome, event)
        if "release" in event:
            self._reported(host, read_reported(event["release"]))
        if has_shape(event.get("check"), CHECK):
            self.checked.append(event)
        shown = ("task", "action", "outcome", "message", "where", "seconds")
        data = {name: event[name] for name in shown}
        self.emit(Entry(kind="task", step=self.step, host=host, data=data, key=f"{self.job}:{number}"))

    def _note_outcome(self, host: str, outcome: str, event: dict[str, Any]) -> None:
        """Note how a task has ended on *host*: its failure, whether it was reached, and what it printed."""
        if outcome in {"failed", "unreachable"} and not event["ignored"]:
            self.failures[host] = event
        if outcome == "unreachable" and host not in self.heard and self._never_reached(host, event):
            self.touched.discard(host)
        if outcome not in {"unreachable", "skipped"}:
            self.heard.add(host)
            printed = str(event.pop("stdout", ""))
            self.answers[host] = "\n".join(filter(None, (self.answers.get(host), printed)))

    def _reported(self, host: str, release: str | Fault | None) -> None:
        """Note the release that a task of the collection reports of *host*; only its last word counts."""
        self.releases.pop(host, None)
        self.invalid.pop(host, None)
        if isinstance(release, Fault):
            self.invalid[host] = str(release)
        else:
            self.releases[host] = release or ""

    def _saw(self, host: str, outcome: str, event: dict[str, Any]) -> None:
        """Note the play that works on *host*, what it changed, and a handler that ran on it."""
        self.seen.add(host)
        play, at = event.pop("play", ""), str(event.pop("at", ""))
        self.plays.setdefault(play, set()).add(host)
        if host not in self.limit or play not in self.order:
            return
        if event.pop("handler", False) and outcome in {"ok", "changed", "skipped"}:
            self.handlers.ran(host, str(event["task"]))
        if outcome == "changed":
            self.handlers.changed(host, self.order.index(play), str(event["task"]), at)

    def _never_reached(self, host: str, event: Mapping[str, Any]) -> bool:
        """Whether *host* was never connected to. A connection that was lost during its first task does not count."""
        return not self.own[host] and bool(NO_CONNECTION.search(str(event["message"])))

    def _own(self, host: str, outcome: str, event: dict[str, Any]) -> None:
        """Note a result of our own tasks around the playbook. They are not work of the user, but a refusal counts."""
        if outcome == "started":
            return
        if event["task"] in CLOSING:
            self.closed.add(host)
        self.own[host].add(str(event["task"]))  # by name: an event that comes twice is still one task
        output = clean_text(str(event.pop("stdout", "")), 1000).strip()
        if outcome == "failed" and (not event["ignored"] or output.startswith(REFUSED)):
            self.refused[host] = output or clean_text(str(event["message"]), 1000)
            self.failures[host] = {"message": self.refused[host], "task": event["task"]}
        if event["ignored"] and host not in self.refused:
            text = f"{host}: the work could not be recorded: {output or clean_text(str(event['message']), 500)}"
            self.emit(Entry(kind="notice", step=self.step, host=host, data={"level": "warning", "text": text}))

    def host(self, host: str) -> HostResult:
        """What a question did on *host*."""
        return self._host(host, decide(self._end("exited", 0)).hosts[host])

    def _host(self, host: str, outcome: Outcome) -> HostResult:
        failure = self.failures.get(host, {})
        message = str(failure.get("message", ""))
        if outcome is Outcome.UNKNOWN and not self.stats.get("dark", {}).get(host) and self.stats:
            message = f"the playbook did not complete here{f': {message_line(message)}' if message else ''}"
        return HostResult(
            host=host,
            outcome=outcome,
            touched=host in self.touched,
            changed=int(self.stats.get("changed", {}).get(host, 0)),
            message=message if not outcome.good else "nothing to do" if host in self.closed - self.seen else "",
            task=str(failure.get("task", "")) if not outcome.good else "",
            where=str(failure.get("where", "")) if not outcome.good else "",
            release=self.releases.get(host),
            invalid=self.invalid.get(host, ""),
        )

    def _end(self, how: str, code: int | None) -> PlayEnd:
        mine = set(self.limit)
        return PlayEnd(
            limit=self.limit,
            how=how,
            code=code,
            stats=self.stats,
            closing=self.closing,
            closed=frozenset(self.closed),
            seen=frozenset(self.seen),
            touched=frozenset(self.touched),
            refused=frozenset(self.refused),
            own={host: len(names) for host, names in self.own.items()},
            matched=any(not hosts or hosts & mine for hosts in self.plays.values()),
            prompt=self.prompt,
        )

    def result(self, outcome: JobOutcome, code: int | None, log: str) -> StepResult:
        """The step's result: every host of the limit, and the worst of them."""
        verdict = decide(self._end(outcome.how, code))
        hosts = tuple(self._host(host, verdict.hosts[host]) for host in self.limit)
        if verdict.code == ANSIBLE_INCOMPLETE:  # its last changes may be missing in the events
            hosts = tuple(host.model_copy(update={"touched": True}) for host in hosts)
        message, data = self._explained(verdict, hosts, outcome, code)
        pending = self.handlers.pending()
        if pending:
            data |= {"handlers": [item.model_dump() for item in pending]}
        return StepResult(
            outcome=verdict.outcome, message=message, hosts=hosts, log=log, seconds=outcome.seconds, data=data
        )

    def _explained(
        self, verdict: Verdict, hosts: tuple[HostResult, ...], outcome: JobOutcome, code: int | None
    ) -> tuple[str, dict[str, Any]]:
        """The message of a play's result, and its data."""
        data: dict[str, Any] = {"code": verdict.code} if verdict.code else {}
        refused = sorted({*self.refused, *(host for host, failure in self.failures.items() if _refuses(failure))})
        if refused and data.get("code", REFUSED_BY_HOST) == REFUSED_BY_HOST:
            data |= {"code": REFUSED_BY_HOST, "refused": refused}
        how = outcome.how if outcome.how != "exited" else "lost"  # a signal ended ansible-playbook: our child lived on
        text = next(iter(self.errors), "") or _tail(outcome.folder) if verdict.code == PLAYBOOK_NOT_RUN else ""
        late = f"ran longer than {self.timeout:g} s and was stopped ({self.setting or 'a fixed limit'})"
        messages = {
            "D130": f"ansible {late if how == 'timeout' else ENDED[how]}",
            "D120": f"ansible could not run the playbook: {message_line(text) if text.strip() else code}",
            "D160": f"the playbook prompts for input, which a run cannot give: {self.prompt}",
            "D161": _outside(verdict.outside, self.failures),
            "D162": f"ansible-playbook ended with code {code}, although no host failed",
            "D102": "the playbook matched none of the hosts that it was started for",
        }
        data |= {"how": how} if verdict.code == ANSIBLE_INCOMPLETE else {"text": text} if text else {}
        return messages.get(verdict.code) or message_of(hosts), data

    def preview(self, result: StepResult) -> StepPreview:
        """What check mode predicted, host by host, whatever the order in which hosts answered."""
        hosts: dict[str, list[str]] = {host: [] for host in self.limit}
        place = {host: number for number, host in enumerate(self.limit)}
        checked = sorted(self.checked, key=lambda event: place.get(event["host"], len(place)))
        for event in checked:
            if event["outcome"] == "changed":
                hosts.setdefault(event["host"], []).append(event["task"])
        opaque = [event["task"] for event in checked if event["check"]["opaque"]]
        failed = [event["task"] for event in checked if event["outcome"] == "failed" and not event["ignored"]]
        diffs = [
            f"{event['host']}: {event['task']}\n{event['check']['diff']}" for event in checked if event["check"]["diff"]
        ]
        named = {event["task"] for event in checked}
        return StepPreview(
            hosts=tuple(
                HostPreview(host=host, changes=len(tasks), tasks=tuple(tasks)) for host, tasks in hosts.items()
            ),
            previewed=len(named - set(opaque) - set(failed)),
            opaque=tuple(dict.fromkeys(opaque)),
            failed=tuple(dict.fromkeys(failed)),
            unseen=_unseen(result, set(failed)),
            diff=clean_text("\n".join(diffs), 200_000),
        )


def _stats(event: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What Ansible counted of each host; a part that does not consist of counts is left out."""
    return {name: dict(numbers) for name, numbers in event.items() if are_counts(numbers)}


def _outside(hosts: tuple[str, ...], failures: Mapping[str, dict[str, Any]]) -> str:
    """The failure of hosts that are not of the environment, such as localhost."""
    if not hosts:
        return ""
    failure = failures.get(hosts[0], {})
    text = message_line(str(failure.get("message", "")))
    task = f"{failure['task']}: " if failure.get("task") else ""
    return f"{hosts[0]}, which is not a host of this batch: {task}{text}"


def _refuses(failure: dict[str, Any]) -> bool:
    """Whether a module of the collection has refused to work for an older fence."""
    return str(failure.get("action", "")).startswith(OWN) and str(failure["message"]).startswith(REFUSED)


def _unseen(result: StepResult, failed: set[str]) -> tuple[str, ...]:
    """What check mode could not examine: the whole play, or hosts, each in a sentence."""
    if result.code in OF_THE_PLAY:
        more = _details(Path(result.log)) if result.code == PLAYBOOK_NOT_RUN else ""
        return (f"{result.message} {more}".strip(),)
    found = [f"{host.host}: the playbook leaves it out" for host in result.hosts if host.outcome is Outcome.SKIPPED]
    found += [
        f"{host.host}: {message_line(host.message)}"
        for host in result.hosts
        if host.outcome is Outcome.UNKNOWN or (host.outcome is Outcome.FAILED and host.task not in failed)
    ]
    return tuple(found)


def message_of(hosts: tuple[HostResult, ...]) -> str:
    """One line for the *hosts* of a play: how many are good, or what happened to the first that is not."""
    bad = [host for host in hosts if not host.outcome.good]
    if not bad:
        return counted(len(hosts), "host")
    first = bad[0]
    text = message_line(first.message)
    why = f"{first.host}: {first.task}: {text}" if first.task else f"{first.host}: {text}"
    return why if len(bad) == 1 else f"{why} (and {counted(len(bad) - 1, 'more host')})"


def message_line(message: str) -> str:
    """The first line of *message*, or `no message` if it is empty."""
    return message.strip().splitlines()[0] if message.strip() else "no message"


def _details(folder: Path) -> str:
    """What Ansible printed directly after its first error: the position, and the file."""
    lines = [line.strip() for line in _printed(folder).partition("[ERROR]")[2].splitlines()[1:] if line.strip()]
    return " ".join(lines[:2])[:500]


def _tail(folder: Path) -> str:
    lines = _printed(folder).strip().splitlines()
    return "\n".join([line for line in lines if "ERROR" in line] or lines[-5:])[-4000:]


def _printed(folder: Path) -> str:
    text = read_end(folder / "output.log", PRINTED)
    return clean_text(text.replace(f"{folder / 'content'}/", ""), None)
