"""Numbers of objects that users refer to, such as R-12: each noun counts from 1, without gaps."""

from pydantic import Field

from orchestrator.domain.model import Model
from orchestrator.domain.register import RecordKind
from orchestrator.register_ports import Changes


class Counter(Model):
    """The newest *number* of the objects called *noun*."""

    noun: str
    number: int = Field(ge=1)


COUNTERS = RecordKind("counters", Counter, lambda counter: counter.noun, noun="counter")


def next_number(records: Changes, noun: str) -> int:
    """The next number of *noun*, which is taken in the transaction of *records*."""
    before = records.get(COUNTERS, noun)
    taken = Counter(noun=noun, number=before.number + 1 if before is not None else 1)
    records.put(COUNTERS, taken)
    return taken.number
