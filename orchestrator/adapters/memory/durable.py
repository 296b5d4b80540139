"""The `Durable` port in memory: answers that outlive it, and crashes at the points that a test sets."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
Answers = dict[str, Any]
"""What steps answered, by their names: JSON data of any form."""
Part = Callable[["MemoryDurable", object], dict[str, object]]


class MemoryDurable:
    """The `Durable` port: remembers answers in a dictionary that outlives it, and can crash at a given point.

    *crash* is called with the name of a step and `before` or `after` its work is recorded; what it raises is the
    crash. A second instance on the same *answers* is the recovery. *part* executes one of several parts of a workflow.
    """

    def __init__(
        self,
        answers: Answers,
        crash: Callable[[str, str], None] = lambda _name, _when: None,
        part: Part = lambda _durable, _part: {},
    ) -> None:
        self._answers, self._crash, self._part = answers, crash, part

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Return the recorded answer of the step; without one, run *work* and record its answer."""
        if name not in self._answers:
            self._crash(name, "before")
            answer = work()
            self._crash(name, "done")
            self._answers[name] = answer
            self._crash(name, "after")
        answered: T = self._answers[name]
        return answered

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """Time passes at once."""
        del seconds, awake
        self._answers.setdefault(name, None)

    def together(self, parts: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """One after the other."""
        return {name: self.step(name, partial(self._part, self, part)) for name, part in parts.items()}
