"""The findings of `doctor`."""

from collections.abc import Callable
from typing import Literal

from orchestrator.domain.model import Model

Level = Literal["ok", "warning", "problem"]
ShowTime = Callable[[str | None], str]
"""Writes a time of the journal for a reader."""


class Check(Model):
    """One thing that was checked: what was found, and what to do if it is not *ok*."""

    name: str
    level: Level
    says: str
    remedy: str = ""
