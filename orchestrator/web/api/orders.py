"""The bodies of requests that change something."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from orchestrator.domain.approval.votes import Decision
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import DEFAULT_QUEUE
from orchestrator.domain.moments import Moment, require_possible_times

Text = Annotated[str, Field(max_length=2000)]
Word = Annotated[str, Field(min_length=1, max_length=200)]


def _written(value: Any) -> Any:
    """*value*, which is the text of a time: numbers would be seconds since 1970. Raises ValueError."""
    if isinstance(value, str) and not WRITTEN.match(value):
        raise ValueError("a time such as 2026-12-01T08:00:00Z is possible")
    if isinstance(value, int | float):
        raise ValueError("a time is a text, such as 2026-12-01T08:00:00Z")  # noqa: TRY004 - pydantic reports it
    return value


def _possible(moment: datetime) -> datetime:
    """*moment*, which can be shown and counted to. Raises ValueError."""
    try:
        require_possible_times(moment)
    except OrchestratorError as error:
        raise ValueError(error.message) from None
    return moment


WRITTEN = re.compile(r"\d{4}-\d\d-\d\d")
Time = Annotated[Moment, BeforeValidator(_written), AfterValidator(_possible)]
"""A moment in a body or in an address."""
Day = Annotated[date, BeforeValidator(_written)]
"""A day in a body."""


RENAMED_FIELDS = {"again": "allow_rolled_back"}
"""The fields that were renamed, each with its current name."""


class Order(BaseModel):
    """A body: fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed(cls, data: Any) -> Any:
        """*data*. Raises ValueError with the new name of a field that was renamed."""
        for old, new in RENAMED_FIELDS.items():
            if isinstance(data, dict) and old in data and new in cls.model_fields:
                raise ValueError(f"the field {old!r} is now {new!r}")
        return data


def fields_to_change(order: Order) -> dict[str, Any]:
    """The fields that the body has, of those that may change. Raises N110 without any."""
    fields = order.model_dump(mode="json", exclude_unset=True)
    if not fields:
        raise OrchestratorError("N110", "at least one field is required")
    return fields


class Reason(Order):
    """Why something is done."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "not needed any more"}]})

    reason: Text = ""


class PromotionOrder(Order):
    """A promotion of a kept package (name and version, version or digest), which workers of *queue* execute.

    *allow_rolled_back* is why a release is promoted that was rolled back.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"release": "shop-1.4.0", "environment": "staging"}]})

    release: Word
    environment: Word
    queue: Word = DEFAULT_QUEUE
    allow_rolled_back: Text = ""


class RollbackOrder(Order):
    """A rollback of *environment* to *version*; without one to the release that `orchestrator rollback` chooses."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"environment": "production"}]})

    environment: Word
    version: Word | None = None
    queue: Word = DEFAULT_QUEUE


class ControlOrder(Reason):
    """What a run is to do."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"verb": "pause", "reason": "the load is high"}]})

    verb: Literal["pause", "cancel", "abort", "continue"]


class RequestOrder(Order):
    """A request for the promotion, also in waves, or the *rehearsal* by the kept plan with the digest *plan*.

    An *emergency* has a reason and the link of an *incident*. *start* is the earliest start; with *next_window* it is
    the next time at which the environment opens. *allow_rolled_back* and *overrun* are reasons.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"plan": f"sha256:{'0' * 64}"}]})

    plan: Word
    emergency: bool = False
    reason: Text = ""
    incident: Text = ""
    start: Time | None = None
    next_window: bool = False
    allow_rolled_back: Text = ""
    overrun: Text = ""
    queue: Word = DEFAULT_QUEUE
    rehearsal: bool = False


class VoteOrder(Order):
    """A vote for what was shown: the digest of the *plan*, and that of its text (*rendered*)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"decision": "approve", "plan": f"sha256:{'0' * 64}", "rendered": f"sha256:{'1' * 64}"}]
        }
    )

    decision: Decision
    plan: Word
    rendered: Word
    comment: Text = ""


class LockOrder(Reason):
    """A lock of an environment, for *seconds* or until it is unlocked."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "maintenance", "seconds": 3600}]})

    seconds: Annotated[float, Field(gt=0, le=366 * 86400)] | None = None


class LineOrder(Order):
    """A stop of all promotions into *environment* (`*`: into all), until a time or until they are resumed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"environment": "staging", "reason": "incident 4711"}]})

    environment: Word
    reason: Word
    until: Time | None = None


class ResumeOrder(Reason):
    """The end of a stop of *environment*."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"environment": "staging", "reason": "resolved"}]})

    environment: Word


class ExchangeOrder(Order):
    """The *token* that a CI system gave to a job, and the service *account* if several accept it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "eyJhbGciOi", "account": "ci"}]})

    token: Annotated[str, Field(min_length=1, max_length=20_000)]
    account: Word | None = None
