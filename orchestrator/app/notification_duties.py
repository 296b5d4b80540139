"""What the scheduler does about notifications: the ends of runs become facts, and what is due is given to a worker."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from orchestrator.app.acting import Acting, Change, change, read_own, read_register
from orchestrator.app.forwarding import accepted_by, forwarded
from orchestrator.app.notification_rules import RUNS, NotificationSources, target_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.listing import FeedEntry
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.notifications import Fact, FeedPlace, Notification, NotificationRule
from orchestrator.domain.register import FEED_PLACES, NOTIFICATION_RULES, NOTIFICATIONS
from orchestrator.domain.worker_calls import WorkerCall
from orchestrator.register_ports import Records, WorkerCalls

AT_ONCE = 200
"""Journal entries that are read, and notifications that are sent, in one go."""
SEND = "notification_duties.send_notifications"
SILENT = frozenset({"rehearsal"})
"""The kinds of run of which nothing is sent."""
PENDING = "pending"


class RunJournal(Protocol):
    """The journal, as notifications read it."""

    def feed(self, *, cursor: str | None = None, limit: int = AT_ONCE) -> list[FeedEntry]:
        """The entries after *cursor*."""

    def runs_named(self, names: tuple[str, ...]) -> list[Run]:
        """The runs with these ids."""


def run_fact(run: Run, entry: FeedEntry) -> Fact | None:
    """The fact that *run* has ended with *entry*; None for a rehearsal."""
    if run.kind in SILENT:
        return None
    state = str(run.state).replace(" ", "-")
    about = str(run.release) if run.release is not None else run.kind
    cause = next(iter(run.message.splitlines()), "")
    text = f"{run.kind} of {about} in {run.environment} {run.state}{f': {cause}' if cause else ''}"
    return Fact(
        id=f"run {run.id} {entry.seq}",
        kind=f"run.{state}",
        at=parse_moment(entry.at),
        about=run.id,
        environment=run.environment,
        by=run.by,
        text=text,
        state=str(run.state),
        cause=cause,
        path=f"/runs/{run.id}",
    )


@dataclass
class CollectFacts:
    """The ends of runs since the last time become notifications, in one transaction with the place in the journal."""

    journal: RunJournal
    acting: Acting
    name: str = "facts"

    def due(self, now: Now) -> bool:
        """Whether there are rules, and new entries."""
        del now
        place = read_own(self.acting, lambda view: _place(view.records))
        return place is not None and bool(self.journal.feed(cursor=place.cursor or None, limit=1))

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Read the entries, and write the notifications of each."""
        del now
        place = acting.register.reading(_place)
        if place is None:
            return
        entries = self.journal.feed(cursor=place.cursor or None, limit=AT_ONCE)
        facts = self._facts([entry for entry in entries if entry.kind == "ended"])

        def work(task: Change) -> None:
            if task.records.get(FEED_PLACES, RUNS) != place:  # another process was first
                return
            for fact in facts:
                task.notify(fact)
            task.put(FEED_PLACES, FeedPlace(name=RUNS, cursor=entries[-1].cursor), facts=len(facts))

        if facts or len(entries) == AT_ONCE:  # entries without a fact are read again, which costs no audit entry
            change(acting, Action.RUN_WORKER, work)
            yield from (fact.text for fact in facts)

    def _facts(self, ended: list[FeedEntry]) -> list[Fact]:
        """The facts of these ends of runs."""
        runs = {run.id: run for run in self.journal.runs_named(tuple({entry.run for entry in ended}))}
        known = ((runs[entry.run], entry) for entry in ended if entry.run in runs)
        return [fact for run, entry in known if (fact := run_fact(run, entry)) is not None]


def _place(records: Records) -> FeedPlace | None:
    return records.get(FEED_PLACES, RUNS) if records.all(NOTIFICATION_RULES) else None


def due_notifications(records: Records, now: Now) -> Iterator[Notification]:
    """The notifications that are to be sent."""
    return (each for each in records.all(NOTIFICATIONS, PENDING) if now.has_reached(each.due_at))


@dataclass
class SendDue:
    """A worker sends what is due in a process of its own: a slow receiver delays nothing else."""

    calls: WorkerCalls
    acting: Acting
    name: str = "notifications"
    last: str = field(default="")

    def due(self, now: Now) -> bool:
        """Whether something is due, and no process sends at the moment."""
        if not read_own(self.acting, lambda view: next(due_notifications(view.records, now), None) is not None):
            return False
        call = self.calls.get(self.last) if self.last else None
        return call is None or call.ended_at is not None

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Record the call."""
        del acting
        self.last = f"notify-{secrets.token_hex(8)}"
        self.calls.add(WorkerCall(id=self.last, case=SEND, actor=SYSTEM_ACTOR, at=now.earliest))
        return ()


def _require_sender(acting: Acting, sources: NotificationSources) -> None:
    """Return if the actor may send notifications, as a worker. Raises A101."""
    del sources
    read_register(acting, Action.RUN_WORKER, lambda _view: None)


@accepted_by(_require_sender)
@forwarded
def send_notifications(acting: Acting, sources: NotificationSources) -> int:
    """Send the notifications that are due, as a worker; how many. What fails is retried later. Raises A101."""

    def due(records: Records) -> tuple[Notification, ...]:
        found = due_notifications(records, acting.now(records))
        return tuple(sorted(found, key=lambda each: (each.fact.at, each.id)))

    _require_sender(acting, sources)
    messages: dict[tuple[str, str], list[Notification]] = {}
    for each in acting.register.reading(due)[:AT_ONCE]:
        messages.setdefault((each.rule, each.message), []).append(each)
    return sum(_send(acting, sources, tuple(found)) for found in messages.values())


def _send(acting: Acting, sources: NotificationSources, found: tuple[Notification, ...]) -> int:
    """Send *found*, which have one message, and record how that went; how many were sent. In quiet hours they wait.

    What is from before its rule was of another one, which was removed, and had the same name.
    """
    name = found[0].rule
    rule, now = acting.register.reading(lambda records: (records.get(NOTIFICATION_RULES, name), acting.now(records)))
    current = tuple(each for each in found if rule is not None and each.fact.at >= rule.created_at)
    stale = [each for each in found if each not in current]
    if stale:
        _record(acting, stale, lambda each, at: each.failed(at, "the rule was removed"))
    if rule is None or not current:
        return 0
    later = rule.not_quiet(now.earliest)
    if later > now.earliest:
        _record(acting, current, lambda each, _at: each.model_copy(update={"due_at": later}))
        return 0
    error = _delivered(sources, rule, current)
    _record(acting, current, lambda each, at: each.failed(at, error) if error else each.sent(at))
    return 0 if error else len(current)


def _delivered(sources: NotificationSources, rule: NotificationRule, found: tuple[Notification, ...]) -> str:
    """Send *found* to the target of *rule*; why that failed, empty if it did not."""
    try:
        sources.deliver(rule, target_of(sources, rule), found)
    except OrchestratorError as failure:
        return failure.message
    return ""


def _record(
    acting: Acting, found: Iterable[Notification], after: Callable[[Notification, datetime], Notification]
) -> None:
    """Write what each of *found* is *after* an attempt, unless it was sent, retried or ended by another process."""

    def work(task: Change) -> None:
        for each in found:
            if task.records.get(NOTIFICATIONS, each.id) == each:
                task.put(NOTIFICATIONS, after(each, task.now.earliest), rule=each.rule)

    change(acting, Action.RUN_WORKER, work)
