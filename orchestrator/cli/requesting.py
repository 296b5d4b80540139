"""Promotions that need a request: the plan is made and recorded, and the start follows when every condition holds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cli import output
from orchestrator.domain.errors import Exit, OrchestratorError

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.app.application import Application
    from orchestrator.app.run_requests import RequestView
    from orchestrator.domain.approval.requests import RunRequest
    from orchestrator.domain.plan import Acknowledgements, Plan
    from orchestrator.domain.release import Package
    from orchestrator.domain.risk.kinds import ChangeKind
    from orchestrator.domain.wave_plan import WavePlan
    from orchestrator.domain.waves import Waves

POLL = 1.0  # seconds between two checks whether a request that is followed may start


@dataclass(frozen=True)
class PromotionOptions:
    """How a promotion is requested, besides release and environment.

    *allow_rolled_back* is the reason to promote a release that was rolled back, *overrun* the reason to exceed a
    window. *reason* and *incident* are of an emergency.
    """

    named: "Acknowledgements"
    allow_rolled_back: str = ""
    overrun: str = ""
    emergency: bool = False
    reason: str = ""
    incident: str = ""
    start: "datetime | None" = None
    next_window: bool = False
    queue: str = ""
    wait: float = 0.0
    is_queued: bool = False
    """Whether the start is left to a worker."""
    redeploy: bool = False
    """Whether a rollout also goes to environments that have the release."""
    rehearsal: bool = False

    @property
    def needs_request(self) -> bool:
        """Whether a request is recorded also where no vote is needed."""
        return self.emergency or self.start is not None or self.next_window

    @property
    def kind(self) -> "ChangeKind":
        """The kind of change."""
        from orchestrator.domain.risk.kinds import ChangeKind

        return ChangeKind.EMERGENCY if self.emergency else ChangeKind.NORMAL


def governed(app: "Application", package: "Package", environment: str, wanted: PromotionOptions) -> bool:
    """Whether a promotion of *package* into *environment* needs a run request."""
    return wanted.needs_request or app.plans.needs_request(app.actor, package.ref.name, environment)


def request(
    app: "Application",
    package: "Package",
    environments: tuple[str, ...],
    approved: "Plan | None",
    wanted: PromotionOptions,
    *,
    as_json: bool,
) -> int:
    """Record a request for each of *environments*, in the order of the path, print them, and start those that may.

    *approved* is the plan of the first one; None makes it. A request is followed after the previous one has succeeded.
    Returns the exit status.
    """
    from orchestrator.domain.approval.request_state import RequestState

    plans = plan_path(app, package, environments, wanted, approved=approved)
    recorded, code = record_path(app, plans, wanted, as_json=as_json), int(Exit.OK)
    for number, each in enumerate(recorded, start=1):
        if not _is_followed(_seen(app, each), wanted):
            print_requests(app, recorded[number - 1 :], as_json=as_json)
            break
        code = _follow(app, each, wanted, as_json=as_json)
        if code != int(Exit.OK) or _seen(app, each).state is not RequestState.FINISHED:
            print_requests(app, recorded[number:], as_json=as_json)
            break
    return code


def plan_path(
    app: "Application",
    package: "Package",
    environments: tuple[str, ...],
    wanted: PromotionOptions,
    *,
    approved: "Plan | None" = None,
    coming: tuple[str, ...] = (),
) -> "list[Plan]":
    """The plan of each of *environments*, after the promotion into those before it, and those that are *coming*.

    *approved* is the plan of the first one. Nothing is recorded. Raises the reason why a plan cannot be executed.
    """
    plans: list[Plan] = []
    for number, name in enumerate(environments):
        if approved is not None and not number:
            plans.append(approved)
            continue
        output.note(f"planning {package.ref} → {name} …")
        before = frozenset((*coming, *environments[:number]))
        plan = app.plans.make(app.actor, package, name, named=wanted.named, rehearse=wanted.rehearsal, coming=before)
        app.plans.require_executable(app.actor, plan)
        plans.append(plan)
    return plans


def record_path(
    app: "Application", plans: "list[Plan]", wanted: PromotionOptions, *, as_json: bool
) -> "tuple[RunRequest, ...]":
    """Record a request for each of *plans*, and print these."""
    from orchestrator.cli.planned import print_plan

    recorded = []
    for plan in plans:
        recorded.append(_record(app, plan, wanted))
        if not as_json:
            print_plan(plan, err=True, alone=False)
    return tuple(recorded)


def print_requests(app: "Application", recorded: "tuple[RunRequest, ...]", *, as_json: bool = False) -> None:
    """Print the requests that were *recorded*: one as a document of its own, several as a list."""
    from orchestrator.cli.run_requests import item

    seen = [_seen(app, each) for each in recorded]
    if as_json and len(seen) > 1:
        data = {
            "requests": [item(each) for each in seen],
            "messages": [],
            "cursor": None,
            "worker": app.scheduler_runs(),
        }
        output.print_json("RunRequests", data)
        return
    for each in seen:
        _report(app, each, as_json=as_json)


def _seen(app: "Application", recorded: "RunRequest") -> "RequestView":
    """The current state of the request."""
    from orchestrator.app.run_requests import show_request

    return show_request(app.acting, recorded.id, app.request_rules())[0]


def request_rollout(
    app: "Application",
    package: "Package",
    waves: "Waves",
    approved: "WavePlan | None",
    wanted: PromotionOptions,
    *,
    as_json: bool,
) -> int:
    """The same for a promotion in *waves*: votes are for the plan over all of its environments."""
    from orchestrator.cli.planned import print_waves

    if approved is None:
        output.note(f"planning {package.ref} → {waves.name} …")
        redeploy = wanted.redeploy
        approved = app.plans.make_for_waves(app.actor, package, waves, named=wanted.named, redeploy=redeploy)
    recorded = _record(app, approved, wanted)
    if not as_json:
        print_waves(approved, err=True)
    return _follow(app, recorded, wanted, as_json=as_json)


def _record(app: "Application", plan: "Plan | WavePlan", wanted: PromotionOptions) -> "RunRequest":
    """Record the request for *plan*."""
    from orchestrator.app.planned_requests import RequestOptions
    from orchestrator.cli.planned import plan_text

    how = RequestOptions(
        wanted.kind,
        wanted.reason,
        wanted.incident,
        wanted.start,
        wanted.next_window,
        wanted.allow_rolled_back,
        wanted.overrun,
        wanted.queue,
        wanted.rehearsal,
    )
    return app.request_planned(plan, how, plan_text)


def _is_followed(seen: "RequestView", wanted: PromotionOptions) -> bool:
    """Whether this command starts the request now, or waits until it can."""
    now = seen.request.is_startable and seen.admission.may_start
    return not wanted.is_queued and (now or wanted.wait > 0)


def _follow(app: "Application", recorded: "RunRequest", wanted: PromotionOptions, *, as_json: bool) -> int:
    """Start the request now if that is possible, wait for it with --wait, or leave it to a worker."""
    seen = _seen(app, recorded)
    if not _is_followed(seen, wanted):
        _report(app, seen, as_json=as_json)
        return int(Exit.OK)
    if seen.request.is_startable and seen.admission.may_start:
        return _start(app, seen, as_json=as_json)
    _report(app, seen, as_json=False, err=True)
    return _wait(app, recorded.id, wanted.wait, as_json=as_json)


def _report(app: "Application", seen: "RequestView", *, as_json: bool, err: bool = False) -> None:
    from orchestrator.cli.run_requests import hint_worker, lines, print_request

    if err:
        for line in lines(seen):
            output.note_folded(line)
        return
    print_request(app, seen, as_json=as_json)
    if not as_json and (hint := hint_worker(app, seen)):
        output.note(hint)


def _wait(app: "Application", wanted: str, seconds: float, *, as_json: bool) -> int:
    """Follow the request until it starts or ends, for at most so many *seconds*. It may be killed without effect."""
    from orchestrator.app.run_requests import show_request
    from orchestrator.cli.run_requests import WAITS, wait_reason

    deadline, printed = time.monotonic() + seconds, ""
    while True:
        seen, _ = show_request(app.acting, wanted, app.request_rules())
        if seen.state not in WAITS:
            return _end(app, seen, as_json=as_json)
        if seen.admission.may_start and app.executes_here:
            return _start(app, seen, as_json=as_json)
        if (text := wait_reason(seen)) != printed:
            output.note(f"{seen.request.id}: {text}")
            printed = text
        if time.monotonic() >= deadline:
            _report(app, seen, as_json=as_json)
            return int(Exit.OK)
        time.sleep(POLL)


def _start(app: "Application", seen: "RequestView", *, as_json: bool) -> int:
    """Start the request in this process; if another process has started it meanwhile, follow that.

    At a server a worker starts it.
    """
    from orchestrator.app.starts import start_request
    from orchestrator.cli.run_requests import hint_worker

    if not app.executes_here:
        if hint := hint_worker(app, seen):
            output.note(hint)
        return _wait(app, seen.request.id, float("inf"), as_json=as_json)
    start = start_request(app.acting, seen.request.id, app.request_rules())
    if start.started:
        return _execute(app, start.request, as_json=as_json)
    return _wait(app, seen.request.id, float("inf"), as_json=as_json)


def _execute(app: "Application", started: "RunRequest", *, as_json: bool) -> int:
    """Execute the run of a request that this process has started, and settle the request by its end."""
    from orchestrator.cli.follow_run import execute_and_report
    from orchestrator.cli.planned import plan_text

    recorded = app.submit_started(started)
    if recorded is None:
        return _follow_run(app, started, as_json=as_json)
    code = execute_and_report(app, app.submissions.recorded(app.actor, recorded.root), as_json=as_json)
    settled = app.settle_request(recorded, plan_text)
    if settled is not None and settled.differences and not as_json:
        output.note(f"{settled.id} waits for votes for a new plan: orchestrator approvals {settled.id}")
    return code


def _follow_run(app: "Application", started: "RunRequest", *, as_json: bool) -> int:
    """Follow the run of a request that another process executes."""
    from orchestrator.cli.execution import follow_to_end
    from orchestrator.cli.follow_run import report_end

    request = app.submissions.recorded(app.actor, started.root)
    return report_end(app, request, follow_to_end(app, request), as_json=as_json)


def _end(app: "Application", seen: "RequestView", *, as_json: bool) -> int:
    """The exit status of a request that has started or ended while it was followed."""
    from orchestrator.domain.approval.request_state import RequestState

    if seen.request.run and seen.state in {RequestState.STARTED, RequestState.FINISHED}:
        return _follow_run(app, seen.request, as_json=as_json)
    _report(app, seen, as_json=as_json)
    return int(Exit.NOT_ALLOWED)


def after_path(
    app: "Application",
    package: "Package",
    environments: tuple[str, ...],
    code: int,
    wanted: PromotionOptions,
    *,
    as_json: bool,
) -> int:
    """Request the promotion into *environments* after those before were promoted, with exit *code*."""
    if code != int(Exit.OK):
        return code
    with reported(environments):
        return request(app, package, environments, None, wanted, as_json=as_json)


@contextmanager
def reported(environments: tuple[str, ...]) -> "Iterator[None]":
    """Report that *environments* were not requested if that fails: what comes before them was."""
    try:
        yield
    except OrchestratorError as error:
        output.note(f"not requested: {', '.join(environments)}: {error.message}")
        raise
