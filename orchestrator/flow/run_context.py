"""A run on its way: what every verb is given, and the one place where an effect is surrounded by its records.

The code of the flow is replayed after a crash, so it decides only on what `Durable.step` returned. The journal's
entries carry keys: what is written again on a replay is written once.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.effects import Change, Effects
from orchestrator.domain.environment import Environment
from orchestrator.domain.error_codes import TAKEN_OVER
from orchestrator.domain.errors import JobLost, OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import STOPPED, STOPPING, STORE_FAILURES, Entry, Run, request_parameters
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import NOTHING, Acknowledgements, HostState, Plan, StackSpec
from orchestrator.domain.promotion import GOING_BACK, Event, State, move
from orchestrator.domain.release import Package
from orchestrator.domain.run_parameters import RunParameters
from orchestrator.domain.sides import Side, Sides, other
from orchestrator.domain.step import Outcome, StepResult, attempts
from orchestrator.domain.step_payloads import UNRECORDED
from orchestrator.flow.halt import RunHalted, SoleOwner
from orchestrator.flow.recorder import Reporter
from orchestrator.inspect.stacks import context_of, inventory_of, outputs_of, stack_of
from orchestrator.planning.restoration import Restoration
from orchestrator.ports import Durable, Emit, RunOwnership
from orchestrator.resources import is_exhausted
from orchestrator.services import Services

P = TypeVar("P", bound=RunParameters)
BeforeStep = Callable[[str, Emit, bool], StepResult | None]
"""What is checked before a step starts, or is started again by another process; its result if it does not start."""
Recheck = Callable[[str, Emit], StepResult | None]
"""Whether the plan holds; the result of the step before which it was checked if it does not."""


@dataclass
class RunContext:
    """One run, from its request to its end. Verbs add to it what the next ones need.

    *approved* is the digest of the plan that it is held to; *wait* the seconds to wait for a busy environment;
    *acknowledgements* what was agreed to by name, where no plan was approved; *override_reason* why a release may come
    that was rolled back before; *overrun* whether it may last beyond the time at which its environment closes;
    *excluded_hosts* are the hosts whose failure was tolerated, with its outcome; *refusing_hosts* those that
    refused our token in the rollback, which continues without them. *effects* is what it may have changed so far,
    *probed* is the start of the probe; empty without one. *sides* are those of the plan with their hosts, *live* the
    current live side. *previous_package* is the package of the rollback as it was verified when the run started.
    *before_step* is checked before each step while the run has changed nothing, and *recheck* after it was held.
    *variables* is the digest of the hosts and outputs that plays were given last; None when some of them are secret.
    """

    services: Services
    durable: Durable
    run: Run
    approved: str | None = None
    wait: float = 0.0
    acknowledgements: Acknowledgements = NOTHING
    override_reason: str = ""
    overrun: bool = False
    ownership: RunOwnership = field(default_factory=SoleOwner)
    state: State = State.REQUESTED
    plan: Plan | None = None
    package: Package | None = None
    restored_package: Package | None = None
    previous_package: Package | None = None
    rollback_plan: Restoration | None = None
    fence: int = 0
    hosts_only_inventory: Inventory = field(default_factory=Inventory)
    inventory_digest: str | None = None
    variables: str | None = UNRECORDED
    batches: list[tuple[tuple[str, ...], ...]] = field(default_factory=list)
    excluded_hosts: dict[str, str] = field(default_factory=dict)
    refusing_hosts: dict[str, "RunHalted"] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    failure: RunHalted | None = None
    observed: int = 0
    probed: str = ""
    sides: Sides | None = None
    live: Side | None = None
    before_step: BeforeStep = lambda _name, _emit, _begun: None
    recheck: Recheck = lambda _job, _emit: None
    _moves: int = 0
    _outputs: Outputs | None = None
    _inventory: Inventory | None = None

    def __post_init__(self) -> None:
        findings = self.services.findings.of(self.run.by, self.run.id)
        self.services = replace(self.services, findings=findings)

    # -- what was settled by an earlier verb -------------------------------------------------------------------------

    def pinned_plan(self) -> Plan:
        """The plan that this run executes."""
        if self.plan is None:
            raise RuntimeError("the plan verb has not run yet")
        return self.plan

    def pinned_package(self) -> Package:
        """The package that this run puts on the hosts."""
        if self.package is None:
            raise RuntimeError("the build verb has not run yet")
        return self.package

    def restoration(self) -> Restoration:
        """What the rollback of this run does."""
        if self.rollback_plan is None:
            raise RuntimeError("the rollback has no plan yet")
        return self.rollback_plan

    @property
    def going_back(self) -> bool:
        """Whether it restores the previous state."""
        return self.state in GOING_BACK

    @property
    def environment(self) -> Environment:
        """The environment's file."""
        return self.services.environment(self.run.environment)[0]

    def stack(self) -> StackSpec | None:
        """The environment's stack, or None when it has no Pulumi program."""
        return stack_of(self.services, self.run.environment)

    def outputs(self) -> Outputs:
        """The stack's outputs, read once in this process and never recorded: some are secret."""
        if self._outputs is None:
            self._outputs = outputs_of(self.services, self.run.environment)
        return self._outputs

    def inventory(self) -> Inventory:
        """The environment's hosts with their variables; never recorded either.

        Raises R123 when they are no longer those that this run settled on. The operator's own files are compared each
        time: a play reads them as they are at that time. A rollback takes them as they are.
        """
        if self._inventory is None:
            self._inventory = inventory_of(self.services, self.run.environment, self.outputs())
        elif not self.going_back and self.services.deployer.is_outdated(self._inventory):
            self._read_again(self._inventory)
        if self.inventory_digest is not None and self._inventory.digest != self.inventory_digest:
            raise OrchestratorError("R123", f"the hosts of {self.run.environment} have changed during the run")
        return self._inventory

    def _read_again(self, before: Inventory) -> None:
        """Read the operator's own files again. Raises R123 if they give other hosts or variables than *before*."""
        now = inventory_of(self.services, self.run.environment, self.outputs())
        if self.inventory_digest is not None and now.digest != before.digest:
            text = f"the inventory files of {self.run.environment} were changed during the run"
            raise OrchestratorError("R123", text)
        self._inventory = now

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all hosts of the environment."""
        return tuple(self.hosts_only_inventory.hosts)

    @property
    def standby_hosts(self) -> set[str]:
        """The hosts of the side that is not live, but those that this run has touched: they are not verified."""
        plan, mine = self.plan, {host for started in self.effects.started for host in started.touched()}
        if plan is None:
            return set()
        planned = plan.blue_green
        if planned is not None and planned.stacked and self.sides is None and planned.to is not None:
            return set(self.hosts_only_inventory.members(planned.to)) - mine  # it came no further than to that stack
        if planned is not None and self.sides is not None and planned.to is not None:
            return set(self.sides.of(other(self.live) if self.live is not None else planned.to)) - mine
        if self.run.kind == "rollback":  # it has put its release on every host
            return set()
        return {
            state.host for state in plan.current_hosts if state.is_standby
        } - mine  # whatever release it was that had sides

    def variables_now(self) -> str | None:
        """The digest of the hosts and outputs that a play gets at this time; None when some of them are secret."""
        outputs = self.outputs()
        return None if outputs.secret else digest_of([self.inventory().digest, dict(outputs.plain)])

    def forget_outputs(self) -> None:
        """Forget outputs and hosts: the stack has changed."""
        self._outputs = self._inventory = None

    def context(self, *, rolling_back: bool = False) -> Context:
        """What playbooks and suites may know of this run; *rolling_back*: of the restored release."""
        previous = None if rolling_back else self.pinned_plan().rollback_target.release
        return context_of(self.services, self.run.environment, self.run.id, self.outputs(), self.fence, previous)

    # -- the records around everything ---------------------------------------------------------------------------------

    def note(self, *entries: Entry) -> None:
        """Write entries to the journal. A process that has lost the run to another one writes nothing."""
        try:
            self.services.store.append(self.run.id, entries, self.fence)
        except OrchestratorError as error:
            if error.code != TAKEN_OVER:
                raise
            self.ownership.taken_over()

    def move(self, event: Event) -> None:
        """Change to the next state, and record it."""
        after = move(self.state, event)
        self._moves += 1
        data = {"from": self.state.value, "event": event.value, "to": after.value}
        self.note(Entry(kind="state", data=data, key=f"state:{self._moves}"))
        self.state = after
        self.effects.states.add(after)

    def step(
        self,
        name: str,
        label: str,
        work: Callable[[str, Emit], StepResult],
        *,
        may_change: Change,
        **about: object,
    ) -> StepResult:
        """Do one piece of work durably: intent, work, outcome. Returns the result, good or bad.

        *work* is called with the key of its job and a way to report events; *may_change* declares what it may change.
        An error of the catalogue becomes an *errored* result with its code; any other exception as well, with its
        traceback in the journal, unless it reports a full disk: then there is no result. Work whose job died is retried
        twice at most: what is done on a host is not repeated there, and work that crashes machines must not continue
        indefinitely.
        """
        first, *more = attempts(name)
        about = {"may_change": may_change.to_record(), **about}
        result = self._attempt(first, label, work, about)
        for before, again in zip((first, *more), more, strict=False):
            if not result.is_lost:
                break
            text = f"{label}: its process died; trying again"
            data = {"level": "warning", "text": text}
            self.note(Entry(kind="notice", step=before, data=data, key=f"{before}:lost"))
            result = self._attempt(again, f"{label}, again", work, about).after(result)
        self.effects.record(may_change, result)
        return result

    def _attempt(
        self, name: str, label: str, work: Callable[[str, Emit], StepResult], about: Mapping[str, object]
    ) -> StepResult:
        begun = self.services.store.has_entry(self.run.id, f"{name}:started")  # by a process that died since
        self.note(Entry(kind="step.started", step=name, data={"label": label, **about}, key=f"{name}:started"))
        recorded = self.durable.step(name, lambda: self._work(name, work, begun=begun).to_json())
        result = StepResult.from_json(recorded)
        self.note(Entry(kind="step.finished", step=name, data=recorded, key=f"{name}:finished"))
        return result

    def pause(self, name: str, seconds: float) -> None:
        """Wait, across restarts, until the time is over or a stop is requested."""
        self.durable.sleep(name, seconds, lambda: self.control() != "")

    def control(self) -> str:
        """The last control request for this run: empty, `pause`, `cancel` or `abort`."""
        return self.services.store.run(self.run.id).control

    def must(
        self, name: str, label: str, work: Callable[[str, Emit], StepResult], *, may_change: Change, **about: object
    ) -> StepResult:
        """Like :meth:`step`; raises `RunHalted` unless the result is good."""
        result = self.step(name, label, work, may_change=may_change, **about)
        if not result.good:
            raise RunHalted(name, result)
        return result

    def _work(self, name: str, work: Callable[[str, Emit], StepResult], *, begun: bool) -> StepResult:
        """Do the work now, as the process that may: under the lease, with a fence of this process's own.

        Work that was *begun* before is completed, also if a user has requested a stop: it has touched something.
        """
        self.ownership.check()
        reporter, known = Reporter(self.note, self.services.clock, name), ""
        try:
            stopped = self._stopped(begun=begun) or self._held(name, reporter, begun=begun)
            if stopped is None and name != "lease":
                self.enter()
            if self.going_back or not begun:  # an older control request is the cause of this work, or was refused
                known = self.services.store.run(self.run.id).control_at
            self.ownership.acting(self.run.id, known)
            result = stopped or work(f"{self.run.id}.{name}", reporter)
        except OrchestratorError as error:
            if error.code in STORE_FAILURES:
                raise
            lost = {"how": "lost", "untouched": True} if isinstance(error, JobLost) else {}
            result = StepResult(outcome=Outcome.ERRORED, message=error.message, data={**error.to_json(), **lost})
        except Exception as error:
            if is_exhausted(error):
                raise
            self.note(Entry(kind="notice", step=name, data={"level": "error", "text": traceback.format_exc()}))
            message = f"internal error: {type(error).__name__}: {error}"
            result = StepResult(outcome=Outcome.ERRORED, message=message)
        finally:
            self.ownership.acting(None)
            reporter.flush()
        printed = self.services.logs.keep(f"{self.run.id}.{name}")
        self.note(*(entry.model_copy(update={"step": name}) for entry in printed))
        self.ownership.check()  # what came of it is recorded by the process that may, and by no other
        return result if result.good else self._cut_off(result, known)

    def parameters(self, kind: type[P]) -> P:
        """The parameters of the request, which only the kind of this run has."""
        return kind.read(request_parameters(self.services.store.records(self.run.id, limit=1)[0].data))

    def enter(self) -> None:
        """Hold the environment as this process: a process that acted for the run before is refused from here on."""
        run, reason = self.run, f"{self.run.kind} of {self.run.release}" if self.run.release else self.run.kind
        try:
            lease = self.services.store.acquire(run.environment, run.id, run.by, reason, worker=self.ownership.worker)
        except OrchestratorError as error:
            if error.code == TAKEN_OVER:
                self.ownership.taken_over()
            raise
        self.fence = lease.fence

    def _stopped(self, *, begun: bool) -> StepResult | None:
        """The result of work that does not start because a user has stopped the run; None: it starts."""
        while (run := self.services.store.run(self.run.id)).control == "pause":
            self.ownership.park()
        if begun or self.going_back or self.state is State.CLOSING or run.control not in STOPPING:
            return None
        message = f"{STOPPING[run.control]} by {run.control_by or 'unknown'}"
        return StepResult(outcome=Outcome.ABORTED, message=message, data={"code": STOPPED, "untouched": True})

    def _held(self, name: str, emit: Emit, *, begun: bool) -> StepResult | None:
        """Hold the run before its first effect while its environment is closed; the result if it does not continue."""
        if self.effects.changed or self.going_back or self.state is State.CLOSING:
            return None
        return self.before_step(name, emit, begun)

    def _cut_off(self, result: StepResult, known: str) -> StepResult:
        """A bad *result*, marked as aborted if a user requested that during the work."""
        run = self.services.store.run(self.run.id)
        if run.control != "abort" or run.control_at == known or result.outcome is not Outcome.ERRORED:
            return result
        data = {**result.data, "code": STOPPED, "how": "stopped"}
        message = f"aborted by {run.control_by or 'unknown'}: {result.message}"
        return result.model_copy(update={"outcome": Outcome.ABORTED, "message": message, "data": data})

    def alert(self, step: str, text: str, key: str, *, notify: bool = True) -> None:
        """Record an alert that does not stop the run; with *notify*, also notify users."""
        new = notify and not self.services.store.has_entry(self.run.id, key)
        self.note(Entry(kind="notice", step=step, data={"level": "warning", "text": text, "alert": notify}, key=key))
        if new:
            self.services.notifier.notify(self.ended(), text)

    def record_hosts(self, states: list[HostState], why: str) -> None:
        """Write down what is now known of hosts; *why* makes the entries' keys."""
        self.note(
            *(
                Entry(kind="host", host=state.host, data=state.to_json(), key=f"host:{why}:{state.host}")
                for state in (state.on_side_of(None) for state in states)
            )
        )

    def record_gone_hosts(self, why: str) -> None:
        """Write down that hosts which are known of, and are not in the environment any more, are gone."""
        known = [state.host for state in self.services.store.hosts(self.run.environment)]
        gone = [
            HostState(host=host, truth="gone", run=self.run.id)
            for host in known
            if host not in self.hosts_only_inventory.hosts
        ]
        self.record_hosts(gone, why)

    def ended(self) -> Run:
        """The run as the journal has it."""
        return self.services.store.run(self.run.id)
