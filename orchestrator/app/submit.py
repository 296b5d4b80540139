"""Requests: recording what is requested, so that it is found again from then on."""

import secrets
from dataclasses import dataclass, replace
from typing import TypeVar

from orchestrator import tracing
from orchestrator.app.acting import Right, require
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.journal import recorded_request, require_free
from orchestrator.app.parts import Parts
from orchestrator.app.requests import PromoteInWaves, Request, RetryFrom, RunRequest
from orchestrator.app.rights import control_rights, request_rights
from orchestrator.app.starts import enqueue_run
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import QueuedRequest, Run, run_id
from orchestrator.domain.promotion import State
from orchestrator.domain.text import nearest
from orchestrator.planning import plan_store
from orchestrator.structured_logs import log_event

AnyRequest = TypeVar("AnyRequest", bound=RunRequest)
WITHOUT_LIMIT = 10 * 365 * 86400.0  # seconds, longer than any queue


@dataclass(frozen=True)
class Use:
    """The *rights* that *actor* uses in a *use_case* to start runs."""

    actor: Actor
    rights: tuple[Right, ...]
    use_case: str

    def of(self, root: str) -> tuple[Right, ...]:
        """The rights as the audit stream has them: about the runs of the request *root*."""
        return tuple(
            replace(right, about=f"run:{run_id(root, right.environment) if right.environment else root}")
            for right in self.rights
        )


class Submissions(UseCases):
    """The use cases that record requests."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(request_rights, recorded=False)  # recorded together with the name of its run
    def submit(self, actor: Actor, request: AnyRequest, *, queue: str = "") -> AnyRequest:
        """Record *request* durably. Returns the request with its root and its user.

        With `wait` the request waits for a busy environment. Otherwise S101 is raised for one. *queue* names the
        workers that are to execute it; empty: this process does. A request for workers enters the queue of its first
        environment. A request that has a root is recorded once: another call finds it.
        """
        return record_request(self._parts, actor, request, queue)

    @use_case(control_rights)
    def retry(self, actor: Actor, run: Run, step: str | None, *, queue: str = "") -> Request:
        """Record that *run*, which needs manual intervention, is retried from *step*, by workers of a *queue* if given.

        By default that is the last of its steps that did not succeed. Raises R151 if it cannot be retried, R142 for a
        step that it does not have, and S101.
        """
        finished = [record for record in self._parts.store.records(run.id) if record.kind == "step.finished"]
        bad = [record.step for record in finished if record.data["outcome"] not in {"succeeded", "skipped"}]
        newest = next(iter(self._parts.store.runs(run.environment, limit=1)), run)
        if run.state is not State.NEEDS_INTERVENTION or newest.id != run.id or not bad:
            is_newest = newest.id == run.id or run.state is not State.NEEDS_INTERVENTION
            why = f"it ended as: {run.state}" if is_newest else f"{newest.id} is newer"
            raise OrchestratorError("R151", f"{run.id} cannot be retried: {why}")
        chosen = step or bad[-1]
        if chosen not in {record.step for record in finished}:
            names = [record.step for record in finished]
            raise OrchestratorError("R142", f"{run.id} has no step {chosen!r}", hint=nearest(chosen, names))
        require_free(self._parts, run.environment)
        before = recorded_request(self._parts.store, run.root)
        rest = before.alone(run) if isinstance(before, PromoteInWaves) else before.from_environment(run.environment)
        again = replace(
            rest,
            root=secrets.token_hex(3),
            by=str(actor),
            retry=RetryFrom(run.id, chosen),
            trace=tracing.current(),
        )
        return _queued(self._parts, again, queue, Use(actor, control_rights(run), "submissions.retry"))

    @use_case(Action.VIEW)
    def require_free(self, actor: Actor, environment: str) -> None:
        """Return if *environment* is free. Raises S101 with the run or user that holds it, or waits for it."""
        require_free(self._parts, environment)

    @use_case(Action.VIEW)
    def recorded(self, actor: Actor, root: str) -> Request:
        """What was requested under *root*. Raises R101."""
        return recorded_request(self._parts.store, root)


def record_request(parts: Parts, actor: Actor, request: AnyRequest, queue: str = "") -> AnyRequest:
    """Record *request* of *actor*, who has the right to it; see :meth:`Submissions.submit`."""
    wait = request.wait or (WITHOUT_LIMIT if queue else 0.0)
    if not wait:
        for environment in request.targets:
            require_free(parts, environment)
    root = request.root or secrets.token_hex(3)
    wanted = replace(
        request,
        root=root,
        by=str(actor),
        wait=wait,
        trace=request.trace or tracing.current(),
        definition=request.definition or definition_for(parts, request.plan),
    )
    use = Use(actor, request_rights(request), "submissions.submit")
    return _queued(parts, wanted, queue, use, fixed_root=bool(request.root))


def definition_for(parts: Parts, plan: str | None) -> str:
    """The project definition of a run by *plan*: that of the plan, otherwise the current one; empty without any."""
    if not parts.receives_definitions:
        return ""
    parts.refresh_definition()
    found = plan_store.load_any(parts.services, plan, recorded=True).project_definition if plan else None
    return found or parts.definition


def _queued(parts: Parts, wanted: AnyRequest, queue: str, use: Use, *, fixed_root: bool = False) -> AnyRequest:
    """Record *wanted*, which with a *queue* waits there for its first environment."""
    recorded, run = _record(parts, wanted, use, queue, fixed_root=fixed_root)
    if queue and recorded.waves is None:  # each environment of a rollout is queued once its wave has started
        supersede = parts.services.environment(run.environment)[0].queue.supersede
        enqueue_run(parts.store, run, supersede=supersede)
    return recorded


def _record(
    parts: Parts, request: AnyRequest, use: Use, queue: str = "", *, fixed_root: bool = False
) -> tuple[AnyRequest, Run]:
    """*request* with its first run, recorded under a root of its own: one of six digits may be taken already.

    With *fixed_root* the root is that of this request, also if it is taken. The audit stream has the *use* of
    rights with the names of the runs before the journal has these.
    """
    while True:
        require(parts.acting_as(use.actor), use.of(request.root), use_case=use.use_case)
        run = request.first(parts.services.clock.now())
        if (
            parts.store.submit(QueuedRequest(root=request.root, request=request.to_json(), queue=queue), run)
            or fixed_root
        ):
            log_event(
                "orchestrator.runs",
                "run requested",
                run=request.root,
                kind=request.kind,
                environments=", ".join(request.targets),
                by=request.by,
            )
            return request, run
        request = replace(request, root=secrets.token_hex(3))
