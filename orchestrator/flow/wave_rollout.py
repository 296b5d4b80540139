"""Waves: one release to several environments, those of one wave side by side, the next wave once they are good.

The promotion in waves has a run of its own. Its journal has the start, the result and the soak time of each wave, and
which environments were not started and why. Each environment has an ordinary run with a lease, plan and rollback plan.
The next action follows from recorded answers only, so that a promotion whose process died resumes where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain.errors import Exit, OrchestratorError
from orchestrator.domain.journal import STOPPED, STOPPING, Entry, Kind, Run, add_seconds, recorded_exit, run_id
from orchestrator.domain.model import Model
from orchestrator.domain.plan import NOTHING, Acknowledgements
from orchestrator.domain.promotion import Event, State, move
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Package, PackageRef
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.domain.waves import BACK, Waves, ending, outcome, why_held
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.recorder import Prefixed
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect.leftovers import with_ephemeral_stack
from orchestrator.inspect.release_history import last_verified
from orchestrator.planning import admission, guard, plan_store, refusal
from orchestrator.planning.targets import runs_there
from orchestrator.ports import Durable, Parallel, RunOwnership
from orchestrator.services import Services

HELD, STAYED = "R221", "R222"
ENDS = {
    State.SUCCEEDED: Event.FINISH,
    State.HELD: Event.HOLD,
    State.ROLLED_BACK: Event.ROLL_BACK,
    State.FAILED: Event.REFUSE,
    State.NEEDS_INTERVENTION: Event.GIVE_UP,
}


@dataclass(frozen=True)
class WaveRolloutRequest:
    """A request to promote *release* through *waves*.

    *plans* are the digests of the plans that its environments are held to, *plan* that over all of them; *wait*,
    *named*, *override_reason* and *overrun* are as of a `RunContext`, and the same for each environment. With
    *redeploy* the release also goes to environments that have it. *definition* is the digest of the
    project definition; empty without one.
    """

    root: str
    release: PackageRef
    by: str
    waves: Waves
    plan: str | None = None
    plans: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    named: Acknowledgements = NOTHING
    override_reason: str = ""
    redeploy: bool = False
    overrun: bool = False
    definition: str = ""

    def run(self, at: str) -> Run:
        """The run of the whole promotion, which has the name of its root."""
        return Run(
            id=self.root,
            root=self.root,
            kind="waves",
            environment=self.waves.name,
            release=self.release,
            by=self.by,
            requested_at=at,
            project_definition=self.definition or None,
        )


class WaveMember(Model):
    """The run of one *environment* of a promotion in waves: its promotion, or the rollback to *release*."""

    environment: str
    kind: Kind
    release: PackageRef

    def run(self, root: str) -> str:
        """The name of its run."""
        return f"{run_id(root, self.environment)}{BACK if self.kind == 'rollback' else ''}"


class MemberEnd(Model):
    """How the run of one environment ended, as the engine keeps it: its *state*, and the *exit* code of a command."""

    state: State
    exit: int


# -- before it starts ----------------------------------------------------------------------------------------------


def find_waves(services: Services, name: str | None) -> Waves | None:
    """The list of waves that is called *name*; None when none is."""
    return next((waves for waves in services.project.waves if waves.name == name), None)


def already_deployed(services: Services, waves: Waves, ref: PackageRef) -> tuple[str, ...]:
    """The environments of *waves* that have the release already: nothing is done in them."""
    return tuple(name for name in waves.names if runs_there(services, name, ref))


def admitted_environments(
    services: Services, waves: Waves, package: Package, *, redeploy: bool = False
) -> tuple[str, ...]:
    """The environments that *package* would be promoted to, in order; refused if one of them does not admit it.

    Environments that have the release are left out unless it is to *redeploy*. What is verified on the way, in an
    earlier wave, counts as verified here. Raises R104, R105 and R108.
    """
    release = package.manifest.release
    undeclared = [name for name in waves.names if name not in release.environments]
    if undeclared:
        raise OrchestratorError("R104", f"{package.ref} does not declare the environment {undeclared[0]!r}")
    done = () if redeploy else already_deployed(services, waves, package.ref)
    wanted = tuple(name for name in waves.names if name not in done)
    if not wanted:
        raise OrchestratorError("R108", f"{package.ref} already runs, verified, everywhere in {waves.name}")
    for name in wanted:
        environment = services.environment(name)[0]
        admission.gate(services, package, environment, waves.before(name))
    return wanted


def refuse_rolled_back(services: Services, names: tuple[str, ...], ref: PackageRef) -> None:
    """Refuse a release that was rolled back in one of the environments *names*. Raises R203."""
    for name in names:
        before = guard.rolled_back_by(services, name, ref.digest)
        if before is not None:
            raise guard.rolled_back_refusal(name, before, str(ref))


def executable(plan: WavePlan) -> None:
    """Return when each environment's plan may be executed. Raises the first one's `plan_refusal`."""
    for item in plan.planned:
        why = refusal.plan_refusal(item.plan) if item.plan is not None else None
        if why is not None:
            raise OrchestratorError(why.code, f"{item.environment}: {why.message}", hint=why.hint)


def unchanged(services: Services, plan: WavePlan) -> None:
    """Return when the waves are still those that *plan* was made for. Raises R220."""
    now = find_waves(services, plan.rollout.name)
    if now != plan.rollout:
        then = f"{plan.rollout}, {_rules(plan.rollout)}"
        what = f"now {now}, {_rules(now)}; then {then}" if now else "they no longer exist"
        raise OrchestratorError("R220", f"the waves {plan.rollout.name} have changed since the plan was made: {what}")
    deployed = already_deployed(services, plan.rollout, plan.release)
    found = set() if plan.redeploy else set(deployed) ^ set(plan.already_deployed)
    if found:
        message = f"since the plan was made, it has changed where {plan.release} runs: {', '.join(sorted(found))}"
        raise OrchestratorError("R220", message)


def _rules(waves: Waves) -> str:
    return f"soak {waves.soak}, on_failure {waves.on_failure}, max_failures {waves.max_failures}"


# -- one environment of it -----------------------------------------------------------------------------------------


def one(
    services: Services, durable: Durable, ownership: RunOwnership, request: WaveRolloutRequest, member: WaveMember
) -> dict[str, object]:
    """Execute one *member* of a promotion in parallel with the others of its wave. Returns how its run ended."""
    name = member.run(request.root)
    durable = Prefixed(durable, name.removeprefix(f"{request.root}-"))
    run = Run(
        id=name,
        root=request.root,
        kind=member.kind,
        environment=member.environment,
        release=member.release,
        by=request.by,
        requested_at=durable.step("requested", services.clock.now),
        project_definition=request.definition or None,
    )
    services.store.create(run)
    promotion = member.kind == "promotion"
    if promotion:
        _pass_on(services, run)
    ctx = RunContext(
        with_ephemeral_stack(services, member.environment, member.release),
        durable,
        run,
        approved=request.plans.get(member.environment) if promotion else None,
        wait=request.wait,
        acknowledgements=request.named if promotion else NOTHING,
        override_reason=request.override_reason if promotion else "",
        overrun=request.overrun,
        ownership=ownership,
    )
    done = WORKFLOWS[member.kind](ctx)
    return MemberEnd(state=done.state, exit=int(recorded_exit(services.store.records(done.id)))).to_json()


def _pass_on(services: Services, run: Run) -> None:
    """Apply a control request for the whole promotion, made before this *run* existed, to the run as well."""
    whole = services.store.run(run.root)
    if whole.control:
        data = {"control": whole.control, "by": whole.control_by, "why": f"as for {whole.id}"}
        services.store.append(run.id, [Entry(kind="control", data=data, key="as the walk")])


# -- all of it -----------------------------------------------------------------------------------------------------


@dataclass
class WaveRollout:
    """A promotion in waves under execution: its request, and the result of each environment so far.

    *ended* maps environments to the results of their promotions, *exits* to their exit statuses; *returned* maps each
    environment that was to be rolled back to whether it was.
    """

    services: Services
    durable: Parallel
    ownership: RunOwnership
    request: WaveRolloutRequest
    ended: dict[str, State] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    returned: dict[str, bool] | None = None
    stopped: bool = False
    state: State = State.REQUESTED
    _moves: int = 0

    def go(self) -> Run:
        """Execute the promotion to its end. Returns its own run as it ended."""
        store, request = self.services.store, self.request
        store.create(request.run(self.durable.step("walk.requested", self.services.clock.now)))
        self._move(Event.START_WAVES)
        done = self.durable.step("walk.there", self._already_deployed)
        data = {"plan": request.plan, "rollout": request.waves.to_json(), "already_deployed": done}
        self._note(Entry(kind="planned", data=data, key="planned"))
        every = enumerate(request.waves.environments, start=1)
        waves = [(number, [name for name in wave if name not in done]) for number, wave in every]
        why, at = self._waves([(number, names) for number, names in waves if names])
        left = [name for _, names in waves for name in names if name not in self.ended]
        if why and left:
            self._wave("held", f"wave:{at}:held", environments=left, why=why)
        if why and request.waves.on_failure == "rollback":
            self._return(waves)
        return self._end(why, at)

    def _already_deployed(self) -> list[str]:
        """The environments in which nothing is done, because they have the release."""
        request = self.request
        return [] if request.redeploy else list(already_deployed(self.services, request.waves, request.release))

    def _waves(self, waves: list[tuple[int, list[str]]]) -> tuple[str, int]:
        """Start one wave after the other; why the rest is held (empty: all were started, and are good), and where."""
        why, at = "", 0
        for place, (at, names) in enumerate(waves):
            why = self._stopped(f"wave.{at}.may")
            if why:
                break
            self._side_by_side(at, names)
            why = self._stopped(f"wave.{at}.over") or why_held(self.request.waves, self.ended)
            if why:
                break
            if place + 1 < len(waves):
                self._soak(at)
        return why, at

    def _side_by_side(self, number: int, names: list[str]) -> None:
        members = [WaveMember(environment=name, kind="promotion", release=self.request.release) for name in names]
        answers = self._parts("begun", number, members)
        for member, answer in zip(members, answers, strict=True):
            self.ended[member.environment], self.exits[member.environment] = answer.state, answer.exit
        ended = {name: self.ended[name].value for name in names}
        self._wave("ended", f"wave:{number}:ended", number=number, ended=ended)

    def _parts(self, event: str, number: int, members: list[WaveMember]) -> list[MemberEnd]:
        """Execute *members* side by side, and record that before; how their runs ended."""
        runs = {member.environment: member.run(self.request.root) for member in members}
        self._wave(event, f"wave:{number}:{event}", number=number, runs=runs)
        answers = self.durable.together({member.run(self.request.root): member.to_json() for member in members})
        return [MemberEnd.from_json(answers[member.run(self.request.root)]) for member in members]

    def _soak(self, number: int) -> None:
        """Wait before the next wave; no longer once there is a control request."""
        time = seconds(self.request.waves.soak)
        if not time:
            return
        until = add_seconds(self.durable.step(f"wave.{number}.soaking", self.services.clock.now), time)
        self._wave("soaking", f"wave:{number}:soaking", number=number, until=until)
        store, root = self.services.store, self.request.root
        self.durable.sleep(f"wave.{number}.soak", time, lambda: store.run(root).control != "")

    def _stopped(self, name: str) -> str:
        """The operator who stopped the promotion; empty if it was not stopped. A paused one waits here."""

        def read_control() -> str:
            self.ownership.check()
            while (run := self.services.store.run(self.request.root)).control == "pause":
                self.ownership.park()
            return f"{STOPPING[run.control]} by {run.control_by or 'unknown'}" if run.control in STOPPING else ""

        why = str(self.durable.step(name, read_control))
        self.stopped = self.stopped or bool(why)
        return why

    # -- rollback

    def _return(self, waves: list[tuple[int, list[str]]]) -> None:
        """Roll back what this promotion has promoted, newest wave first. A rollback is not rolled back."""
        self.returned = {}
        for number, names in reversed(waves):
            found = [self._part_back(name) for name in names if self.ended.get(name) is State.SUCCEEDED]
            members = [member for member in found if member is not None]
            if members:
                answers = self._parts("returning", number, members)
                states = {member.environment: answer.state for member, answer in zip(members, answers, strict=True)}
                back = {name: state is State.ROLLED_BACK for name, state in states.items()}
                self._wave("returned", f"wave:{number}:returned", number=number, returned=back)
                self.returned |= back

    def _part_back(self, name: str) -> WaveMember | None:
        """The rollback of the environment *name*; None if it stays as it is."""
        found = self.durable.step(f"walk.{name}.back", lambda: self._rollback_of(name))
        if found["release"] is not None:
            return WaveMember(environment=name, kind="rollback", release=PackageRef.from_json(found["release"]))
        self._wave("stays", f"{name}:stays", environment=name, why=found["why"], fine=found["fine"])
        if not found["fine"]:
            self.returned = {**(self.returned or {}), name: False}
        return None

    def _rollback_of(self, name: str) -> dict[str, object]:
        """The release to which *name* is rolled back, otherwise why it stays as it is, and whether that is fine."""
        self.ownership.check()
        run = self.services.store.run(run_id(self.request.root, name))
        plan = plan_store.load_plan(self.services, str(run.plan))
        last, back = last_verified(self.services, name), plan.rollback_target
        if plan.ephemeral is not None:
            return _stays("what was created for it was destroyed", fine=True)
        if last is None or last.run != run.id:
            return _stays(f"{last.run if last else 'another run'} came after", fine=True)
        if back.release is not None and back.release.digest == self.request.release.digest:
            return _stays("the release was deployed before", fine=True)
        if not plan.automatic_rollback:
            return _stays("automatic rollback is switched off for it", fine=False)
        if back.release is None or not back.available:
            return _stays(f"it cannot be rolled back: {back.reason}", fine=False)
        return {"release": back.release.to_json(), "why": "", "fine": True}

    # -- the end

    def _end(self, why: str, at: int) -> Run:
        waves = self.request.waves
        state = ending(self.ended, self.returned, why)
        self._move(ENDS[state])
        failure = None
        if why:
            code = STOPPED if self.stopped else STAYED if False in (self.returned or {}).values() else HELD
            failure = {"step": f"wave {at}", "message": why, "code": code}
        message = outcome(waves, self.ended, self.returned, why)
        data = {"state": state.value, "message": message, "exit": int(self._exit(state)), "failure": failure}
        self._note(Entry(kind="ended", data=data, key="ended"))
        ended = self.services.store.run(self.request.root)
        self.services.notifier.notify(ended, message)
        return ended

    def _exit(self, state: State) -> int:
        """How the command ends: as the worst of its environments did."""
        fixed = {
            State.SUCCEEDED: Exit.OK,
            State.ROLLED_BACK: Exit.ROLLED_BACK,
            State.NEEDS_INTERVENTION: Exit.NEEDS_INTERVENTION,
        }
        if state in fixed:
            return fixed[state]
        if State.ROLLED_BACK in self.ended.values() or self.stopped:
            return Exit.ROLLED_BACK if State.ROLLED_BACK in self.ended.values() else Exit.FAILED
        bad = [self.exits[name] for name, ended in self.ended.items() if ended is State.FAILED]
        return bad[0] if bad else Exit.FAILED

    def _wave(self, event: str, key: str, **data: object) -> None:
        self._note(Entry(kind="wave", data={"event": event, **data}, key=key))

    def _move(self, event: Event) -> None:
        after = move(self.state, event)
        self._moves += 1
        data = {"from": self.state.value, "event": event.value, "to": after.value}
        self._note(Entry(kind="state", data=data, key=f"state:{self._moves}"))
        self.state = after

    def _note(self, entry: Entry) -> None:
        self.services.store.append(self.request.root, [entry])


def _stays(why: str, *, fine: bool) -> dict[str, object]:
    return {"release": None, "why": why, "fine": fine}
