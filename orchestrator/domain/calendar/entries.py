"""Calendar entries as code: `windows:` in `environment.yaml`, which become rules when the definition is read."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from orchestrator.domain.calendar.recurrence import Rule
from orchestrator.domain.calendar.rules import MAX_DATES, CalendarRule, MovedDate, RuleKind, WallTime
from orchestrator.domain.calendar.zones import ZoneName
from orchestrator.domain.model import Model, Name
from orchestrator.domain.risk.kinds import ChangeKind


class CalendarEntry(Model):
    """One entry of `windows:`: a window, freeze or holiday of the environment whose file it is in.

    The fields are those of `CalendarRule`. *except* are the starts that are left out.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    kind: RuleKind = RuleKind.WINDOW
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    start: WallTime
    end: WallTime
    zone: ZoneName
    rule: Rule | None = None
    except_: Annotated[tuple[WallTime, ...], Field(max_length=MAX_DATES)] = Field(default=(), alias="except")
    also: Annotated[tuple[WallTime, ...], Field(max_length=MAX_DATES)] = ()
    moved: Annotated[tuple[MovedDate, ...], Field(max_length=MAX_DATES)] = ()
    allows: tuple[ChangeKind, ...] = (ChangeKind.EMERGENCY,)
    override_role: Name | None = None
    owner: str = ""
    reason: str = ""

    @model_validator(mode="after")
    def _is_a_rule(self) -> "CalendarEntry":
        self.to_rule("environment", 0)
        return self

    def to_rule(self, environment: str, index: int) -> CalendarRule:
        """The rule of this entry, the one at *index* (from 0) of the file of *environment*. Pages cannot edit it."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return CalendarRule(id=f"file:{environment}:{index}", environments=(environment,), source="file", **fields)
