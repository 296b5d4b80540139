"""A process that dies at one of its writes, before or after it, and writes no more."""

from collections.abc import Callable
from typing import TypeVar

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.register_ports import Changes

R = TypeVar("R")


class Killed(BaseException):
    """The process dies."""


class Deaths:
    """At which write the process dies: *at*, counted from 1; *after* it was committed, or before. The dead write no more."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at, self.after, self.writes, self.dead = at, after, 0, False

    def around(self, write: Callable[[], R]) -> R:
        """Do *write*, or die."""
        if self.dead:
            raise Killed
        self.writes += 1
        self.dead = self.writes == self.at
        if self.dead and not self.after:
            raise Killed
        done = write()
        if self.dead:
            raise Killed
        return done


class DyingRegister(MemoryRegister):
    """A register whose process dies at one of its writes."""

    deaths = Deaths()

    def changing(self, by: str, work: Callable[[Changes], R], fence: int | None = None) -> R:
        """As that of memory, or death."""
        return self.deaths.around(lambda: MemoryRegister.changing(self, by, work, fence))
