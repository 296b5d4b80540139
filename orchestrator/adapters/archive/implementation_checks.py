"""What `build` checks of the implementation plans that steps start: their templates, and values for all parameters."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.domain.implementation import ImplementationTemplate, step_parameters
from orchestrator.domain.release import Release
from orchestrator.domain.release_steps import UNDO_WORDS

ReadTemplate = Callable[[Path, Path], ImplementationTemplate]
"""Reads the template in a file below a folder. Raises F-codes."""


def check_implementations(content: Path, release: Release, environment: str, read: ReadTemplate) -> None:
    """Return if each implementation plan of *release*, in *content*, can be started in *environment*.

    Raises F-codes and G401.
    """
    for step in release.implementation_steps:
        for path in (step.implementation, step.undo):
            if path not in UNDO_WORDS:
                undoes, template = path != step.implementation, read(content / path, content)
                step_parameters(template, step.parameters, environment, release.version, undoes=undoes)
