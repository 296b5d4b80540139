"""Where a call of a use case leaves this process: with a `Forwarder`, the server executes it."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from orchestrator.app.acting import Acting

P = ParamSpec("P")
R = TypeVar("R")


class Forwarder(Protocol):
    """Has use cases executed by a server."""

    def call(self, function: Callable[..., R], arguments: tuple[object, ...], named: dict[str, object]) -> R:
        """The result of *function* for these arguments, without the actor: that is the owner of the token.

        Raises the error that the use case raises at the server, and N-codes if the server cannot be used.
        """


def forwarder_of(rights: object) -> Forwarder | None:
    """The forwarder in place of *rights* that are checked here; None if they are."""
    return cast("Forwarder | None", getattr(rights, "forwarder", None))


def forwarded(function: "Callable[Concatenate[Acting, P], R]") -> "Callable[Concatenate[Acting, P], R]":
    """Make a function a use case that a server can execute. Its first parameter is the actor at the register."""

    @wraps(function)
    def calling(acting: "Acting", /, *args: P.args, **kwargs: P.kwargs) -> R:
        if acting.forwarder is None:
            return function(acting, *args, **kwargs)
        return acting.forwarder.call(function, args, kwargs)

    return calling


def accepted_by(
    check: "Callable[Concatenate[Acting, P], object]",
) -> "Callable[[Callable[Concatenate[Acting, P], R]], Callable[Concatenate[Acting, P], R]]":
    """Let a server accept a call of the function, which a worker executes later, only if *check* raises nothing.

    *check* gets the same arguments, and changes nothing. What it checks is checked again when the call is executed.
    """

    def decorate(function: "Callable[Concatenate[Acting, P], R]") -> "Callable[Concatenate[Acting, P], R]":
        function.__dict__["check_call"] = check
        return function

    return decorate
