"""A promotion that waits, what can happen to it on the real use cases, and an independent log that judges it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from orchestrator.adapters.memory.store import ManualClock, MemoryStore
from orchestrator.app import calendar
from orchestrator.app.acting import Acting, Change, access_of, change
from orchestrator.app.request_facts import RequestRules, make_move
from orchestrator.app.run_requests import request_promotion, withdraw_request
from orchestrator.app.starts import admit_run, start_request, submit_started
from orchestrator.app.votes import Shown, cast_vote, take_back_vote
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor, Binding, User
from orchestrator.domain.admission.may_start import may_roll_back
from orchestrator.domain.approval.policy import ApprovalRules, Approvals, Requirement
from orchestrator.domain.approval.request_state import RequestEvent, RequestState
from orchestrator.domain.approval.requests import Rollout, RunRequest
from orchestrator.domain.approval.votes import Decision
from orchestrator.domain.audit.chain import AuditHead, record_by
from orchestrator.domain.audit.restores import RestoreNote
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import QueuedRequest, Run, run_id, run_not_found
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.register import (
    BINDINGS,
    REQUESTS,
    USERS,
    PlanText,
)
from orchestrator.domain.risk.kinds import ChangeKind, Level
from orchestrator.domain.waves import Waves
from orchestrator.register_ports import Changes, Register

R = TypeVar("R")
PLACE, LATER, LIFE = "production", "backup-site", timedelta(hours=8)
BEGIN = parse_moment("2026-11-29T12:00:00Z")
EVENTS = (
    "request", "bob", "cid", "ann", "reject", "take back", "withdraw", "expire", "edit", "freeze", "start", "crash",
)  # fmt: skip

"""Everything that can happen; `ann` is a vote of the requester, `take back` is of a vote, `withdraw` of the request."""
NINE = ("request", "bob", "reject", "withdraw", "expire", "edit", "freeze", "start", "crash")
"""One event of each kind, for the tree on SQLite, where equal states are not merged."""


def digest(number: int) -> str:
    """The digest of the plan with this *number*."""
    return f"sha256:{number:064x}"


class Runs(MemoryStore):
    """A journal of which nothing is needed but the requests that were recorded."""

    def __init__(self, works: dict[str, QueuedRequest] | None = None) -> None:
        super().__init__()
        self.works = dict(works or {})

    def work(self, root: str) -> QueuedRequest:
        """What was recorded under *root*."""
        if root not in self.works:
            raise run_not_found(root)
        return self.works[root]

    def submit(self, work: QueuedRequest, run: Run) -> bool:
        """Record *work*."""
        del run
        return self.works.setdefault(work.root, work).request == work.request


@dataclass(frozen=True)
class Log:
    """What happened, in the words of the checker, which knows nothing of the use cases.

    *votes* is the newest word of each user: what, when, and for which request and plan. *effects* are the requests with
    the runs by which they had an effect. *plan* is the number of the plan that would hold now.
    """

    plan: int = 1
    count: int = 0
    asked: int = 0
    now: datetime = BEGIN
    votes: tuple[tuple[str, str, datetime, str, str], ...] = ()
    effects: tuple[tuple[str, str], ...] = ()
    stopped: bool = False

    def said(self, user: str, what: str, request: str, plan: str) -> "Log":
        """With the newest word of *user*."""
        kept = tuple(vote for vote in self.votes if vote[0] != user or vote[3] != request)
        return replace(self, votes=(*kept, (user, what, self.now, request, plan)))

    def check(self, request: str, run: str, plan: str) -> "Log":
        """With an effect of *request* in *run*, by *plan*. Raises `AssertionError` if there must not be one."""
        mine = [vote for vote in self.votes if vote[3] == request and vote[4] == plan]
        good = {v[0] for v in mine if v[1] == "approve" and v[0] != "ann" and self.now - v[2] < LIFE}
        assert len(good) >= self.count, f"started with {len(good)} of {self.count} votes"
        assert not [vote for vote in mine if vote[1] == "reject"], "started although it was rejected"
        assert not self.stopped, "started although the line is stopped"
        assert request not in {started for started, _ in self.effects}, "started twice"
        assert plan == digest(self.plan), "started by a plan that does not hold"
        return replace(self, effects=(*self.effects, (request, run)))


@dataclass
class Scene:
    """A register with three users, and the use cases by the names of events; with *waves* of a rollout to two places."""

    register: Register
    clock: ManualClock
    log: Log
    runs: Runs = field(default_factory=Runs)
    waves: bool = False

    @property
    def rules(self) -> RequestRules:
        """What the environment requires."""
        needed = Approvals(count=self.log.count)
        return RequestRules(ApprovalRules({PLACE: needed, **({LATER: needed} if self.waves else {})}))

    def acting(self, name: str) -> Acting:
        """The user *name*, or the system."""
        actor = SYSTEM_ACTOR if name == "system" else Actor(name=name)
        return Acting(self.register, actor, self.clock, (PLACE, LATER))

    def current(self) -> RunRequest | None:
        """The newest request."""
        found = self.register.reading(lambda records: records.all(REQUESTS))
        return max(found, key=lambda request: int(request.id[1:].split("-")[0]), default=None)

    def do(self, event: str) -> None:
        """Do *event*. What is refused by the use cases changes nothing; `AssertionError` is the checker's."""
        with contextlib.suppress(OrchestratorError):
            {
                "request": self._request, "reject": lambda: self._vote("cid", Decision.REJECT),
                "take back": self._take_back, "withdraw": self._withdraw, "expire": self._expire, "edit": self._edit,
                "freeze": self._freeze, "start": self._start, "crash": self._crash,
            }.get(event, lambda: self._vote(event, Decision.APPROVE))()  # fmt: skip

    def _request(self) -> None:
        plan = digest(self.log.plan)
        made = RunRequest(
            **self._place(plan), project=self.register.project, package=digest(0), plan=plan, rendered=plan, requirement=self._requirement(), requested_by=Actor(name="ann"),
            requested_at=self.log.now, name="shop", version="1.0.0",
        )  # fmt: skip
        shown = PlanText(digest=plan, plan=plan, text="")
        recorded = request_promotion(self.acting("ann"), made, shown, self.rules)
        self.log = replace(self.log, asked=self.log.asked + (recorded.id == made.id))

    def _place(self, plan: str) -> dict[str, Any]:
        """The id of the next request, and where it goes."""
        root = f"r{self.log.asked + 1}"
        if not self.waves:
            return {"id": f"{root}-{PLACE}", "environment": PLACE}
        walk = Waves(name="both", environments=((PLACE,), (LATER,)))
        needed = dict.fromkeys(walk.names, self._requirement())
        rollout = Rollout(waves=walk, plans=dict.fromkeys(walk.names, plan), requirements=needed)
        return {"id": root, "environment": walk.name, "rollout": rollout}

    def _requirement(self) -> Requirement:
        return self.rules.approvals.requirement("shop", PLACE, Level.LOW, ChangeKind.NORMAL)

    def _vote(self, user: str, decision: Decision) -> None:
        request = self.current()
        if request is not None:
            shown = Shown(request.plan, request.rendered)
            cast_vote(self.acting(user), request.id, decision, shown, self.rules)
            self.log = self.log.said(user, decision.value, request.id, request.plan)

    def _take_back(self) -> None:
        request = self.current()
        if request is not None:
            take_back_vote(self.acting("bob"), request.id, self.rules)
            self.log = self.log.said("bob", "nothing", request.id, request.plan)

    def _withdraw(self) -> None:
        request = self.current()
        if request is not None:
            withdraw_request(self.acting("ann"), request.id)

    def _expire(self) -> None:
        self.log = replace(self.log, now=self.log.now + timedelta(hours=9))
        self.clock.sleep(9 * 3600)

    def _edit(self) -> None:
        self.log = replace(self.log, plan=self.log.plan + 1)

    def _freeze(self) -> None:
        stopped = not self.log.stopped
        with contextlib.suppress(OrchestratorError):  # a command that died after its commit is repeated
            if stopped:
                calendar.stop_line(self.acting("ann"), PLACE, "incident")
            else:
                calendar.resume_line(self.acting("ann"), PLACE)
        self.log = replace(self.log, stopped=stopped)

    def _crash(self) -> None:
        """A process starts the request, and dies before its run is recorded."""
        request = self.current()
        if request is not None:
            start_request(self.acting("system"), request.id, self.rules)

    def _start(self) -> None:
        """What a scheduler does, and then the run to its end."""
        self._crash()
        request = self.current()
        if request is None or request.state is not RequestState.STARTED:
            return
        system = self.acting("system")
        recorded = submit_started(self.runs, system, request) or request
        if (recorded.id, recorded.run) in self.log.effects:  # its process died before the request was settled
            self._move(recorded, RequestEvent.FINISH)
            return
        try:
            for place in recorded.environments:
                name = run_id(recorded.root, place)
                run = Run(id=name, root=recorded.root, kind="promotion", environment=place, release=recorded.release)
                admit_run(self.runs, system, run, recorded.plan_in(place), self.rules)
        except OrchestratorError:
            self._move(recorded, RequestEvent.HOLD)
            return
        if recorded.plan != digest(self.log.plan):
            self._replan(recorded)
            return
        self.log = self.log.check(recorded.id, recorded.run, recorded.plan)
        self._move(recorded, RequestEvent.FINISH)

    def _move(self, request: RunRequest, event: RequestEvent) -> None:
        change(self.acting("system"), Action.PROMOTE, lambda task: make_move(task, request, event), environment=PLACE)

    def _replan(self, request: RunRequest) -> None:
        plan = digest(self.log.plan)

        def work(task: Change) -> None:
            task.put(REQUESTS, self._replanned(request, plan))

        change(self.acting("system"), Action.PROMOTE, work, environment=PLACE)

    def _replanned(self, request: RunRequest, plan: str) -> RunRequest:
        """*request* with another plan; of a rollout with another one for each place, which its requester makes."""
        if request.rollout is not None:
            plans = dict.fromkeys(request.environments, plan)
            request = request.model_copy(update={"rollout": request.rollout.model_copy(update={"plans": plans})})
        return request.replanned(plan, plan, request.requirement)

    def no_rollback_is_held(self) -> None:
        """In every state a user with the right may roll back."""
        directory = Directory(self.register.reading(access_of))
        assert may_roll_back(
            Actor(name="ann"), Target(self.register.project, PLACE), directory, Now.at(self.log.now)
        ).may_start


def lay(register: Register, count: int) -> Scene:
    """The users, in an empty register."""

    def work(changes: Changes) -> None:
        for name in ("root", "ann", "bob", "cid"):
            changes.put(USERS, User(name=name))
        roles = {"root": "administrator", "ann": "release-manager", "bob": "approver", "cid": "approver"}
        for name, role in (*roles.items(), ("ann", "approver")):
            changes.put(BINDINGS, Binding(role=role, to=f"user:{name}"))
        changes.record(record_by(Actor(name="root"), project=register.project, at=BEGIN, action="test", object="users"))

    register.changing("root", work)
    return Scene(register, ManualClock(BEGIN), Log(count=count))


class NoHeads:
    """No file beside the database."""

    def write(self, _project: str, _newer: Callable[[AuditHead | None], AuditHead | None]) -> None:
        """Nothing is written."""

    def read(self) -> AuditHead | None:
        """Nothing was written."""

    def restored(self) -> RestoreNote | None:
        """Nothing was restored."""

    def remove_note(self, note: RestoreNote) -> None:
        """Nothing was restored."""
