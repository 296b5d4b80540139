"""What the events of a play say of each host, and the step's result from them."""

import contextlib
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.ledger import OWN, REFUSED
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import HostPreview, StepPreview
from orchestrator.domain.step import HostResult, Outcome, StepResult, worst
from orchestrator.domain.text import clean_text, counted
from orchestrator.ports import Emit, JobOutcome

HARMLESS = {
    "setup", "gather_facts", "ping", "debug", "set_fact", "assert", "fail", "stat", "slurp", "wait_for", "pause",
    "include_tasks", "import_tasks", "include_role", "import_role", "include_vars", "meta", "add_host", "group_by",
    "getent", "find", "package_facts", "service_facts", "wait_for_connection", "validate_argument_spec", "facts",
}  # fmt: skip
NO_CONNECTION = re.compile(  # what ssh says when it never came so far that a task could begin
    r"ssh: connect to host|could not resolve hostname|host key verification failed|permission denied \("
    r"|banner exchange|kex_exchange_identification",
    re.IGNORECASE,
)


@dataclass
class Tally:
    """What a play's events say of each host, as they come."""

    step: str
    limit: tuple[str, ...]
    emit: Emit
    job: str
    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    checked: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    own: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[str, str] = field(default_factory=dict)
    nobody: bool = False

    def take(self, number: int, event: dict[str, Any]) -> None:
        """Take one event of the child."""
        kind = event.pop("kind", "")
        if kind == "stats":
            self.stats = event
        elif kind == "no_hosts":
            self.nobody = self.nobody or bool(event["none"])
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
            self._own(host, outcome, event)
            if outcome != "unreachable" or event["ignored"]:
                return
        short = str(event["action"]).rsplit(".", 1)[-1]
        if outcome == "started":
            if short not in HARMLESS:
                self.touched.add(host)
            return
        event = {key: clean_text(value) if isinstance(value, str) else value for key, value in event.items()}
        if outcome in {"failed", "unreachable"} and not event["ignored"]:
            self.failures[host] = event
        if outcome == "unreachable" and host not in self.heard and self._never_reached(host, event):
            self.touched.discard(host)
        if outcome not in {"unreachable", "skipped"}:
            self.heard.add(host)
            self.answers[host] = str(event.pop("stdout", ""))
        if isinstance(event.get("release"), dict):
            self.releases[host] = str(event["release"].get("digest") or "")
        if "check" in event:
            self.checked.append(event)
        shown = ("task", "action", "outcome", "message", "where", "seconds")
        data = {name: event[name] for name in shown}
        self.emit(Entry(kind="task", step=self.step, host=host, data=data, key=f"{self.job}:{number}"))

    def _never_reached(self, host: str, event: Mapping[str, Any]) -> bool:
        """Whether nothing was done there: what was lost while its first task worked is not meant."""
        return not self.own[host] and bool(NO_CONNECTION.search(str(event["message"])))

    def _own(self, host: str, outcome: str, event: dict[str, Any]) -> None:
        """Our own tasks around the playbook are no work of the user's; but a host that refuses has its say."""
        if outcome == "started":
            return
        self.own[host].add(str(event["task"]))  # by name: an event that comes twice is still one task
        said = clean_text(str(event.pop("stdout", "")), 1000).strip()
        if outcome == "failed" and (not event["ignored"] or said.startswith(REFUSED)):
            self.refused[host] = said or clean_text(str(event["message"]), 1000)
            self.failures[host] = {"message": self.refused[host], "task": event["task"]}
        if event["ignored"] and host not in self.refused:
            text = (
                f"{host}: what was done there could not be recorded: {said or clean_text(str(event['message']), 500)}"
            )
            self.emit(Entry(kind="notice", step=self.step, host=host, data={"level": "warning", "text": text}))

    def host(self, host: str) -> HostResult:
        """What the play did on *host*."""
        failure = self.failures.get(host, {})
        outcome = self._outcome(host)
        return HostResult(
            host=host,
            outcome=outcome,
            touched=host in self.touched,
            changed=int(self.stats.get("changed", {}).get(host, 0)),
            message=str(failure.get("message", "")) if not outcome.good else "",
            task=str(failure.get("task", "")) if not outcome.good else "",
            where=str(failure.get("where", "")) if not outcome.good else "",
            release=self.releases.get(host),
        )

    def _outcome(self, host: str) -> Outcome:
        if not self.stats:
            return Outcome.UNKNOWN if host in self.touched else Outcome.SKIPPED
        if self.stats["dark"].get(host):
            return Outcome.UNKNOWN
        if self.stats["failures"].get(host) or host in self.refused:
            return Outcome.FAILED
        counted_there = sum(self.stats.get(name, {}).get(host, 0) for name in ("ok", "failures", "skipped"))
        own = len(self.own[host])
        worked = counted_there > own if own else self.stats["processed"].get(host)
        return Outcome.SUCCEEDED if worked else Outcome.SKIPPED

    def result(self, outcome: JobOutcome, rc: int | None, log: str) -> StepResult:
        """The step's result: every host of the limit, and the worst of them."""
        hosts = tuple(self.host(host) for host in self.limit)
        if outcome.how != "exited" or (rc is not None and rc < 0):  # what it did last, it may not have told
            hosts = tuple(host.model_copy(update={"touched": True}) for host in hosts)
        about: dict[str, Any] = {"hosts": hosts, "log": log, "seconds": outcome.seconds}
        if outcome.how != "exited":
            said = {"timeout": "took too long and was stopped", "stopped": "was stopped", "lost": "died"}[outcome.how]
            data = {"code": "D130", "how": outcome.how}
            return StepResult(outcome=Outcome.ERRORED, message=f"ansible {said}", data=data, **about)
        if rc is not None and rc < 0:  # a signal ended ansible-playbook, under a child of ours that lived on
            data = {"code": "D130", "how": "lost"}
            return StepResult(outcome=Outcome.ERRORED, message="ansible died", data=data, **about)
        if not self.stats or (rc not in (0, 2, 4) and all(host.outcome.good for host in hosts)):
            text = next(iter(self.errors), "") or _tail(outcome.folder)
            message = f"ansible could not run the playbook: {text.strip().splitlines()[0] if text.strip() else rc}"
            return StepResult(outcome=Outcome.ERRORED, message=message, data={"code": "D120", "text": text}, **about)
        if not any(host.outcome is not Outcome.SKIPPED for host in hosts):
            message = "the playbook matched none of the hosts that it was started for"
            return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "D102"}, **about)
        data = {"code": "D140"} if self.refused or any(map(_refuses, self.failures.values())) else {}
        return StepResult(outcome=worst(host.outcome for host in hosts), message=message_of(hosts), data=data, **about)

    def preview(self, result: StepResult) -> StepPreview:
        """What check mode said, host by host: the order in which hosts happened to answer must not show."""
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


