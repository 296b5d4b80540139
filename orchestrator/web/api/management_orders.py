"""The bodies of requests that change something in release management."""

from typing import Annotated

from pydantic import ConfigDict, Field

from orchestrator.web.api.orders import Day, Order, Reason, Time, Word

Scale = Annotated[int, Field(ge=1, le=5)]
Names = Annotated[tuple[Word, ...], Field(max_length=100)]
Links = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=500)], ...], Field(max_length=100)]


class ChangeEdit(Order):
    """The fields of a draft that change. Lists are replaced."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"value": 4}]})

    title: Word = "any"
    reason: Annotated[str, Field(max_length=10_000)] = ""
    value: Scale = 3
    urgency: Scale = 3
    due: Day | None = None
    packages: Names = ()
    environments: Names = ()
    links: Links = ()


class ChangeOrder(ChangeEdit):
    """A change request: what is to change (*title*) and why (*reason*). With *submit* it is assessed at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "Sell gift cards", "packages": ["shop"], "environments": ["production"]}]
        }
    )

    title: Word
    submit: bool = False


class ChangeEventOrder(Reason):
    """Why a change request is decided; *until* is the end of a deferral."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "worth it"}]})

    until: Time | None = None


class RankOrder(Reason):
    """A *rank* that is set by hand, with a reason; without one the formula counts again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rank": 8, "reason": "a customer waits"}]})

    rank: Annotated[float, Field(ge=0, le=10)] | None = None


class BookingOrder(Order):
    """A booking of *environment*. The *holder* is `user:NAME` or `team:NAME`; by default the actor."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "environment": "staging",
                    "start": "2026-12-01T08:00:00Z",
                    "end": "2026-12-01T12:00:00Z",
                    "purpose": "load test of 2.0",
                }
            ]
        }
    )

    environment: Word
    start: Time
    end: Time
    purpose: Word
    holder: Word | None = None
    grace_minutes: Annotated[int, Field(ge=1, le=24 * 60)] | None = None
    wait: bool = False


class BookingEventOrder(Reason):
    """What a booking event needs: *until* to extend it, the new *holder* to hand it over."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "done"}]})

    until: Time | None = None
    holder: Annotated[str, Field(max_length=200)] = ""


class QuotaOrder(Order):
    """At most *hours* of bookings of *environment* by *team* in each week; without hours no limit."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"team": "red", "environment": "staging", "hours": 20}]})

    team: Word
    environment: Word
    hours: Annotated[float, Field(gt=0, le=168)] | None = None
