"""Bindings, the access file, and the question who may do what."""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.app.acting import Acting, Change, View, change, read_own, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.access_file import AccessDifference, AccessFile, difference, problems
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, Verdict, as_deputy, authorize, may
from orchestrator.domain.access.principals import Actor, ActorKind, Binding
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.model import Model
from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ACCESS_KINDS, BINDINGS, RecordKind, T

MANAGE = Action.MANAGE_ACCESS


def read_access_file(file: Path, acting: Acting) -> AccessFile:
    """The access file at *file*. Names may be those that the project has recorded. Raises F-codes, A104 and A105."""
    from orchestrator.app.people import show_access
    from orchestrator.config.access import load_access

    return load_access(file, show_access(acting))


@forwarded
def grant(acting: Acting, binding: Binding) -> Binding:
    """Record *binding*, in place of one with the same key. Raises A103 and A104."""

    def work(task: Change) -> Binding:
        file = AccessFile(apiVersion="orchestrator/v1", kind="Access", bindings=(binding,))
        for problem in problems(file, task.access):
            raise OrchestratorError(problem.code, problem.message, hint=problem.hint or None)
        return task.put(BINDINGS, binding)

    return change(acting, MANAGE, work, reason=binding.reason)


@forwarded
def revoke(acting: Acting, role: str, to: str, project: str, environment: str, *, reason: str = "") -> Binding:
    """Remove a binding. Raises A103 and A110."""

    def work(task: Change) -> Binding:
        key = Binding(role=role, to=to, project=project, environment=environment).key
        binding = task.existing(BINDINGS, key)
        task.remove(BINDINGS, binding)
        return binding

    return change(acting, MANAGE, work, reason=reason)


@forwarded
def preview(acting: Acting, file: AccessFile, *, prune: bool) -> AccessDifference:
    """What applying *file* would change. Raises A104 and A105."""
    return read_register(acting, Action.VIEW, lambda view: _difference(view, file, prune=prune))


@forwarded
def apply(acting: Acting, file: AccessFile, *, prune: bool) -> AccessDifference:
    """Bring the register to *file*; what the file does not have is removed with *prune* only. Raises A103 to A105."""

    def work(task: Change) -> AccessDifference:
        found = _difference(task, file, prune=prune)
        for field, kind in ACCESS_KINDS.items():
            _bring(task, kind, getattr(found.after, field))
        return found

    return change(acting, MANAGE, work)


def _difference(view: View, file: AccessFile, *, prune: bool) -> AccessDifference:
    wrong = [OrchestratorError(p.code, p.message, hint=p.hint or None) for p in problems(file, view.access)]
    if wrong:
        raise OrchestratorErrors(wrong)
    return difference(view.access, file, prune=prune, at=moment_text(view.now.earliest))


def _bring(task: Change, kind: RecordKind[T], wanted: tuple[T, ...]) -> None:
    there = {kind.key(value): value for value in task.records.all(kind)}
    keep = {kind.key(value): value for value in wanted}
    for key, value in keep.items():
        if there.get(key) != value:
            task.put(kind, value)
    for key, value in there.items():
        if key not in keep:
            task.remove(kind, value)


class Question(Model):
    """Whether *name* (None: the actor) may do *action* in *environment*."""

    action: Action
    environment: str | None = None
    name: str | None = None


@forwarded
def can_i(acting: Acting, question: Question) -> Verdict:
    """The answer, with the rule and the binding, or what is missing. A question about another actor needs a right."""

    def work(view: View) -> Verdict:
        if question.name is not None:
            view.require(Action.VIEW)
        actor = acting.actor if question.name is None else named_actor(view, question.name)
        target = Target(acting.project, question.environment)
        verdict = authorize(actor, question.action, target, view.directory, view.now)
        return as_deputy(verdict, actor, target, view.directory, view.now)

    return read_own(acting, work)


def allowed_environments(acting: Acting, action: Action, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the environments *names* in which the actor may do *action*, as `can_i` decides for each."""

    def work(view: View) -> tuple[str, ...]:
        directory, everywhere = view.directory, Target(acting.project)
        if acting.actor.scopes is None and may(acting.actor, action, everywhere, directory, view.now):
            return tuple(names)  # a right in the whole project is one in each environment
        places = ((name, Target(acting.project, name)) for name in names)
        return tuple(name for name, place in places if may(acting.actor, action, place, directory, view.now))

    return read_own(acting, work)


@forwarded
def own_bindings(acting: Acting) -> tuple[tuple[Binding, ...], bool]:
    """The bindings of the actor, and whether the project has any binding at all."""

    def work(view: View) -> tuple[tuple[Binding, ...], bool]:
        found = view.directory.bindings_of(acting.actor.kind.value, acting.actor.name)
        return found, bool(view.access.bindings)

    return read_own(acting, work)


def named_actor(view: View, name: str) -> Actor:
    """The user or service account called *name*. Raises A110."""
    directory = view.directory
    if name in directory.users:
        return Actor(name=name)
    bare = name.removeprefix("service-account:")
    if bare in directory.service_accounts:
        return Actor(name=bare, kind=ActorKind.SERVICE_ACCOUNT)
    raise unknown("user", name, sorted([*directory.users, *directory.service_accounts]))
