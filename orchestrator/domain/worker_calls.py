"""Calls of use cases that a worker executes for a server: they start engines, and the process of a server does not."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment

CLAIM_LASTS = timedelta(seconds=60)
"""After which another worker takes the call of one that ended: they change nothing outside."""
CALLS_KEPT_FOR = timedelta(hours=24)
"""How long a result can be read."""


class WorkerCall(Model):
    """A call of the use case *case* by *actor*, with its *arguments* as JSON data.

    The worker *holder* has it until *until*. At its end it has a *result* as JSON data, or *errors*. A result with
    secrets is *sealed*: encrypted with the project key, in base64. *trace* is the `traceparent` of what requested it.
    """

    id: str
    case: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    actor: Actor
    at: Moment
    holder: str = ""
    until: Moment | None = None
    ended_at: Moment | None = None
    result: Any = None
    sealed: str = ""
    errors: tuple[dict[str, Any], ...] = ()
    trace: str = Field(default="", exclude_if=lambda trace: not trace)

    def is_waiting(self, now: Moment) -> bool:
        """Whether a worker may take it at *now*."""
        return self.ended_at is None and (self.until is None or self.until <= now)
