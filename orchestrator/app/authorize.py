"""Rights: one function checks the right of the actor of every use case, before it does or reads anything."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from orchestrator.app.acting import Acting, Right, require, require_unrecorded
from orchestrator.app.forwarding import forwarder_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.ports import Clock
from orchestrator.register_ports import Register

P = ParamSpec("P")
R = TypeVar("R")
ENVIRONMENT = "environment"
"""The parameter of a use case that names the environment of the right; without it, the right is for the project."""
REASON = "why"
"""The parameter of a use case with its reason, which is recorded."""


class Rights(Protocol):
    """Decides whether an actor may do something, and records it."""

    def require(
        self, actor: Actor, rights: tuple[Right, ...], reason: str, *, recorded: bool, use_case: str = ""
    ) -> None:
        """Return if *actor* has all *rights*. Raises A101.

        A refusal is one entry of the audit stream. With *recorded* each right that is used is one as well, before
        anything is done; it names the *use_case*.
        """


class RegisterRights:
    """The `Rights` that the bindings in the *register* give, in a project with these *environments*."""

    def __init__(self, register: Register, clock: Clock, environments: Callable[[], Iterable[str]]) -> None:
        self._register, self._clock, self._environments = register, clock, environments

    def require(
        self, actor: Actor, rights: tuple[Right, ...], reason: str, *, recorded: bool, use_case: str = ""
    ) -> None:
        """Return if *actor* has all *rights*. Raises A101."""
        acting = Acting(self._register, actor, self._clock, tuple(self._environments()))
        used = recorded and any(right.is_recorded for right in rights)
        if used:
            require(acting, rights, reason, use_case)
        else:
            require_unrecorded(acting, rights, reason)


class HasRights(Protocol):
    """The parts of a project, of which use cases always need what decides who may do what."""

    @property
    def rights(self) -> Rights:
        """What decides who may do what."""


class UseCases:
    """Use cases that belong together, over the parts of one project."""

    def __init__(self, parts: HasRights) -> None:
        self._rights: Rights = parts.rights

    def require_rights(self, actor: Actor, method: str, given: Mapping[str, object]) -> None:
        """Return if *actor* has the rights that the use case *method* needs for the arguments *given*. Raises A101.

        This is for a call that another process executes later, which checks them again.
        """
        needed, reason = getattr(type(self), method).needed_rights(self, actor, **given)
        self._rights.require(actor, needed, reason, recorded=False)


S = TypeVar("S", bound=UseCases)


def use_case(
    needs: Action | Callable[..., tuple[Right, ...]], *, recorded: bool = True
) -> Callable[[Callable[Concatenate[S, Actor, P], R]], Callable[Concatenate[S, Actor, P], R]]:
    """Make a method a use case, whose first parameter is the actor: it checks the actor's rights first.

    *needs* is an action, in the environment that the parameter `environment` names, otherwise in the project; or a
    function of the method's other arguments that gives the rights. *recorded* is whether their use is recorded in the
    audit stream; to view and to plan never is. In a command that talks to a server, that executes the use case.
    """

    def decorate(method: Callable[Concatenate[S, Actor, P], R]) -> Callable[Concatenate[S, Actor, P], R]:
        signature = inspect.signature(method)

        def needed_rights(self: S, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> tuple[tuple[Right, ...], str]:
            given = signature.bind(self, actor, *args, **kwargs).arguments
            if isinstance(needs, Action):
                return (Right(needs, given.get(ENVIRONMENT)),), str(given.get(REASON, ""))
            return needs(*args, **kwargs), str(given.get(REASON, ""))

        @wraps(method)
        def asking(self: S, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
            forwarder = forwarder_of(self._rights)
            if forwarder is not None:
                return forwarder.call(method, args, kwargs)
            rights, reason = needed_rights(self, actor, *args, **kwargs)
            name = f"{type(self).__name__.lower()}.{method.__name__}"
            self._rights.require(actor, rights, reason, recorded=recorded, use_case=name)
            return method(self, actor, *args, **kwargs)

        asking.__dict__.update(needs=needs, needed_rights=needed_rights)
        return asking

    return decorate
