"""How a front end opens a project: the composition root (`orchestrator/__main__.py`) decides it, once a process."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orchestrator.app.application import Application


class Opener(Protocol):
    """Opens the project around a folder."""

    def __call__(self, start: Path, environ: Mapping[str, str], *, restoring: bool) -> "Application":
        """The project around *start*. Raises F-codes, and S135 unless *restoring* when a restore was interrupted."""


_openers: list[Opener] = []


def compose(opener: Opener) -> None:
    """Let *opener* open projects from now on."""
    _openers[:] = [opener]


def open_application(start: Path, environ: Mapping[str, str] = os.environ, *, restoring: bool = False) -> "Application":
    """The application of the project around *start*.

    Raises F-codes, and S135 when a restore of its state was interrupted, unless it is *restoring*.
    """
    [opener] = _openers
    return opener(start, environ, restoring=restoring)