def _refuses(failure: dict[str, Any]) -> bool:
    """Whether a module of the collection has refused to work for an older fence."""
    return str(failure.get("action", "")).startswith(OWN) and str(failure["message"]).startswith(REFUSED)


def _unseen(result: StepResult, failed: set[str]) -> tuple[str, ...]:
    """What check mode could not look at: the whole play, or hosts, each in a sentence."""
    if result.data.get("code") in {"D102", "D120", "D130"}:
        more = _explained(Path(result.log)) if result.data["code"] == "D120" else ""
        return (f"{result.message} {more}".strip(),)
    found = [f"{host.host}: the playbook leaves it out" for host in result.hosts if host.outcome is Outcome.SKIPPED]
    found += [
        f"{host.host}: {first_line(host.message)}"
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
    text = first_line(first.message)
    why = f"{first.host}: {first.task}: {text}" if first.task else f"{first.host}: {text}"
    return why if len(bad) == 1 else f"{why} (and {len(bad) - 1} hosts more)"


def first_line(message: str) -> str:
    """The first line of *message*, or a text that says that it is empty."""
    return message.strip().splitlines()[0] if message.strip() else "no message"


def _explained(folder: Path) -> str:
    """What Ansible said right after its first error: where, and which file."""
    lines = [line.strip() for line in _printed(folder).partition("[ERROR]")[2].splitlines()[1:] if line.strip()]
    return " ".join(lines[:2])[:500]


def _tail(folder: Path) -> str:
    lines = _printed(folder).strip().splitlines()
    return "\n".join([line for line in lines if "ERROR" in line] or lines[-5:])[-4000:]


def _printed(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return clean_text((folder / "output.log").read_text(encoding="utf-8", errors="replace"), None)
    return ""
