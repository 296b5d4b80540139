"""Execution: the durable workflow of a request, replayed after a crash."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar, cast

from orchestrator import tracing
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.app.requests import PromoteInWaves, Request, RetryFrom, RunRequest, Unknown, parse_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import Exit, OrchestratorError
from orchestrator.domain.journal import recorded_exit
from orchestrator.domain.promotion import State
from orchestrator.flow import WORKFLOWS, wave_rollout
from orchestrator.flow.recorder import Prefixed
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect.leftovers import with_ephemeral_stack
from orchestrator.inspect.stacks import learn_declared
from orchestrator.ports import Durable, Parallel, RunOwnership
from orchestrator.services import Services
from orchestrator.structured_logs import log_about

T = TypeVar("T")


class Execution(UseCases):
    """The use cases that execute requests, as the system: the request itself was authorized when it was recorded."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.RUN_WORKER, recorded=False)
    def begin(self, actor: Actor, request: RunRequest) -> Callable[[], dict[str, object]]:
        """Start or resume *request* in this process. Returns a way to wait for it. Raises S115, S120 and S193."""
        self._parts.withheld.require()
        if isinstance(request, Unknown):
            message = f"{request.root} is a {request.recorded_kind}, which this program does not know"
            raise OrchestratorError("S115", message)
        return self._parts.engine.begin(request.root, request.to_json())


def run_workflow(
    parts: Parts, durable: Parallel, ownership: RunOwnership, data: Mapping[str, object]
) -> dict[str, object]:
    """Execute the request *data* from environment to environment, until one does not succeed.

    *data* is what :meth:`Execution.begin` gave to the engine, of any version; of a rollout in waves maybe with one
    `part` of it. The workflow is replayed after a crash.
    """
    request = parse_request(data)
    try:
        with (
            log_about(run=request.root),
            tracing.record_span(
                f"{request.kind} {request.root}",
                parent=request.trace,
                root=request.root,
                run_kind=request.kind,
                environments=", ".join(request.targets),
                release=request.release.name if request.release is not None else "",
            ),
        ):
            return _run_request(parts, request, durable, ownership, data)
    finally:
        tracing.flush()


def _run_request(
    parts: Parts, request: Request, durable: Parallel, ownership: RunOwnership, data: Mapping[str, object]
) -> dict[str, object]:
    """Execute *request*, which was recorded as *data*."""
    if request.release is not None:
        parts.secrets.learn_names((request.release.name, request.release.version))
    parts.use_definition_of(request)
    if isinstance(request, PromoteInWaves):
        return _in_waves(parts, request, durable, ownership, data.get("part"))
    ended: list[str] = []
    for environment in request.targets:
        run = request.run(environment, durable.step(f"{environment}.requested", parts.services.clock.now))
        parts.store.create(run)
        steps: Durable = Prefixed(durable, environment)
        if request.retry is not None and environment == request.targets[0]:
            steps = _Seeded(steps, _results_before(parts, request.retry))
        ctx = RunContext(
            with_ephemeral_stack(with_own_connections(parts, environment), environment, request.release),
            steps,
            run,
            approved=request.plan,
            wait=request.wait,
            acknowledgements=request.agreed,
            override_reason=request.override_reason,
            overrun=bool(request.overrun_reason),
            ownership=ownership,
        )
        with tracing.record_span(f"{request.kind} {environment}", run=run.id, environment=environment) as traced:
            done = WORKFLOWS[request.kind](ctx)
            traced.note({"orchestrator.state": done.state.value}, failed=done.state is not State.SUCCEEDED)
        ended.append(done.id)
        if recorded_exit(parts.store.records(done.id)) is not Exit.OK:
            break
    return {"runs": ended}


def _in_waves(
    parts: Parts, request: PromoteInWaves, durable: Parallel, ownership: RunOwnership, part: object
) -> dict[str, object]:
    """A rollout in waves, or one *part* of it: a run in one of its environments."""
    way = wave_rollout.WaveRolloutRequest(
        request.root,
        request.package,
        request.by,
        request.rollout,
        plan=request.plan,
        plans=request.plans,
        wait=request.wait,
        named=request.agreed,
        override_reason=request.override_reason,
        redeploy=request.redeploy,
        overrun=bool(request.overrun_reason),
        definition=request.definition,
    )
    if part is None:
        wave_rollout.WaveRollout(parts.services, durable, ownership, way).go()
        return {"runs": [request.root]}
    one = wave_rollout.WaveMember.from_json(part)
    return wave_rollout.one(isolated(parts, one.environment), durable, ownership, way, one)


def _results_before(parts: Parts, retry: RetryFrom) -> dict[str, object]:
    """The results of the steps before the one that is retried; the lease is taken anew."""
    found: dict[str, object] = {}
    for record in parts.store.records(retry.run):
        if record.kind == "step.finished" and record.step == retry.step:
            break
        if record.kind == "step.finished" and record.step != "lease":
            found[record.step] = record.data
    return found


def with_own_connections(parts: Parts, environment: str) -> Services:
    """The setting for one *environment*: a process that takes over closes its connections as well.

    The secrets that it declares are known from here on, also where a run is resumed.
    """
    if environment in parts.environments:
        learn_declared(parts.services, parts.environments[environment][0])
    return replace(parts.services, deployer=parts.engines.deployer(environment))


def isolated(parts: Parts, environment: str) -> Services:
    """The same beside others in this process: with a Pulumi of its own, too."""
    return replace(with_own_connections(parts, environment), provisioner=parts.engines.provisioner())


class _Seeded:
    """Steps of a retry: those whose results are known are not done again."""

    def __init__(self, durable: Durable, known: Mapping[str, object]) -> None:
        self._durable, self._known = durable, known

    def step(self, name: str, work: Callable[[], T]) -> T:
        """What is known, or the step."""
        return cast("T", self._known[name]) if name in self._known else self._durable.step(name, work)

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """The wait."""
        self._durable.sleep(name, seconds, awake)
